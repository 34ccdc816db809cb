// One pass over memory for what eager PyTorch does in ten: the element-wise parts of a binary layer, forward and
// backward, for training on a CPU. irnas/nn/fused.py says what each function computes; the plain modules define it.
// Maps, parameters and sums are those of lanes.h; with batch normalisation see norm.cc.

#include <cmath>
#include <cstdint>
#include <vector>

#include "lanes.h"

namespace {

enum Estimator { kIdentity = 0, kClip = 1, kQuad = 2, kDySoftSign = 3 };

INLINE Vector magnitude(Vector x) { return x < 0.0f ? -x : x; }

template <int estimator>
INLINE Vector slope(Vector x, Vector k) {
  const Vector size = magnitude(x);
  if (estimator == kIdentity) return all(1.0f);
  if (estimator == kClip) return size <= 1.0f ? all(1.0f) : all(0.0f);
  if (estimator == kQuad) return size < 1.0f ? 2.0f - 2.0f * size : all(0.0f);
  const Vector below = 1.0f + k * size;
  return k / (below * below);
}

// Numbers in a row that are no map: 16 partial sums, then one.
INLINE double total(const float* values, int64_t count) {
  Vector sums{};
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) sums += load(values + i);
  double sum = 0;
  for (int64_t lane = 0; lane < kWidth; ++lane) sum += sums[lane];
  for (; i < count; ++i) sum += values[i];
  return sum;
}

template <int estimator>
INLINE void slopes(const float* x, int64_t count, float k, float* out) {
  int64_t i = 0;
  for (; i + kWidth <= count; i += kWidth) store(out + i, slope<estimator>(load(x + i), all(k)));
  for (; i < count; ++i) out[i] = slope<estimator>(all(x[i]), all(k))[0];
}

template <int estimator>
INLINE void prepare_backward(const Shape& shape, const float* x, const float* grad_t, const float* grad_s,
                             const float* scale, const float* shift, const float* sharpness, float* grad_x,
                             Sum& of_scale, Sum& of_shift, Sum& of_k) {
  each_block(shape, [&](int64_t at, int64_t lane, int64_t steps, int64_t stride) {
    const Vector g = load(scale + lane), b = load(shift + lane), k = load(sharpness + lane);
    Vector dg{}, db{}, dk{};
    for (int64_t i = 0; i < steps; ++i, at += stride) {
      const Vector value = load(x + at), t = value * g + b;
      const Vector through = load(grad_s + at) * slope<estimator>(t, k);
      const Vector dt = grad_t ? through + load(grad_t + at) : through;
      dk += through * t;
      dg += dt * value;
      db += dt;
      store(grad_x + at, dt * g);
    }
    of_scale.add(lane, dg);
    of_shift.add(lane, db);
    of_k.add(lane, dk);
  });
}

struct Moments {
  float mean, deviation;
};

// Also leaves (value - mean) / deviation in `unit`.
INLINE Moments moments_of(const float* values, int64_t count, float tiny, float* unit, float* squares) {
  const float mean = static_cast<float>(total(values, count) / static_cast<double>(count));
  for (int64_t i = 0; i < count; ++i) unit[i] = values[i] - mean;
  for (int64_t i = 0; i < count; ++i) squares[i] = unit[i] * unit[i];
  const float deviation = std::sqrt(static_cast<float>(total(squares, count) / static_cast<double>(count)) + tiny);
  for (int64_t i = 0; i < count; ++i) unit[i] /= deviation;
  return {mean, deviation};
}

INLINE float sign(float x, float at_zero) { return x > 0.0f ? 1.0f : x < 0.0f ? -1.0f : at_zero; }

}  // namespace

// Grows whenever a function here or in norm.cc takes or means something else; irnas/nn/fused.py knows one number.
extern "C" __attribute__((visibility("default"))) int32_t irnas_interface() { return 3; }

EXPORT void irnas_prepare(const float* x, int64_t rows, int64_t channels, const float* scale, const float* shift,
                          float at_zero, float* t, float* s) {
  const Shape shape(rows, channels);
  const auto g_ = repeated(scale, shape, 1.0f), b_ = repeated(shift, shape, 0.0f);
  each_block(shape, [&](int64_t at, int64_t lane, int64_t steps, int64_t stride) {
    const Vector g = load(&g_[lane]), b = load(&b_[lane]);
    for (int64_t i = 0; i < steps; ++i, at += stride) {
      const Vector value = load(x + at) * g + b;
      if (t) store(t + at, value);
      store(s + at, value > 0.0f ? all(1.0f) : value < 0.0f ? all(-1.0f) : all(at_zero));
    }
  });
}

