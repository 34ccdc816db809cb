// Where the time of a run goes.
#include <chrono>

#include "session_place.h"

namespace xnor {

const char* step_name(StepKind kind) {
  static const char* const kNames[] = {
      "input",    "sign",      "conv",          "block",     "mix",      "clamp",     "row_sum",     "center",
      "pool",     "upsample",  "up_mix",        "concat",    "sigmoid",  "to_planes", "from_planes", "plane_conv",
      "tap_sums", "mean",      "excite_kernel", "excite",    "contrast", "multiply",  "maximum",     "basis_sums",
      "gains",    "recombine", "tokens",        "attention", "attend",   "output"};
  static_assert(sizeof kNames / sizeof *kNames == static_cast<size_t>(StepKind::kOutput) + 1, "a name for each");
  return kNames[static_cast<int>(kind)];
}

std::vector<uint64_t> Session::profile(const Image& image, float* out) {
  image_ = image;
  out_ = out;
  std::vector<uint64_t> nanoseconds(plan_.stages.size(), 0);
  const Place place{plan_, plan_.bands[0].rings, arena_.data(), scratch_.data()};
  auto before = std::chrono::steady_clock::now();
  const auto run_step = [&](int stage, int row) {
    run_row(place, stage, row);
    const auto now = std::chrono::steady_clock::now();
    nanoseconds[stage] += std::chrono::duration_cast<std::chrono::nanoseconds>(now - before).count();
    before = now;
  };
  if (plan_.mode == Mode::kStreamed) {
    for (const Step& step : plan_.bands[0].steps) run_step(step.stage, step.row);
  } else {
    for (int stage = 0; stage < static_cast<int>(plan_.stages.size()); ++stage)
      for (int row = 0; row < plan_.stages[stage].height; ++row) run_step(stage, row);
  }
  return nanoseconds;
}

}  // namespace xnor
