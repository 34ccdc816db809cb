// Rows of ops with windows: signs, binary blocks and full-precision convolutions, for any vector type V.
//
// Beyond rows_map.inl, V offers: I (kLanes dwords), Count (running mismatches), kBurst (words until Count must be
// widened); nothing(), word(at) which broadcasts 4 bytes, load_words, differ(x, w), differ(x, w, mask),
// tally(count, bits), widen(count), plus(I, I), to_float(I), negative16(x) and negative16(x, a, b): 16 bits of x < 0.

inline void sign_row(const SignRow& row) {
  const Block& block = row.op->block;
  const int groups = row.op->groups, group_in = block.group_in, bytes = block.group_bytes;
  const bool plain = block.sign_scale.empty();
  const int items = row.width * row.channels;
  if (plain && group_in % 8 == 0) {  // the bits of a row are then one run
    int i = 0;
    for (; i + 16 <= items; i += 16) {
      const uint16_t bits = V::negative16(row.x + i);
      __builtin_memcpy(row.out + i / 8, &bits, 2);
    }
    if (i < items) row.out[i / 8] = static_cast<uint8_t>(V::negative16(row.x + i));
    return;
  }
  const float *scale = block.sign_scale.data(), *shift = block.sign_shift.data();
  uint8_t* out = row.out;
  for (int j = 0; j < row.width; ++j)
    for (int group = 0; group < groups; ++group, out += bytes)
      for (int c = 0; c < group_in; c += 16) {
        const int at = group * group_in + c, count = group_in - c;
        const float* x = row.x + j * row.channels + at;
        uint32_t bits = plain ? V::negative16(x) : V::negative16(x, scale + at, shift + at);
        if (count < 16) bits &= (1u << count) - 1;
        out[c / 8] = static_cast<uint8_t>(bits);
        if (count > 8) out[c / 8 + 1] = static_cast<uint8_t>(bits >> 8);
      }
}

// The bits of one group as windows: window j begins at `at` + j * step.
struct Windows {
  const uint8_t* at;
  size_t step;
};

template <typename Word>
inline void weave_words(const uint8_t* const* rows, size_t pixel, int width, uint8_t* out) {
  for (int j = 0; j < width; ++j, out += 3 * sizeof(Word))
    for (int ky = 0; ky < 3; ++ky) __builtin_memcpy(out + ky * sizeof(Word), rows[ky] + j * pixel, sizeof(Word));
}

// Three rows woven into columns, with one column to spare on both sides, so that a window is one run of bits.
inline Windows weave(const BlockRow& row, int group, uint8_t* columns) {
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
    if (bytes == 1) weave_words<uint8_t>(rows, pixel, row.in_width, inner);
    if (bytes == 2 && pixel == 2) V::weave2(rows, row.in_width, inner);
    if (bytes == 2 && pixel != 2) weave_words<uint16_t>(rows, pixel, row.in_width, inner);
    if (bytes == 4) weave_words<uint32_t>(rows, pixel, row.in_width, inner);
    if (bytes == 8) weave_words<uint64_t>(rows, pixel, row.in_width, inner);
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
    V::count_ones(rows, 1, pixel, bytes, row.in_width, counts);
    for (int j = 0; j < row.width; ++j) sums[j] = static_cast<float>(channels - 2 * counts[j * stride]);
    return;
  }
  // Negative signs of each column of the window, with a column to spare on both sides.
  const uint8_t* rows[3];
  int num_rows = 0;
  for (int ky = 0; ky < 3; ++ky)
    if (row.bits[ky]) rows[num_rows++] = row.bits[ky] + group * bytes;
  V::count_ones(rows, num_rows, pixel, bytes, row.in_width, counts + 1);
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

// Mismatches in words slot..stop of kPixels windows against V::kLanes filters; at most V::kBurst words.
template <int kPixels>
XNOR_INLINE void tally_words(const uint8_t* at, size_t step, const uint32_t* words, int slot, int stop, int slots,
                             uint32_t last_mask, V::I* out) {
  V::Count counts[kPixels];
  XNOR_UNROLL for (int p = 0; p < kPixels; ++p) counts[p] = V::nothing();
  const int whole = stop == slots ? stop - 1 : stop;
  for (; slot < whole; ++slot) {
    const V::I weights = V::load_words(words + slot * 16);
    XNOR_UNROLL for (int p = 0; p < kPixels; ++p) counts[p] =
        V::tally(counts[p], V::differ(V::word(at + p * step + slot * 4), weights));
  }
  if (slot < stop) {
    const V::I weights = V::load_words(words + slot * 16);
    XNOR_UNROLL for (int p = 0; p < kPixels; ++p) counts[p] =
        V::tally(counts[p], V::differ(V::word(at + p * step + slot * 4), weights, last_mask));
  }
  XNOR_UNROLL for (int p = 0; p < kPixels; ++p) out[p] = V::widen(counts[p]);
}

