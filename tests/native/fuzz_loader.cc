// The target of a fuzzer: any bytes are read as a model, and what is accepted runs on a small image with every kernel
// set, in bands and op by op. All must give the same bits.
//
// With gcc, fuzz_driver.cc makes the bytes; the same target serves libFuzzer, which needs clang. CMakeLists.txt says
// how.
//
// A mutated file would stop at its checksum, so the checksum of the data is put right first where its place is found.
// Every other check sees what the fuzzer made.
#include "fuzz_loader.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "sha256.h"
#include "xnor.h"

namespace {

using Outputs = std::vector<std::vector<float>>;

void mend_checksum(std::vector<uint8_t>* file) {
  if (file->size() < 8) return;
  uint64_t length = 0;
  std::memcpy(&length, file->data(), 8);
  if (length > file->size() - 8) return;
  static const char kKey[] = "\"sha256\":\"";
  const std::string header(file->begin() + 8, file->begin() + 8 + static_cast<long>(length));
  const size_t at = header.find(kKey), start = at + sizeof kKey - 1;
  if (at == std::string::npos || start + 64 > header.size()) return;
  const size_t data = 8 + static_cast<size_t>(length);
  const std::string digest = xnor::sha256_hex(file->data() + data, file->size() - data);
  std::memcpy(file->data() + 8 + start, digest.data(), 64);
}

// The smallest multiple that is at least `least`.
int side(int multiple, int least) { return (least + multiple - 1) / multiple * multiple; }

// Of both signs, with zeros of both signs, and larger than an image's.
std::vector<float> make_image(size_t count) {
  std::vector<float> values(count);
  uint32_t state = 1;
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(static_cast<int>(state >> 24) - 128) / 64.0f;
  }
  for (size_t i = 0; i < count; i += 7) values[i] = i % 2 ? 0.0f : -0.0f;
  return values;
}

// What a model makes of one image in every way of running; none where it would take long, which is no finding.
Outputs run_all(xnor_model* model) {
  xnor_info info;
  xnor_describe(model, &info);
  Outputs outputs;
  if (info.multiple > 32 || info.num_ops > 64) return outputs;
  const int height = side(info.multiple, 5), width = side(info.multiple, 19);
  const size_t pixels = static_cast<size_t>(height) * width;
  const std::vector<float> image = make_image(pixels * info.channels);
  for (int mode : {XNOR_STREAMED, XNOR_LAYERS}) {
    const int threads = mode == XNOR_STREAMED ? 1 : 2;
    if (xnor_prepare(model, height, width, 0, threads, mode) != XNOR_OK) continue;
    outputs.emplace_back(pixels);
    if (xnor_run(model, image.data(), height, width, XNOR_F32, info.channels, outputs.back().data()) != XNOR_OK)
      outputs.pop_back();
  }
  return outputs;
}

void compare(const Outputs& wanted, const Outputs& outputs, const std::string& kernels) {
  bool same = wanted.size() == outputs.size();
  for (size_t n = 0; same && n < outputs.size(); ++n)
    same = std::memcmp(wanted[0].data(), outputs[n].data(), wanted[0].size() * sizeof(float)) == 0;
  if (same) return;
  std::fprintf(stderr, "kernels %s: other bits than the first set\n", kernels.c_str());
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<uint8_t> file(data, data + size);
  mend_checksum(&file);
  const std::string names = std::string(xnor_kernels()) + " ";
  Outputs wanted;
  int result = -1;
  for (size_t at = 0, stop; (stop = names.find(' ', at)) != std::string::npos; at = stop + 1) {
    xnor_model* model = nullptr;
    char text[256];
    const std::string name = names.substr(at, stop - at);
    if (xnor_load(file.data(), file.size(), name.c_str(), &model, text, sizeof text) != XNOR_OK) {
      if (result == 0) std::abort();  // one set took it
      return -1;
    }
    const Outputs outputs = run_all(model);
    xnor_free(model);
    if (result < 0) wanted = outputs;
    result = 0;
    compare(wanted, outputs, name);
  }
  return result;
}
