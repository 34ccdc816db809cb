// Rows of binary blocks of few outputs as one run of values, for vector types with V::kFlat; part of rows_block.inl.
//
// Beyond rows_flat.inl, V offers Bytes (64 indices), LoadBytes(at), and PickBytes(at, indices), which are those of the
// 64 bytes at `at`; PickLanes(at, from), the floats from[lane] of the 16 at `at`.

template <typename T, Residual kWay, Extra kPost, int kSlots>
XNOR_APART void flat_block_vector(const BlockRow& row, const Windows& windows, const float* sums, int v) {
  constexpr int kTile = 4;
  const Op& op = *row.op;
  const FlatBlock& flat = op.block.flat;
  const int items = row.width * op.channels, period = flat.vectors * 16;
  Finish<kWay, kPost, Any> finish(flat, v * 16);
  finish.start = T::LoadU(flat.start.data() + row.row_class * period + v * 16);
  finish.bias = T::LoadU(flat.bias.data() + row.row_class * period + v * 16);
  const auto indices = T::LoadBytes(flat.bytes.data() + v * 64);
  const int32_t* from = flat.pixel.from.data() + v * 16;
  const uint32_t* words = flat.words.data() + static_cast<size_t>(v) * kSlots * 16;
  const uint32_t last_mask = op.block.last_mask;
  const size_t step = windows.step * flat.pixels;
  const auto tile = [&](auto size, int at, const uint8_t* bits, const float* sum, int count) {
    constexpr int kSize = decltype(size)::value;
    typename T::Count counts[kSize];
    XNOR_UNROLL for (int p = 0; p < kSize; ++p) counts[p] = T::ZeroCount();
    XNOR_UNROLL for (int slot = 0; slot < kSlots; ++slot) {
      const typename T::I weights = T::LoadU(words + slot * 16);
      XNOR_UNROLL for (int p = 0; p < kSize; ++p) {
        const typename T::I seen = T::PickBytes(bits + p * step + slot * 4, indices);
        const bool is_last = slot + 1 == kSlots;
        counts[p] =
            T::AddPopulationCount(counts[p], is_last ? T::Xor(seen, weights, last_mask) : T::Xor(seen, weights));
      }
    }
    XNOR_UNROLL for (int p = 0; p < kSize; ++p) {
      F t = finish.scale, r = finish.scale;  // values that nobody looks at
      if (finish.has_shift) t = T::Pick16(sum + p * flat.pixels, from);
      if constexpr (kWay != Residual::kNone) r = T::LoadU(row.residual + at + p * period);
      T::StoreN(row.out + at + p * period, finish.value(T::ConvertBiased(T::LaneCounts(counts[p])), t, r), count);
    }
  };
  const int first = flat.pixel.first[v];
  const uint8_t* bits = windows.at + first * windows.step;
  const float* sum = sums + first;
  int at = v * 16;
  for (; at + (kTile - 1) * period + 16 <= items;
       at += kTile * period, bits += kTile * step, sum += kTile * flat.pixels)
    tile(Number<kTile>(), at, bits, sum, 16);
  for (; at < items; at += period, bits += step, sum += flat.pixels)
    tile(Number<1>(), at, bits, sum, items - at < 16 ? items - at : 16);
}

// Rows of few outputs: all pixels as if they were away from the borders of a row, then the two that are not.
template <typename T, Residual kWay, Extra kPost>
inline void flat_block(const BlockRow& row) {
  const Op& op = *row.op;
  const Block& block = op.block;
  float* sums = reinterpret_cast<float*>(row.scratch);
  uint8_t* columns = reinterpret_cast<uint8_t*>(sums + 2 * (row.in_width + 2 + kSlack));
  const Windows windows = make_windows(row, 0, columns);
  if (!block.shift.empty()) sign_sums(row, 0, sums);
  for (int v = 0; v < block.flat.vectors; ++v) {
    if (block.slots == 1) flat_block_vector<T, kWay, kPost, 1>(row, windows, sums, v);
    if (block.slots == 3) flat_block_vector<T, kWay, kPost, 3>(row, windows, sums, v);
    if (block.slots == 5) flat_block_vector<T, kWay, kPost, 5>(row, windows, sums, v);
    if (block.slots == 7) flat_block_vector<T, kWay, kPost, 7>(row, windows, sums, v);
  }
  if (op.kernel == 1) return;
  for (int lane = 0; lane < op.channels; lane += V::kLanes) {
    Lot lot{};
    lot.windows = windows;
    lot.words = block.words.data() + static_cast<size_t>(lane / 16) * block.slots * 16;
    lot.sums = sums;
    lot.out = row.out + lane;
    lot.residual = row.residual ? row.residual + lane : lot.out;
    lot.outputs = op.channels;
    lot.slots = block.slots;
    lot.count = op.channels - lane < V::kLanes ? op.channels - lane : V::kLanes;
    lot.last_mask = block.last_mask;
    block_lanes<kWay, kPost, Any>(row, lot, lane, true);
  }
}
