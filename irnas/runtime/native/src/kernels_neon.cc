// NEON of 64-bit ARM: 4 outputs to a vector; vcnt counts the bits of bytes.
#include <arm_neon.h>

#include "inline.h"
#include "kernels.h"

namespace xnor {
namespace {

struct V {
  using F = float32x4_t;
  using I = uint32x4_t;
  using Count = uint8x16_t;
  static constexpr int kLanes = 4;
  static constexpr int kTile = 8;
  static constexpr int kBurst = 31;      // a byte holds 31 times 8 bits
  static constexpr bool kKnown = false;  // whether a loop of known length is worth its code
  static constexpr bool kFlat = false;   // whether rows of few channels are taken as one run of values

  static F LoadU(const float* at) { return vld1q_f32(at); }
  static void StoreU(float* at, F value) { vst1q_f32(at, value); }
  static void StoreN(float* at, F value, int count) {
    if (count == kLanes) return vst1q_f32(at, value);
    float lanes[4];
    vst1q_f32(lanes, value);
    for (int i = 0; i < count; ++i) at[i] = lanes[i];
  }
  static F Set(float value) { return vdupq_n_f32(value); }
  static F Add(F a, F b) { return vaddq_f32(a, b); }
  static F Sub(F a, F b) { return vsubq_f32(a, b); }
  static F Mul(F a, F b) { return vmulq_f32(a, b); }
  static F Div(F a, F b) { return vdivq_f32(a, b); }
  static F MulAdd(F a, F b, F c) { return vfmaq_f32(c, a, b); }
  static F IfNegativeThenElse(F t, F lo, F hi) { return vbslq_f32(vcltzq_f32(t), lo, hi); }
  static F IfNegativeThenElseOne(F t, F lo) { return IfNegativeThenElse(t, lo, Set(1.0f)); }
  // vmaxq orders -0 below +0, which a comparison does not.
  static F Max(F m, F p) { return vbslq_f32(vcgtq_f32(p, m), p, m); }
  static F Min(F m, F p) { return vbslq_f32(vcltq_f32(p, m), p, m); }
  static F Abs(F x) { return vabsq_f32(x); }
  static F Round(F x) { return vrndnq_f32(x); }
  static F DivByPow2(F e, F n) {
    const int32x4_t exponent = vsubq_s32(vdupq_n_s32(127), vcvtq_s32_f32(n));
    return vmulq_f32(e, vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23)));
  }

  // Rows become columns.
  static void Transpose(F* x) {
    const float32x4x2_t a = vtrnq_f32(x[0], x[1]), b = vtrnq_f32(x[2], x[3]);
    x[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
    x[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
    x[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
    x[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
  }

  static uint32_t NegativeBits4(F s) {
    static const uint32_t kBits[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(vcltzq_f32(s), vld1q_u32(kBits)));
  }
  static uint16_t NegativeBits16(const float* x) {
    return static_cast<uint16_t>(NegativeBits4(LoadU(x)) | NegativeBits4(LoadU(x + 4)) << 4 |
                                 NegativeBits4(LoadU(x + 8)) << 8 | NegativeBits4(LoadU(x + 12)) << 12);
  }
  static uint16_t NegativeBits16(const float* x, const float* a, const float* b) {
    uint32_t bits = 0;
    for (int i = 0; i < 16; i += 4) bits |= NegativeBits4(MulAdd(LoadU(x + i), LoadU(a + i), LoadU(b + i))) << i;
    return static_cast<uint16_t>(bits);
  }

  static I Zero() { return vdupq_n_u32(0); }
  static Count ZeroCount() { return vdupq_n_u8(0); }
  static I LoadDup32(const uint8_t* at) {
    uint32_t word;
    __builtin_memcpy(&word, at, 4);
    return vdupq_n_u32(word);
  }
  static I LoadU(const uint32_t* at) { return vld1q_u32(at); }
  static I Xor(I x, I w) { return veorq_u32(x, w); }
  static I Xor(I x, I w, uint32_t mask) { return vandq_u32(veorq_u32(x, w), vdupq_n_u32(mask)); }
  static Count AddPopulationCount(Count count, I bits) { return vaddq_u8(count, vcntq_u8(vreinterpretq_u8_u32(bits))); }
  static I LaneCounts(Count count) { return vpaddlq_u16(vpaddlq_u8(count)); }
  static I Add(I a, I b) { return vaddq_u32(a, b); }
  // 0x4B000000 is 2^23: whole numbers below it are the low bits of such a float.
  static F ConvertBiased(I count) { return vreinterpretq_f32_u32(vaddq_u32(count, vdupq_n_u32(0x4B000000))); }

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

// Part of every 64-bit ARM.
bool runs_here() { return true; }

}  // namespace

const Kernels kNeonKernels = {"neon",          runs_here,      sign_row,     block_row,         conv_row,
                              mix_row,         clamp_row,      center_row,   row_sum,           pool_row,
                              upsample_row,    up_mix_row,     concat_row,   sigmoid_row,       to_planes_row,
                              from_planes_row, plane_conv_row, tap_sums_row, excite_kernel_row, excite_row,
                              contrast_row,    multiply_row,   maximum_row,  basis_sums_row,    recombine_row,
                              raise_row,       attention_row,  attend_row,   count_rounds};

}  // namespace xnor
