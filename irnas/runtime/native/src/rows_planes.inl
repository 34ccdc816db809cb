// Rows of ops whose lanes are pixels, for any vector type V; see plan.h for how planes lie.

// Pixels become planes, a square of kLanes pixels and channels at a time.
inline void to_planes_row(const PlanesRow& row) {
  constexpr int n = V::kLanes;
  const int channels = row.channels;
  if (channels == 1) {
    __builtin_memcpy(row.out, row.x, row.width * sizeof(float));
    return;
  }
  for (int j = 0; j < row.width; j += n) {
    const int count = row.width - j < n ? row.width - j : n;
    for (int c = 0; c < channels; c += n) {
      F x[n];
      XNOR_UNROLL for (int p = 0; p < n; ++p) x[p] =
          V::LoadU(row.x + static_cast<size_t>(p < count ? j + p : j) * channels + c);
      V::Transpose(x);
      const int some = channels - c < n ? channels - c : n;
      for (int i = 0; i < some; ++i) V::StoreN(row.out + (c + i) * row.plane + j, x[i], count);
    }
  }
}

inline void from_planes_row(const PlanesRow& row) {
  constexpr int n = V::kLanes;
  const int channels = row.channels;
  for (int j = 0; j < row.width; j += n) {
    const int count = row.width - j < n ? row.width - j : n;
    for (int c = 0; c < channels; c += n) {
      const int some = channels - c < n ? channels - c : n;
      F x[n];
      for (int i = 0; i < n; ++i) x[i] = V::LoadU(row.x + (c + (i < some ? i : 0)) * row.plane + j);
      V::Transpose(x);
      for (int p = 0; p < count; ++p) V::StoreN(row.out + static_cast<size_t>(j + p) * channels + c, x[p], some);
    }
  }
}

// Outputs o to o + kOutputs at kVectors vectors of pixels from pixel j on.
template <int kOutputs, int kVectors>
XNOR_INLINE void plane_tile(const PlaneConvRow& row, int o, int j) {
  const Op& op = *row.op;
  const int k = op.kernel, stride = op.channels + kSlack;
  F acc[kOutputs][kVectors];
  XNOR_UNROLL for (int i = 0; i < kOutputs; ++i) {
    XNOR_UNROLL for (int p = 0; p < kVectors; ++p) acc[i][p] = V::Set(op.bias[o + i]);
  }
  const float* weight = op.weight.data() + o;
  for (int ky = 0; ky < k; ++ky)
    for (int kx = 0; kx < k; ++kx) {
      const float* x = row.x[ky] + j + kx - k / 2;
      for (int c = 0; c < row.channels; ++c, x += row.planes[ky], weight += stride) {
        F seen[kVectors];
        XNOR_UNROLL for (int p = 0; p < kVectors; ++p) seen[p] = V::LoadU(x + p * V::kLanes);
        XNOR_UNROLL for (int i = 0; i < kOutputs; ++i) {
          const F w = V::Set(weight[i]);
          XNOR_UNROLL for (int p = 0; p < kVectors; ++p) acc[i][p] = V::MulAdd(seen[p], w, acc[i][p]);
        }
      }
    }
  XNOR_UNROLL for (int i = 0; i < kOutputs; ++i) {
    float* out = row.out + (o + i) * row.plane + j;
    XNOR_UNROLL for (int p = 0; p < kVectors; ++p) {
      const int left = row.width - j - p * V::kLanes;
      F y = acc[i][p];
      if (row.slopes)
        y = V::Mul(y, V::IfNegativeThenElse(y, V::Set(row.slopes->lo[o + i]), V::Set(row.slopes->hi[o + i])));
      V::StoreN(out + p * V::kLanes, y, left < V::kLanes ? left : V::kLanes);
    }
  }
}

template <int kOutputs>
inline void plane_outputs(const PlaneConvRow& row, int o) {
  constexpr int kVectors = kOutputs == 1 ? V::kTile : V::kTile / 2;
  int j = 0;
  for (; j + kVectors * V::kLanes <= row.width; j += kVectors * V::kLanes) plane_tile<kOutputs, kVectors>(row, o, j);
  for (; j < row.width; j += V::kLanes) plane_tile<kOutputs, 1>(row, o, j);
}

inline void plane_conv_row(const PlaneConvRow& row) {
  for (int o = 0; o < row.op->channels; o += 4) switch (row.op->channels - o) {
      case 1:
        plane_outputs<1>(row, o);
        break;
      case 2:
        plane_outputs<2>(row, o);
        break;
      case 3:
        plane_outputs<3>(row, o);
        break;
      default:
        plane_outputs<4>(row, o);
    }
}

// Sums of doubles in a prescribed order, of eight channels at once to hide the latency.
template <int kChannels>
inline void tap_sums_of(const TapSumsRow& row, int c) {
  const float* x = row.x + c * row.plane;
  // Without the last column, and without the first.
  double first[kChannels] = {}, last[kChannels] = {};
  for (int j = 0; j + 1 < row.width; ++j, x += row.pixel)
    for (int i = 0; i < kChannels; ++i) {
      const double value = double(x[i * row.plane]);
      first[i] += value;
      if (row.kernel == 3 && j > 0) last[i] += value;
    }
  for (int i = 0; i < kChannels; ++i) {
    const double value = double(x[i * row.plane]);
    double* out = row.out + c + i;
    if (row.kernel == 3) {
      out[0] = first[i];
      out[2 * row.channels] = row.width > 1 ? last[i] + value : 0.0;
      out += row.channels;
    }
    out[0] = first[i] + value;
  }
}

