// The definition of what runs on planes: FORMAT.md section 5 in plain loops.
#include "kernels_reference_planes.h"

#include <cmath>

namespace xnor {

void reference_to_planes(const PlanesRow& row) {
  for (int c = 0; c < row.channels; ++c)
    for (int j = 0; j < row.width; ++j) row.out[c * row.plane + j] = row.x[j * row.channels + c];
}

void reference_from_planes(const PlanesRow& row) {
  for (int j = 0; j < row.width; ++j)
    for (int c = 0; c < row.channels; ++c) row.out[j * row.channels + c] = row.x[c * row.plane + j];
}

void reference_plane_conv(const PlaneConvRow& row) {
  const Op& op = *row.op;
  const int k = op.kernel;
  const size_t stride = op.channels + kSlack;
  for (int o = 0; o < op.channels; ++o)
    for (int j = 0; j < row.width; ++j) {
      float y = op.bias[o];
      for (int ky = 0; ky < k; ++ky)
        for (int kx = 0; kx < k; ++kx)
          for (int c = 0; c < row.channels; ++c)
            y = std::fma(row.x[ky][c * row.planes[ky] + j + kx - k / 2],
                         op.weight[((ky * k + kx) * row.channels + c) * stride + o], y);
      row.out[o * row.plane + j] = row.slopes ? y * (y < 0 ? row.slopes->lo[o] : row.slopes->hi[o]) : y;
    }
}

void reference_tap_sums(const TapSumsRow& row) {
  for (int kx = 0; kx < row.kernel; ++kx)
    for (int c = 0; c < row.channels; ++c) {
      double sum = 0;
      for (int j = 0; j < row.width; ++j) {
        const int from = j - (kx - row.kernel / 2);  // the pixel whose tap sees column j
        if (from >= 0 && from < row.width) sum += double(row.x[j * row.pixel + c * row.plane]);
      }
      row.out[kx * row.channels + c] = sum;
    }
}

namespace {

// k of A16 for the taps (ky, kx) of the second window, at (u, v) of the whole one.
float inner_weight(const ExciteKernel& row, int ky, int kx, int u, int v, int c) {
  const Op& op = *row.op;
  const int fy = u - ky, fx = v - kx;
  float sum = 0;
  for (int w = 0; w < row.num_factors; ++w) {
    const float scale = op.weight[(ky * 3 + kx) * row.num_factors + w] * row.factors[w];
    const size_t at = w * (9 * size_t(row.channels) + kSlack) + (fy * 3 + fx) * row.channels + c;
    sum = std::fma(scale, op.expand[at], sum);
  }
  return sum;
}

float shift_of(const ExciteKernel& row, int ky, int kx) {
  const Op& op = *row.op;
  float sum = 0;
  for (int w = 0; w < row.num_factors; ++w)
    sum = std::fma(op.weight[(ky * 3 + kx) * row.num_factors + w] * row.factors[w], op.expand_bias[w], sum);
  return sum;
}

bool is_inside(int border, int ky, int kx) {
  return !(ky == 0 && border & 4) && !(ky == 2 && border & 8) && !(kx == 0 && border & 1) && !(kx == 2 && border & 2);
}

}  // namespace

void reference_excite_kernel(const ExciteKernel& row) {
  const Op& op = *row.op;
  const int channels = row.channels;
  float* out = row.out;
  if (op.expand.empty()) {
    for (int t = 0; t < 9 * channels; ++t) *out++ = op.weight[t] * row.factors[t % channels];
    *out = op.bias[0];
    return;
  }
  for (int border = 0; border < 16; ++border) {
    for (int u = 0; u < 5; ++u)
      for (int v = 0; v < 5; ++v)
        for (int c = 0; c < channels; ++c) {
          float sum = 0;
          for (int ky = 0; ky < 3; ++ky)
            for (int kx = 0; kx < 3; ++kx)
              if (is_inside(border, ky, kx) && u - ky >= 0 && u - ky < 3 && v - kx >= 0 && v - kx < 3)
                sum += inner_weight(row, ky, kx, u, v, c);
          *out++ = sum;
        }
    float start = op.bias[0];
    for (int ky = 0; ky < 3; ++ky)
      for (int kx = 0; kx < 3; ++kx)
        if (is_inside(border, ky, kx)) start += shift_of(row, ky, kx);
    *out++ = start;
  }
}

void reference_excite(const ExciteRow& row) {
  const int side = excite_side(*row.op);
  const size_t items = static_cast<size_t>(side) * side * row.channels + 1;
  for (int j = 0; j < row.width; ++j) {
    const int column_class = (j == 0 ? 1 : 0) + (j + 1 == row.width ? 2 : 0);
    const int border = excite_classes(*row.op) > 1 ? row.row_class * 4 + column_class : 0;
    const float* kernel = row.kernels + border * items;
    float y = kernel[items - 1];
    for (int u = 0; u < side; ++u)
      for (int v = 0; v < side; ++v)
        for (int c = 0; c < row.channels; ++c)
          y = std::fma(row.x[u][c * row.planes[u] + j + v - side / 2], *kernel++, y);
    row.out[j] = y;
  }
}

// The sum of column j over the rows within `reach` of the middle one, from there outwards; +0.0 off the map.
static float column_sum(const ContrastRow& row, int reach, int j) {
  if (j < 0 || j >= row.width) return 0.0f;
  const auto at = [&](int d) {
    const float* x = row.x[kMaxSquare / 2 + d];
    return x == nullptr ? 0.0f : x[j];
  };
  float sum = at(0);
  for (int d = 1; d <= reach; ++d) {
    sum = sum + at(-d);
    sum = sum + at(d);
  }
  return sum;
}

void reference_contrast(const ContrastRow& row) {
  const int num_sides = static_cast<int>(row.op->sides.size());
  for (int n = 0; n < num_sides; ++n) {
    const int reach = row.op->sides[n] / 2;
    int rows = 0;
    for (int d = -reach; d <= reach; ++d) rows += row.x[kMaxSquare / 2 + d] != nullptr;
    for (int j = 0; j < row.width; ++j) {
      float sum = column_sum(row, reach, j);
      int columns = 1;
      for (int d = 1; d <= reach; ++d) {
        sum = sum + column_sum(row, reach, j - d);
        sum = sum + column_sum(row, reach, j + d);
        columns += (j - d >= 0) + (j + d < row.width);
      }
      row.out[j * num_sides + n] = row.x[kMaxSquare / 2][j] - sum / static_cast<float>(rows * columns);
    }
  }
}

}  // namespace xnor
