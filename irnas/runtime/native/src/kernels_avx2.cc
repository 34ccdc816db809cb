// AVX2 with FMA: 8 outputs to a vector; bits are counted by looking up half bytes.
#include <immintrin.h>

#include "inline.h"
#include "kernels.h"

namespace xnor {
namespace {

struct V {
  using F = __m256;
  using I = __m256i;
  using Count = __m256i;  // bytes
  static constexpr int kLanes = 8;
  static constexpr int kTile = 4;
  static constexpr int kBurst = 31;      // a byte holds 31 times 8 bits
  static constexpr bool kKnown = false;  // whether a loop of known length is worth its code
  static constexpr bool kFlat = false;   // whether rows of few channels are taken as one run of values

  static F LoadU(const float* at) { return _mm256_loadu_ps(at); }
  static void StoreU(float* at, F value) { _mm256_storeu_ps(at, value); }
  static void StoreN(float* at, F value, int count) {
    if (count == kLanes) return _mm256_storeu_ps(at, value);
    const I lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_maskstore_ps(at, _mm256_cmpgt_epi32(_mm256_set1_epi32(count), lane), value);
  }
  static F Set(float value) { return _mm256_set1_ps(value); }
  static F Add(F a, F b) { return _mm256_add_ps(a, b); }
  static F Sub(F a, F b) { return _mm256_sub_ps(a, b); }
  static F Mul(F a, F b) { return _mm256_mul_ps(a, b); }
  static F Div(F a, F b) { return _mm256_div_ps(a, b); }
  static F MulAdd(F a, F b, F c) { return _mm256_fmadd_ps(a, b, c); }
  static F IfNegativeThenElse(F t, F lo, F hi) {
    return _mm256_blendv_ps(hi, lo, _mm256_cmp_ps(t, _mm256_setzero_ps(), _CMP_LT_OQ));
  }
  static F IfNegativeThenElseOne(F t, F lo) { return IfNegativeThenElse(t, lo, Set(1.0f)); }
  static F Max(F m, F p) { return _mm256_max_ps(p, m); }
  static F Min(F m, F p) { return _mm256_min_ps(p, m); }
  static F Abs(F x) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x); }
  static F Round(F x) { return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
  static F DivByPow2(F e, F n) {
    const I exponent = _mm256_sub_epi32(_mm256_set1_epi32(127), _mm256_cvtps_epi32(n));
    return _mm256_mul_ps(e, _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23)));
  }

  // Rows become columns: pairs, then fours within each half of a vector, then the halves.
  static void Transpose(F* x) {
    F y[8];
    XNOR_UNROLL for (int i = 0; i < 8; i += 2) {
      y[i] = _mm256_unpacklo_ps(x[i], x[i + 1]);
      y[i + 1] = _mm256_unpackhi_ps(x[i], x[i + 1]);
    }
    XNOR_UNROLL for (int i = 0; i < 8; i += 4) {
      x[i] = _mm256_shuffle_ps(y[i], y[i + 2], 0x44);
      x[i + 1] = _mm256_shuffle_ps(y[i], y[i + 2], 0xEE);
      x[i + 2] = _mm256_shuffle_ps(y[i + 1], y[i + 3], 0x44);
      x[i + 3] = _mm256_shuffle_ps(y[i + 1], y[i + 3], 0xEE);
    }
    XNOR_UNROLL for (int i = 0; i < 4; ++i) {
      y[i] = _mm256_permute2f128_ps(x[i], x[i + 4], 0x20);
      y[i + 4] = _mm256_permute2f128_ps(x[i], x[i + 4], 0x31);
    }
    XNOR_UNROLL for (int i = 0; i < 8; ++i) x[i] = y[i];
  }

  static uint32_t NegativeBits8(F s) {
    return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(s, _mm256_setzero_ps(), _CMP_LT_OQ)));
  }
  static uint16_t NegativeBits16(const float* x) {
    return static_cast<uint16_t>(NegativeBits8(LoadU(x)) | NegativeBits8(LoadU(x + 8)) << 8);
  }
  static uint16_t NegativeBits16(const float* x, const float* a, const float* b) {
    return static_cast<uint16_t>(NegativeBits8(MulAdd(LoadU(x), LoadU(a), LoadU(b))) |
                                 NegativeBits8(MulAdd(LoadU(x + 8), LoadU(a + 8), LoadU(b + 8))) << 8);
  }

  static I Zero() { return _mm256_setzero_si256(); }
  static Count ZeroCount() { return _mm256_setzero_si256(); }
  static I LoadDup32(const uint8_t* at) {
    int32_t word;
    __builtin_memcpy(&word, at, 4);
    return _mm256_set1_epi32(word);
  }
  static I LoadU(const uint32_t* at) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(at)); }
  static I Xor(I x, I w) { return _mm256_xor_si256(x, w); }
  static I Xor(I x, I w, uint32_t mask) {
    return _mm256_and_si256(_mm256_xor_si256(x, w), _mm256_set1_epi32(static_cast<int32_t>(mask)));
  }
  static Count AddPopulationCount(Count count, I bits) {
    const I ones = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                    0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const I half = _mm256_set1_epi8(15);
    const I low = _mm256_shuffle_epi8(ones, _mm256_and_si256(bits, half));
    const I high = _mm256_shuffle_epi8(ones, _mm256_and_si256(_mm256_srli_epi16(bits, 4), half));
    Count sum = _mm256_add_epi8(count, _mm256_add_epi8(low, high));
    // Keeps gcc 12 from re-associating the sums of many pixels, which spills them.
    asm("" : "+x"(sum));
    return sum;
  }
  static I LaneCounts(Count count) {
    const I pairs = _mm256_maddubs_epi16(count, _mm256_set1_epi8(1));
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
  }
  static I Add(I a, I b) { return _mm256_add_epi32(a, b); }
  // 0x4B000000 is 2^23: whole numbers below it are the low bits of such a float.
  static F ConvertBiased(I count) {
    return _mm256_castsi256_ps(_mm256_add_epi32(count, _mm256_set1_epi32(0x4B000000)));
  }

#include "columns.inl"

  static void InterleaveRows(const uint8_t* const* rows, int bytes, int width, uint8_t* out) {
    InterleaveRowsPlain(rows, bytes, width, out);
  }
  static int StoreNegativeBits(const float*, int, uint8_t*) { return 0; }

  static void PopulationCounts(const uint8_t* const* rows, int num_rows, int step, int bytes, int count, int32_t* out) {
    PopulationCountsPlain(rows, num_rows, step, bytes, count, out);
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
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("popcnt");
}

}  // namespace

const Kernels kAvx2Kernels = {"avx2",          runs_here,      sign_row,     block_row,         conv_row,
                              mix_row,         clamp_row,      center_row,   row_sum,           pool_row,
                              upsample_row,    up_mix_row,     concat_row,   sigmoid_row,       to_planes_row,
                              from_planes_row, plane_conv_row, tap_sums_row, excite_kernel_row, excite_row,
                              contrast_row,    multiply_row,   maximum_row,  basis_sums_row,    recombine_row,
                              raise_row,       attention_row,  attend_row,   count_rounds};

}  // namespace xnor
