// Rows of 3x3 binary blocks of 16, 32 or 64 channels, for vector types with V::kKnown; part of rows_block.inl.
//
// Beyond rows_block.inl, V offers IfNegativeThenElseOne(t, lo) which is t < 0 ? lo : 1.

// What a kernel for known blocks takes for granted. kTwo is nothing; with kUnit slope.hi is 1, with kPlain post.hi is 1
// as well and there is no slope.c.
enum class Slopes { kTwo, kUnit, kPlain };
enum class Shift { kNone, kHas, kAsk };

// A7 of V::kLanes outputs of a known block: 3x3, even sums, the residual behind, without a gain. kAsk looks for a shift
// pixel by pixel, which is a branch; the other two are copies of the kernel.
template <Extra kPost>
struct Ready {
  F start, bias, scale, shift, lo, hi, c;
  Bend<kPost> post;
  const float *starts, *biases;  // away from borders
  int has_shift;

  Ready(const Block& block, int o, const float* starts, const float* biases)
      : start(V::LoadU(starts)),
        bias(V::LoadU(biases)),
        scale(V::LoadU(block.twice_scale.data() + o)),
        shift(constant(block.shift, o, 0.0f)),
        lo(constant(block.slope.lo, o, 1.0f)),
        hi(constant(block.slope.hi, o, 1.0f)),
        c(constant(block.slope.c, o, -0.0f)),
        post(block.post, o),
        starts(starts),
        biases(biases),
        has_shift(!block.shift.empty()) {}

  template <Shift kShift, Slopes kSlopes>
  XNOR_INLINE F value(F number, const float* sum, const float* residual, F from, F plus) const {
    F u = V::MulAdd(scale, V::Sub(from, number), plus);
    if (kShift == Shift::kHas || (kShift == Shift::kAsk && has_shift)) u = V::MulAdd(shift, V::Set(*sum), u);
    F rest = V::LoadU(residual);
    if constexpr (kSlopes != Slopes::kPlain) rest = V::Add(rest, c);
    F v;
    if constexpr (kSlopes == Slopes::kTwo)
      v = V::IfNegativeThenElse(u, lo, hi);
    else
      v = V::IfNegativeThenElseOne(u, lo);
    const F y = V::MulAdd(u, v, rest);
    if constexpr (kPost == Extra::kNone) return y;
    if constexpr (kSlopes != Slopes::kPlain) return post(y);
    const F w = V::MulAdd(y, post.a, post.b);
    return V::Mul(w, V::IfNegativeThenElseOne(w, post.lo));
  }
};

// How far the constants of the pixels at a border lie from those of the others.
struct Border {
  ptrdiff_t start, bias;
};

// Known blocks are run a tile late: while the mismatches of one tile are counted, the tile before is finished, so that
// neither waits for the other.
template <Extra kPost>
struct Behind {
  const Ready<kPost>* ready;
  const float *residual, *sums;
  float* out;
  Border first, last;  // of its first and its last pixel

  template <Shift kShift, Slopes kSlopes>
  XNOR_INLINE void pixel(const Ready<kPost>& copy, int p, V::Count count, size_t outputs) {
    const F number = V::ConvertBiased(V::LaneCounts(count));
    F from = copy.start, plus = copy.bias;
    if (p == 0 || p == V::kTile - 1) {
      const Border at = p == 0 ? first : last;
      from = V::LoadU(copy.starts + at.start);
      plus = V::LoadU(copy.biases + at.bias);
    }
    V::StoreU(out, copy.template value<kShift, kSlopes>(number, sums + p, residual, from, plus));
    residual += outputs;
    out += outputs;
    asm("" : "+r"(residual), "+r"(out));  // or the compiler keeps eight of each, in memory
  }
};

// Vectors of outputs that go through a row together.
constexpr int kLots = 4;
template <Extra kPost>
struct Lots {
  Lot lot;  // the first of them
  const Ready<kPost>* ready;
  int count, width;
  Border left, right;
};

