// What the kernels of this folder share: maps in memory, a walk over them in blocks, and sums over all their pixels.
//
// Maps are channels-last float32: `rows` pixels of `channels` numbers. A parameter is one number a channel. Sums are
// collected in float over a block of pixels and in double over the blocks.
#ifndef IRNAS_NN_NATIVE_LANES_H_
#define IRNAS_NN_NATIVE_LANES_H_

#include <cstdint>
#include <cstring>
#include <vector>

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__) && __GNUC__ >= 12
// The loader picks the copy for the processor at hand; the file itself is built without any -m flag.
#define EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define EACH_PROCESSOR
#endif
#define EXPORT extern "C" EACH_PROCESSOR __attribute__((visibility("default")))
#define INLINE inline __attribute__((always_inline))

namespace {

constexpr int64_t kWidth = 16;
typedef float Vector __attribute__((vector_size(4 * kWidth)));
typedef double Doubles __attribute__((vector_size(8 * kWidth)));

INLINE Vector load(const float* from) {
  Vector value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

INLINE Doubles load(const double* from) {
  Doubles value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

INLINE void store(float* to, Vector value) { std::memcpy(to, &value, sizeof value); }

INLINE void store(double* to, Doubles value) { std::memcpy(to, &value, sizeof value); }

INLINE Vector all(float value) { return Vector{} + value; }

// A map in memory is a line of numbers in which channels come round again. `lanes` is the shortest stretch that holds
// whole vectors and whole pixels; a block is some of them, few enough to stay in the first cache.
struct Shape {
  Shape(int64_t rows, int64_t channels) : count(rows * channels), channels(channels), lanes(channels) {
    // Not std::lcm: gcc 12.2 loses the sign of its absolute value in a copy for x86-64-v4.
    while (lanes % kWidth) lanes += channels;
    stretches = count / lanes;
  }
  int64_t count, channels, lanes, stretches;
  static constexpr int64_t kStretches = 32;
};

inline std::vector<float> repeated(const float* values, const Shape& shape, float otherwise) {
  std::vector<float> stretch(shape.lanes);
  for (int64_t i = 0; i < shape.lanes; ++i) stretch[i] = values ? values[i % shape.channels] : otherwise;
  return stretch;
}

// One total a lane; those of one channel meet in the end, for a remainder a number would cost more than the sum.
class Sum {
 public:
  explicit Sum(const Shape& shape) : channels_(shape.channels), total_(shape.lanes, 0.0) {}
  INLINE void add(int64_t lane, Vector value) {
    store(&total_[lane], load(&total_[lane]) + __builtin_convertvector(value, Doubles));
  }
  INLINE void add(int64_t lane, Doubles value) { store(&total_[lane], load(&total_[lane]) + value); }
  double of(int64_t channel) const {
    double sum = 0;
    for (size_t i = channel; i < total_.size(); i += channels_) sum += total_[i];
    return sum;
  }
  void write(float* out) const {
    for (int64_t c = 0; out && c < channels_; ++c) out[c] = static_cast<float>(of(c));
  }

 private:
  int64_t channels_;
  std::vector<double> total_;
};

// Calls visit(offset, lane, steps, stride): `steps` vectors from `offset`, `stride` numbers apart, that all hold the
// channels of `lane`. A map is whole stretches: the caller sees to that.
template <typename Visit>
INLINE void each_block(const Shape& shape, Visit visit) {
  for (int64_t first = 0; first < shape.stretches; first += Shape::kStretches) {
    const int64_t left = shape.stretches - first, steps = left < Shape::kStretches ? left : Shape::kStretches;
    for (int64_t lane = 0; lane < shape.lanes; lane += kWidth)
      visit(first * shape.lanes + lane, lane, steps, shape.lanes);
  }
}

}  // namespace

#endif  // IRNAS_NN_NATIVE_LANES_H_
