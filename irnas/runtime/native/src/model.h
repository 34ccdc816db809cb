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
  kContrast,
  kMultiply,
  kMaximum,
  kRecombine,
  kTokens,
  kAttend
};
enum class Residual : uint8_t { kNone, kAfter, kBefore };
enum class PoolKind : uint8_t { kAverage, kMaximum, kFirst, kMinimum, kRows, kColumns, kDiagonal };
enum class UpKind : uint8_t { kNearest, kBilinear };

// The level of a vector (R39): one pixel, whatever the size of the image.
constexpr int kVector = 99;

// R42.
constexpr size_t kMaxSides = 16;
constexpr int kMaxSquare = 127;

// R46. Every tap of every filter may be a place of its own, and all inputs but the first two further basis maps.
constexpr int kMaxFilters = 32;
constexpr int kMaxReach = 8;
constexpr int kMaxSources = kMaxFilters * 4 + 16;

// R47 and R48.
constexpr int kMaxTokens = 64;
constexpr int kMaxLength = 256;

// A20. The sources of a pixel are what the places see, then the further basis maps.
struct Basis {
  struct Place {
    int row, column;
  };
  // A basis map: the sum of its sources, by sign. Of a further basis map there is one.
  struct Term {
    int num_taps = 0;
    int source[4] = {0, 0, 0, 0};
    float sign[4] = {1, 1, 1, 1};
  };
  std::vector<Place> places;
  std::vector<Term> terms;
  int first_row = 0, last_row = 0;  // of the places
  int num_sources = 0;

  bool has_filters() const { return !places.empty(); }
};

// A1. Constants by channel; an empty table is a role that the file leaves out.
struct TwoSlope {
  Floats a, b, lo, hi, g, c;

  bool any() const { return !a.empty() || !lo.empty() || !c.empty(); }
  bool has_slopes_alone() const { return !lo.empty() && a.empty() && c.empty(); }
};

// A row of few channels fills whole vectors of 16 only if it is taken as one run of values, in which the channels begin
// anew after so many vectors: its constants are repeated as far. 0 for maps that are not taken so.
inline int flat_vectors(int channels) {
  return channels % 16 == 0 ? 0 : 16 % channels == 0 ? 1 : 48 % channels == 0 ? 3 : 0;
}

// Where the values of such vectors come from. Tables are by vector; `from` counts from `first` on, by lane.
struct FlatSource {
  int first[3] = {0, 0, 0};
  Table<int32_t> from;
};

// Constants of a block by output.
struct BlockConstants {
  Floats scale, shift;
  Floats bias;
  TwoSlope slope;  // lo, hi, g, c of A7
  TwoSlope post;
  // N = start - 2 * (mismatches of the whole window, where taps outside have the bits 0 or those of `pad`).
  Floats start;
  // For kernels that compute half of N: start / 2 + 2^23 and 2 scale. Only where all starts are even.
  Floats half_start, twice_scale;
};

// A block of few outputs, for 16 values of a row at a time; `start` and `bias` are [4][vectors * 16] by row class.
struct FlatBlock : BlockConstants {
  int vectors = 0;  // 0: there is none
  int pixels = 0;   // of all vectors
  FlatSource pixel;
  Table<uint8_t> bytes;   // [vectors][64]: where the 4 bytes of a lane lie, from the first lane's window on
  Table<uint32_t> words;  // [vectors][slots][16]
};

// Signs of few channels: those of `vectors` vectors become `bytes` bytes, in the bits that `mask` has.
struct FlatSigns {
  int vectors = 0;  // 0: there is none
  int bytes = 0;
  uint64_t mask = 0;
  Floats scale, shift;
};

struct FlatMix {
  int vectors = 0;           // 0: there is none
  bool is_straight = false;  // whether output o reads channel o of as many
  int step[2] = {0, 0};      // floats of each input to all vectors
  FlatSource in[2];
  TwoSlope maps[2];
};

// A convolution of few outputs and fewer inputs.
struct FlatConv {
  int vectors = 0;  // 0: there is none
  int step = 0;     // floats of the input to all vectors
  FlatSource in;
  Floats weight, bias;  // [vectors][K * K * C][16], [vectors][16]
};

// What a binary block holds beyond the common fields; `start` and `bias` are [16][stride] by row class * 4 + column
// class, but bias [1][stride] where it has no classes.
struct Block : BlockConstants {
  Residual residual = Residual::kNone;
  int group_in = 0;     // Cg
  int group_out = 0;    // O / G
  int group_bytes = 0;  // ceil(Cg / 8): the signs of one group at one pixel
  Table<uint8_t> bits;  // A5, as in the file
  Floats sign_scale, sign_shift;
  bool bias_by_class = false;

  // The same bits for kernels whose lanes are output channels: words [group][vector of 16 outputs][slot][16]. The
  // window of an output is one run of bits, column by column, each column top to bottom.
  Table<uint32_t> words;
  int slots = 0;           // 32-bit words of a window
  int vectors = 0;         // vectors of 16 outputs of a group
  uint32_t last_mask = 0;  // the bits of the last slot that belong to the window
  bool is_even = false;
  bool is_unit = false;   // whether slope.hi is 1 throughout
  bool is_plain = false;  // and post.hi as well, and there is no slope.c
  int stride = 0;         // O + kSlack
  FlatBlock flat;
  FlatSigns flat_signs;
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
  FlatMix flat_mix;
  FlatConv flat_conv;
  Block block;
  Basis basis;           // recombine
  int side = 0;          // tokens
  bool is_gate = false;  // attend
  Floats scale;          // attend
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

// The same for whole vectors of few channels, where a row can be taken so.
void pack_flat_block(const Op& op, Block* block);
void pack_flat_mix(const int* channels, Op* mix);
void pack_flat_conv(int channels, Op* conv);

}  // namespace xnor