template <Extra kPost, Shift kShift, Slopes kSlopes, int kSlots, int kStep>
XNOR_APART void run_known(const Lots<kPost>& lots_of_caller) {
  constexpr int kTile = V::kTile, kBusy = kSlots < 9 ? kSlots : 9;  // words during which the tile before is finished
  const Lots<kPost> lots = lots_of_caller;
  const Lot& lot = lots.lot;
  const int width = lots.width;
  V::Count done[kTile];
  XNOR_UNROLL for (int p = 0; p < kTile; ++p) done[p] = V::ZeroCount();
  // Nothing is behind the first tile: what is made of nothing lands where its own results will.
  const Border inner = {0, 0};
  Behind<kPost> behind = {lots.ready, lot.residual, lot.sums, lot.out, inner, inner};
  for (int j = 0, n = 0; j < width;) {
    const int at = j + kTile <= width ? j : width - kTile;
    const Ready<kPost> ready = *behind.ready;
    const Row<kStep> pixels = {lot.windows.at + at * kStep};
    const uint32_t* words = lot.words + n * kSlots * 16;
    V::Count counts[kTile];
    XNOR_UNROLL for (int p = 0; p < kTile; ++p) counts[p] = V::ZeroCount();
    XNOR_UNROLL for (int slot = 0; slot < kBusy; ++slot) {
      if (slot + 1 < kSlots)
        count_word<kTile>(pixels, words, slot, counts);
      else
        count_last_word<kTile>(pixels, words, slot, lot.last_mask, counts);
      asm volatile("");  // keeps the order
      XNOR_UNROLL for (int p = slot * kTile / kBusy; p < (slot + 1) * kTile / kBusy; ++p)
          behind.template pixel<kShift, kSlopes>(ready, p, done[p], lot.outputs);
      asm volatile("");  // keeps the order
    }
    if constexpr (kBusy < kSlots) {
      for (int slot = kBusy; slot + 1 < kSlots; ++slot) count_word<kTile>(pixels, words, slot, counts);
      count_last_word<kTile>(pixels, words, kSlots - 1, lot.last_mask, counts);
    }
    XNOR_UNROLL for (int p = 0; p < kTile; ++p) done[p] = counts[p];
    const size_t first = static_cast<size_t>(at) * lot.outputs + n * V::kLanes;
    behind = {lots.ready + n,  lot.residual + first,        lot.sums + at,
              lot.out + first, at == 0 ? lots.left : inner, at + kTile == width ? lots.right : inner};
    if (++n == lots.count) {
      n = 0;
      j += kTile;
    }
  }
  const Ready<kPost> ready = *behind.ready;
  XNOR_UNROLL for (int p = 0; p < kTile; ++p) behind.template pixel<kShift, kSlopes>(ready, p, done[p], lot.outputs);
}

// The kernel for a known block; null where there is none.
template <Extra kPost>
using RunKnown = void (*)(const Lots<kPost>&);

template <Extra kPost, Shift kShift>
inline RunKnown<kPost> known_kernel(const Block& block) {
  const bool is_wide = block.group_bytes == 4;
  if constexpr (kPost == Extra::kAffine) {
    if (block.group_bytes != 8) {
      if constexpr (kShift == Shift::kNone)
        if (block.is_plain)
          return is_wide ? run_known<kPost, kShift, Slopes::kPlain, 9, 12>
                         : run_known<kPost, kShift, Slopes::kPlain, 5, 6>;
      if (block.is_unit)
        return is_wide ? run_known<kPost, kShift, Slopes::kUnit, 9, 12> : run_known<kPost, kShift, Slopes::kUnit, 5, 6>;
    }
  }
  if (block.group_bytes == 8) return run_known<kPost, kShift, Slopes::kTwo, 18, 24>;
  return is_wide ? run_known<kPost, kShift, Slopes::kTwo, 9, 12> : run_known<kPost, kShift, Slopes::kTwo, 5, 6>;
}

template <Extra kPost>
inline RunKnown<kPost> known_kernel(const BlockRow& row) {
  const Op& op = *row.op;
  const Block& block = op.block;
  const int bytes = block.group_bytes;
  if (op.kernel != 3 || op.stride != 1 || !block.slope.g.empty() || row.width < V::kTile ||
      (bytes != 2 && bytes != 4 && bytes != 8))
    return nullptr;
  if constexpr (kPost != Extra::kAffine) return known_kernel<kPost, Shift::kAsk>(block);
  return block.shift.empty() ? known_kernel<kPost, Shift::kNone>(block) : known_kernel<kPost, Shift::kHas>(block);
}

// Rows of at least V::kTile pixels.
template <Extra kPost>
inline void known_groups(const BlockRow& row, RunKnown<kPost> run) {
  const Op& op = *row.op;
  const Block& block = op.block;
  float* sums = reinterpret_cast<float*>(row.scratch);
  uint8_t* columns = reinterpret_cast<uint8_t*>(sums + 2 * (row.in_width + 2 + kSlack));
  const ptrdiff_t border = block.stride, bias_border = block.bias_by_class ? border : 0;
  alignas(Ready<kPost>) uint8_t place[kLots * sizeof(Ready<kPost>)];
  Ready<kPost>* ready = reinterpret_cast<Ready<kPost>*>(place);
  Lots<kPost> lots = {{}, ready, 0, row.width, {border, bias_border}, {2 * border, 2 * bias_border}};
  for (int group = 0; group < op.groups; ++group) {
    const Windows windows = make_windows(row, group, columns);
    if (!block.shift.empty()) sign_sums(row, group, sums);
    for (int lane = 0; lane < block.group_out; lane += kLots * V::kLanes) {
      const int o = group * block.group_out + lane, left = (block.group_out - lane) / V::kLanes;
      const uint32_t* words =
          block.words.data() + (static_cast<size_t>(group) * block.vectors + lane / 16) * block.slots * 16;
      lots.lot = {windows,     words,       sums,      row.residual + o, row.out + o,
                  op.channels, block.slots, V::kLanes, block.last_mask};
      lots.count = left < kLots ? left : kLots;
      for (int n = 0; n < lots.count; ++n) {
        const int at = o + n * V::kLanes;
        new (ready + n) Ready<kPost>(block, at, block.half_start.data() + row.row_class * 4 * border + at,
                                     block.bias.data() + row.row_class * 4 * bias_border + at);
      }
      run(lots);
    }
  }
}