inline void tap_sums_row(const TapSumsRow& row) {
  int c = 0;
  for (; c + 8 <= row.channels; c += 8) tap_sums_of<8>(row, c);
  for (; c + 4 <= row.channels; c += 4) tap_sums_of<4>(row, c);
  for (; c < row.channels; ++c) tap_sums_of<1>(row, c);
}

// p of A16 for one tap of the second window, [9 * channels]; returns q.
inline float expanded(const ExciteKernel& row, int tap, float* inner) {
  const Op& op = *row.op;
  const int terms = 9 * row.channels;
  const size_t stride = terms + kSlack;
  for (int t = 0; t < terms; t += V::kLanes) {
    F sum = V::Set(0.0f);
    for (int w = 0; w < row.num_factors; ++w) {
      const F scale = V::Mul(V::Set(op.weight[tap * row.num_factors + w]), V::Set(row.factors[w]));
      sum = V::MulAdd(scale, V::LoadU(op.expand.data() + w * stride + t), sum);
    }
    V::StoreU(inner + t, sum);
  }
  float shift = 0.0f;
  for (int w = 0; w < row.num_factors; ++w)
    shift = __builtin_fmaf(op.weight[tap * row.num_factors + w] * row.factors[w], op.expand_bias[w], shift);
  return shift;
}

inline void excite_kernel_row(const ExciteKernel& row) {
  const Op& op = *row.op;
  const int channels = row.channels, terms = 9 * channels;
  if (op.expand.empty()) {
    for (int t = 0; t < terms; ++t) row.out[t] = op.weight[t] * row.factors[t % channels];
    row.out[terms] = op.bias[0];
    return;
  }
  float* inner = reinterpret_cast<float*>(row.scratch);
  const size_t step = terms + kSlack;
  float shift[9];
  for (int tap = 0; tap < 9; ++tap) shift[tap] = expanded(row, tap, inner + tap * step);
  float* kernel = row.out;
  for (int border = 0; border < 16; ++border, kernel += 25 * channels + 1) {
    const int top = border >> 2 & 1, low = border >> 3, left = border & 1, right = border >> 1 & 1;
    for (int t = 0; t <= 25 * channels; ++t) kernel[t] = 0.0f;
    float start = op.bias[0];
    for (int ky = top; ky < 3 - low; ++ky)
      for (int kx = left; kx < 3 - right; ++kx) {
        const float* from = inner + (ky * 3 + kx) * step;
        start += shift[ky * 3 + kx];
        for (int fy = 0; fy < 3; ++fy)
          for (int t = 0; t < 3 * channels; ++t)
            kernel[((ky + fy) * 5 + kx) * channels + t] += from[fy * 3 * channels + t];
      }
    kernel[25 * channels] = start;
  }
}

// kVectors vectors of pixels with one kernel; of the last so many pixels are written.
template <int kVectors>
XNOR_INLINE void excite_tile(const ExciteRow& row, const float* kernel, int side, int j, int count) {
  F acc[kVectors];
  XNOR_UNROLL for (int p = 0; p < kVectors; ++p) acc[p] = V::Set(kernel[side * side * row.channels]);
  for (int u = 0; u < side; ++u)
    for (int v = 0; v < side; ++v) {
      const float* x = row.x[u] + j + v - side / 2;
      for (int c = 0; c < row.channels; ++c, x += row.planes[u], ++kernel) {
        const F w = V::Set(*kernel);
        XNOR_UNROLL for (int p = 0; p < kVectors; ++p) acc[p] = V::MulAdd(V::LoadU(x + p * V::kLanes), w, acc[p]);
      }
    }
  XNOR_UNROLL for (int p = 0; p < kVectors - 1; ++p) V::StoreU(row.out + j + p * V::kLanes, acc[p]);
  V::StoreN(row.out + j + (kVectors - 1) * V::kLanes, acc[kVectors - 1], count);
}

inline void excite_row(const ExciteRow& row) {
  const int side = excite_side(*row.op), width = row.width;
  const size_t items = static_cast<size_t>(side) * side * row.channels + 1;
  const bool by_class = excite_classes(*row.op) > 1;
  const float* kernel = row.kernels + (by_class ? row.row_class * 4 * items : 0);
  int j = 0;
  for (; j + V::kTile * V::kLanes <= width; j += V::kTile * V::kLanes)
    excite_tile<V::kTile>(row, kernel, side, j, V::kLanes);
  for (; j < width; j += V::kLanes) excite_tile<1>(row, kernel, side, j, width - j < V::kLanes ? width - j : V::kLanes);
  if (!by_class) return;
  excite_tile<1>(row, kernel + (width == 1 ? 3 : 1) * items, side, 0, 1);
  if (width > 1) excite_tile<1>(row, kernel + 2 * items, side, width - 1, 1);
}
