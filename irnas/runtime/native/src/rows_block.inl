// Rows of binary blocks, for any vector type V.
//
// Beyond rows_map.inl, V offers: I (kLanes dwords), Count (running mismatches), kBurst (words until a Count must be
// made lane counts), kKnown (whether rows_known.inl is worth its code); Zero() and Add of I; ZeroCount();
// LoadDup32(at) which broadcasts 4 bytes; LoadU of dwords; Xor(x, w) and Xor(x, w, mask) which is (x ^ w) & mask;
// AddPopulationCount(count, bits); LaneCounts(count) as I; ConvertBiased(I) which is 2^23 + i as a float;
// InterleaveRows(rows, bytes, width, out) of pixels side by side, PopulationCounts of pixels, and columns.inl.
#include "rows_window.inl"

// The bits of one group as windows: window j begins at `at` + j * step.
struct Windows {
  const uint8_t* at;
  size_t step;
};

// Three rows woven into columns, with one column to spare on both sides, so that a window is one run of bits.
inline Windows make_windows(const BlockRow& row, int group, uint8_t* columns) {
  const Op& op = *row.op;
  const int bytes = op.block.group_bytes;
  size_t pixel = static_cast<size_t>(op.groups) * bytes;
  if (op.kernel == 1) return {row.bits[0] + group * bytes, pixel * op.stride};
  const int column = 3 * bytes, spare = bytes * 8 - op.block.group_in;
  const auto fill = [&](uint8_t* out) {  // a tap outside, of the sign `pad`
    __builtin_memset(out, op.pad == -1 ? 0xFF : 0, bytes);
    if (op.pad == -1) out[bytes - 1] = static_cast<uint8_t>(0xFF >> spare);
  };
  uint8_t* last = columns + static_cast<size_t>(row.in_width + 1) * column;
  uint8_t* inner = columns + column;
  if (row.bits[0] && row.bits[2] && (bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8)) {
    const uint8_t* rows[3] = {row.bits[0] + group * bytes, row.bits[1] + group * bytes, row.bits[2] + group * bytes};
    if (pixel == static_cast<size_t>(bytes))
      V::InterleaveRows(rows, bytes, row.in_width, inner);
    else if (bytes == 1)
      V::InterleaveWords<uint8_t>(rows, pixel, row.in_width, inner);
    else if (bytes == 2)
      V::InterleaveWords<uint16_t>(rows, pixel, row.in_width, inner);
    else if (bytes == 4)
      V::InterleaveWords<uint32_t>(rows, pixel, row.in_width, inner);
    else
      V::InterleaveWords<uint64_t>(rows, pixel, row.in_width, inner);
  } else if (row.bits[0] && row.bits[2] && bytes == 3) {
    // A byte too many of each, which the next one overwrites, and the spare column that of the last.
    for (int j = 0; j < row.in_width; ++j)
      for (int ky = 0; ky < 3; ++ky)
        __builtin_memcpy(inner + j * column + ky * 3, row.bits[ky] + j * pixel + group * bytes, 4);
  } else {
    for (int ky = 0; ky < 3; ++ky) {
      uint8_t* out = inner + ky * bytes;
      for (int j = 0; j < row.in_width; ++j, out += column)
        if (row.bits[ky])
          __builtin_memcpy(out, row.bits[ky] + j * pixel + group * bytes, bytes);
        else
          fill(out);
    }
  }
  for (int ky = 0; ky < 3; ++ky) {
    fill(columns + ky * bytes);
    fill(last + ky * bytes);
  }
  return {columns, static_cast<size_t>(column) * op.stride};
}

