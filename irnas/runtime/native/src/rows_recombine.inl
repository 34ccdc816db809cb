// A20, whose lanes are pixels of rows in planes, and what else decompositions take; for any vector type V.

// The sums of kTerms basis maps of channel `c` from term `t` on, all of kTaps taps: 16 numbers of either kind for each.
template <int kTerms, int kTaps>
XNOR_INLINE void sum_terms(const BasisSumsRow& row, int c, int t, float* sums) {
  constexpr int kParts = 16 / V::kLanes;
  const float* origin = row.origin + c * row.origin_plane;
  const float* x[kTerms][kTaps];
  float sign[kTerms][kTaps];
  F dot[kTerms][kParts], square[kTerms][kParts];
  for (int i = 0; i < kTerms; ++i) {
    const Basis::Term& term = row.op->basis.terms[t + i];
    for (int k = 0; k < kTaps; ++k) {
      x[i][k] = row.x[term.source[k]] + c * row.planes[term.source[k]];
      sign[i][k] = term.sign[k];
    }
    XNOR_UNROLL for (int p = 0; p < kParts; ++p) dot[i][p] = square[i][p] = V::Set(0.0f);
  }
  int j = 0;
  for (; j + 16 <= row.width; j += 16) {
    XNOR_UNROLL for (int p = 0; p < kParts; ++p) {
      const int at = j + p * V::kLanes;
      const F o = V::LoadU(origin + at);
      XNOR_UNROLL for (int i = 0; i < kTerms; ++i) {
        F b = V::LoadU(x[i][0] + at);
        // A product with 1 or -1 is exact, so this adds or subtracts.
        XNOR_UNROLL for (int k = 1; k < kTaps; ++k) b = V::MulAdd(V::LoadU(x[i][k] + at), V::Set(sign[i][k]), b);
        dot[i][p] = V::MulAdd(b, o, dot[i][p]);
        square[i][p] = V::MulAdd(b, b, square[i][p]);
      }
    }
  }
  for (int i = 0; i < kTerms; ++i, sums += 32) {
    for (int p = 0; p < kParts; ++p) {
      V::StoreU(sums + p * V::kLanes, dot[i][p]);
      V::StoreU(sums + 16 + p * V::kLanes, square[i][p]);
    }
    for (int at = j; at < row.width; ++at) {
      float b = x[i][0][at];
      for (int k = 1; k < kTaps; ++k) b = __builtin_fmaf(x[i][k][at], sign[i][k], b);
      sums[at - j] = __builtin_fmaf(b, origin[at], sums[at - j]);
      sums[16 + at - j] = __builtin_fmaf(b, b, sums[16 + at - j]);
    }
  }
}

template <int kTaps>
inline int sum_some_terms(const BasisSumsRow& row, int c, int t, int count, float* sums) {
  constexpr int kTerms = V::kLanes == 16 ? 4 : 2;
  if (count >= kTerms) {
    sum_terms<kTerms, kTaps>(row, c, t, sums);
    return kTerms;
  }
  sum_terms<1, kTaps>(row, c, t, sums);
  return 1;
}

// out[i] = sums[16 i] + .. + sums[16 i + 15], in this order.
inline void add_sixteens(const float* sums, int count, float* out) {
  constexpr int n = V::kLanes;
  for (int i = 0; i < count; i += n) {
    F total = V::Set(0.0f);
    for (int r = 0; r < 16; r += n) {
      F x[n];
      XNOR_UNROLL for (int lane = 0; lane < n; ++lane) x[lane] =
          V::LoadU(sums + static_cast<size_t>(i + (i + lane < count ? lane : 0)) * 16 + r);
      V::Transpose(x);
      total = r == 0 ? x[0] : V::Add(total, x[0]);
      XNOR_UNROLL for (int lane = 1; lane < n; ++lane) total = V::Add(total, x[lane]);
    }
    V::StoreN(out + i, total, count - i < n ? count - i : n);
  }
}

