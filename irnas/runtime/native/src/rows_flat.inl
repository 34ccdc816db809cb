// Rows of few channels as one run of values, for any vector type V: see flat_vectors() in model.h. Part of
// rows_map.inl.
//
// With V::kFlat, V has vectors of 16 and offers: Pick(at, from), the values from[lane] of the 32 floats at `at`;
// Pick16(at, from), of 16; ScatterBits(bits, mask), the low bits where the mask has one; LoadChannels(at, channels, x),
// four channels of 16 pixels; StoreChannels(planes, plane, out), 16 pixels of four planes. Without it each function
// here says that it did nothing, but for those that need no more than rows_map.inl does. T is V: only as a parameter
// may it lack something.

// The vectors of a mix from `lane` of its period on.
template <typename T, Extra kExtra, bool kStraight>
inline void flat_mix_vector(const MixRow& row, int lane) {
  const FlatMix& flat = row.op->flat_mix;
  const int items = row.width * row.op->channels, period = flat.vectors * 16;
  const Bend<kExtra> bend0(flat.maps[0], lane), bend1(flat.maps[1], lane);
  const bool two = row.x[1] != nullptr;
  const FlatSource &in0 = flat.in[0], &in1 = flat.in[two ? 1 : 0];
  const float* x0 = row.x[0] + (kStraight ? lane : in0.first[lane / 16]);
  const float* x1 = row.x[two ? 1 : 0] + (kStraight ? lane : in1.first[lane / 16]);
  const int step0 = flat.step[0], step1 = flat.step[two ? 1 : 0];
  const auto value = [&]() {
    F y0, y1;
    if constexpr (kStraight) {
      y0 = bend0(T::LoadU(x0));
      if (two) y1 = bend1(T::LoadU(x1));
    } else {
      y0 = bend0(T::Pick(x0, in0.from.data() + lane));
      if (two) y1 = bend1(T::Pick(x1, in1.from.data() + lane));
    }
    return two ? T::Add(y0, y1) : y0;
  };
  int at = lane;
  for (; at + T::kLanes <= items; at += period, x0 += step0, x1 += step1) T::StoreU(row.out + at, value());
  if (at < items) T::StoreN(row.out + at, value(), items - at);
}

template <typename T, Extra kExtra>
inline bool flat_mix(const MixRow& row) {
  const FlatMix& flat = row.op->flat_mix;
  for (int lane = 0; lane < flat.vectors * 16; lane += T::kLanes) {
    if (flat.is_straight) {
      flat_mix_vector<T, kExtra, true>(row, lane);
      continue;
    }
    if constexpr (T::kFlat)
      flat_mix_vector<T, kExtra, false>(row, lane);
    else
      return false;
  }
  return flat.vectors != 0;
}

template <typename T>
inline bool flat_sign(const SignRow& row) {
  if constexpr (T::kFlat) {
    const FlatSigns& flat = row.op->block.flat_signs;
    if (flat.vectors == 0) return false;
    const int items = row.width * row.channels, period = flat.vectors * 16;
    const bool plain = flat.scale.empty();
    uint8_t* out = row.out;
    const uint8_t* end = out + static_cast<size_t>(row.width) * row.op->block.group_bytes;
    for (int i = 0; i < items; i += period, out += flat.bytes) {
      uint64_t bits = 0;
      for (int lane = 0; lane < period && i + lane < items; lane += 16) {
        const float* x = row.x + i + lane;
        const uint64_t some =
            plain ? T::NegativeBits16(x) : T::NegativeBits16(x, flat.scale.data() + lane, flat.shift.data() + lane);
        bits |= some << lane;
      }
      const uint64_t bytes = T::ScatterBits(bits, flat.mask);
      // Bytes too many belong to the next period; behind the last one lie values of others.
      if (out + 8 <= end)
        __builtin_memcpy(out, &bytes, 8);
      else
        for (int b = 0; out + b < end && b < flat.bytes; ++b) out[b] = static_cast<uint8_t>(bytes >> (8 * b));
    }
    return true;
  }
  return false;
}

// `rows` are padded as in conv_row().
template <typename T>
inline bool flat_conv(const ConvRow& row, const float* const* rows) {
  if constexpr (T::kFlat) {
    const Op& op = *row.op;
    const FlatConv& flat = op.flat_conv;
    if (flat.vectors == 0 || row.slopes != nullptr) return false;
    constexpr int kTile = 4;
    const int items = row.width * op.channels, period = flat.vectors * 16, channels = row.channels, k = op.kernel;
    for (int v = 0; v < flat.vectors; ++v) {
      const int32_t* from = flat.in.from.data() + v * 16;
      const auto tile = [&](auto size, int at, int first, int count) {
        constexpr int kSize = decltype(size)::value;
        F acc[kSize];
        XNOR_UNROLL for (int p = 0; p < kSize; ++p) acc[p] = T::LoadU(flat.bias.data() + v * 16);
        const float* weight = flat.weight.data() + static_cast<size_t>(v) * k * k * channels * 16;
        for (int ky = 0; ky < k; ++ky) {
          const float* x = rows[ky] + first;
          for (int t = 0; t < k * channels; ++t, weight += 16) {
            const F w = T::LoadU(weight);
            XNOR_UNROLL for (int p = 0; p < kSize; ++p) acc[p] =
                T::MulAdd(T::Pick16(x + p * flat.step + t, from), w, acc[p]);
          }
        }
        XNOR_UNROLL for (int p = 0; p < kSize; ++p) T::StoreN(row.out + at + p * period, acc[p], count);
      };
      int at = v * 16, first = flat.in.first[v];
      for (; at + (kTile - 1) * period + 16 <= items; at += kTile * period, first += kTile * flat.step)
        tile(Number<kTile>(), at, first, 16);
      for (; at < items; at += period, first += flat.step)
        tile(Number<1>(), at, first, items - at < 16 ? items - at : 16);
    }
    return true;
  }
  return false;
}

// One output of a 1x1 convolution of few channels: lanes are pixels.
template <typename T>
inline bool flat_single(const ConvRow& row) {
  if constexpr (T::kFlat) {
    const Op& op = *row.op;
    const int channels = row.channels, stride = op.channels + kSlack;
    if (op.channels != 1 || op.kernel != 1 || op.stride != 1 || op.groups != 1 || row.width < 16) return false;
    for (int j = 0; j < row.width; j += 16) {
      const int at = j + 16 <= row.width ? j : row.width - 16;  // the last vector may do some pixels again
      F acc = T::Set(op.bias[0]);
      for (int c = 0; c < channels; c += 4) {
        F x[4];
        T::LoadChannels(row.x[0] + static_cast<size_t>(at) * channels + c, channels, x);
        for (int i = 0; i < 4 && c + i < channels; ++i) acc = T::MulAdd(x[i], T::Set(op.weight[(c + i) * stride]), acc);
      }
      if (row.slopes)
        acc = T::Mul(acc, T::IfNegativeThenElse(acc, T::Set(row.slopes->lo[0]), T::Set(row.slopes->hi[0])));
      T::StoreU(row.out + at, acc);
    }
    return true;
  }
  return false;
}
