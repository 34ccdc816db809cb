// A17: means of squares around each pixel of a map of one channel. Lanes are pixels.

// Sums of columns stand between so many zeros, for a square may reach beyond the map.
constexpr int kSumMargin = (kMaxSquare / 2 + kSlack - 1) / kSlack * kSlack;

// sums += the rows at the distances first..last from the middle one, from there outwards, at some vectors.
template <int kVectors>
XNOR_INLINE void add_rows(const ContrastRow& row, int first, int last, float* sums, int j) {
  const float* const* middle = row.x + kMaxSquare / 2;
  F sum[kVectors];
  XNOR_UNROLL for (int p = 0; p < kVectors; ++p) sum[p] = V::LoadU(sums + j + p * V::kLanes);
  for (int d = first; d <= last; ++d)
    for (const float* each : {middle[-d], middle[d]}) {
      XNOR_UNROLL for (int p = 0; p < kVectors; ++p) sum[p] =
          V::Add(sum[p], each ? V::LoadU(each + j + p * V::kLanes) : V::Set(0.0f));
    }
  const int left = row.width - j;
  XNOR_UNROLL for (int p = 0; p < kVectors; ++p)
      V::StoreN(sums + j + p * V::kLanes, sum[p], kVectors > 1 || left > V::kLanes ? V::kLanes : left);
}

// What a square has pixels of on the map, at V::kLanes pixels from `begin` on.
inline F square_counts(const ContrastRow& row, int reach, int rows, int begin) {
  if (begin >= reach && begin + V::kLanes + reach <= row.width)
    return V::Set(static_cast<float>(rows * (2 * reach + 1)));
  float lanes[V::kLanes];
  for (int i = 0; i < V::kLanes; ++i) {
    const int first = begin + i - reach, last = begin + i + reach;
    const int columns = (last < row.width ? last : row.width - 1) - (first > 0 ? first : 0) + 1;
    lanes[i] = static_cast<float>(rows * (columns > 0 ? columns : 1));
  }
  return V::LoadU(lanes);
}

// The differences for the square number n at kVectors vectors of pixels from pixel j on.
template <int kVectors>
XNOR_INLINE void contrast_tile(const ContrastRow& row, const float* sums, int n, int rows, int j, float* plane) {
  const int reach = row.op->sides[n] / 2;
  F acc[kVectors];
  XNOR_UNROLL for (int p = 0; p < kVectors; ++p) acc[p] = V::LoadU(sums + j + p * V::kLanes);
  for (int d = 1; d <= reach; ++d) {
    XNOR_UNROLL for (int p = 0; p < kVectors; ++p) {
      acc[p] = V::Add(acc[p], V::LoadU(sums + j + p * V::kLanes - d));
      acc[p] = V::Add(acc[p], V::LoadU(sums + j + p * V::kLanes + d));
    }
  }
  const float* x = row.x[kMaxSquare / 2];
  XNOR_UNROLL for (int p = 0; p < kVectors; ++p) {
    const int begin = j + p * V::kLanes;
    V::StoreU(plane + begin, V::Sub(V::LoadU(x + begin), V::Div(acc[p], square_counts(row, reach, rows, begin))));
  }
}

// Planes become pixels.
template <typename T>
inline void weave_contrasts(const ContrastRow& row, const float* planes, size_t plane) {
  const int channels = row.op->channels;
  int j = 0;
  if constexpr (T::kFlat) {
    for (; channels == 4 && j + 16 <= row.width; j += 16) T::StoreChannels(planes + j, plane, row.out + 4 * j);
  }
  for (; j < row.width; ++j)
    for (int n = 0; n < channels; ++n) row.out[static_cast<size_t>(j) * channels + n] = planes[n * plane + j];
}

inline void contrast_row(const ContrastRow& row) {
  constexpr int kVectors = 4, kPixels = kVectors * V::kLanes;
  float* sums = reinterpret_cast<float*>(row.scratch) + kSumMargin;
  const size_t plane = contrast_plane(row.width);
  float* planes = sums + plane + kSumMargin;
  __builtin_memset(sums - kSumMargin, 0, (plane + 2 * kSumMargin) * sizeof(float));
  __builtin_memcpy(sums, row.x[kMaxSquare / 2], row.width * sizeof(float));
  int done = 0, rows = 1;
  for (int n = 0; n < row.op->channels; ++n) {
    const int reach = row.op->sides[n] / 2;
    int j = 0;
    for (; j + kPixels <= row.width; j += kPixels) add_rows<kVectors>(row, done + 1, reach, sums, j);
    for (; j < row.width; j += V::kLanes) add_rows<1>(row, done + 1, reach, sums, j);
    for (int d = done + 1; d <= reach; ++d)
      rows += (row.x[kMaxSquare / 2 - d] != nullptr) + (row.x[kMaxSquare / 2 + d] != nullptr);
    done = reach;
    float* out = planes + n * plane;
    for (j = 0; j + kPixels <= row.width; j += kPixels) contrast_tile<kVectors>(row, sums, n, rows, j, out);
    for (; j < row.width; j += V::kLanes) contrast_tile<1>(row, sums, n, rows, j, out);
  }
  weave_contrasts<V>(row, planes, plane);
}
