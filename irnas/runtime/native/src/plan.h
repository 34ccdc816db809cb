// How a network runs on images of one size: which rows in which order, and where they lie.
//
// Two ways, of equal results. Streamed: each thread takes a band of output rows and computes, depth first, just the
// rows that these need; a map keeps only a ring of rows, so everything stays in the cache. Layer by layer: every map is
// whole, and the threads share the rows of one op at a time.
#pragma once

#include <cstdint>
#include <vector>

#include "model.h"

namespace xnor {

enum class Mode : uint8_t { kStreamed, kLayers };

enum class StepKind : uint8_t {
  kInput,
  kSign,
  kConv,
  kBlock,
  kMix,
  kClamp,
  kRowSum,
  kCenter,
  kPool,
  kUpsample,
  kUpMix,  // a bilinear upsample and the mix of its two halves, which alone reads it
  kConcat,
  kSigmoid,
  kToPlanes,
  kFromPlanes,
  kPlaneConv,
  kTapSums,
  kMean,
  kExciteKernel,
  kExcite,
  kContrast,
  kMultiply,
  kMaximum,
  kBasisSums,
  kGains,
  kRecombine,
  kTokens,
  kAttention,
  kAttend,
  kOutput
};

// As a profile prints it.
const char* step_name(StepKind kind);

// An op, or the part of one that writes a map of its own. Stage s writes map s.
struct Stage {
  StepKind kind = StepKind::kInput;
  int op = -1;          // index into Network::ops
  int slopes = -1;      // index of the mix of two slopes that a convolution takes in, or -1
  std::vector<int> in;  // maps
  int channels = 1;
  int height = 0, width = 0;  // of the map
  size_t row_bytes = 0;       // a multiple of kAlign, with the bytes that kernels may read beyond
  size_t plane = 0;           // of a map in planes: floats from one channel of a row to the next; otherwise 0
};

// In front of the pixels of a channel, and behind the vector that holds its last one, a plane has so many zeros.
constexpr int kMargin = 16;

// First and last row (both included) of input `n` that row `y` of a stage needs.
struct Span {
  int first, last;
};
Span rows_needed(const Network& network, const std::vector<Stage>& stages, const Stage& stage, size_t n, int y);

struct Ring {
  size_t offset = 0;  // into the arena of the band
  int height = 0;     // rows; row y lies at y % height
};

struct Step {
  int32_t stage, row;
};

// What one thread does when streaming; with layers there is one band of all rows and no steps.
struct Band {
  int first = 0, last = 0;  // output rows [first, last)
  std::vector<Step> steps;
  std::vector<Ring> rings;
  size_t arena_bytes = 0;
};

struct Plan {
  Mode mode = Mode::kStreamed;
  int height = 0, width = 0;            // of the image
  int full_height = 0, full_width = 0;  // of the maps of level 0
  int threads = 1;
  std::vector<Stage> stages;
  std::vector<Band> bands;
  size_t scratch_bytes = 0;  // for each thread
  size_t total_bytes = 0;    // of arenas and scratch
};

struct Request {
  int height = 0, width = 0;
  // Whether images are extended to multiples of Network::pad; otherwise they must be multiples of Network::multiple.
  bool extend = true;
  int threads = 1;
  const Mode* mode = nullptr;  // null for the one that suits
};

// The stages of a network in the order of their making, for maps of the plan's full size.
void make_stages(const Network& network, Plan* plan);

Status make_plan(const Network& network, const Request& request, Plan* out);

}  // namespace xnor
