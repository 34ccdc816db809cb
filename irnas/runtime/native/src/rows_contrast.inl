// A17: means of squares around each pixel of a map of one channel. Lanes are pixels.

// Sums of columns stand between so many zeros, for a square may reach beyond the map.
constexpr int kSumMargin = (kMaxSquare / 2 + kSlack - 1) / kSlack * kSlack;

// sums += the rows at the distances first..last from the middle one, from there outwards.
inline void add_rows(const ContrastRow& row, int first, int last, float* sums) {
  const float* const* middle = row.x + kMaxSquare / 2;
  for (int d = first; d <= last; ++d) {
    const float *above = middle[-d], *below = middle[d];
    for (int j = 0; j < row.width; j += V::kLanes) {
      F sum = V::LoadU(sums + j);
      sum = V::Add(sum, above ? V::LoadU(above + j) : V::Set(0.0f));
      sum = V::Add(sum, below ? V::LoadU(below + j) : V::Set(0.0f));
      V::StoreN(sums + j, sum, row.width - j < V::kLanes ? row.width - j : V::kLanes);
    }
  }
}

// The difference for the square number n at kVectors vectors of pixels from pixel j on.
template <int kVectors>
XNOR_INLINE void contrast_tile(const ContrastRow& row, const float* sums, int n, int rows, int j) {
  const int reach = row.op->sides[n] / 2, channels = row.op->channels;
  F acc[kVectors];
  XNOR_UNROLL for (int p = 0; p < kVectors; ++p) acc[p] = V::LoadU(sums + j + p * V::kLanes);
  for (int d = 1; d <= reach; ++d) {
    XNOR_UNROLL for (int p = 0; p < kVectors; ++p) {
      acc[p] = V::Add(acc[p], V::LoadU(sums + j + p * V::kLanes - d));
      acc[p] = V::Add(acc[p], V::LoadU(sums + j + p * V::kLanes + d));
    }
  }
  const float* x = row.x[kMaxSquare / 2];
  float lanes[V::kLanes];
  for (int p = 0; p < kVectors; ++p) {
    const int begin = j + p * V::kLanes, count = row.width - begin < V::kLanes ? row.width - begin : V::kLanes;
    for (int i = 0; i < V::kLanes; ++i) {
      const int first = begin + i - reach, last = begin + i + reach;
      const int columns = (last < row.width ? last : row.width - 1) - (first > 0 ? first : 0) + 1;
      lanes[i] = static_cast<float>(rows * (columns > 0 ? columns : 1));
    }
    V::StoreU(lanes, V::Sub(V::LoadU(x + begin), V::Div(acc[p], V::LoadU(lanes))));
    for (int i = 0; i < count; ++i) row.out[static_cast<size_t>(begin + i) * channels + n] = lanes[i];
  }
}

inline void contrast_row(const ContrastRow& row) {
  constexpr int kVectors = 4, kPixels = kVectors * V::kLanes;
  float* sums = reinterpret_cast<float*>(row.scratch) + kSumMargin;
  __builtin_memset(sums - kSumMargin, 0, (row.width + 2 * kSumMargin + kSlack) * sizeof(float));
  __builtin_memcpy(sums, row.x[kMaxSquare / 2], row.width * sizeof(float));
  int done = 0, rows = 1;
  for (int n = 0; n < row.op->channels; ++n) {
    const int reach = row.op->sides[n] / 2;
    add_rows(row, done + 1, reach, sums);
    for (int d = done + 1; d <= reach; ++d)
      rows += (row.x[kMaxSquare / 2 - d] != nullptr) + (row.x[kMaxSquare / 2 + d] != nullptr);
    done = reach;
    int j = 0;
    for (; j + kPixels <= row.width; j += kPixels) contrast_tile<kVectors>(row, sums, n, rows, j);
    for (; j < row.width; j += V::kLanes) contrast_tile<1>(row, sums, n, rows, j);
  }
}
