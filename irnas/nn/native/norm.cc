// Batch normalisation and what stands around it in a binary layer: one walk over memory for the moments and one for the
// output, one for the sums of the gradients and one for the gradient of the map. irnas/nn/fused_norm.py says when it is
// used; the plain modules define it. Maps, parameters and sums are those of lanes.h.
//
//   t = x * scale + shift    y = t * factor    z = gamma * (y - mean of y) / sqrt(variance of y + eps) + beta
//   u = z - knee             out = share * (u * (u > 0 ? above : below) + offset + (t or nothing)) + (a map or nothing)
//
// In each channel y is a line over x, so the moments of y follow from those of x, and u is a line over x as well.

#include <cmath>
#include <cstdint>
#include <vector>

#include "lanes.h"

namespace {

enum Parameter { kScale, kShift, kFactor, kGamma, kBeta, kKnee, kAbove, kBelow, kOffset };

// One array of `channels` numbers a parameter, in the order of the enumeration; null for one that the layer lacks.
class Parameters {
 public:
  explicit Parameters(const float* const* arrays) : arrays_(arrays) {}
  double of(Parameter which, int64_t channel) const {
    constexpr double kAbsent[] = {1, 0, 1, 1, 0, 0, 1, 1, 0};
    return arrays_[which] ? arrays_[which][channel] : kAbsent[which];
  }
  // The slope of y over x.
  double weight(int64_t channel) const { return of(kFactor, channel) * of(kScale, channel); }

