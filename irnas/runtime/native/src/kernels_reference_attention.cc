// The definition of what attends: FORMAT.md, A21 and A22, in plain loops.
#include <cmath>

#include "kernels_reference_planes.h"

namespace xnor {
namespace {

float sum_in_sixteens(const float* x, int count) {
  float sums[16] = {};
  for (int i = 0; i < count; ++i) sums[i % 16] = sums[i % 16] + x[i];
  float total = sums[0];
  for (int r = 1; r < 16; ++r) total = total + sums[r];
  return total;
}

}  // namespace

void reference_raise(const RaiseRow& row) {
  for (int j = 0; j < row.num_pixels; ++j)
    for (int c = 0; c < row.channels; ++c) {
      const float x = row.x[j * row.channels + c];
      if (x > row.most[c]) row.most[c] = x;
    }
}

void reference_attention(const AttentionRow& row) {
  float* z = row.scratch;
  for (int c = 0; c < row.op->channels; ++c) {
    for (int b = 0; b < row.length; ++b) z[b] = (row.query[0] * row.key[b]) * row.op->scale[c];
    float top = z[0];
    for (int b = 1; b < row.length; ++b)
      if (z[b] > top) top = z[b];
    for (int b = 0; b < row.length; ++b) z[b] = reference_exp_of_minus(top - z[b]);
    const float total = sum_in_sixteens(z, row.length);
    for (int b = 0; b < row.length; ++b) z[b] = z[b] / total;
    float* out = row.out + c * row.plane;
    for (size_t j = 0; j < row.plane; ++j) {
      out[j] = 0.0f;
      if (j >= static_cast<size_t>(row.size)) continue;
      for (int g = 0; g < row.most && row.firsts[j] + g < row.length; ++g)
        out[j] = std::fma(z[row.firsts[j] + g], row.weights[j * row.most + g], out[j]);
    }
  }
}

void reference_attend(const AttendRow& row) {
  const bool is_gate = row.op->is_gate;
  const int size = is_gate ? row.width : row.height;
  float* matrix = row.scratch;
  for (int c = 0; c < row.op->channels; ++c) {
    for (int j = 0; j < size; ++j) {
      matrix[j] = 0.0f;
      for (int g = 0; g < row.num_across; ++g)
        matrix[j] = std::fma(row.across[g][c * row.across_plane + j], row.weights[g], matrix[j]);
    }
    const float total = sum_in_sixteens(matrix, size);
    for (int j = 0; j < size; ++j) matrix[j] = matrix[j] / total;
    for (int j = 0; j < row.width; ++j) {
      const float x = row.x[c * row.plane + j];
      float y = 0.0f;
      for (int r = 0; r < row.height && !is_gate; ++r)
        y = std::fma(row.all[r * row.row_step + c * row.plane + j], matrix[r], y);
      row.out[c * row.plane + j] = is_gate ? std::fma(x, matrix[j], x) : y + x;
    }
  }
}

}  // namespace xnor
