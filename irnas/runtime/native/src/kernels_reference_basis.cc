// The definition of what decomposes maps: FORMAT.md, A19 and A20, in plain loops.
#include <cmath>

#include "kernels_reference_planes.h"

namespace xnor {
namespace {

// Value j of a basis map of channel `c`.
float basis_value(const BasisRow& row, const Basis::Term& term, int c, int j) {
  const auto seen = [&](int i) { return row.x[term.source[i]][c * row.planes[term.source[i]] + j]; };
  float b = seen(0);
  for (int i = 1; i < term.num_taps; ++i) b = term.sign[i] < 0 ? b - seen(i) : b + seen(i);
  return b;
}

float add_sixteen(const float* sums) {
  float total = sums[0];
  for (int r = 1; r < 16; ++r) total = total + sums[r];
  return total;
}

}  // namespace

void reference_basis_sums(const BasisSumsRow& row) {
  float* out = row.out;
  for (int c = 0; c < row.channels; ++c)
    for (const Basis::Term& term : row.op->basis.terms) {
      float dots[16] = {}, squares[16] = {};
      for (int j = 0; j < row.width; ++j) {
        const float b = basis_value(row, term, c, j);
        dots[j % 16] = std::fma(b, row.origin[c * row.origin_plane + j], dots[j % 16]);
        squares[j % 16] = std::fma(b, b, squares[j % 16]);
      }
      *out++ = add_sixteen(dots);
      *out++ = add_sixteen(squares);
    }
}

void reference_recombine(const RecombineRow& row) {
  const int num_sources = row.op->basis.num_sources;
  for (int c = 0; c < row.channels; ++c)
    for (int j = 0; j < row.width; ++j) {
      float y = 0.0f;
      for (int s = 0; s < num_sources; ++s)
        y = std::fma(row.x[s][c * row.planes[s] + j], row.weights[c * num_sources + s], y);
      row.out[c * row.plane + j] = y;
    }
}

void reference_maximum(const MaximumRow& row) {
  const int channels = row.channels;
  const auto column = [&](int j, int c) {
    float most = row.x[1][j * channels + c];
    for (const float* each : {row.x[0], row.x[2]}) most = each[j * channels + c] > most ? each[j * channels + c] : most;
    return most;
  };
  for (int j = 0; j < row.width; ++j)
    for (int c = 0; c < channels; ++c) {
      float most = column(j, c);
      for (int other : {j - 1, j + 1})
        if (other >= 0 && other < row.width && column(other, c) > most) most = column(other, c);
      row.out[j * channels + c] = most;
    }
}

}  // namespace xnor
