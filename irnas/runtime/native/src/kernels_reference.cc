// The definition: FORMAT.md section 5 in plain loops. Every other kernel set must give the same bits.
#include <cmath>
#include <cstring>

#include "kernels.h"
#include "kernels_reference_planes.h"

namespace xnor {
namespace {

// A1 for one value of channel `c`.
float two_slope(const TwoSlope& map, float x, int c) {
  const float w = map.a.empty() ? x : std::fma(x, map.a[c], map.b[c]);
  if (map.c.empty()) return map.lo.empty() ? w : w * (w < 0 ? map.lo[c] : map.hi[c]);
  const float rest = map.g.empty() ? map.c[c] : std::fma(x, map.g[c], map.c[c]);
  return map.lo.empty() ? w + rest : std::fma(w, w < 0 ? map.lo[c] : map.hi[c], rest);
}

void sign_row(const SignRow& row) {
  const Block& block = row.op->block;
  const int groups = row.op->groups;
  std::memset(row.out, 0, static_cast<size_t>(row.width) * groups * block.group_bytes);
  for (int j = 0; j < row.width; ++j)
    for (int c = 0; c < row.channels; ++c) {
      const float x = row.x[j * row.channels + c];
      const float s = block.sign_scale.empty() ? x : std::fma(x, block.sign_scale[c], block.sign_shift[c]);
      const int group = c / block.group_in, bit = c % block.group_in;
      if (s < 0) row.out[(j * groups + group) * block.group_bytes + bit / 8] |= uint8_t(1 << (bit % 8));
    }
}

struct Sums {
  int n = 0, t = 0;  // A6
};

Sums window_sums(const BlockRow& row, int j, int o) {
  const Op& op = *row.op;
  const Block& block = op.block;
  const int k = op.kernel, bytes = block.group_bytes, group = o / block.group_out;
  Sums sums;
  for (int ky = 0; ky < k; ++ky)
    for (int kx = 0; kx < k; ++kx) {
      const int column = op.stride * j + kx - k / 2;
      const uint8_t* bits = row.bits[ky];
      const bool inside = bits != nullptr && column >= 0 && column < row.in_width;
      if (!inside && op.pad == 0) continue;
      for (int c = 0; c < block.group_in; ++c) {
        const int at = (column * op.groups + group) * bytes + c / 8;
        const int sign = inside ? ((bits[at] >> (c % 8)) & 1 ? -1 : 1) : op.pad;
        const uint8_t weight = block.bits[((size_t(o) * k + ky) * k + kx) * bytes + c / 8];
        sums.n += (weight >> (c % 8)) & 1 ? -sign : sign;
        sums.t += sign;
      }
    }
  return sums;
}

// E(t) of A7, where `rest` may be absent.
float slope_with_rest(const TwoSlope& slope, float t, int o, const float* rest) {
  if (slope.lo.empty()) return rest ? t + *rest : t;
  const float v = t < 0 ? slope.lo[o] : slope.hi[o];
  return rest ? std::fma(t, v, *rest) : t * v;
}

float block_value(const BlockRow& row, int j, int o) {
  const Block& block = row.op->block;
  const TwoSlope& slope = block.slope;
  const Sums sums = window_sums(row, j, o);
  const int left = row.op->kernel == 3 && j == 0 ? 1 : 0;
  const int right = row.op->kernel == 3 && row.op->stride * j + 1 >= row.in_width ? 2 : 0;
  const int border_class = block.bias_by_class ? row.row_class * 4 + left + right : 0;
  float u = std::fma(block.scale[o], static_cast<float>(sums.n), block.bias[border_class * block.stride + o]);
  if (!block.shift.empty()) u = std::fma(block.shift[o], static_cast<float>(sums.t), u);
  const float* c = slope.c.empty() ? nullptr : &slope.c[o];
  if (block.residual == Residual::kNone) return slope_with_rest(slope, u, o, c);
  const float r = row.residual[j * row.op->channels + o];
  if (block.residual == Residual::kBefore)
    return slope_with_rest(slope, slope.g.empty() ? r + u : std::fma(r, slope.g[o], u), o, c);
  const float rest = !slope.g.empty() ? std::fma(r, slope.g[o], *c) : c ? r + *c : r;
  return slope_with_rest(slope, u, o, &rest);
}

void block_row(const BlockRow& row) {
  const int channels = row.op->channels;
  const bool has_post = row.op->block.post.any();
  for (int j = 0; j < row.width; ++j)
    for (int o = 0; o < channels; ++o) {
      const float y = block_value(row, j, o);
      row.out[j * channels + o] = has_post ? two_slope(row.op->block.post, y, o) : y;
    }
}

void conv_row(const ConvRow& row) {
  const Op& op = *row.op;
  const int k = op.kernel, group_in = row.channels / op.groups, group_out = op.channels / op.groups;
  const size_t stride = op.channels + kSlack;
  for (int j = 0; j < row.width; ++j)
    for (int o = 0; o < op.channels; ++o) {
      float acc = op.bias[o];
      for (int ky = 0; ky < k; ++ky)
        for (int kx = 0; kx < k; ++kx)
          for (int c = 0; c < group_in; ++c) {
            const int column = op.stride * j + kx - k / 2;
            const bool inside = row.x[ky] != nullptr && column >= 0 && column < row.in_width;
            const float x = inside ? row.x[ky][column * row.channels + o / group_out * group_in + c] : float(op.pad);
            acc = std::fma(x, op.weight[((ky * k + kx) * group_in + c) * stride + o], acc);
          }
      if (row.slopes) acc *= acc < 0 ? row.slopes->lo[o] : row.slopes->hi[o];
      row.out[j * op.channels + o] = acc;
    }
}

void mix_row(const MixRow& row) {
  const Op& op = *row.op;
  for (int j = 0; j < row.width; ++j)
    for (int o = 0; o < op.channels; ++o) {
      const auto value = [&](int n) {
        const int c = (op.starts[n] + o) % row.channels[n];
        return two_slope(op.maps[n], row.x[n][j * row.channels[n] + c], o);
      };
      const float y = value(0);
      row.out[j * op.channels + o] = row.x[1] ? y + value(1) : y;
    }
}

void clamp_row(const float* x, float* out, int count) {
  for (int i = 0; i < count; ++i) out[i] = x[i] < -1 ? -1 : (x[i] > 1 ? 1 : x[i]);
}

void center_row(const float* x, float mean, float* out, int count) {
  for (int i = 0; i < count; ++i) out[i] = x[i] - mean;
}

double row_sum(const float* x, int channels, int width) {
  double sum = 0;
  for (int j = 0; j < width; ++j) {
    double pixel = 0;
    for (int c = 0; c < channels; ++c) pixel += double(x[j * channels + c]);
    sum += pixel;
  }
  return sum;
}

// A11 for one block.
float pool_value(PoolKind kind, float p00, float p01, float p10, float p11) {
  float y = p00;
  switch (kind) {
    case PoolKind::kAverage:
      return ((p00 + p01) + (p10 + p11)) * 0.25f;
    case PoolKind::kMaximum:
      for (float p : {p01, p10, p11}) y = p > y ? p : y;
      return y;
    case PoolKind::kFirst:
      return y;
    case PoolKind::kMinimum:
      for (float p : {p01, p10, p11}) y = p < y ? p : y;
      return y;
    case PoolKind::kRows:
      return ((p00 + p01) - p10) - p11;
    case PoolKind::kColumns:
      return ((p00 - p01) + p10) - p11;
    case PoolKind::kDiagonal:
      return ((p00 - p01) - p10) + p11;
  }
  return y;
}

void pool_row(const PoolRow& row) {
  for (int j = 0; j < row.width; ++j)
    for (int c = 0; c < row.channels; ++c) {
      const float* top = row.x[0] + 2 * j * row.channels + c;
      const float* low = row.x[1] + 2 * j * row.channels + c;
      row.out[j * row.channels + c] = pool_value(row.kind, top[0], top[row.channels], low[0], low[row.channels]);
    }
}

// A12 in one: value (j, c) of a row of the upsampled map.
float bilinear(const float* near, const float* far, int channels, int in_width, int j, int c) {
  const auto down = [&](int column) {
    const int at = column * channels + c;
    return std::fma(near[at], 0.75f, 0.25f * far[at]);
  };
  const int step = j % 2 ? j / 2 + 1 : j / 2 - 1;
  const int other = step < 0 ? 0 : step >= in_width ? in_width - 1 : step;
  return std::fma(down(j / 2), 0.75f, 0.25f * down(other));
}

void up_mix_row(const UpMixRow& row) {
  const int outputs = row.op->channels;
  const auto value = [&](int j, int c) { return bilinear(row.near, row.far, row.channels, row.in_width, j, c); };
  for (int j = 0; j < 2 * row.in_width; ++j)
    for (int o = 0; o < outputs; ++o)
      row.out[j * outputs + o] =
          two_slope(row.op->maps[0], value(j, o), o) + two_slope(row.op->maps[1], value(j, outputs + o), o);
}

void upsample_row(const UpRow& row) {
  for (int j = 0; j < 2 * row.in_width; ++j)
    for (int c = 0; c < row.channels; ++c)
      row.out[j * row.channels + c] = row.kind == UpKind::kNearest
                                          ? row.near[j / 2 * row.channels + c]
                                          : bilinear(row.near, row.far, row.channels, row.in_width, j, c);
}

void concat_row(const ConcatRow& row) {
  float* out = row.out;
  for (int j = 0; j < row.width; ++j)
    for (int n = 0; n < row.num_inputs; out += row.channels[n], ++n)
      std::memcpy(out, row.x[n] + size_t(j) * row.channels[n], row.channels[n] * sizeof(float));
}

}  // namespace

float reference_exp_of_minus(float x) {
  // Written so that NaN, which only follows an overflow, becomes a number too: it must not reach the cast below.
  const float size = std::fabs(x), t = size <= 87 ? size : 87;
  const float n = std::nearbyint(t * 1.44269504f);
  float q = std::fma(n, 0.693359375f, -t);
  q = std::fma(n, -2.12194440e-4f, q);
  float p = 1.9875691500e-4f;
  for (float d : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f})
    p = std::fma(p, q, d);
  float e = std::fma(p, q * q, q) + 1.0f;
  return std::ldexp(e, -static_cast<int>(n));
}

