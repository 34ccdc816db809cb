// Rows of ops that act on each channel alone, for any vector type V; a kernel set includes this within its namespace.
//
// The functions of V bear the names that Highway (github.com/google/highway) gives to the same operations, where it has
// them. V offers: F, kLanes; LoadU, StoreU, StoreN(at, value, count), Set; Add, Sub, Mul, Div, MulAdd;
// IfNegativeThenElse(t, lo, hi) which is t < 0 ? lo : hi, so -0 is not negative; Max(m, p) which is p > m ? p : m and
// Min(m, p) which is p < m ? p : m; Round to even, Abs, DivByPow2(e, n) which is e * 2^-n. Channels are walked outside
// and pixels inside, so that constants stay in registers.

using F = V::F;

// Constants that change nothing, for roles that a file leaves out: fma(x, 1, -0) is x, of either zero.
inline F constant(const Floats& table, int c, float absent) {
  return table.empty() ? V::Set(absent) : V::LoadU(table.data() + c);
}

// What a two-slope map needs beyond its slopes. A role that is absent on its own is filled in with a neutral constant,
// which keeps the variants few: 1 as a factor, or -0 as a summand, changes no bit, not even of an infinity. Only g has
// none.
enum class Extra { kNone, kAffine, kRest };

inline Extra extra_of(const TwoSlope& map) {
  return !map.c.empty() ? Extra::kRest : !map.a.empty() ? Extra::kAffine : Extra::kNone;
}

// A1 with the constants of one block of channels in registers.
template <Extra kExtra>
struct Bend {
  F a, b, lo, hi, g, c;
  bool has_g;  // 0 * x is no neutral summand: it may be +0, or a NaN

  Bend(const TwoSlope& map, int at)
      : a(constant(map.a, at, 1.0f)),
        b(constant(map.b, at, -0.0f)),
        lo(constant(map.lo, at, 1.0f)),
        hi(constant(map.hi, at, 1.0f)),
        g(constant(map.g, at, 0.0f)),
        c(constant(map.c, at, -0.0f)),
        has_g(!map.g.empty()) {}

  // The constants of channel 0 in every lane.
  static Bend single(const TwoSlope& map) {
    Bend bend(map, 0);
    for (F* part : {&bend.a, &bend.b, &bend.lo, &bend.hi, &bend.g, &bend.c}) {
      float lanes[V::kLanes];
      V::StoreU(lanes, *part);
      *part = V::Set(lanes[0]);
    }
    return bend;
  }

  F operator()(F x) const {
    const F w = kExtra == Extra::kNone ? x : V::MulAdd(x, a, b);
    const F v = V::IfNegativeThenElse(w, lo, hi);
    if constexpr (kExtra != Extra::kRest) return V::Mul(w, v);
    return V::MulAdd(w, v, has_g ? V::MulAdd(x, g, c) : c);
  }
};

// Where the lanes of a block of outputs are found in an input of `channels` channels from `start` on (A8).
struct Lanes {
  int first;         // channel of the first lane
  bool is_run;       // whether the others follow it in memory, without a return to channel 0
  int32_t from[16];  // the channel of each lane, where it is no run

  Lanes(int start, int o, int count, int channels) : first((start + o) % channels), is_run(first + count <= channels) {
    for (int i = 0; i < 16 && !is_run; ++i) from[i] = (first + (i < count ? i : 0)) % channels;
  }

  template <typename T>
  F gather(const float* pixel, int count, int channels) const {
    if (is_run) return V::LoadU(pixel + first);
    if constexpr (T::kFlat) {
      if (channels <= 32) return T::Pick(pixel, from);
    }
    float lanes[V::kLanes] = {};
    for (int i = 0; i < count; ++i) lanes[i] = pixel[from[i]];
    return V::LoadU(lanes);
  }
};

template <Extra kExtra>
inline void mix_lanes(const MixRow& row, int o, int count) {
  const Op& op = *row.op;
  const int outputs = op.channels, c0 = row.channels[0], c1 = row.channels[1];
  const Lanes first(op.starts[0], o, count, c0), second(op.starts[1], o, count, c1);
  const Bend<kExtra> bend0(op.maps[0], o), bend1(op.maps[1], o);
  const float *x0 = row.x[0], *x1 = row.x[1];
  float* out = row.out + o;
  if (x1 == nullptr) {
    for (int j = 0; j < row.width; ++j, x0 += c0, out += outputs)
      V::StoreN(out, bend0(first.template gather<V>(x0, count, c0)), count);
  } else if (first.is_run && second.is_run) {
    x0 += first.first;
    x1 += second.first;
    for (int j = 0; j < row.width; ++j, x0 += c0, x1 += c1, out += outputs)
      V::StoreN(out, V::Add(bend0(V::LoadU(x0)), bend1(V::LoadU(x1))), count);
  } else {
    for (int j = 0; j < row.width; ++j, x0 += c0, x1 += c1, out += outputs) {
      const F y0 = bend0(first.template gather<V>(x0, count, c0)), y1 = bend1(second.template gather<V>(x1, count, c1));
      V::StoreN(out, V::Add(y0, y1), count);
    }
  }
}

