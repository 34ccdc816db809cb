// A21 and A22, for any vector type V.

inline void raise_row(const RaiseRow& row) {
  for (int c = 0; c < row.channels; c += V::kLanes) {
    F most = V::LoadU(row.most + c);
    const float* x = row.x + c;
    for (int j = 0; j < row.num_pixels; ++j, x += row.channels) most = V::Max(most, V::LoadU(x));
    V::StoreN(row.most + c, most, row.channels - c < V::kLanes ? row.channels - c : V::kLanes);
  }
}

// S_0 + .. + S_15 of some values, which reach to a multiple of 16 as zeros.
inline float sum_in_sixteens(const float* x, int count) {
  constexpr int kParts = 16 / V::kLanes;
  F sum[kParts];
  XNOR_UNROLL for (int p = 0; p < kParts; ++p) sum[p] = V::Set(0.0f);
  for (int i = 0; i < count; i += 16) {
    XNOR_UNROLL for (int p = 0; p < kParts; ++p) sum[p] = V::Add(sum[p], V::LoadU(x + i + p * V::kLanes));
  }
  float lanes[16];
  XNOR_UNROLL for (int p = 0; p < kParts; ++p) V::StoreU(lanes + p * V::kLanes, sum[p]);
  float total = lanes[0];
  for (int r = 1; r < 16; ++r) total = total + lanes[r];
  return total;
}

inline void attention_row(const AttentionRow& row) {
  const int length = row.length;
  float *z = row.scratch, *p = row.scratch + length + kSlack;
  for (int b = length; b < length + kSlack; ++b) p[b] = 0.0f;
  for (int c = 0; c < row.op->channels; ++c) {
    const float scale = row.op->scale[c];
    for (int b = 0; b < length; ++b) z[b] = (row.query[0] * row.key[b]) * scale;
    float top = z[0];
    for (int b = 1; b < length; ++b) top = z[b] > top ? z[b] : top;
    for_items(z, p, length, [top](F v) { return exp_of_minus(V::Sub(V::Set(top), v)); });
    const F total = V::Set(sum_in_sixteens(p, length));
    for_items(p, p, length, [total](F v) { return V::Div(v, total); });
    float* out = row.out + c * row.plane;
    for (int j = 0; j < row.size; ++j) {
      const float* weights = row.weights + static_cast<size_t>(j) * row.most;
      const int first = row.firsts[j], count = length - first < row.most ? length - first : row.most;
      float sum = 0.0f;
      for (int g = 0; g < count; ++g) sum = __builtin_fmaf(p[first + g], weights[g], sum);
      out[j] = sum;
    }
    for (size_t j = row.size; j < row.plane; ++j) out[j] = 0.0f;
  }
}

// What the rows of the map, each times its number of the matrix, make at kVectors vectors of pixels from pixel j on.
template <int kVectors>
XNOR_INLINE void attend_tile(const AttendRow& row, const float* all, const float* own, float* out, int j) {
  F acc[kVectors];
  XNOR_UNROLL for (int p = 0; p < kVectors; ++p) acc[p] = V::Set(0.0f);
  const float* x = all + j;
  for (int r = 0; r < row.height; ++r, x += row.row_step) {
    const F w = V::Set(row.scratch[r]);
    XNOR_UNROLL for (int p = 0; p < kVectors; ++p) acc[p] = V::MulAdd(V::LoadU(x + p * V::kLanes), w, acc[p]);
  }
  XNOR_UNROLL for (int p = 0; p < kVectors; ++p) {
    const int at = j + p * V::kLanes, left = row.width - at;
    V::StoreN(out + at, V::Add(acc[p], V::LoadU(own + at)), left < V::kLanes ? left : V::kLanes);
  }
}

inline void attend_row(const AttendRow& row) {
  const bool is_gate = row.op->is_gate;
  const int size = is_gate ? row.width : row.height;
  float* matrix = row.scratch;
  for (int c = 0; c < row.op->channels; ++c) {
    for (int j = 0; j < size; j += V::kLanes) {
      F sum = V::Set(0.0f);
      for (int g = 0; g < row.num_across; ++g)
        sum = V::MulAdd(V::LoadU(row.across[g] + c * row.across_plane + j), V::Set(row.weights[g]), sum);
      V::StoreU(matrix + j, sum);
    }
    for (int j = size; j < size + kSlack; ++j) matrix[j] = 0.0f;
    const F total = V::Set(sum_in_sixteens(matrix, size));
    for_items(matrix, matrix, size, [total](F v) { return V::Div(v, total); });
    const float *own = row.x + c * row.plane, *all = row.all + c * row.plane;
    float* out = row.out + c * row.plane;
    int j = 0;
    if (is_gate) {
      for (; j < row.width; j += V::kLanes) {
        const F x = V::LoadU(own + j);
        const int left = row.width - j;
        V::StoreN(out + j, V::MulAdd(x, V::LoadU(matrix + j), x), left < V::kLanes ? left : V::kLanes);
      }
      continue;
    }
    constexpr int kVectors = V::kTile / 2;
    for (; j + kVectors * V::kLanes <= row.width; j += kVectors * V::kLanes)
      attend_tile<kVectors>(row, all, own, out, j);
    for (; j < row.width; j += V::kLanes) attend_tile<1>(row, all, own, out, j);
  }
}
