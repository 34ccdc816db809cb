// A network as the engine holds it: typed ops with their constants, checked against FORMAT.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "status.h"

namespace xnor {

constexpr size_t kAlign = 64;
// Constants are readable this many items beyond their end, so that kernels may load whole vectors.
constexpr int kSlack = 16;

template <typename T>
struct AlignedAllocator {
  using value_type = T;
  AlignedAllocator() = default;
  template <typename U>
  AlignedAllocator(const AlignedAllocator<U>&) {}
  T* allocate(size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), std::align_val_t(kAlign))); }
  void deallocate(T* at, size_t) { ::operator delete(at, std::align_val_t(kAlign)); }
  template <typename U>
  bool operator==(const AlignedAllocator<U>&) const {
    return true;
  }
  template <typename U>
  bool operator!=(const AlignedAllocator<U>&) const {
    return false;
  }
};

template <typename T>
using Table = std::vector<T, AlignedAllocator<T>>;
using Floats = Table<float>;  // empty where the file has no such constants

enum class OpKind : uint8_t {
  kConv,
  kBlock,
  kMix,
  kClamp,
  kCenter,
  kPool,
  kUpsample,
  kConcat,
  kSigmoid,
  kMean,
  kExcite,
  kContrast
};
enum class Residual : uint8_t { kNone, kAfter, kBefore };
enum class PoolKind : uint8_t { kAverage, kMaximum, kFirst };
enum class UpKind : uint8_t { kNearest, kBilinear };

// The level of a vector (R39): one pixel, whatever the size of the image.
constexpr int kVector = 99;

// R42.
constexpr size_t kMaxSides = 16;
constexpr int kMaxSquare = 127;

// A1. Constants by channel; an empty table is a role that the file leaves out.
struct TwoSlope {
  Floats a, b, lo, hi, g, c;

  bool any() const { return !a.empty() || !lo.empty() || !c.empty(); }
  bool has_slopes_alone() const { return !lo.empty() && a.empty() && c.empty(); }
};

// What a binary block holds beyond the common fields.
struct Block {
  Residual residual = Residual::kNone;
  int group_in = 0;     // Cg
  int group_out = 0;    // O / G
  int group_bytes = 0;  // ceil(Cg / 8): the signs of one group at one pixel
  Table<uint8_t> bits;  // A5, as in the file
  Floats scale, shift, sign_scale, sign_shift;
  Floats bias;  // [16][stride] by row class * 4 + column class, or [1][stride]
  bool bias_by_class = false;
  TwoSlope slope;  // lo, hi, g, c of A7
  TwoSlope post;

  // The same bits for kernels whose lanes are output channels: words [group][vector of 16 outputs][slot][16]. The
  // window of an output is one run of bits, column by column, each column top to bottom.
  Table<uint32_t> words;
  int slots = 0;           // 32-bit words of a window
  int vectors = 0;         // vectors of 16 outputs of a group
  uint32_t last_mask = 0;  // the bits of the last slot that belong to the window
  // N = start - 2 * (mismatches of the whole window, where taps outside have the bits 0 or those of `pad`):
  // [16][stride] by class.
  Floats start;
  // For kernels that compute half of N: start / 2 + 2^23 and 2 scale. Only where all starts are even.
  Floats half_start, twice_scale;
  bool is_even = false;
  bool is_unit = false;   // whether slope.hi is 1 throughout
  bool is_plain = false;  // and post.hi as well, and there is no slope.c
  int stride = 0;         // O + kSlack
};

struct Op {
  OpKind kind = OpKind::kSigmoid;
  std::vector<int> in;  // tensor ids
  int channels = 0;     // of the output
  int level = 0;        // of the output
  int kernel = 1, stride = 1, groups = 1, pad = 0;
  PoolKind pool = PoolKind::kAverage;
  UpKind up = UpKind::kNearest;
  int starts[2] = {0, 0};
  std::vector<int> sides;  // contrast
  Floats weight;           // conv: [K][K][Cg][O + kSlack], outputs fastest; excite: [3][3][w]
  Floats bias;             // conv: [O + kSlack], zeros where the file has none; excite: one
  TwoSlope maps[2];        // mix
  Block block;
  // excite, where there is a convolution ahead of the factors: [w][3 * 3 * C + kSlack], and [w].
  Floats expand, expand_bias;

  bool is_vector() const { return level == kVector; }
};

// Section 7: a run whose result every engine knows.
struct ReferenceRun {
  int height = 0, width = 0;
  uint64_t seed = 0;
  std::string input_sha256, output_sha256;
};

struct Network {
  int channels = 0;  // of the input
  int multiple = 1;  // height and width are multiples of this
  int pad = 1;       // and images are extended to multiples of this
  std::vector<Op> ops;
  ReferenceRun reference;
  std::string metadata;  // the file's metadata as a JSON object
  // Section 8: the counts that training mapped to 0 and 255.
  bool has_counts = false;
  double counts[2] = {0, 0};
  double threshold = 0.5;  // section 6: a target is where the output exceeds this

  // Channels and level of tensor `id`.
  int channels_of(int id) const { return id == 0 ? channels : ops[id - 1].channels; }
  int level_of(int id) const { return id == 0 ? 0 : ops[id - 1].level; }
};

// Reads and checks a whole file; `out` is unchanged in meaning until it succeeds.
Status read_network(const uint8_t* bytes, size_t size, Network* out);

// Derives words, start and the like from the constants as the file has them.
void pack_block(const Op& op, Block* block);

}  // namespace xnor
