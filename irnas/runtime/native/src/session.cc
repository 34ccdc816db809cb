#include <algorithm>
#include <cstring>

#include "session_place.h"

namespace xnor {
namespace {

// Section 6 of FORMAT.md.
struct ByteLevels {
  float of[256];
  ByteLevels() {
    for (int v = 0; v < 256; ++v) of[v] = static_cast<float>(v) / 255.0f;
  }
};

}  // namespace

Status Session::load(const uint8_t* bytes, size_t size, const char* kernel_name) {
  XNOR_TRY(choose_kernels(kernel_name, &kernels_));
  return read_network(bytes, size, &network_);
}

Status Session::prepare(const Request& request) {
  // A session that failed to prepare is not prepared, rather than prepared for what was before.
  plan_ = Plan();
  Plan plan;
  XNOR_TRY(make_plan(network_, request, &plan));
  size_t bytes = 0;
  for (const Band& band : plan.bands) bytes += band.arena_bytes;
  arena_ = Table<uint8_t>();
  arena_.resize(bytes);
  scratch_.resize(plan.scratch_bytes * plan.threads);
  size_t plane = 0;
  for (const Stage& stage : plan.stages) plane = std::max(plane, stage.plane);
  zeros_.assign(plane + 2 * kMargin, 0.0f);
  if (!pool_ || pool_->size() != plan.threads) pool_ = std::make_unique<Pool>(plan.threads);
  plan_ = std::move(plan);
  return {};
}

void Session::run(const Image& image, float* out) {
  image_ = image;
  out_ = out;
  if (plan_.mode == Mode::kStreamed) {
    pool_->run([](void* self, int member) { static_cast<Session*>(self)->run_band(member); }, this);
    return;
  }
  for (stage_ = 0; stage_ < static_cast<int>(plan_.stages.size()); ++stage_)
    pool_->run([](void* self, int member) { static_cast<Session*>(self)->run_layer(member); }, this);
}

bool Session::forget_threads() {
  if (!pool_ || pool_->size() == 1) return false;
  // Its destructor would wait for threads that are no more: a child leaves it where it is.
  static_cast<void>(pool_.release());
  return true;
}

void Session::run_band(int member) {
  if (member >= static_cast<int>(plan_.bands.size())) return;
  size_t offset = 0;
  for (int i = 0; i < member; ++i) offset += plan_.bands[i].arena_bytes;
  const Band& band = plan_.bands[member];
  const Place place{plan_, band.rings, arena_.data() + offset, scratch_.data() + plan_.scratch_bytes * member};
  for (const Step& step : band.steps) run_row(place, step.stage, step.row);
}

void Session::run_layer(int member) {
  const Place place{plan_, plan_.bands[0].rings, arena_.data(), scratch_.data() + plan_.scratch_bytes * member};
  const int rows = plan_.stages[stage_].height;
  const int last = band_begin(rows, member + 1, plan_.threads);
  for (int row = band_begin(rows, member, plan_.threads); row < last; ++row) run_row(place, stage_, row);
}

void Session::run_row(const Place& place, int s, int row) {
  const Stage& stage = plan_.stages[s];
  const Op* op = stage.op < 0 ? nullptr : &network_.ops[stage.op];
  float* out = place.row(s, row);
  const int x = stage.in.empty() ? -1 : stage.in[0];
  const int items = stage.width * stage.channels;
  switch (stage.kind) {
    case StepKind::kInput:
      return input_row(stage, row, out);
    case StepKind::kSign:
      return kernels_->sign({op, place.row(x, row), stage.channels, stage.width, reinterpret_cast<uint8_t*>(out)});
    case StepKind::kToPlanes:
    case StepKind::kFromPlanes:
    case StepKind::kPlaneConv:
    case StepKind::kTapSums:
    case StepKind::kMean:
    case StepKind::kExciteKernel:
    case StepKind::kExcite:
      return plane_row(place, stage, row, out);
    case StepKind::kBasisSums:
    case StepKind::kGains:
    case StepKind::kRecombine:
      return basis_row(place, stage, row, out);
    case StepKind::kTokens:
    case StepKind::kAttention:
    case StepKind::kAttend:
      return attention_row(place, stage, row, out);
    case StepKind::kMultiply:
      return kernels_->multiply(place.row(x, row), place.row(stage.in[1], row), out, items);
    case StepKind::kMaximum:
      return maximum_row(place, stage, row, out);
    case StepKind::kSigmoid:
      return kernels_->sigmoid(place.row(x, row), out, items);
    case StepKind::kBlock:
    case StepKind::kConv:
      return window_row(place, stage, row, out);
    case StepKind::kMix: {
      const bool two = stage.in.size() == 2;
      const int y = stage.in[two ? 1 : 0];
      return kernels_->mix({op,
                            {place.row(x, row), two ? place.row(y, row) : nullptr},
                            {plan_.stages[x].channels, plan_.stages[y].channels},
                            out,
                            stage.width});
    }
    case StepKind::kClamp:
      return kernels_->clamp(place.row(x, row), out, items);
    case StepKind::kRowSum:
      *reinterpret_cast<double*>(out) =
          kernels_->row_sum(place.row(x, row), plan_.stages[x].channels, plan_.stages[x].width);
      return;
    case StepKind::kCenter: {
      double sum = 0;
      for (int y = 0; y < stage.height; ++y) sum += *place.row<double>(stage.in[1], y);
      const double count = static_cast<double>(items) * stage.height;
      return kernels_->center(place.row(x, row), static_cast<float>(sum / count), out, items);
    }
    case StepKind::kPool:
      return kernels_->pool(
          {{place.row(x, 2 * row), place.row(x, 2 * row + 1)}, out, stage.channels, stage.width, op->pool});
    case StepKind::kUpsample: {
      const int far = std::min(std::max(row % 2 ? row / 2 + 1 : row / 2 - 1, 0), plan_.stages[x].height - 1);
      const float* other = op->up == UpKind::kBilinear ? place.row(x, far) : nullptr;
      return kernels_->upsample({place.row(x, row / 2), other, out, stage.channels, plan_.stages[x].width, op->up});
    }
    case StepKind::kUpMix: {
      const int far = std::min(std::max(row % 2 ? row / 2 + 1 : row / 2 - 1, 0), plan_.stages[x].height - 1);
      const Stage& source = plan_.stages[x];
      return kernels_->up_mix({op, place.row(x, row / 2), place.row(x, far), out, source.channels, source.width});
    }
    case StepKind::kConcat: {
      ConcatRow args{};
      for (int in : stage.in) {
        args.x[args.num_inputs] = place.row(in, row);
        args.channels[args.num_inputs++] = plan_.stages[in].channels;
      }
      args.out = out;
      args.width = stage.width;
      return kernels_->concat(args);
    }
    case StepKind::kContrast: {
      const int reach = op->sides.back() / 2;
      ContrastRow args{};
      for (int d = -reach; d <= reach; ++d)
        if (row + d >= 0 && row + d < stage.height) args.x[kMaxSquare / 2 + d] = place.row(x, row + d);
      args.op = op;
      args.out = out;
      args.width = stage.width;
      args.scratch = place.scratch;
      return kernels_->contrast(args);
    }
    case StepKind::kOutput:
      return output_row(place, stage, row, out);
  }
}

void Session::window_row(const Place& place, const Stage& stage, int row, float* out) {
  const Op& op = network_.ops[stage.op];
  const Stage& x = plan_.stages[stage.in[0]];
  const int first = op.stride * row - op.kernel / 2;
  const void* rows[3] = {nullptr, nullptr, nullptr};
  for (int ky = 0; ky < op.kernel; ++ky)
    if (first + ky >= 0 && first + ky < x.height) rows[ky] = place.row(stage.in[0], first + ky);
  if (stage.kind == StepKind::kConv) {
    const auto at = [&](int ky) { return static_cast<const float*>(rows[ky]); };
    const TwoSlope* slopes = stage.slopes < 0 ? nullptr : &network_.ops[stage.slopes].maps[0];
    return kernels_->conv({&op, {at(0), at(1), at(2)}, out, x.channels, x.width, stage.width, place.scratch, slopes});
  }
  const auto at = [&](int ky) { return static_cast<const uint8_t*>(rows[ky]); };
  const int row_class = op.kernel == 1 ? 0 : (rows[0] ? 0 : 1) + (rows[2] ? 0 : 2);
  const float* residual = stage.in.size() == 2 ? place.row(stage.in[1], row) : nullptr;
  kernels_->block({&op, {at(0), at(1), at(2)}, residual, out, x.width, stage.width, row_class, place.scratch});
}

// A row of the image, extended beyond its edges by its last pixels.
void Session::input_row(const Stage& stage, int row, float* out) const {
  const int from = image_.channels, width = plan_.width;
  const size_t start = static_cast<size_t>(std::min(row, plan_.height - 1)) * width * from;
  const int repeat = from == stage.channels ? 1 : stage.channels, items = width * from;
  const uint8_t* bytes = static_cast<const uint8_t*>(image_.at) + start;
  const float* floats = static_cast<const float*>(image_.at) + start;
  static const ByteLevels levels;
  if (repeat == 1 && image_.is_bytes)
    for (int i = 0; i < items; ++i) out[i] = levels.of[bytes[i]];
  else if (repeat == 1)
    std::memcpy(out, floats, items * sizeof(float));
  else
    for (int i = 0; i < items * repeat; ++i)
      out[i] = image_.is_bytes ? levels.of[bytes[i / repeat]] : floats[i / repeat];
  for (int i = width * stage.channels; i < stage.width * stage.channels; ++i) out[i] = out[i - stage.channels];
}

void Session::output_row(const Place& place, const Stage& stage, int row, float* out) {
  if (row >= plan_.height) return;
  float* target = out_ + static_cast<size_t>(row) * plan_.width;
  kernels_->sigmoid(place.row(stage.in[0], row), out, stage.width);
  std::memcpy(target, out, plan_.width * sizeof(float));
}

}  // namespace xnor