template <int kValue>
struct Number {
  static constexpr int value = kValue;
};

#include "rows_flat.inl"

// Maps of one channel: lanes are pixels.
template <Extra kExtra>
inline void mix_single(const MixRow& row) {
  const Bend<kExtra> bend0 = Bend<kExtra>::single(row.op->maps[0]), bend1 = Bend<kExtra>::single(row.op->maps[1]);
  for (int j = 0; j < row.width; j += V::kLanes) {
    F y = bend0(V::LoadU(row.x[0] + j));
    if (row.x[1]) y = V::Add(y, bend1(V::LoadU(row.x[1] + j)));
    V::StoreN(row.out + j, y, row.width - j < V::kLanes ? row.width - j : V::kLanes);
  }
}

inline void mix_row(const MixRow& row) {
  const Op& op = *row.op;
  const Extra extra0 = extra_of(op.maps[0]), extra1 = extra_of(op.maps[1]), extra = extra0 > extra1 ? extra0 : extra1;
  if (op.channels == 1 && row.channels[0] == 1 && row.channels[1] == 1)
    return extra == Extra::kNone ? mix_single<Extra::kNone>(row) : mix_single<Extra::kRest>(row);
  if (extra == Extra::kNone ? flat_mix<V, Extra::kNone>(row) : flat_mix<V, Extra::kRest>(row)) return;
  for (int o = 0; o < op.channels; o += V::kLanes) {
    const int count = op.channels - o < V::kLanes ? op.channels - o : V::kLanes;
    if (extra == Extra::kNone)
      mix_lanes<Extra::kNone>(row, o, count);
    else
      mix_lanes<Extra::kRest>(row, o, count);
  }
}

template <typename Work>
inline void for_items(const float* x, float* out, int count, Work work) {
  for (int i = 0; i < count; i += V::kLanes)
    V::StoreN(out + i, work(V::LoadU(x + i)), count - i < V::kLanes ? count - i : V::kLanes);
}

inline void clamp_row(const float* x, float* out, int count) {
  const F low = V::Set(-1.0f), high = V::Set(1.0f);
  for_items(x, out, count, [=](F v) { return V::Min(V::Max(v, low), high); });
}

inline void center_row(const float* x, float mean, float* out, int count) {
  const F m = V::Set(mean);
  for_items(x, out, count, [=](F v) { return V::Sub(v, m); });
}

// Sums of doubles in a prescribed order: nothing to win with lanes but four pixels at once, which hides the latency.
inline double row_sum(const float* x, int channels, int width) {
  double sum = 0;
  int j = 0;
  for (; j + 4 <= width; j += 4) {
    double pixel[4] = {0, 0, 0, 0};
    for (int c = 0; c < channels; ++c)
      for (int i = 0; i < 4; ++i) pixel[i] += double(x[(j + i) * channels + c]);
    for (int i = 0; i < 4; ++i) sum += pixel[i];
  }
  for (; j < width; ++j) {
    double pixel = 0;
    for (int c = 0; c < channels; ++c) pixel += double(x[j * channels + c]);
    sum += pixel;
  }
  return sum;
}

template <typename Work>
inline void for_windows(const PoolRow& row, Work work) {
  const int channels = row.channels;
  for (int c = 0; c < channels; c += V::kLanes) {
    const int count = channels - c < V::kLanes ? channels - c : V::kLanes;
    const float *top = row.x[0] + c, *low = row.x[1] + c;
    for (int j = 0; j < row.width; ++j, top += 2 * channels, low += 2 * channels)
      V::StoreN(row.out + j * channels + c,
                work(V::LoadU(top), V::LoadU(top + channels), V::LoadU(low), V::LoadU(low + channels)), count);
  }
}

inline void pool_row(const PoolRow& row) {
  switch (row.kind) {
    case PoolKind::kAverage: {
      const F quarter = V::Set(0.25f);
      return for_windows(row, [=](F a, F b, F c, F d) { return V::Mul(V::Add(V::Add(a, b), V::Add(c, d)), quarter); });
    }
    case PoolKind::kMaximum:
      return for_windows(row, [](F a, F b, F c, F d) { return V::Max(V::Max(V::Max(a, b), c), d); });
    case PoolKind::kFirst:
      return for_windows(row, [](F a, F, F, F) { return a; });
    case PoolKind::kMinimum:
      return for_windows(row, [](F a, F b, F c, F d) { return V::Min(V::Min(V::Min(a, b), c), d); });
    case PoolKind::kRows:
      return for_windows(row, [](F a, F b, F c, F d) { return V::Sub(V::Sub(V::Add(a, b), c), d); });
    case PoolKind::kColumns:
      return for_windows(row, [](F a, F b, F c, F d) { return V::Sub(V::Add(V::Sub(a, b), c), d); });
    case PoolKind::kDiagonal:
      return for_windows(row, [](F a, F b, F c, F d) { return V::Add(V::Sub(V::Sub(a, b), c), d); });
  }
}

