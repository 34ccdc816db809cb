// The steps of a session that decompose a map over others (A20), and the maximum of a window (A19).
#include <algorithm>

#include "session_place.h"

namespace xnor {

// What each place of a filter sees from a row, then the row of each further basis map; inputs from `first` on.
void Session::place_sources(const Place& place, const Stage& stage, size_t first, int row, BasisRow* args) const {
  const Basis& basis = network_.ops[stage.op].basis;
  const int source = stage.in[first];
  int count = 0;
  for (const Basis::Place& at : basis.places) {
    args->x[count] = plane_at(place, source, row + at.row, &args->planes[count]) + at.column;
    ++count;
  }
  for (size_t n = first + (basis.has_filters() ? 1 : 0); count < basis.num_sources; ++n, ++count)
    args->x[count] = plane_at(place, stage.in[n], row, &args->planes[count]);
  args->op = &network_.ops[stage.op];
  args->channels = args->op->channels;
  args->width = plan_.stages[source].width;
}

void Session::basis_row(const Place& place, const Stage& stage, int row, float* out) {
  if (stage.kind == StepKind::kGains) return gains_row(place, stage, out);
  if (stage.kind == StepKind::kBasisSums) {
    BasisSumsRow args{};
    args.origin = plane_at(place, stage.in[0], row, &args.origin_plane);
    place_sources(place, stage, 1, row, &args);
    args.out = out;
    args.scratch = place.scratch;
    return kernels_->basis_sums(args);
  }
  RecombineRow args{};
  place_sources(place, stage, 0, row, &args);
  args.weights = place.row(stage.in.back(), 0);
  args.out = out + kMargin;
  args.plane = stage.plane;
  clear_margins(stage, out);
  kernels_->recombine(args);
}

// From the sums of rows to the weight of each source.
void Session::gains_row(const Place& place, const Stage& stage, float* out) {
  const Basis& basis = network_.ops[stage.op].basis;
  const Stage& sums = plan_.stages[stage.in[0]];
  double* totals = reinterpret_cast<double*>(place.scratch);
  std::fill(totals, totals + sums.channels, 0.0);
  for (int y = 0; y < sums.height; ++y) {
    const float* row = place.row(stage.in[0], y);
    for (int i = 0; i < sums.channels; ++i) totals[i] += static_cast<double>(row[i]);
  }
  constexpr float kFloor = 1e-24f;
  for (int c = 0; c < network_.ops[stage.op].channels; ++c, out += basis.num_sources) {
    std::fill(out, out + basis.num_sources, 0.0f);
    for (const Basis::Term& term : basis.terms) {
      const float p = static_cast<float>(*totals++), q = static_cast<float>(*totals++);
      const float gain = p / (q > kFloor ? q : kFloor);
      for (int i = 0; i < term.num_taps; ++i)
        out[term.source[i]] = term.sign[i] < 0 ? out[term.source[i]] - gain : out[term.source[i]] + gain;
    }
  }
}

void Session::maximum_row(const Place& place, const Stage& stage, int row, float* out) {
  const int x = stage.in[0], above = std::max(row - 1, 0), below = std::min(row + 1, stage.height - 1);
  kernels_->maximum(
      {{place.row(x, above), place.row(x, row), place.row(x, below)}, out, stage.channels, stage.width, place.scratch});
}

}  // namespace xnor
