// Rows of signs and of full-precision convolutions, for any vector type V.
//
// Beyond rows_map.inl, V offers: NegativeBits16(x) and NegativeBits16(x, a, b), the 16 bits of x < 0 and of x * a + b <
// 0; StoreNegativeBits(x, count, out), which writes the first of so many and returns how many it wrote; Transpose of
// kLanes vectors.
#include "rows_map.inl"

inline void sign_row(const SignRow& row) {
  const Block& block = row.op->block;
  const int groups = row.op->groups, group_in = block.group_in, bytes = block.group_bytes;
  const bool plain = block.sign_scale.empty();
  const int items = row.width * row.channels;
  if (plain && group_in % 8 == 0) {  // the bits of a row are then one run
    int i = V::StoreNegativeBits(row.x, items, row.out);
    for (; i + 16 <= items; i += 16) {
      const uint16_t bits = V::NegativeBits16(row.x + i);
      __builtin_memcpy(row.out + i / 8, &bits, 2);
    }
    if (i < items) row.out[i / 8] = static_cast<uint8_t>(V::NegativeBits16(row.x + i));
    return;
  }
  if (flat_sign<V>(row)) return;
  const float *scale = block.sign_scale.data(), *shift = block.sign_shift.data();
  uint8_t* out = row.out;
  for (int j = 0; j < row.width; ++j)
    for (int group = 0; group < groups; ++group, out += bytes)
      for (int c = 0; c < group_in; c += 16) {
        const int at = group * group_in + c, count = group_in - c;
        const float* x = row.x + j * row.channels + at;
        uint32_t bits = plain ? V::NegativeBits16(x) : V::NegativeBits16(x, scale + at, shift + at);
        if (count < 16) bits &= (1u << count) - 1;
        out[c / 8] = static_cast<uint8_t>(bits);
        if (count > 8) out[c / 8 + 1] = static_cast<uint8_t>(bits >> 8);
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

// kStep: floats from one pixel to the next, where the compiler knows them, else 0.
template <int kPixels, int kStep>
XNOR_INLINE void conv_tile(const ConvRow& row, const float* const* rows, int group, int o, int count, int j) {
  const Op& op = *row.op;
  const int k = op.kernel, group_in = row.channels / op.groups, stride = op.channels + kSlack;
  const size_t step = kStep ? kStep : static_cast<size_t>(op.stride) * row.channels;
  F acc[kPixels];
  XNOR_UNROLL for (int p = 0; p < kPixels; ++p) acc[p] = V::LoadU(op.bias.data() + o);
  const float* weight = op.weight.data() + o;
  for (int ky = 0; ky < k; ++ky)
    for (int kx = 0; kx < k; ++kx) {
      const float* x = rows[ky] + j * step + kx * row.channels + group * group_in;
      for (int c = 0; c < group_in; ++c, weight += stride) {
        const F w = V::LoadU(weight);
        XNOR_UNROLL for (int p = 0; p < kPixels; ++p) acc[p] = V::MulAdd(V::Set(x[p * step + c]), w, acc[p]);
      }
    }
  if (row.slopes) {
    const F lo = V::LoadU(row.slopes->lo.data() + o), hi = V::LoadU(row.slopes->hi.data() + o);
    XNOR_UNROLL for (int p = 0; p < kPixels; ++p) acc[p] = V::Mul(acc[p], V::IfNegativeThenElse(acc[p], lo, hi));
  }
  XNOR_UNROLL for (int p = 0; p < kPixels; ++p)
      V::StoreN(row.out + static_cast<size_t>(j + p) * op.channels + o, acc[p], count);
}

// One output of a 1x1 convolution: its lanes are pixels, turned around from the channels in which they lie.
inline void conv_single(const ConvRow& row) {
  const Op& op = *row.op;
  constexpr int n = V::kLanes;
  const int channels = row.channels, stride = op.channels + kSlack;
  for (int j = 0; j < row.width; j += n) {
    const int count = row.width - j < n ? row.width - j : n;
    F acc = V::Set(op.bias[0]);
    for (int c = 0; c < channels; c += n) {
      F x[n];
      XNOR_UNROLL for (int p = 0; p < n; ++p) x[p] =
          V::LoadU(row.x[0] + static_cast<size_t>(p < count ? j + p : j) * channels + c);
      V::Transpose(x);
      XNOR_UNROLL for (int i = 0; i < n; ++i) acc = V::MulAdd(x[i], V::Set(op.weight[(c + i) * stride]), acc);
    }
    if (row.slopes) acc = V::Mul(acc, V::IfNegativeThenElse(acc, V::Set(row.slopes->lo[0]), V::Set(row.slopes->hi[0])));
    V::StoreN(row.out + j, acc, count);
  }
}

// Outputs o to o + count of a group.
template <int kStep>
inline void conv_lanes(const ConvRow& row, const float* const* rows, int group, int o, int count) {
  constexpr int kTwice = 2 * V::kTile;
  int j = 0;
  for (; j + kTwice <= row.width; j += kTwice) conv_tile<kTwice, kStep>(row, rows, group, o, count, j);
  for (; j + V::kTile <= row.width; j += V::kTile) conv_tile<V::kTile, kStep>(row, rows, group, o, count, j);
  for (; j < row.width; ++j) conv_tile<1, kStep>(row, rows, group, o, count, j);
}

inline void conv_row(const ConvRow& row) {
  const Op& op = *row.op;
  if (flat_single<V>(row)) return;
  if (op.channels == 1 && op.kernel == 1 && op.stride == 1 && row.channels % V::kLanes == 0) return conv_single(row);
  const float* rows[3] = {row.x[0], row.x[0], row.x[0]};
  float* scratch = reinterpret_cast<float*>(row.scratch);
  if (op.kernel == 3)
    for (int ky = 0; ky < 3; ++ky, scratch += (row.in_width + 2) * row.channels + kSlack)
      rows[ky] = padded(row.x[ky], row.channels, row.in_width, static_cast<float>(op.pad), scratch);
  if (flat_conv<V>(row, rows)) return;
  const int group_out = op.channels / op.groups, step = op.stride * row.channels;
  for (int group = 0; group < op.groups; ++group)
    for (int lane = 0; lane < group_out; lane += V::kLanes) {
      const int o = group * group_out + lane, count = group_out - lane < V::kLanes ? group_out - lane : V::kLanes;
      // A map of one channel, and one of contrasts.
      if (step == 1)
        conv_lanes<1>(row, rows, group, o, count);
      else if (step == 4)
        conv_lanes<4>(row, rows, group, o, count);
      else
        conv_lanes<0>(row, rows, group, o, count);
    }
}
