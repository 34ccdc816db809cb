// The steps of a session that attend (A21, A22).
#include <algorithm>
#include <cmath>
#include <cstring>

#include "session_place.h"

namespace xnor {

int Fit::most() const {
  const double step = static_cast<double>(length) / size;
  return std::min(length, static_cast<int>(2 * std::max(step, 1.0)) + 2);
}

int Fit::weights(int place, int* first, float* out) const {
  const double step = static_cast<double>(length) / size, reach = std::max(step, 1.0);
  const double middle = step * (place + 0.5);
  *first = std::max(static_cast<int>(middle - reach + 0.5), 0);
  const int count = std::min(static_cast<int>(middle + reach + 0.5), length) - *first;
  double values[kMaxLength], total = 0;
  for (int g = 0; g < count; ++g) {
    values[g] = std::max(1 - std::fabs((*first + g - middle + 0.5) / reach), 0.0);
    total += values[g];
  }
  for (int g = 0; g < count; ++g) out[g] = static_cast<float>(values[g] / total);
  return count;
}

namespace {

// The cells of a grid over rows of `width` pixels that `row_at` finds.
template <typename RowAt>
void take_tokens(const Kernels& kernels, const Op& op, int channels, int height, int width, RowAt row_at, float* most,
                 float* out) {
  const int t = op.side;
  const auto begin = [t](int cell, int size) { return static_cast<int>(int64_t{cell} * size / t); };
  const auto end = [t](int cell, int size) { return static_cast<int>((int64_t{cell + 1} * size + t - 1) / t); };
  for (int a = 0; a < t; ++a)
    for (int b = 0; b < t; ++b) {
      const int left = begin(b, width), num_pixels = end(b, width) - left;
      for (int y = begin(a, height); y < end(a, height); ++y) {
        const float* x = row_at(y) + static_cast<size_t>(left) * channels;
        if (y == begin(a, height)) std::memcpy(most, x, channels * sizeof(float));
        kernels.raise({x, channels, num_pixels, most});
      }
      float total = op.bias[0];
      for (int c = 0; c < channels; ++c) total = std::fma(most[c], op.weight[c], total);
      *out++ = total;
    }
}

}  // namespace

void Session::attention_row(const Place& place, const Stage& stage, int row, float* out) {
  const Op& op = network_.ops[stage.op];
  const Stage& x = plan_.stages[stage.in[0]];
  float* scratch = reinterpret_cast<float*>(place.scratch);
  if (stage.kind == StepKind::kTokens) {
    const auto row_at = [&](int y) { return place.row(stage.in[0], y); };
    return take_tokens(*kernels_, op, x.channels, x.height, x.width, row_at, scratch, out);
  }
  if (stage.kind == StepKind::kAttention) {
    const Fit fit{x.channels, matrix_width(op, plan_.full_height, plan_.full_width)};
    const int most = fit.most();
    int* firsts = reinterpret_cast<int*>(scratch);
    float* weights = scratch + fit.size;
    std::fill(weights, weights + static_cast<size_t>(most) * fit.size, 0.0f);
    for (int j = 0; j < fit.size; ++j) fit.weights(j, &firsts[j], weights + static_cast<size_t>(j) * most);
    AttentionRow args{};
    args.op = &op;
    args.query = place.row(stage.in[0], 0) + row;
    args.key = place.row(stage.in[1], 0);
    args.length = fit.length;
    args.size = fit.size;
    args.plane = static_cast<size_t>(stage.channels) / op.channels;
    args.firsts = firsts;
    args.weights = weights;
    args.most = most;
    args.out = out;
    args.scratch = weights + static_cast<size_t>(most) * fit.size;
    return kernels_->attention(args);
  }
  const Stage& across = plan_.stages[stage.in[1]];
  const float* rows[kMaxLength];
  float weights[kMaxLength];
  int first = 0;
  AttendRow args{};
  args.num_across = Fit{across.height, stage.height}.weights(row, &first, weights);
  for (int g = 0; g < args.num_across; ++g) rows[g] = place.row(stage.in[1], first + g);
  args.op = &op;
  args.across = rows;
  args.weights = weights;
  args.across_plane = static_cast<size_t>(across.channels) / op.channels;
  args.x = place.row(stage.in[0], row) + kMargin;
  args.all = place.row(stage.in[0], 0) + kMargin;
  args.row_step = x.row_bytes / sizeof(float);
  args.out = out + kMargin;
  args.plane = stage.plane;
  args.height = stage.height;
  args.width = stage.width;
  args.scratch = scratch;
  clear_margins(stage, out);
  kernels_->attend(args);
}

}  // namespace xnor