EXPORT void irnas_prepare_backward(const float* x, const float* grad_t, const float* grad_s, int64_t rows,
                                   int64_t channels, const float* scale, const float* shift, const float* k,
                                   int32_t estimator, float* grad_x, float* grad_scale, float* grad_shift,
                                   float* grad_k) {
  const Shape shape(rows, channels);
  const auto g_ = repeated(scale, shape, 1.0f), b_ = repeated(shift, shape, 0.0f), k_ = repeated(k, shape, 1.0f);
  const float *g = g_.data(), *b = b_.data(), *kk = k_.data();
  Sum of_scale(shape), of_shift(shape), of_k(shape);
  switch (estimator) {
    case kIdentity:
      prepare_backward<kIdentity>(shape, x, grad_t, grad_s, g, b, kk, grad_x, of_scale, of_shift, of_k);
      break;
    case kClip:
      prepare_backward<kClip>(shape, x, grad_t, grad_s, g, b, kk, grad_x, of_scale, of_shift, of_k);
      break;
    case kQuad:
      prepare_backward<kQuad>(shape, x, grad_t, grad_s, g, b, kk, grad_x, of_scale, of_shift, of_k);
      break;
    default:
      prepare_backward<kDySoftSign>(shape, x, grad_t, grad_s, g, b, kk, grad_x, of_scale, of_shift, of_k);
  }
  of_scale.write(grad_scale);
  of_shift.write(grad_shift);
  of_k.write(grad_k);
}

EXPORT void irnas_rprelu(const float* y, const float* residual, int64_t rows, int64_t channels, const float* knee,
                         const float* slope_, const float* shift, float* out) {
  const Shape shape(rows, channels);
  const auto a_ = repeated(knee, shape, 0.0f), m_ = repeated(slope_, shape, 1.0f), b_ = repeated(shift, shape, 0.0f);
  each_block(shape, [&](int64_t at, int64_t lane, int64_t steps, int64_t stride) {
    const Vector a = load(&a_[lane]), m = load(&m_[lane]), b = load(&b_[lane]);
    for (int64_t i = 0; i < steps; ++i, at += stride) {
      const Vector u = load(y + at) - a, value = (u > 0.0f ? u : m * u) + b;
      store(out + at, residual ? value + load(residual + at) : value);
    }
  });
}

EXPORT void irnas_rprelu_backward(const float* y, const float* grad, int64_t rows, int64_t channels, const float* knee,
                                  const float* slope_, float* grad_y, float* grad_knee, float* grad_slope,
                                  float* grad_shift) {
  const Shape shape(rows, channels);
  const auto a_ = repeated(knee, shape, 0.0f), m_ = repeated(slope_, shape, 1.0f);
  Sum of_knee(shape), of_slope(shape), of_shift(shape);
  each_block(shape, [&](int64_t at, int64_t lane, int64_t steps, int64_t stride) {
    const Vector a = load(&a_[lane]), m = load(&m_[lane]);
    Vector da{}, dm{}, db{};
    for (int64_t i = 0; i < steps; ++i, at += stride) {
      const Vector u = load(y + at) - a, g = load(grad + at), dy = u > 0.0f ? g : m * g;
      da -= dy;
      dm += u > 0.0f ? all(0.0f) : g * u;
      db += g;
      store(grad_y + at, dy);
    }
    of_knee.add(lane, da);
    of_slope.add(lane, dm);
    of_shift.add(lane, db);
  });
  of_knee.write(grad_knee);
  of_slope.write(grad_slope);
  of_shift.write(grad_shift);
}

EXPORT void irnas_dot(const float* x, const float* plus, int64_t rows, int64_t channels, float share,
                      const float* scale, const float* shift, const float* factor, const float* above,
                      const float* below, float* out) {
  const Shape shape(rows, channels);
  const auto g_ = repeated(scale, shape, 1.0f), b_ = repeated(shift, shape, 0.0f), f_ = repeated(factor, shape, 1.0f);
  const auto p_ = repeated(above, shape, 1.0f), q_ = repeated(below, shape, 1.0f);
  each_block(shape, [&](int64_t at, int64_t lane, int64_t steps, int64_t stride) {
    const Vector g = load(&g_[lane]), b = load(&b_[lane]), f = load(&f_[lane]), p = load(&p_[lane]),
                 q = load(&q_[lane]);
    for (int64_t i = 0; i < steps; ++i, at += stride) {
      const Vector t = load(x + at) * g + b, y = t * f;
      const Vector value = (y * (y > 0.0f ? p : q) + t) * share;
      store(out + at, plus ? value + load(plus + at) : value);
    }
  });
}

