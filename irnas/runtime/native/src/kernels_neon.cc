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

  static F load(const float* at) { return vld1q_f32(at); }
  static void store(float* at, F value) { vst1q_f32(at, value); }
  static void store_part(float* at, F value, int count) {
    if (count == kLanes) return vst1q_f32(at, value);
    float lanes[4];
    vst1q_f32(lanes, value);
    for (int i = 0; i < count; ++i) at[i] = lanes[i];
  }
  static F set1(float value) { return vdupq_n_f32(value); }
  static F add(F a, F b) { return vaddq_f32(a, b); }
  static F sub(F a, F b) { return vsubq_f32(a, b); }
  static F mul(F a, F b) { return vmulq_f32(a, b); }
  static F div(F a, F b) { return vdivq_f32(a, b); }
  static F fma(F a, F b, F c) { return vfmaq_f32(c, a, b); }
  static F pick(F t, F lo, F hi) { return vbslq_f32(vcltzq_f32(t), lo, hi); }
  static F pick_unit(F t, F lo) { return pick(t, lo, set1(1.0f)); }
  // vmaxq orders -0 below +0, which a comparison does not.
  static F larger(F m, F p) { return vbslq_f32(vcgtq_f32(p, m), p, m); }
  static F smaller(F m, F p) { return vbslq_f32(vcltq_f32(p, m), p, m); }
  static F abs(F x) { return vabsq_f32(x); }
  static F rint(F x) { return vrndnq_f32(x); }
  static F over_power(F e, F n) {
    const int32x4_t exponent = vsubq_s32(vdupq_n_s32(127), vcvtq_s32_f32(n));
    return vmulq_f32(e, vreinterpretq_f32_s32(vshlq_n_s32(exponent, 23)));
  }

  // Rows become columns.
  static void turn(F* x) {
    const float32x4x2_t a = vtrnq_f32(x[0], x[1]), b = vtrnq_f32(x[2], x[3]);
    x[0] = vcombine_f32(vget_low_f32(a.val[0]), vget_low_f32(b.val[0]));
    x[1] = vcombine_f32(vget_low_f32(a.val[1]), vget_low_f32(b.val[1]));
    x[2] = vcombine_f32(vget_high_f32(a.val[0]), vget_high_f32(b.val[0]));
    x[3] = vcombine_f32(vget_high_f32(a.val[1]), vget_high_f32(b.val[1]));
  }

  static uint32_t negative4(F s) {
    static const uint32_t kBits[4] = {1, 2, 4, 8};
    return vaddvq_u32(vandq_u32(vcltzq_f32(s), vld1q_u32(kBits)));
  }
  static uint16_t negative16(const float* x) {
    return static_cast<uint16_t>(negative4(load(x)) | negative4(load(x + 4)) << 4 | negative4(load(x + 8)) << 8 |
                                 negative4(load(x + 12)) << 12);
  }
  static uint16_t negative16(const float* x, const float* a, const float* b) {
    uint32_t bits = 0;
    for (int i = 0; i < 16; i += 4) bits |= negative4(fma(load(x + i), load(a + i), load(b + i))) << i;
    return static_cast<uint16_t>(bits);
  }

  static I none() { return vdupq_n_u32(0); }
  static Count nothing() { return vdupq_n_u8(0); }
  static I word(const uint8_t* at) {
    uint32_t word;
    __builtin_memcpy(&word, at, 4);
    return vdupq_n_u32(word);
  }
  static I load_words(const uint32_t* at) { return vld1q_u32(at); }
  static I differ(I x, I w) { return veorq_u32(x, w); }
  static I differ(I x, I w, uint32_t mask) { return vandq_u32(veorq_u32(x, w), vdupq_n_u32(mask)); }
  static Count tally(Count count, I bits) { return vaddq_u8(count, vcntq_u8(vreinterpretq_u8_u32(bits))); }
  static I widen(Count count) { return vpaddlq_u16(vpaddlq_u8(count)); }
  static I plus(I a, I b) { return vaddq_u32(a, b); }
  // 0x4B000000 is 2^23: whole numbers below it are the low bits of such a float.
  static F number(I count) { return vreinterpretq_f32_u32(vaddq_u32(count, vdupq_n_u32(0x4B000000))); }

#include "columns.inl"

  static void weave(const uint8_t* const* rows, int bytes, int width, uint8_t* out) {
    weave_plain(rows, bytes, width, out);
  }
  static int negative(const float*, int, uint8_t*) { return 0; }

  static void count_ones(const uint8_t* const* rows, int num_rows, int step, int bytes, int count, int32_t* out) {
    count_plain(rows, num_rows, step, bytes, count, out);
  }
};

#include "rows_map.inl"
#include "rows_window.inl"
#include "rows_block.inl"

// Part of every 64-bit ARM.
bool runs_here() { return true; }

}  // namespace

const Kernels kNeonKernels = {"neon",       runs_here,  sign_row,   block_row,   conv_row,
                              mix_row,      clamp_row,  center_row, row_sum,     pool_row,
                              upsample_row, up_mix_row, concat_row, sigmoid_row, count_rounds};

}  // namespace xnor