inline void basis_sums_row(const BasisSumsRow& row) {
  const Basis& basis = row.op->basis;
  const int num_terms = static_cast<int>(basis.terms.size());
  float* sums = reinterpret_cast<float*>(row.scratch);
  for (int c = 0; c < row.channels; ++c) {
    for (int t = 0; t < num_terms;) {
      const int num_taps = basis.terms[t].num_taps;
      int count = 1;
      while (count < 4 && t + count < num_terms && basis.terms[t + count].num_taps == num_taps) ++count;
      float* at = sums + static_cast<size_t>(t) * 32;
      t += num_taps == 1   ? sum_some_terms<1>(row, c, t, count, at)
           : num_taps == 2 ? sum_some_terms<2>(row, c, t, count, at)
                           : sum_some_terms<4>(row, c, t, count, at);
    }
    add_sixteens(sums, 2 * num_terms, row.out + static_cast<size_t>(c) * 2 * num_terms);
  }
}

template <int kVectors>
XNOR_INLINE void recombine_tile(const RecombineRow& row, int c, int j) {
  const int num_sources = row.op->basis.num_sources;
  const float* weights = row.weights + static_cast<size_t>(c) * num_sources;
  F acc[kVectors];
  XNOR_UNROLL for (int p = 0; p < kVectors; ++p) acc[p] = V::Set(0.0f);
  for (int s = 0; s < num_sources; ++s) {
    const float* x = row.x[s] + c * row.planes[s] + j;
    const F w = V::Set(weights[s]);
    XNOR_UNROLL for (int p = 0; p < kVectors; ++p) acc[p] = V::MulAdd(V::LoadU(x + p * V::kLanes), w, acc[p]);
  }
  float* out = row.out + c * row.plane + j;
  XNOR_UNROLL for (int p = 0; p < kVectors - 1; ++p) V::StoreU(out + p * V::kLanes, acc[p]);
  const int left = row.width - j - (kVectors - 1) * V::kLanes;
  V::StoreN(out + (kVectors - 1) * V::kLanes, acc[kVectors - 1], left < V::kLanes ? left : V::kLanes);
}

inline void recombine_row(const RecombineRow& row) {
  for (int c = 0; c < row.channels; ++c) {
    int j = 0;
    for (; j + V::kTile * V::kLanes <= row.width; j += V::kTile * V::kLanes) recombine_tile<V::kTile>(row, c, j);
    for (; j < row.width; j += V::kLanes) recombine_tile<1>(row, c, j);
  }
}

inline void multiply_row(const float* x, const float* y, float* out, int count) {
  for (int i = 0; i < count; i += V::kLanes)
    V::StoreN(out + i, V::Mul(V::LoadU(x + i), V::LoadU(y + i)), count - i < V::kLanes ? count - i : V::kLanes);
}

// Down the columns into a row between repeated edges, then along it; all channels are one run of values.
inline void maximum_row(const MaximumRow& row) {
  const int items = row.width * row.channels, channels = row.channels;
  float* columns = reinterpret_cast<float*>(row.scratch) + channels;
  const auto count_at = [items](int i) { return items - i < V::kLanes ? items - i : V::kLanes; };
  for (int i = 0; i < items; i += V::kLanes) {
    const F most = V::Max(V::Max(V::LoadU(row.x[1] + i), V::LoadU(row.x[0] + i)), V::LoadU(row.x[2] + i));
    V::StoreN(columns + i, most, count_at(i));
  }
  __builtin_memcpy(columns - channels, columns, channels * sizeof(float));
  __builtin_memcpy(columns + items, columns + items - channels, channels * sizeof(float));
  for (int i = 0; i < items; i += V::kLanes) {
    const F most =
        V::Max(V::Max(V::LoadU(columns + i), V::LoadU(columns + i - channels)), V::LoadU(columns + i + channels));
    V::StoreN(row.out + i, most, count_at(i));
  }
}
