// The steps of a session that read or write rows in planes.
#include <cstring>

#include "session_place.h"

namespace xnor {

void clear_margins(const Stage& stage, float* row) {
  for (int c = 0; c < stage.channels; ++c, row += stage.plane) {
    std::memset(row, 0, kMargin * sizeof(float));
    std::memset(row + kMargin + stage.width, 0, (stage.plane - kMargin - stage.width) * sizeof(float));
  }
}

// Pixel 0 of channel 0 of a row in planes; zeros where the row lies off the map.
const float* Session::plane_at(const Place& place, int map, int row, size_t* plane) const {
  const Stage& stage = plan_.stages[map];
  const bool inside = row >= 0 && row < stage.height;
  *plane = inside ? stage.plane : 0;
  return (inside ? place.row(map, row) : zeros_.data()) + kMargin;
}

void Session::plane_row(const Place& place, const Stage& stage, int row, float* out) {
  const Op* op = stage.op < 0 ? nullptr : &network_.ops[stage.op];
  const int from = stage.in[0];
  const Stage& x = plan_.stages[from];
  switch (stage.kind) {
    case StepKind::kToPlanes:
      clear_margins(stage, out);
      return kernels_->to_planes({place.row(from, row), out + kMargin, stage.channels, stage.width, stage.plane});
    case StepKind::kFromPlanes:
      return kernels_->from_planes({place.row(from, row) + kMargin, out, stage.channels, stage.width, x.plane});
    case StepKind::kPlaneConv:
      return plane_conv_row(place, stage, row, out);
    case StepKind::kTapSums: {
      const bool planes = x.plane != 0;
      const float* at = place.row(from, row) + (planes ? kMargin : 0);
      const size_t pixel = planes ? 1 : x.channels, plane = planes ? x.plane : 1;
      return kernels_->tap_sums({at, pixel, plane, x.channels, x.width, op->kernel, reinterpret_cast<double*>(out)});
    }
    case StepKind::kMean:
      return mean_row(place, stage, out);
    case StepKind::kExciteKernel: {
      const int channels = network_.channels_of(op->in[0]);
      return kernels_->excite_kernel({op, place.row(from, row), out, channels, x.channels, place.scratch});
    }
    default:
      return excite_row(place, stage, row, out);
  }
}

void Session::plane_conv_row(const Place& place, const Stage& stage, int row, float* out) {
  const Op& op = network_.ops[stage.op];
  const Stage& x = plan_.stages[stage.in[0]];
  PlaneConvRow args{&op,
                    stage.slopes < 0 ? nullptr : &network_.ops[stage.slopes].maps[0],
                    {},
                    {},
                    out + kMargin,
                    stage.plane,
                    x.channels,
                    stage.width};
  for (int ky = 0; ky < op.kernel; ++ky)
    args.x[ky] = plane_at(place, stage.in[0], row + ky - op.kernel / 2, &args.planes[ky]);
  clear_margins(stage, out);
  kernels_->plane_conv(args);
}

void Session::excite_row(const Place& place, const Stage& stage, int row, float* out) {
  const Op& op = network_.ops[stage.op];
  const Stage& x = plan_.stages[stage.in[0]];
  const int side = excite_side(op), row_class = (row == 0 ? 1 : 0) + (row + 1 == stage.height ? 2 : 0);
  ExciteRow args{&op, place.row(stage.in[1], 0), {}, {}, out, x.channels, stage.width, row_class};
  for (int u = 0; u < side; ++u) args.x[u] = plane_at(place, stage.in[0], row + u - side / 2, &args.planes[u]);
  kernels_->excite(args);
}

// A15, from the sums of rows on.
void Session::mean_row(const Place& place, const Stage& stage, float* out) {
  const Op& op = network_.ops[stage.op];
  const Stage& sums = plan_.stages[stage.in[0]];
  const int kernel = op.kernel, each = sums.channels;
  const double count = static_cast<double>(sums.height) * sums.width;
  for (int ky = 0; ky < kernel; ++ky) {
    const int offset = ky - kernel / 2, first = offset > 0 ? offset : 0;
    const int last = sums.height + (offset < 0 ? offset : 0);
    for (int i = 0; i < each; ++i) {
      double sum = 0;
      for (int y = first; y < last; ++y) sum += place.row<double>(stage.in[0], y)[i];
      out[ky * each + i] = static_cast<float>(sum / count);
    }
  }
}

}  // namespace xnor