template <int kPixels>
XNOR_INLINE void mismatches(const Windows& windows, int j, const uint32_t* words, int slots, uint32_t last_mask,
                            V::I* out) {
  const uint8_t* at = windows.at + j * windows.step;
  if (slots <= V::kBurst) {  // all but wide layers on vectors that count in bytes
    tally_words<kPixels>(at, windows.step, words, 0, slots, slots, last_mask, out);
    return;
  }
  V::I total[kPixels];
  XNOR_UNROLL for (int p = 0; p < kPixels; ++p) total[p] = V::none();
  for (int slot = 0; slot < slots; slot += V::kBurst) {
    V::I part[kPixels];
    const int stop = slots - slot > V::kBurst ? slot + V::kBurst : slots;
    tally_words<kPixels>(at, windows.step, words, slot, stop, slots, last_mask, part);
    XNOR_UNROLL for (int p = 0; p < kPixels; ++p) total[p] = V::plus(total[p], part[p]);
  }
  XNOR_UNROLL for (int p = 0; p < kPixels; ++p) out[p] = total[p];
}

// A7 behind the sums, with the constants of V::kLanes outputs in registers.
template <Residual kWay, Extra kPost>
struct Finish {
  F start, scale, bias, shift, lo, hi, g, c;
  Bend<kPost> post;
  bool has_shift;

  Finish(const Block& block, int o)
      : scale(V::load(block.scale.data() + o)),
        shift(constant(block.shift, o, 0.0f)),
        lo(constant(block.slope.lo, o, 1.0f)),
        hi(constant(block.slope.hi, o, 1.0f)),
        g(constant(block.slope.g, o, 1.0f)),
        c(constant(block.slope.c, o, -0.0f)),
        post(block.post, o),
        has_shift(!block.shift.empty()) {}

  F operator()(F mismatch, float sum, const float* residual) const {
    // Small whole numbers: exact.
    const F n = V::fma(mismatch, V::set1(-2.0f), start);
    F u = V::fma(scale, n, bias);
    if (has_shift) u = V::fma(shift, V::set1(sum), u);
    F rest = c;
    if (kWay == Residual::kAfter) rest = V::fma(V::load(residual), g, c);
    if (kWay == Residual::kBefore) u = V::fma(V::load(residual), g, u);
    const F y = V::fma(u, V::pick(u, lo, hi), rest);
    return kPost == Extra::kNone ? y : post(y);
  }
};

template <typename Each, int kPixels>
XNOR_INLINE void run_tile(const BlockRow& row, const Windows& windows, const uint32_t* words, const float* sums, int o,
                          int count, const Each& finish, int j) {
  const int outputs = row.op->channels;
  const Block& block = row.op->block;
  const float* residual = row.residual ? row.residual : row.out;  // without one nobody looks
  V::I mismatch[kPixels];
  mismatches<kPixels>(windows, j, words, block.slots, block.last_mask, mismatch);
  XNOR_UNROLL for (int p = 0; p < kPixels; ++p) {
    const size_t at = static_cast<size_t>(j + p) * outputs + o;
    V::store_part(row.out + at, finish(V::to_float(mismatch[p]), sums[j + p], residual + at), count);
  }
}

// Pixels j..end of one border class.
template <typename Each>
inline void run_pixels(const BlockRow& row, const Windows& windows, const uint32_t* words, const float* sums, int o,
                       int count, const Each& given, int j, int end) {
  constexpr int kTile = V::kTile;
  const Each finish = given;  // a copy that no store can alias, so its constants stay in registers
  if (end - j >= kTile) {
    for (; j + kTile <= end; j += kTile) run_tile<Each, kTile>(row, windows, words, sums, o, count, finish, j);
    // The last tile may do some pixels again: cheaper than one by one, where nothing hides the latency.
    if (j < end) run_tile<Each, kTile>(row, windows, words, sums, o, count, finish, end - kTile);
    return;
  }
  for (; j < end; ++j) run_tile<Each, 1>(row, windows, words, sums, o, count, finish, j);
}

template <Residual kWay, Extra kPost>
inline void block_lanes(const BlockRow& row, const Windows& windows, const uint32_t* words, const float* sums, int o,
                        int count) {
  using Each = Finish<kWay, kPost>;
  const Op& op = *row.op;
  const Block& block = op.block;
  Each finish(block, o);
  const auto run = [&](int column_class, int j, int end) {
    const int border = row.row_class * 4 + column_class;
    finish.start = V::load(block.start.data() + border * block.stride + o);
    finish.bias = V::load(block.bias.data() + (block.bias_by_class ? border * block.stride : 0) + o);
    run_pixels(row, windows, words, sums, o, count, finish, j, end);
  };
  if (op.kernel == 1) return run(0, 0, row.width);
  const bool right = op.stride * (row.width - 1) + 1 >= row.in_width;
  const int inner_end = right ? row.width - 1 : row.width;
  if (inner_end == 0) return run(3, 0, 1);  // a map of one column lacks both neighbours
  run(1, 0, 1);
  run(0, 1, inner_end);
  if (right) run(2, inner_end, row.width);
}