// T of A6 for every output pixel of one group.
inline void sign_sums(const BlockRow& row, int group, float* sums) {
  const Op& op = *row.op;
  const int k = op.kernel, bytes = op.block.group_bytes, channels = op.block.group_in, stride = op.stride;
  const int pixel = op.groups * bytes;
  int32_t* counts = reinterpret_cast<int32_t*>(sums + row.in_width + 2 + kSlack);
  if (k == 1) {
    const uint8_t* rows[1] = {row.bits[0] + group * bytes};
    V::PopulationCounts(rows, 1, pixel, bytes, row.in_width, counts);
    for (int j = 0; j < row.width; ++j) sums[j] = static_cast<float>(channels - 2 * counts[j * stride]);
    return;
  }
  // Negative signs of each column of the window, with a column to spare on both sides.
  const uint8_t* rows[3];
  int num_rows = 0;
  for (int ky = 0; ky < 3; ++ky)
    if (row.bits[ky]) rows[num_rows++] = row.bits[ky] + group * bytes;
  V::PopulationCounts(rows, num_rows, pixel, bytes, row.in_width, counts + 1);
  const int outside = op.pad == -1 ? channels : 0, missing = (3 - num_rows) * outside;
  if (missing)
    for (int j = 1; j <= row.in_width; ++j) counts[j] += missing;
  counts[0] = counts[row.in_width + 1] = 3 * outside;
  const int full = (op.pad ? 3 : num_rows) * channels;
  if (stride == 1)
    for (int j = 0; j < row.width; ++j)
      sums[j] = static_cast<float>(3 * full - 2 * (counts[j] + counts[j + 1] + counts[j + 2]));
  else
    for (int j = 0; j < row.width; ++j)
      sums[j] = static_cast<float>(3 * full - 2 * (counts[2 * j] + counts[2 * j + 1] + counts[2 * j + 2]));
  if (op.pad == 0) {  // a column that is missing has no signs at all
    sums[0] -= static_cast<float>(full);
    if (stride * (row.width - 1) + 1 >= row.in_width) sums[row.width - 1] -= static_cast<float>(full);
  }
}

// Where kPixels windows side by side begin.
template <int kPixels>
struct Tile {
  const uint8_t* at[kPixels];

  explicit Tile(Windows windows) {
    XNOR_UNROLL for (int p = 0; p < kPixels; ++p, windows.at += windows.step) {
      // Left to itself the compiler works out the address of each word ahead of the loop, and keeps them in memory.
      asm("" : "+r"(windows.at));
      at[p] = windows.at;
    }
  }
  V::I word(int p, int slot) const { return V::LoadDup32(at[p] + slot * 4); }
};

// The same where the compiler knows how far apart they are.
template <int kStep>
struct Row {
  const uint8_t* at;
  V::I word(int p, int slot) const { return V::LoadDup32(at + p * kStep + slot * 4); }
};

// Adds the mismatches in one word of kPixels windows against V::kLanes filters.
template <int kPixels, typename Pixels>
XNOR_INLINE void count_word(const Pixels& pixels, const uint32_t* words, int slot, V::Count* counts) {
  const V::I weights = V::LoadU(words + slot * 16);
  XNOR_UNROLL for (int p = 0; p < kPixels; ++p) counts[p] =
      V::AddPopulationCount(counts[p], V::Xor(pixels.word(p, slot), weights));
}

// The same for the last word, of which only the bits of `mask` count.
template <int kPixels, typename Pixels>
XNOR_INLINE void count_last_word(const Pixels& pixels, const uint32_t* words, int slot, uint32_t mask,
                                 V::Count* counts) {
  const V::I weights = V::LoadU(words + slot * 16);
  XNOR_UNROLL for (int p = 0; p < kPixels; ++p) counts[p] =
      V::AddPopulationCount(counts[p], V::Xor(pixels.word(p, slot), weights, mask));
}

// Mismatches of kPixels windows as floats of 2^23 more. kSlots: words of a window where the compiler knows it, else 0.
template <int kPixels, int kSlots>
XNOR_INLINE void mismatches(const Windows& windows, const uint32_t* words, int slots, uint32_t last_mask, F* out) {
  const Tile<kPixels> tile(windows);
  V::Count counts[kPixels];
  XNOR_UNROLL for (int p = 0; p < kPixels; ++p) counts[p] = V::ZeroCount();
  if constexpr (kSlots != 0) {
    static_assert(kSlots <= V::kBurst, "a known window fits a burst");
    XNOR_UNROLL for (int slot = 0; slot + 1 < kSlots; ++slot) count_word<kPixels>(tile, words, slot, counts);
    count_last_word<kPixels>(tile, words, kSlots - 1, last_mask, counts);
    XNOR_UNROLL for (int p = 0; p < kPixels; ++p) out[p] = V::ConvertBiased(V::LaneCounts(counts[p]));
    return;
  }
  V::I total[kPixels];
  XNOR_UNROLL for (int p = 0; p < kPixels; ++p) total[p] = V::Zero();
  for (int slot = 0; slot < slots;) {
    const int stop = slots - slot > V::kBurst ? slot + V::kBurst : slots, full = stop == slots ? stop - 1 : stop;
    for (; slot < full; ++slot) count_word<kPixels>(tile, words, slot, counts);
    if (slot < stop) count_last_word<kPixels>(tile, words, slot++, last_mask, counts);
    XNOR_UNROLL for (int p = 0; p < kPixels; ++p) {
      total[p] = V::Add(total[p], V::LaneCounts(counts[p]));
      counts[p] = V::ZeroCount();
    }
  }
  XNOR_UNROLL for (int p = 0; p < kPixels; ++p) out[p] = V::ConvertBiased(total[p]);
}

