// Which kernel sets there are, and which one runs.
#include <cstdlib>
#include <cstring>

#include "kernels.h"

namespace xnor {
namespace {

constexpr const Kernels* kAll[] = {
#if defined(__x86_64__)
    &kAvx512Kernels,
    &kAvx2Kernels,
#elif defined(__aarch64__)
    &kNeonKernels,
#endif
    &kReferenceKernels,
};

std::string names_that_run() {
  std::string names;
  for (const Kernels* each : kAll)
    if (each->runs_here()) names += std::string(names.empty() ? "" : ", ") + each->name;
  return names;
}

}  // namespace

const Kernels* const* all_kernels(int* count) {
  *count = static_cast<int>(sizeof kAll / sizeof kAll[0]);
  return kAll;
}

Status choose_kernels(const char* name, const Kernels** out) {
  const bool asked = name != nullptr && *name != '\0';
  if (!asked) name = std::getenv("XNOR_KERNELS");
  for (const Kernels* each : kAll) {
    if (name != nullptr && *name != '\0' && std::strcmp(name, each->name) != 0) continue;
    if (!each->runs_here()) continue;
    *out = each;
    return {};
  }
  return refuse(Code::kArgument, std::string(asked ? "kernels" : "XNOR_KERNELS") + ": got '" + name +
                                     "'; must be one of those that run here: " + names_that_run());
}

size_t block_scratch(const Op& op, int in_width) {
  // Columns of one group with one to spare on both sides and what a kernel may write beyond, then the sums of signs.
  const size_t columns = (static_cast<size_t>(in_width) + 2) * op.kernel * op.block.group_bytes + 6 * kAlign;
  return columns / kAlign * kAlign + kAlign + (static_cast<size_t>(in_width) + 2 + 2 * kSlack) * 2 * sizeof(float) +
         kAlign;
}

size_t conv_scratch(const Op& op, int channels, int in_width) {
  return 3 * ((static_cast<size_t>(in_width) + 2) * channels * sizeof(float) + 2 * kAlign) * (op.kernel == 3);
}

size_t contrast_scratch(const Op& op, int width) {
  // A row of sums between margins of zeros, a row of each contrast, and what a kernel may read beyond.
  return (contrast_plane(width) * (1 + op.channels) + kMaxSquare + 4 * kSlack) * sizeof(float) + kAlign;
}

size_t maximum_scratch(int channels, int width) {
  return ((static_cast<size_t>(width) + 2) * channels + 2 * kSlack) * sizeof(float);
}

size_t attention_scratch(int length, int size) {
  // Where each column begins and its weights, then two rows of the matrix.
  const Fit fit{length, size};
  return static_cast<size_t>(size) * (sizeof(int) + fit.most() * sizeof(float)) + 2 * (length + kSlack) * sizeof(float);
}

size_t basis_scratch(const Op& op) {
  // The sixteen sums of both kinds for each term, and what a kernel may read beyond.
  return (op.basis.terms.size() * 2 + kSlack) * 16 * sizeof(float);
}

size_t excite_scratch(const Op& op, int channels) {
  return op.expand.empty() ? 0 : 9 * (9 * static_cast<size_t>(channels) + kSlack) * sizeof(float) + kAlign;
}

}  // namespace xnor