 private:
  const float* const* arrays_;
};

struct Moments {
  float mean, variance;
};

// Moments of x, the variance biased. Each block is summed about its own first pixels and the blocks about those of the
// map, so that a mean far from zero costs no digits and a constant channel has a variance of exactly zero.
INLINE void collect(const Shape& shape, const float* x, Moments* moments) {
  const auto origin_ = repeated(x, shape, 0.0f);
  Sum of_values(shape), of_squares(shape);
  each_block(shape, [&](int64_t at, int64_t lane, int64_t steps, int64_t stride) {
    const Vector first = load(x + at);
    Vector sum{}, squares{};
    for (int64_t i = 0; i < steps; ++i, at += stride) {
      const Vector d = load(x + at) - first;
      sum += d;
      squares += d * d;
    }
    const double num = static_cast<double>(steps);
    const Doubles total = __builtin_convertvector(sum, Doubles), about = total * (1.0 / num);
    const Doubles mean =
        __builtin_convertvector(first, Doubles) - __builtin_convertvector(load(&origin_[lane]), Doubles) + about;
    of_values.add(lane, mean * num);
    of_squares.add(lane, mean * mean * num + (__builtin_convertvector(squares, Doubles) - total * about));
  });
  const double rows = static_cast<double>(shape.count / shape.channels);
  for (int64_t c = 0; c < shape.channels; ++c) {
    const double mean = of_values.of(c) / rows, variance = of_squares.of(c) / rows - mean * mean;
    moments[c] = {static_cast<float>(origin_[c] + mean), static_cast<float>(variance > 0 ? variance : 0)};
  }
}

// u = slope * (x - mean) + start; what is added to its bent line is joined * x + rest.
struct Lines {
  Lines(const Shape& shape, const Parameters& parameters, bool joins, double eps, const Moments* moments)
      : mean(shape.lanes), slope(mean), start(mean), above(mean), below(mean), joined(mean), rest(mean) {
    for (int64_t i = 0; i < shape.lanes; ++i) {
      const int64_t c = i % shape.channels;
      const double weight = parameters.weight(c), deviation = std::sqrt(weight * weight * moments[c].variance + eps);
      mean[i] = moments[c].mean;
      slope[i] = static_cast<float>(parameters.of(kGamma, c) * weight / deviation);
      start[i] = static_cast<float>(parameters.of(kBeta, c) - parameters.of(kKnee, c));
      above[i] = static_cast<float>(parameters.of(kAbove, c));
      below[i] = static_cast<float>(parameters.of(kBelow, c));
      joined[i] = static_cast<float>(joins ? parameters.of(kScale, c) : 0);
      rest[i] = static_cast<float>(parameters.of(kOffset, c) + (joins ? parameters.of(kShift, c) : 0));
    }
  }
  // With the moments of y instead: u = slope * x + start.
  Lines(const Shape& shape, const Parameters& parameters, bool joins, double eps, const float* mean_of_y,
        const float* variance_of_y)
      : Lines(shape, parameters, joins, eps, std::vector<Moments>(shape.channels).data()) {
    for (int64_t i = 0; i < shape.lanes; ++i) {
      const int64_t c = i % shape.channels;
      const double gain = parameters.of(kGamma, c) / std::sqrt(variance_of_y[c] + eps);
      const double at_zero = parameters.of(kFactor, c) * parameters.of(kShift, c) - mean_of_y[c];
      slope[i] = static_cast<float>(gain * parameters.weight(c));
      start[i] = static_cast<float>(gain * at_zero + parameters.of(kBeta, c) - parameters.of(kKnee, c));
    }
  }
  std::vector<float> mean, slope, start, above, below, joined, rest;
};

INLINE void bend(const Shape& shape, const Lines& lines, const float* x, const float* plus, float share, float* out) {
  each_block(shape, [&](int64_t at, int64_t lane, int64_t steps, int64_t stride) {
    const Vector mean = load(&lines.mean[lane]), slope = load(&lines.slope[lane]), start = load(&lines.start[lane]);
    const Vector above = load(&lines.above[lane]), below = load(&lines.below[lane]);
    const Vector joined = load(&lines.joined[lane]), rest = load(&lines.rest[lane]);
    for (int64_t i = 0; i < steps; ++i, at += stride) {
      const Vector value = load(x + at), u = slope * (value - mean) + start;
      const Vector own = (u * (u > 0.0f ? above : below) + rest + joined * value) * share;
      store(out + at, plus ? own + load(plus + at) : own);
    }
  });
}

// Running statistics of y as torch keeps them: the variance unbiased.
void follow(const Parameters& parameters, const Moments* moments, int64_t rows, int64_t channels, double momentum,
            float* running_mean, float* running_variance) {
  for (int64_t c = 0; c < channels; ++c) {
    const double weight = parameters.weight(c);
    const double mean =
        parameters.of(kFactor, c) * (moments[c].mean * parameters.of(kScale, c) + parameters.of(kShift, c));
    const double variance = weight * weight * moments[c].variance * rows / (rows - 1.0);
    running_mean[c] = static_cast<float>((1 - momentum) * running_mean[c] + momentum * mean);
    running_variance[c] = static_cast<float>((1 - momentum) * running_variance[c] + momentum * variance);
  }
}

// Sums over the pixels of each channel. X is x less its mean, dz the gradient that arrives at z.
struct Sums {
  explicit Sums(const Shape& shape)
      : of_out(shape), of_out_x(of_out), of_z(of_out), of_z_x(of_out), of_above(of_out), of_below(of_out) {}
  Sum of_out, of_out_x, of_z, of_z_x, of_above, of_below;
};

INLINE void gather(const Shape& shape, const Lines& lines, const float* x, const float* grad, float share, Sums& sums) {
  each_block(shape, [&](int64_t at, int64_t lane, int64_t steps, int64_t stride) {
    const Vector mean = load(&lines.mean[lane]), slope = load(&lines.slope[lane]), start = load(&lines.start[lane]);
    const Vector above = load(&lines.above[lane]), below = load(&lines.below[lane]);
    Vector out{}, out_x{}, z{}, z_x{}, p{}, q{};
    for (int64_t i = 0; i < steps; ++i, at += stride) {
      const Vector d = load(x + at) - mean, up = load(grad + at) * share, u = slope * d + start, both = up * u;
      const Vector dz = up * (u > 0.0f ? above : below);
      out += up;
      out_x += up * d;
      z += dz;
      z_x += dz * d;
      p += u > 0.0f ? both : all(0.0f);
      q += u > 0.0f ? all(0.0f) : both;
    }
    sums.of_out.add(lane, out);
    sums.of_out_x.add(lane, out_x);
    sums.of_z.add(lane, z);
    sums.of_z_x.add(lane, z_x);
    sums.of_above.add(lane, p);
    sums.of_below.add(lane, q);
  });
}

// What normalisation takes from dz before it goes on to x: pull + spring * X.
struct Correction {
  explicit Correction(int64_t channels) : pull(channels), spring(channels) {}
  std::vector<float> pull, spring;
};

// Gradients of the parameters, from the sums. dy = k (dz - pull - spring * X) with k = gamma / deviation, so the sum of
// dy is zero and that of dy * X is what eps has left of k * sum of dz * X: nothing of a large map has to cancel.
Correction conclude(const Shape& shape, const Parameters& parameters, bool joins, double eps, const Moments* moments,
                    const Sums& sums, float* const* gradients) {
  const double rows = static_cast<double>(shape.count / shape.channels);
  const auto write = [&](Parameter which, int64_t c, double value) {
    if (gradients[which]) gradients[which][c] = static_cast<float>(value);
  };
  Correction correction(shape.channels);
  for (int64_t c = 0; c < shape.channels; ++c) {
    const double weight = parameters.weight(c), variance = weight * weight * moments[c].variance + eps;
    const double inverse = 1 / std::sqrt(variance), z_x = sums.of_z_x.of(c), z = sums.of_z.of(c);
    const double out = joins ? sums.of_out.of(c) : 0, out_x = joins ? sums.of_out_x.of(c) + moments[c].mean * out : 0;
    const double y_x = parameters.of(kGamma, c) * inverse * z_x * eps / variance;
    correction.pull[c] = static_cast<float>(z / rows);
    correction.spring[c] = static_cast<float>(weight * weight / variance * z_x / rows);
    write(kScale, c, out_x + parameters.of(kFactor, c) * y_x);
    write(kShift, c, out);
    write(kFactor, c, parameters.of(kScale, c) * y_x);
    write(kGamma, c, weight * inverse * z_x);
    write(kBeta, c, z);
    write(kKnee, c, -z);
    write(kAbove, c, sums.of_above.of(c));
    write(kBelow, c, sums.of_below.of(c));
    write(kOffset, c, sums.of_out.of(c));
  }
  return correction;
}

}  // namespace