inline void upsample_row(const UpRow& row) {
  const int channels = row.channels, width = row.in_width;
  const F most = V::Set(0.75f), little = V::Set(0.25f);
  for (int c = 0; c < channels; c += V::kLanes) {
    const int count = channels - c < V::kLanes ? channels - c : V::kLanes;
    float* out = row.out + c;
    if (row.kind == UpKind::kNearest) {
      for (int j = 0; j < width; ++j, out += 2 * channels) {
        const F x = V::LoadU(row.near + j * channels + c);
        V::StoreN(out, x, count);
        V::StoreN(out + channels, x, count);
      }
      continue;
    }
    const auto down = [&](int j) {
      const int at = j * channels + c;
      return V::MulAdd(V::LoadU(row.near + at), most, V::Mul(little, V::LoadU(row.far + at)));
    };
    F now = down(0), before = V::Mul(little, now);
    for (int j = 0; j < width; ++j, out += 2 * channels) {
      const F next = j + 1 < width ? down(j + 1) : now, quarter = V::Mul(little, next);
      V::StoreN(out, V::MulAdd(now, most, before), count);
      V::StoreN(out + channels, V::MulAdd(now, most, quarter), count);
      before = V::Mul(little, now);
      now = next;
    }
  }
}

template <Extra kExtra>
inline void up_mix_lanes(const UpMixRow& row, int o) {
  const int channels = row.channels, outputs = row.op->channels, width = row.in_width;
  const Bend<kExtra> bend0(row.op->maps[0], o), bend1(row.op->maps[1], o);
  const F most = V::Set(0.75f), little = V::Set(0.25f);
  const auto down = [=](const float* near, const float* far) {
    return V::MulAdd(V::LoadU(near), most, V::Mul(little, V::LoadU(far)));
  };
  const float *near = row.near + o, *far = row.far + o;
  float* out = row.out + o;
  F now0 = down(near, far), now1 = down(near + outputs, far + outputs);
  F before0 = V::Mul(little, now0), before1 = V::Mul(little, now1);
  for (int j = 0; j < width; ++j, out += 2 * outputs) {
    const int step = j + 1 < width ? channels : 0;
    near += step;
    far += step;
    const F next0 = down(near, far), next1 = down(near + outputs, far + outputs);
    const F quarter0 = V::Mul(little, next0), quarter1 = V::Mul(little, next1);
    V::StoreU(out, V::Add(bend0(V::MulAdd(now0, most, before0)), bend1(V::MulAdd(now1, most, before1))));
    V::StoreU(out + outputs, V::Add(bend0(V::MulAdd(now0, most, quarter0)), bend1(V::MulAdd(now1, most, quarter1))));
    before0 = V::Mul(little, now0);
    before1 = V::Mul(little, now1);
    now0 = next0;
    now1 = next1;
  }
}

inline void up_mix_row(const UpMixRow& row) {
  const Op& op = *row.op;
  const bool slopes_alone = extra_of(op.maps[0]) == Extra::kNone && extra_of(op.maps[1]) == Extra::kNone;
  for (int o = 0; o < op.channels; o += V::kLanes) {
    if (slopes_alone)
      up_mix_lanes<Extra::kNone>(row, o);
    else
      up_mix_lanes<Extra::kRest>(row, o);
  }
}

inline void concat_row(const ConcatRow& row) {
  size_t outputs = 0;
  for (int n = 0; n < row.num_inputs; ++n) outputs += row.channels[n];
  float* out = row.out;
  for (int n = 0; n < row.num_inputs; out += row.channels[n], ++n) {
    const int channels = row.channels[n];
    for (int c = 0; c < channels; c += V::kLanes) {
      const int count = channels - c < V::kLanes ? channels - c : V::kLanes;
      for (int j = 0; j < row.width; ++j)
        V::StoreN(out + j * outputs + c, V::LoadU(row.x[n] + static_cast<size_t>(j) * channels + c), count);
    }
  }
}

// e of A14.
inline F exp_of_minus(F v) {
  static const float kTerms[] = {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f,
                                 5.0000001201e-1f};
  const F t = V::Min(V::Set(87.0f), V::Abs(v));  // in this order, which makes 87 of a NaN
  const F n = V::Round(V::Mul(t, V::Set(1.44269504f)));
  F q = V::MulAdd(n, V::Set(0.693359375f), V::Sub(V::Set(-0.0f), t));
  q = V::MulAdd(n, V::Set(-2.12194440e-4f), q);
  F p = V::Set(1.9875691500e-4f);
  for (float term : kTerms) p = V::MulAdd(p, q, V::Set(term));
  return V::DivByPow2(V::Add(V::MulAdd(p, V::Mul(q, q), q), V::Set(1.0f)), n);
}

inline void sigmoid_row(const float* x, float* out, int count) {
  const F one = V::Set(1.0f), zero = V::Set(0.0f);
  for_items(x, out, count, [&](F v) {
    const F e = exp_of_minus(v);
    return V::Div(V::IfNegativeThenElse(V::Sub(v, zero), e, one), V::Add(one, e));
  });
}