EXPORT void irnas_dot_backward(const float* x, const float* grad, int64_t rows, int64_t channels, float share,
                               const float* scale, const float* shift, const float* factor, const float* above,
                               const float* below, float* grad_x, float* grad_scale, float* grad_shift,
                               float* grad_factor, float* grad_above, float* grad_below) {
  const Shape shape(rows, channels);
  const auto g_ = repeated(scale, shape, 1.0f), b_ = repeated(shift, shape, 0.0f), f_ = repeated(factor, shape, 1.0f);
  const auto p_ = repeated(above, shape, 1.0f), q_ = repeated(below, shape, 1.0f);
  Sum of_scale(shape), of_shift(shape), of_factor(shape), of_above(shape), of_below(shape);
  each_block(shape, [&](int64_t at, int64_t lane, int64_t steps, int64_t stride) {
    const Vector g = load(&g_[lane]), b = load(&b_[lane]), f = load(&f_[lane]), p = load(&p_[lane]),
                 q = load(&q_[lane]);
    Vector dg{}, db{}, df{}, dp{}, all_of_y{};
    for (int64_t i = 0; i < steps; ++i, at += stride) {
      const Vector value = load(x + at), up = load(grad + at) * share, t = value * g + b, y = t * f, both = up * y;
      const Vector dy = up * (y > 0.0f ? p : q), dt = up + dy * f;
      df += dy * t;
      dp += y > 0.0f ? both : all(0.0f);
      all_of_y += both;
      dg += dt * value;
      db += dt;
      store(grad_x + at, dt * g);
    }
    of_factor.add(lane, df);
    of_above.add(lane, dp);
    of_below.add(lane, all_of_y - dp);
    of_scale.add(lane, dg);
    of_shift.add(lane, db);
  });
  of_scale.write(grad_scale);
  of_shift.write(grad_shift);
  of_factor.write(grad_factor);
  of_above.write(grad_above);
  of_below.write(grad_below);
}

EXPORT void irnas_adabin(const float* weight, int64_t filters, int64_t taps, float at_zero, float tiny, float* out) {
  std::vector<float> unit(taps), squares(taps);
  for (int64_t f = 0; f < filters; ++f) {
    const Moments moments = moments_of(weight + f * taps, taps, tiny, unit.data(), squares.data());
    for (int64_t i = 0; i < taps; ++i) out[f * taps + i] = sign(unit[i], at_zero) * moments.deviation + moments.mean;
  }
}

EXPORT void irnas_adabin_backward(const float* weight, const float* grad, int64_t filters, int64_t taps, float at_zero,
                                  float tiny, const float* k, int32_t estimator, float* grad_weight, float* grad_k) {
  std::vector<float> unit_(taps), slope_(taps), work_(taps);
  float *unit = unit_.data(), *slope = slope_.data(), *work = work_.data();
  for (int64_t f = 0; f < filters; ++f) {
    const float* g = grad + f * taps;
    float* out = grad_weight + f * taps;
    const Moments moments = moments_of(weight + f * taps, taps, tiny, unit, work);
    switch (estimator) {
      case kIdentity:
        slopes<kIdentity>(unit, taps, k[f], slope);
        break;
      case kClip:
        slopes<kClip>(unit, taps, k[f], slope);
        break;
      case kQuad:
        slopes<kQuad>(unit, taps, k[f], slope);
        break;
      default:
        slopes<kDySoftSign>(unit, taps, k[f], slope);
    }
    // d on the way into the sign and 1 / d on the way out leave its slope.
    for (int64_t i = 0; i < taps; ++i) out[i] = g[i] * slope[i];
    for (int64_t i = 0; i < taps; ++i) work[i] = out[i] * unit[i];
    const double through = total(work, taps);
    grad_k[f] = static_cast<float>(through * moments.deviation);
    for (int64_t i = 0; i < taps; ++i) work[i] = g[i] * sign(unit[i], at_zero);
    const float along = static_cast<float>((total(work, taps) - through) / static_cast<double>(taps));
    for (int64_t i = 0; i < taps; ++i) out[i] += along * unit[i];
    const float rest = static_cast<float>((total(g, taps) - total(out, taps)) / static_cast<double>(taps));
    for (int64_t i = 0; i < taps; ++i) out[i] += rest;
  }
}
