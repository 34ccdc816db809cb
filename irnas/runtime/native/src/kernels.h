// What a kernel set is: one function for each op, which computes one row of its output.
//
// Everything was checked when the model was read; kernels check nothing, allocate nothing and never fail. Maps are rows
// of float [width][channels], signs are rows of bytes [width][groups][ceil(Cg / 8)], bit 1 meaning -1 (A4, A5). A row
// begins at a multiple of 64 bytes and may be read (not written) 128 bytes beyond its end.
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
  uint8_t* scratch;  // conv_scratch() bytes
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

}  // namespace xnor