template <Residual kWay, Extra kPost>
inline void block_groups(const BlockRow& row) {
  const Op& op = *row.op;
  const Block& block = op.block;
  float* sums = reinterpret_cast<float*>(row.scratch);
  uint8_t* columns = reinterpret_cast<uint8_t*>(sums + 2 * (row.in_width + 2 + kSlack));
  for (int group = 0; group < op.groups; ++group) {
    const Windows windows = weave(row, group, columns);
    if (!block.shift.empty()) sign_sums(row, group, sums);
    for (int lane = 0; lane < block.group_out; lane += V::kLanes) {
      const size_t vector = static_cast<size_t>(group) * block.vectors + lane / 16;
      const uint32_t* words = block.words.data() + vector * block.slots * 16 + lane % 16;
      const int left = block.group_out - lane, count = left < V::kLanes ? left : V::kLanes;
      block_lanes<kWay, kPost>(row, windows, words, sums, group * block.group_out + lane, count);
    }
  }
}

template <Residual kWay>
inline void block_way(const BlockRow& row) {
  const TwoSlope& post = row.op->block.post;
  if (!post.any()) return block_groups<kWay, Extra::kNone>(row);
  if (post.c.empty()) return block_groups<kWay, Extra::kAffine>(row);
  block_groups<kWay, Extra::kRest>(row);
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

// Pixels of a padded row, [width + 2][channels].
inline const float* padded(const float* x, int channels, int width, float pad, float* out) {
  const int items = width * channels;
  for (int i = 0; i < channels; ++i) out[i] = out[channels + items + i] = pad;
  if (x)
    __builtin_memcpy(out + channels, x, items * sizeof(float));
  else
    for (int i = 0; i < items; ++i) out[channels + i] = pad;
  return out;
}

template <int kPixels>
XNOR_INLINE void conv_tile(const ConvRow& row, const float* const* rows, int group, int o, int count, int j) {
  const Op& op = *row.op;
  const int k = op.kernel, group_in = row.channels / op.groups, stride = op.channels + kSlack;
  const size_t step = static_cast<size_t>(op.stride) * row.channels;
  F acc[kPixels];
  XNOR_UNROLL for (int p = 0; p < kPixels; ++p) acc[p] = V::load(op.bias.data() + o);
  const float* weight = op.weight.data() + o;
  for (int ky = 0; ky < k; ++ky)
    for (int kx = 0; kx < k; ++kx) {
      const float* x = rows[ky] + j * step + kx * row.channels + group * group_in;
      for (int c = 0; c < group_in; ++c, weight += stride) {
        const F w = V::load(weight);
        XNOR_UNROLL for (int p = 0; p < kPixels; ++p) acc[p] = V::fma(V::set1(x[p * step + c]), w, acc[p]);
      }
    }
  XNOR_UNROLL for (int p = 0; p < kPixels; ++p)
      V::store_part(row.out + static_cast<size_t>(j + p) * op.channels + o, acc[p], count);
}

// One output of a 1x1 convolution: its lanes are pixels, turned around from the channels in which they lie.
inline void conv_single(const ConvRow& row) {
  const Op& op = *row.op;
  constexpr int n = V::kLanes;
  const int channels = row.channels, stride = op.channels + kSlack;
  for (int j = 0; j < row.width; j += n) {
    const int count = row.width - j < n ? row.width - j : n;
    F acc = V::set1(op.bias[0]);
    for (int c = 0; c < channels; c += n) {
      F x[n];
      XNOR_UNROLL for (int p = 0; p < n; ++p) x[p] =
          V::load(row.x[0] + static_cast<size_t>(p < count ? j + p : j) * channels + c);
      V::turn(x);
      XNOR_UNROLL for (int i = 0; i < n; ++i) acc = V::fma(x[i], V::set1(op.weight[(c + i) * stride]), acc);
    }
    V::store_part(row.out + j, acc, count);
  }
}

inline void conv_row(const ConvRow& row) {
  const Op& op = *row.op;
  if (op.channels == 1 && op.kernel == 1 && op.stride == 1 && row.channels % V::kLanes == 0) return conv_single(row);
  const float* rows[3] = {row.x[0], row.x[0], row.x[0]};
  float* scratch = reinterpret_cast<float*>(row.scratch);
  if (op.kernel == 3)
    for (int ky = 0; ky < 3; ++ky, scratch += (row.in_width + 2) * row.channels + kSlack)
      rows[ky] = padded(row.x[ky], row.channels, row.in_width, static_cast<float>(op.pad), scratch);
  const int group_out = op.channels / op.groups;
  for (int group = 0; group < op.groups; ++group)
    for (int lane = 0; lane < group_out; lane += V::kLanes) {
      const int o = group * group_out + lane, count = group_out - lane < V::kLanes ? group_out - lane : V::kLanes;
      constexpr int kTwice = 2 * V::kTile;
      int j = 0;
      for (; j + kTwice <= row.width; j += kTwice) conv_tile<kTwice>(row, rows, group, o, count, j);
      for (; j + V::kTile <= row.width; j += V::kTile) conv_tile<V::kTile>(row, rows, group, o, count, j);
      for (; j < row.width; ++j) conv_tile<1>(row, rows, group, o, count, j);
    }
}
