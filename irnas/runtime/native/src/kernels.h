// What a kernel set is: one function for each op, which computes one row of its output.
//
// Everything was checked when the model was read; kernels check nothing, allocate nothing and never fail. Maps are rows
// of float [width][channels], signs are rows of bytes [width][groups][ceil(Cg / 8)], bit 1 meaning -1 (A4, A5). A row
// begins at a multiple of 64 bytes and may be read (not written) 128 bytes beyond its end. Some kernels take a map's
// row in planes instead, one channel after the other.
#pragma once

#include <cstddef>
#include <cstdint>

#include "model.h"

namespace xnor {

struct SignRow {
  const Op* op;  // the block that the signs are for
  const float* x;
  int channels, width;
  uint8_t* out;
};

struct BlockRow {
  const Op* op;
  const uint8_t* bits[3];  // the rows of the window, null where they lie off the map; [0] alone with kernel 1
  const float* residual;   // null with residual `none`
  float* out;
  int in_width, width;
  int row_class;     // 1: a row lies above the map, + 2: one lies below it
  uint8_t* scratch;  // block_scratch() bytes
};

struct ConvRow {
  const Op* op;
  const float* x[3];  // as in BlockRow
  float* out;
  int channels, in_width, width;
  uint8_t* scratch;        // conv_scratch() bytes
  const TwoSlope* slopes;  // lo and hi, applied to the sums; null for none
};

// Rows in planes: see kMargin in plan.h. Pointers are those of pixel 0 of channel 0.
struct PlanesRow {
  const float* x;
  float* out;
  int channels, width;
  size_t plane;  // of the row that is in planes
};

// A convolution of stride 1 and one group, from planes to planes.
struct PlaneConvRow {
  const Op* op;
  const TwoSlope* slopes;
  const float* x[3];  // a row of zeros where the row lies off the map
  size_t planes[3];   // 0 for the row of zeros
  float* out;
  size_t plane;
  int channels, width;
};

// A15 for one row: K sums for each channel.
struct TapSumsRow {
  const float* x;
  size_t pixel, plane;  // floats from one pixel to the next, and from one channel to the next
  int channels, width, kernel;
  double* out;  // [K][channels]
};

// A16 ahead of the pixels: the kernels of all border classes, each followed by what it starts from.
struct ExciteKernel {
  const Op* op;
  const float* factors;
  float* out;  // excite_items() floats
  int channels, num_factors;
  uint8_t* scratch;  // excite_scratch() bytes
};

struct ExciteRow {
  const Op* op;
  const float* kernels;
  const float* x[5];  // as in PlaneConvRow
  size_t planes[5];
  float* out;
  int channels, width;
  int row_class;  // as in BlockRow
};

struct MixRow {
  const Op* op;
  const float* x[2];  // the second is null with one input
  int channels[2];
  float* out;
  int width;
};

struct PoolRow {
  const float* x[2];
  float* out;
  int channels, width;  // width of the output
  PoolKind kind;
};

struct UpRow {
  const float* near;  // row i / 2
  const float* far;   // the row on the other side; unused with nearest
  float* out;
  int channels, in_width;
  UpKind kind;
};

// Output o is the sum of the maps of the upsampled channels o and channels / 2 + o: whole vectors of both.
struct UpMixRow {
  const Op* op;  // the mix
  const float* near;
  const float* far;
  float* out;
  int channels, in_width;  // of the map that is upsampled
};

struct ConcatRow {
  const float* x[16];
  int channels[16];
  int num_inputs;
  float* out;
  int width;
};

// A17 on a map of one channel.
struct ContrastRow {
  const Op* op;
  const float* x[kMaxSquare];  // the row itself in the middle, those around it by distance; null off the map
  float* out;
  int width;
  uint8_t* scratch;  // contrast_scratch() bytes
};

// A20 for one row, in planes. Pointers are those of pixel 0 of channel 0, and of a place those of what it sees there.
struct BasisRow {
  const Op* op;
  const float* origin;
  size_t origin_plane;
  const float* x[kMaxSources];
  size_t planes[kMaxSources];  // 0 for the row of zeros
  int channels, width;
};

// The two sums of each basis map, S_0 + .. + S_15 of A20.
struct BasisSumsRow : BasisRow {
  float* out;        // [channels][terms][2]
  uint8_t* scratch;  // basis_scratch() bytes
};

struct RecombineRow : BasisRow {
  const float* weights;  // [channels][sources]
  float* out;
  size_t plane;
};

struct MaximumRow {
  const float* x[3];  // the row itself in place of one that lies off the map
  float* out;
  int channels, width;
  uint8_t* scratch;  // maximum_scratch() bytes
};

// most = its maximum with some pixels of a map, by channel, the first of equals.
struct RaiseRow {
  const float* x;
  int channels, num_pixels;
  float* most;
};

// Of places that `length` values are fitted to (A22): the first value of each, and the weights from there on.
struct Fit {
  int length, size;