// The innermost loop of a block on operands that are all in the first cache; returns the pairs of bits it compared.
inline uint64_t count_rounds(uint64_t rounds) {
  constexpr int kSlots = 24, kStep = 4;
  alignas(kAlign) uint32_t words[kSlots * 16] = {};
  uint8_t bits[(kSlots + V::kTile) * kStep] = {};
  F total = V::Set(0.0f);
  for (uint64_t i = 0; i < rounds; ++i) {
    F counted[V::kTile];
    // Now the compiler knows neither of them any more, or it would compare each word once.
    asm volatile("" : : "r"(words), "r"(bits) : "memory");
    mismatches<V::kTile, kSlots>({bits, kStep}, words, kSlots, ~uint32_t{0}, counted);
    XNOR_UNROLL for (int p = 0; p < V::kTile; ++p) total = V::Add(total, counted[p]);
  }
  float sums[16];
  V::StoreU(sums, total);
  // The sum is used, so it has to be made.
  return rounds * (kSlots * 32 * V::kTile * V::kLanes) + (sums[0] < 0);
}

// What is known of a block when it is compiled, so that its innermost loop holds nothing but its work. `Any` is right
// for every block, `Whole` for whole vectors of outputs and even sums.
struct Any {
  static constexpr bool kWhole = false;
};
struct Whole {
  static constexpr bool kWhole = true;
};

// A7 behind the sums, with the constants of V::kLanes outputs in registers.
template <Residual kWay, Extra kPost, typename Kind>
struct Finish {
  F start, scale, bias, shift, lo, hi, g, c;
  Bend<kPost> post;
  bool has_shift;

  Finish(const BlockConstants& block, int o)
      : scale(V::LoadU((Kind::kWhole ? block.twice_scale : block.scale).data() + o)),
        shift(constant(block.shift, o, 0.0f)),
        lo(constant(block.slope.lo, o, 1.0f)),
        hi(constant(block.slope.hi, o, 1.0f)),
        g(constant(block.slope.g, o, 1.0f)),
        c(constant(block.slope.c, o, -0.0f)),
        post(block.post, o),
        has_shift(!block.shift.empty()) {}

  // number: 2^23 + mismatches.
  F operator()(F number, const float* sum, const float* residual) const {
    F t = scale, r = scale;  // values that nobody looks at
    if (has_shift) t = V::Set(*sum);
    if constexpr (kWay != Residual::kNone) r = V::LoadU(residual);
    return value(number, t, r);
  }

  // The same with the sum of each lane.
  XNOR_INLINE F value(F number, F sum, F residual) const {
    F n;
    if constexpr (Kind::kWhole)
      n = V::Sub(start, number);  // half of N, exact because N is even and small; the scale is twice its size
    else
      n = V::MulAdd(V::Sub(number, V::Set(8388608.0f)), V::Set(-2.0f), start);  // small whole numbers: exact
    F u = V::MulAdd(scale, n, bias);
    if (has_shift) u = V::MulAdd(shift, sum, u);
    F rest = c;
    if constexpr (kWay == Residual::kAfter) rest = V::MulAdd(residual, g, c);
    if constexpr (kWay == Residual::kBefore) u = V::MulAdd(residual, g, u);
    const F y = V::MulAdd(u, V::IfNegativeThenElse(u, lo, hi), rest);
    if constexpr (kPost == Extra::kNone) return y;
    return post(y);
  }
};

// What block_lanes hands on, by value, so that no store can alias it.
struct Lot {
  Windows windows;
  const uint32_t* words;
  const float* sums;
  const float* residual;  // of output 0 of the lot
  float* out;
  int outputs, slots, count;
  uint32_t last_mask;
};

template <typename Kind, int kPixels, typename Each>
XNOR_INLINE void run_tile(const Lot& lot, const Each& finish, int j) {
  F number[kPixels];
  mismatches<kPixels, 0>({lot.windows.at + j * lot.windows.step, lot.windows.step}, lot.words, lot.slots, lot.last_mask,
                         number);
  const size_t first = static_cast<size_t>(j) * lot.outputs;
  const float *residual = lot.residual + first, *sums = lot.sums + j;
  float* out = lot.out + first;
  XNOR_UNROLL for (int p = 0; p < kPixels; ++p, residual += lot.outputs, out += lot.outputs) {
    const F y = finish(number[p], sums + p, residual);
    if constexpr (Kind::kWhole)
      V::StoreU(out, y);
    else
      V::StoreN(out, y, lot.count);
  }
}