namespace {

float sigmoid(float x) {
  const float e = reference_exp_of_minus(x);
  return (x < 0 ? e : 1.0f) / (1.0f + e);
}

void sigmoid_row(const float* x, float* out, int count) {
  for (int i = 0; i < count; ++i) out[i] = sigmoid(x[i]);
}

void multiply_row(const float* x, const float* y, float* out, int count) {
  for (int i = 0; i < count; ++i) out[i] = x[i] * y[i];
}

bool runs_here() { return true; }

}  // namespace

const Kernels kReferenceKernels = {"reference",
                                   runs_here,
                                   sign_row,
                                   block_row,
                                   conv_row,
                                   mix_row,
                                   clamp_row,
                                   center_row,
                                   row_sum,
                                   pool_row,
                                   upsample_row,
                                   up_mix_row,
                                   concat_row,
                                   sigmoid_row,
                                   reference_to_planes,
                                   reference_from_planes,
                                   reference_plane_conv,
                                   reference_tap_sums,
                                   reference_excite_kernel,
                                   reference_excite,
                                   reference_contrast,
                                   multiply_row,
                                   reference_maximum,
                                   reference_basis_sums,
                                   reference_recombine,
                                   reference_raise,
                                   reference_attention,
                                   reference_attend,
                                   nullptr};

}  // namespace xnor