  // Most weights of a place.
  int most() const;
  // Returns how many there are.
  int weights(int place, int* first, float* out) const;
};

// T of A22, one row.
struct AttentionRow {
  const Op* op;
  const float *query, *key;  // query: q[a]
  int length, size;          // d and N
  size_t plane;              // floats from one channel of `out` to the next
  const int* firsts;         // by column
  const float* weights;      // [size][most]
  int most;
  float* out;
  float* scratch;  // length + kSlack floats, twice
};

// Row i of A22 from the rows of T that it is made of. Rows of the map are in planes.
struct AttendRow {
  const Op* op;
  const float* const* across;  // T
  const float* weights;
  int num_across;
  size_t across_plane;
  const float* x;    // row i
  const float* all;  // row 0
  size_t row_step;   // floats from one row to the next
  float* out;
  size_t plane;
  int height, width;
  float* scratch;  // a row of the matrix
};

struct Kernels {
  const char* name;
  bool (*runs_here)();
  void (*sign)(const SignRow&);
  void (*block)(const BlockRow&);
  void (*conv)(const ConvRow&);
  void (*mix)(const MixRow&);
  void (*clamp)(const float* x, float* out, int count);
  void (*center)(const float* x, float mean, float* out, int count);
  double (*row_sum)(const float* x, int channels, int width);  // A10
  void (*pool)(const PoolRow&);
  void (*upsample)(const UpRow&);
  void (*up_mix)(const UpMixRow&);
  void (*concat)(const ConcatRow&);
  void (*sigmoid)(const float* x, float* out, int count);
  void (*to_planes)(const PlanesRow&);
  void (*from_planes)(const PlanesRow&);
  void (*plane_conv)(const PlaneConvRow&);
  void (*tap_sums)(const TapSumsRow&);
  void (*excite_kernel)(const ExciteKernel&);
  void (*excite)(const ExciteRow&);
  void (*contrast)(const ContrastRow&);
  void (*multiply)(const float* x, const float* y, float* out, int count);
  void (*maximum)(const MaximumRow&);
  void (*basis_sums)(const BasisSumsRow&);
  void (*recombine)(const RecombineRow&);
  void (*raise)(const RaiseRow&);
  void (*attention)(const AttentionRow&);
  void (*attend)(const AttendRow&);
  uint64_t (*count)(uint64_t rounds);  // as xnor_count; null where there is nothing to measure
};

extern const Kernels kReferenceKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
#elif defined(__aarch64__)
extern const Kernels kNeonKernels;
#endif

// Sets that were compiled, best first; the reference is last and always runs.
const Kernels* const* all_kernels(int* count);

// Finds a set by name; null or "" is the best that runs here.
Status choose_kernels(const char* name, const Kernels** out);

// Scratch bytes that a row needs, whichever set runs.
size_t block_scratch(const Op& op, int in_width);
size_t conv_scratch(const Op& op, int channels, int in_width);
size_t excite_scratch(const Op& op, int channels);
size_t contrast_scratch(const Op& op, int width);
size_t maximum_scratch(int channels, int width);
size_t basis_scratch(const Op& op);
size_t attention_scratch(int length, int size);

// N of A22, for maps of level 0 of a size.
inline int matrix_width(const Op& op, int height, int width) { return (op.is_gate ? width : height) >> op.level; }

// Floats from one row in the scratch of a contrast to the next: whole vectors.
inline size_t contrast_plane(int width) { return static_cast<size_t>(width) / kSlack * kSlack + kSlack; }

// A16: the side of the window, 3 or 5; its border classes; and the floats of all their kernels.
inline int excite_side(const Op& op) { return op.expand.empty() ? 3 : 5; }
inline int excite_classes(const Op& op) { return op.expand.empty() ? 1 : 16; }
inline size_t excite_items(const Op& op, int channels) {
  return excite_classes(op) * (static_cast<size_t>(excite_side(op)) * excite_side(op) * channels + 1);
}

}  // namespace xnor