// Pixels j..end of one border class.
template <typename Kind, typename Each>
XNOR_APART void run_pixels(const Lot lot_of_caller, const Each& finish_of_caller, int j, int end) {
  constexpr int kTile = V::kTile;
  const Each finish = finish_of_caller;  // a copy that no store can alias, so its constants stay in registers
  const Lot lot = lot_of_caller;
  if (end - j >= kTile) {
    // The last tile may do some pixels again: cheaper than one by one, where nothing hides the latency.
    for (; j < end; j += kTile) run_tile<Kind, kTile>(lot, finish, j + kTile <= end ? j : end - kTile);
    return;
  }
  for (; j < end; ++j) run_tile<Kind, 1>(lot, finish, j);
}

template <Residual kWay, Extra kPost, typename Kind>
XNOR_APART void block_lanes(const BlockRow& row, const Lot& lot, int o, bool borders_alone = false) {
  const Op& op = *row.op;
  const Block& block = op.block;
  Finish<kWay, kPost, Kind> finish(block, o);
  const Floats& start = Kind::kWhole ? block.half_start : block.start;
  const auto run = [&](int column_class, int j, int end) {
    const int border = row.row_class * 4 + column_class;
    finish.start = V::LoadU(start.data() + border * block.stride + o);
    finish.bias = V::LoadU(block.bias.data() + (block.bias_by_class ? border * block.stride : 0) + o);
    run_pixels<Kind>(lot, finish, j, end);
  };
  if (op.kernel == 1) return run(0, 0, row.width);
  const bool right = op.stride * (row.width - 1) + 1 >= row.in_width;
  const int inner_end = right ? row.width - 1 : row.width;
  if (inner_end == 0) return run(3, 0, 1);  // a map of one column lacks both neighbours
  run(1, 0, 1);
  if (!borders_alone) run(0, 1, inner_end);
  if (right) run(2, inner_end, row.width);
}

template <Residual kWay, Extra kPost, typename Kind>
inline void block_groups(const BlockRow& row) {
  const Op& op = *row.op;
  const Block& block = op.block;
  float* sums = reinterpret_cast<float*>(row.scratch);
  uint8_t* columns = reinterpret_cast<uint8_t*>(sums + 2 * (row.in_width + 2 + kSlack));
  Lot lot{};
  lot.sums = sums;
  lot.outputs = op.channels;
  lot.slots = block.slots;
  lot.last_mask = block.last_mask;
  for (int group = 0; group < op.groups; ++group) {
    lot.windows = make_windows(row, group, columns);
    if (!block.shift.empty()) sign_sums(row, group, sums);
    for (int lane = 0; lane < block.group_out; lane += V::kLanes) {
      const size_t vector = static_cast<size_t>(group) * block.vectors + lane / 16;
      const int left = block.group_out - lane, o = group * block.group_out + lane;
      lot.words = block.words.data() + vector * block.slots * 16 + lane % 16;
      lot.count = left < V::kLanes ? left : V::kLanes;
      lot.out = row.out + o;
      lot.residual = row.residual ? row.residual + o : lot.out;  // without one nobody looks
      block_lanes<kWay, kPost, Kind>(row, lot, o);
    }
  }
}

#include "rows_flat_block.inl"
#include "rows_known.inl"

template <Residual kWay, Extra kPost>
inline void block_post(const BlockRow& row) {
  const Block& block = row.op->block;
  if constexpr (V::kFlat) {
    if (block.flat.vectors) return flat_block<V, kWay, kPost>(row);
  }
  if constexpr (V::kKnown && kWay == Residual::kAfter) {
    if (block.is_even && block.group_out % V::kLanes == 0) {
      if (const RunKnown<kPost> run = known_kernel<kPost>(row)) return known_groups<kPost>(row, run);
      return block_groups<kWay, kPost, Whole>(row);
    }
  }
  block_groups<kWay, kPost, Any>(row);
}

template <Residual kWay>
inline void block_way(const BlockRow& row) {
  const TwoSlope& post = row.op->block.post;
  if (!post.any()) return block_post<kWay, Extra::kNone>(row);
  if (post.c.empty()) return block_post<kWay, Extra::kAffine>(row);
  block_post<kWay, Extra::kRest>(row);
}

inline void block_row(const BlockRow& row) {
  switch (row.op->block.residual) {
    case Residual::kNone:
      return block_way<Residual::kNone>(row);
    case Residual::kAfter:
      return block_way<Residual::kAfter>(row);
    case Residual::kBefore:
      return block_way<Residual::kBefore>(row);
  }
}