// `moments` receives mean and biased variance of x, channel by channel.
EXPORT void irnas_norm(const float* x, const float* plus, int64_t rows, int64_t channels,
                       const float* const* parameters_, int32_t joins, float share, double eps, double momentum,
                       float* running_mean, float* running_variance, float* moments_, float* out) {
  const Shape shape(rows, channels);
  const Parameters parameters(parameters_);
  Moments* moments = reinterpret_cast<Moments*>(moments_);
  collect(shape, x, moments);
  follow(parameters, moments, rows, channels, momentum, running_mean, running_variance);
  bend(shape, Lines(shape, parameters, joins, eps, moments), x, plus, share, out);
}

// The same with running statistics of y, which stay as they are.
EXPORT void irnas_norm_with(const float* x, const float* plus, int64_t rows, int64_t channels,
                            const float* const* parameters_, int32_t joins, float share, double eps,
                            const float* running_mean, const float* running_variance, float* out) {
  const Shape shape(rows, channels);
  const Parameters parameters(parameters_);
  bend(shape, Lines(shape, parameters, joins, eps, running_mean, running_variance), x, plus, share, out);
}

EXPORT void irnas_norm_backward(const float* x, const float* grad, int64_t rows, int64_t channels,
                                const float* const* parameters_, int32_t joins, float share, double eps,
                                const float* moments_, float* grad_x, float* const* gradients) {
  const Shape shape(rows, channels);
  const Parameters parameters(parameters_);
  const Moments* moments = reinterpret_cast<const Moments*>(moments_);
  const Lines lines(shape, parameters, joins, eps, moments);
  Sums sums(shape);
  gather(shape, lines, x, grad, share, sums);
  const Correction correction = conclude(shape, parameters, joins, eps, moments, sums, gradients);
  const auto pull_ = repeated(correction.pull.data(), shape, 0.0f);
  const auto spring_ = repeated(correction.spring.data(), shape, 0.0f);
  each_block(shape, [&](int64_t at, int64_t lane, int64_t steps, int64_t stride) {
    const Vector mean = load(&lines.mean[lane]), slope = load(&lines.slope[lane]), start = load(&lines.start[lane]);
    const Vector above = load(&lines.above[lane]), below = load(&lines.below[lane]);
    const Vector joined = load(&lines.joined[lane]), pull = load(&pull_[lane]), spring = load(&spring_[lane]);
    for (int64_t i = 0; i < steps; ++i, at += stride) {
      const Vector d = load(x + at) - mean, up = load(grad + at) * share, u = slope * d + start;
      const Vector dz = up * (u > 0.0f ? above : below);
      store(grad_x + at, joined * up + slope * (dz - pull - spring * d));
    }
  });
}
