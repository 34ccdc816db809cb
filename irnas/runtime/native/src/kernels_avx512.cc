// AVX-512 with VPOPCNTDQ: 16 outputs to a vector.
#include <immintrin.h>

#include "inline.h"
#include "kernels.h"

namespace xnor {
namespace {

struct V {
  using F = __m512;
  using I = __m512i;
  using Count = __m512i;
  static constexpr int kLanes = 16;
  static constexpr int kTile = 8;
  static constexpr int kBurst = 1 << 30;
  static constexpr bool kKnown = true;  // whether a loop of known length is worth its code
  static constexpr bool kFlat = true;   // whether rows of few channels are taken as one run of values

  static F LoadU(const float* at) { return _mm512_loadu_ps(at); }
  static void StoreU(float* at, F value) { _mm512_storeu_ps(at, value); }
  static void StoreN(float* at, F value, int count) {
    if (count == kLanes)
      _mm512_storeu_ps(at, value);
    else
      _mm512_mask_storeu_ps(at, static_cast<__mmask16>((1u << count) - 1), value);
  }
  static F Set(float value) { return _mm512_set1_ps(value); }
  static F Add(F a, F b) { return _mm512_add_ps(a, b); }
  static F Sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static F Mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static F Div(F a, F b) { return _mm512_div_ps(a, b); }
  static F MulAdd(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static F IfNegativeThenElse(F t, F lo, F hi) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(t, _mm512_setzero_ps(), _CMP_LT_OQ), hi, lo);
  }
  // IfNegativeThenElse(t, lo, 1) as one operation, by the class of t.
  static F IfNegativeThenElseOne(F t, F lo) {
    constexpr unsigned kNegativeKeepsOthersOne = 0xA0A0AAAA;  // by class: 0 keeps the first operand, 10 is 1.0
    return _mm512_fixupimm_ps(lo, t, _mm512_set1_epi32(static_cast<int>(kNegativeKeepsOthersOne)), 0);
  }
  static F Max(F m, F p) { return _mm512_max_ps(p, m); }
  static F Min(F m, F p) { return _mm512_min_ps(p, m); }
  static F Abs(F x) { return _mm512_abs_ps(x); }
  static F Round(F x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static F DivByPow2(F e, F n) {
    const I exponent = _mm512_sub_epi32(_mm512_set1_epi32(127), _mm512_cvtps_epi32(n));
    return _mm512_mul_ps(e, _mm512_castsi512_ps(_mm512_slli_epi32(exponent, 23)));
  }

  // Rows become columns: pairs, then fours within each quarter of a vector, then the quarters.
  static void Transpose(F* x) {
    F y[16];
    XNOR_UNROLL for (int i = 0; i < 16; i += 2) {
      y[i] = _mm512_unpacklo_ps(x[i], x[i + 1]);
      y[i + 1] = _mm512_unpackhi_ps(x[i], x[i + 1]);
    }
    const auto pair = [](F a, F b, bool high) {
      const __m512d c = _mm512_castps_pd(a), d = _mm512_castps_pd(b);
      return _mm512_castpd_ps(high ? _mm512_unpackhi_pd(c, d) : _mm512_unpacklo_pd(c, d));
    };
    XNOR_UNROLL for (int i = 0; i < 16; i += 4) {
      x[i] = pair(y[i], y[i + 2], false);
      x[i + 1] = pair(y[i], y[i + 2], true);
      x[i + 2] = pair(y[i + 1], y[i + 3], false);
      x[i + 3] = pair(y[i + 1], y[i + 3], true);
    }
    XNOR_UNROLL for (int i = 0; i < 4; ++i) {
      const F low0 = _mm512_shuffle_f32x4(x[i], x[i + 4], 0x88), low1 = _mm512_shuffle_f32x4(x[i + 8], x[i + 12], 0x88);
      const F high0 = _mm512_shuffle_f32x4(x[i], x[i + 4], 0xDD),
              high1 = _mm512_shuffle_f32x4(x[i + 8], x[i + 12], 0xDD);
      y[i] = _mm512_shuffle_f32x4(low0, low1, 0x88);
      y[i + 8] = _mm512_shuffle_f32x4(low0, low1, 0xDD);
      y[i + 4] = _mm512_shuffle_f32x4(high0, high1, 0x88);
      y[i + 12] = _mm512_shuffle_f32x4(high0, high1, 0xDD);
    }
    XNOR_UNROLL for (int i = 0; i < 16; ++i) x[i] = y[i];
  }

  static uint16_t NegativeBits16(const float* x) {
    return _mm512_cmp_ps_mask(_mm512_loadu_ps(x), _mm512_setzero_ps(), _CMP_LT_OQ);
  }
  static uint16_t NegativeBits16(const float* x, const float* a, const float* b) {
    const F s = _mm512_fmadd_ps(_mm512_loadu_ps(x), _mm512_loadu_ps(a), _mm512_loadu_ps(b));
    return _mm512_cmp_ps_mask(s, _mm512_setzero_ps(), _CMP_LT_OQ);
  }

  static F Pick(const float* at, const int32_t* from) {
    return _mm512_permutex2var_ps(LoadU(at), _mm512_loadu_si512(from), LoadU(at + kLanes));
  }
  static F Pick16(const float* at, const int32_t* from) {
    return _mm512_permutexvar_ps(_mm512_loadu_si512(from), LoadU(at));
  }
  static I LoadBytes(const uint8_t* at) { return _mm512_loadu_si512(at); }
  static I PickBytes(const uint8_t* at, I indices) { return _mm512_permutexvar_epi8(indices, _mm512_loadu_si512(at)); }
  static uint64_t ScatterBits(uint64_t bits, uint64_t mask) { return _pdep_u64(bits, mask); }
  // Four channels of 16 pixels, each a vector.
  static void LoadChannels(const float* at, int channels, F* x) {
    F y[4];
    XNOR_UNROLL for (int i = 0; i < 4; ++i) {
      y[i] = _mm512_castps128_ps512(_mm_loadu_ps(at + i * channels));
      y[i] = _mm512_mask_broadcast_f32x4(y[i], 0x00F0, _mm_loadu_ps(at + (4 + i) * channels));
      y[i] = _mm512_mask_broadcast_f32x4(y[i], 0x0F00, _mm_loadu_ps(at + (8 + i) * channels));
      y[i] = _mm512_mask_broadcast_f32x4(y[i], 0xF000, _mm_loadu_ps(at + (12 + i) * channels));
    }
    TransposeFours(y, x);
  }
  // 16 values of each of four planes, as 16 pixels.
  static void StoreChannels(const float* planes, size_t plane, float* out) {
    F x[4], y[4];
    XNOR_UNROLL for (int n = 0; n < 4; ++n) y[n] = LoadU(planes + n * plane);
    TransposeFours(y, x);  // now a quarter q of vector i is pixel 4 q + i
    const F a = _mm512_shuffle_f32x4(x[0], x[1], 0x44), b = _mm512_shuffle_f32x4(x[0], x[1], 0xEE);
    const F c = _mm512_shuffle_f32x4(x[2], x[3], 0x44), d = _mm512_shuffle_f32x4(x[2], x[3], 0xEE);
    StoreU(out, _mm512_shuffle_f32x4(a, c, 0x88));
    StoreU(out + 16, _mm512_shuffle_f32x4(a, c, 0xDD));
    StoreU(out + 32, _mm512_shuffle_f32x4(b, d, 0x88));
    StoreU(out + 48, _mm512_shuffle_f32x4(b, d, 0xDD));
  }
  // Rows become columns within each quarter of a vector.
  static void TransposeFours(const F* y, F* x) {
    const F a = _mm512_unpacklo_ps(y[0], y[1]), b = _mm512_unpackhi_ps(y[0], y[1]);
    const F c = _mm512_unpacklo_ps(y[2], y[3]), d = _mm512_unpackhi_ps(y[2], y[3]);
    x[0] = _mm512_shuffle_ps(a, c, 0x44);
    x[1] = _mm512_shuffle_ps(a, c, 0xEE);
    x[2] = _mm512_shuffle_ps(b, d, 0x44);
    x[3] = _mm512_shuffle_ps(b, d, 0xEE);
  }

  static I Zero() { return _mm512_setzero_si512(); }
  static Count ZeroCount() { return _mm512_setzero_si512(); }
  static I LoadDup32(const uint8_t* at) {
    int32_t word;
    __builtin_memcpy(&word, at, 4);
    return _mm512_set1_epi32(word);
  }
  static I LoadU(const uint32_t* at) { return _mm512_loadu_si512(at); }
  static I Xor(I x, I w) { return _mm512_xor_si512(x, w); }
  static I Xor(I x, I w, uint32_t mask) {
    constexpr int kXorThenAnd = 0x28;  // (a ^ b) & c
    return _mm512_ternarylogic_epi32(x, w, _mm512_set1_epi32(static_cast<int32_t>(mask)), kXorThenAnd);
  }
  static Count AddPopulationCount(Count count, I bits) {
    Count sum = _mm512_add_epi32(count, _mm512_popcnt_epi32(bits));
    // Without this fence gcc 12 re-associates the sums of many pixels and spills them: half the speed at 64 channels.
    asm("" : "+v"(sum));
    return sum;
  }
  static I LaneCounts(Count count) { return count; }
  static I Add(I a, I b) { return _mm512_add_epi32(a, b); }
  // 0x4B000000 is 2^23: whole numbers below it are the low bits of such a float.
  static F ConvertBiased(I count) {
    return _mm512_castsi512_ps(_mm512_add_epi32(count, _mm512_set1_epi32(0x4B000000)));
  }

#include "columns.inl"

  // The first of `count` signs, as many as go in long runs; returns how many.
  static int StoreNegativeBits(const float* x, int count, uint8_t* out) {
    int i = 0;
    for (; i + 64 <= count; i += 64, out += 8) {
      const F zero = _mm512_setzero_ps();
      const __mmask16 a = _mm512_cmp_ps_mask(_mm512_loadu_ps(x + i), zero, _CMP_LT_OQ);
      const __mmask16 b = _mm512_cmp_ps_mask(_mm512_loadu_ps(x + i + 16), zero, _CMP_LT_OQ);
      const __mmask16 c = _mm512_cmp_ps_mask(_mm512_loadu_ps(x + i + 32), zero, _CMP_LT_OQ);
      const __mmask16 d = _mm512_cmp_ps_mask(_mm512_loadu_ps(x + i + 48), zero, _CMP_LT_OQ);
      const __mmask64 all = _mm512_kunpackd(_mm512_kunpackw(d, c), _mm512_kunpackw(b, a));
      _store_mask64(reinterpret_cast<__mmask64*>(out), all);
    }
    return i;
  }

  // As InterleaveRowsPlain, a vector of each row at a time; may write 192 bytes beyond the last column.
  static void InterleaveRows(const uint8_t* const* rows, int bytes, int width, uint8_t* out) {
    if (bytes == 1) return InterleaveVectors<uint8_t>(rows, width, out);
    if (bytes == 2) return InterleaveVectors<uint16_t>(rows, width, out);
    if (bytes == 4) return InterleaveVectors<uint32_t>(rows, width, out);
    InterleaveVectors<uint64_t>(rows, width, out);
  }

  // Where the words of three rows go in three vectors of columns.
  template <typename Word>
  struct Order {
    static constexpr int kCount = 64 / sizeof(Word);
    alignas(64) Word from[3][kCount] = {};  // of the first row; kCount more is the second
    uint64_t third[3] = {};                 // the lanes of the third row

    constexpr Order() {
      for (int i = 0; i < 3 * kCount; ++i) {
        from[i / kCount][i % kCount] = static_cast<Word>(i / 3 + (i % 3 == 1 ? kCount : 0));
        if (i % 3 == 2) third[i / kCount] |= uint64_t{1} << i % kCount;
      }
    }
  };

  template <typename Word>
  static void InterleaveVectors(const uint8_t* const* rows, int width, uint8_t* out) {
    static constexpr Order<Word> order;
    for (int j = 0; j < width; j += order.kCount, out += 192) {
      const size_t at = j * sizeof(Word);
      const I a = _mm512_loadu_si512(rows[0] + at), b = _mm512_loadu_si512(rows[1] + at);
      const I c = _mm512_loadu_si512(rows[2] + at);
      XNOR_UNROLL for (int n = 0; n < 3; ++n) {
        const I from = _mm512_load_si512(order.from[n]);
        I woven;
        if constexpr (sizeof(Word) == 1)
          woven = _mm512_mask_permutexvar_epi8(_mm512_permutex2var_epi8(a, from, b), order.third[n], from, c);
        else if constexpr (sizeof(Word) == 2)
          woven = _mm512_mask_permutexvar_epi16(_mm512_permutex2var_epi16(a, from, b),
                                                static_cast<__mmask32>(order.third[n]), from, c);
        else if constexpr (sizeof(Word) == 4)
          woven = _mm512_mask_permutexvar_epi32(_mm512_permutex2var_epi32(a, from, b),
                                                static_cast<__mmask16>(order.third[n]), from, c);
        else
          woven = _mm512_mask_permutexvar_epi64(_mm512_permutex2var_epi64(a, from, b),
                                                static_cast<__mmask8>(order.third[n]), from, c);
        _mm512_storeu_si512(out + 64 * n, woven);
      }
    }
  }

  static void PopulationCounts(const uint8_t* const* rows, int num_rows, int step, int bytes, int count, int32_t* out) {
    if (step != bytes || (bytes != 1 && bytes != 2 && bytes != 4 && bytes != 8))
      return PopulationCountsPlain(rows, num_rows, step, bytes, count, out);
    // 16 pixels at once; what is written beyond the last lies in the scratch's slack, and is read from a row's.
    for (int j = 0; j < count; j += 16) {
      I sum = Zero();
      for (int ky = 0; ky < num_rows; ++ky) {
        const uint8_t* at = rows[ky] + j * bytes;
        if (bytes == 1) {
          const __m128i counts = _mm_popcnt_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)));
          sum = _mm512_add_epi32(sum, _mm512_cvtepu8_epi32(counts));
        } else if (bytes == 2) {
          const __m256i words = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at));
          sum = _mm512_add_epi32(sum, _mm512_cvtepu16_epi32(_mm256_popcnt_epi16(words)));
        } else if (bytes == 4) {
          sum = _mm512_add_epi32(sum, _mm512_popcnt_epi32(_mm512_loadu_si512(at)));
        } else {
          const __m256i low = _mm512_cvtepi64_epi32(_mm512_popcnt_epi64(_mm512_loadu_si512(at)));
          const __m256i high = _mm512_cvtepi64_epi32(_mm512_popcnt_epi64(_mm512_loadu_si512(at + 64)));
          sum = _mm512_add_epi32(sum, _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1));
        }
      }
      _mm512_storeu_si512(out + j, sum);
    }
  }
};

// Brings rows_window.inl and rows_map.inl with it.
#include "rows_block.inl"
#include "rows_contrast.inl"
#include "rows_planes.inl"
#include "rows_recombine.inl"
#include "rows_with_attention.inl"

bool runs_here() {
  __builtin_cpu_init();
  return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
         __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
         __builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512bitalg") &&
         __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2") &&
         __builtin_cpu_supports("popcnt");
}

}  // namespace

const Kernels kAvx512Kernels = {"avx512",        runs_here,      sign_row,     block_row,         conv_row,
                                mix_row,         clamp_row,      center_row,   row_sum,           pool_row,
                                upsample_row,    up_mix_row,     concat_row,   sigmoid_row,       to_planes_row,
                                from_planes_row, plane_conv_row, tap_sums_row, excite_kernel_row, excite_row,
                                contrast_row,    multiply_row,   maximum_row,  basis_sums_row,    recombine_row,
                                raise_row,       attention_row,  attend_row,   count_rounds};

}  // namespace xnor
