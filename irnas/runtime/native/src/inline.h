// Three words to the compiler that the kernels need.
#pragma once

#define XNOR_INLINE __attribute__((always_inline)) inline
// One copy for all callers: inlined three times over, the kernels would be three times as large.
#define XNOR_APART __attribute__((noinline))
// Loops over the pixels of a tile must vanish, or their accumulators live in memory.
#if defined(__clang__)
#define XNOR_UNROLL _Pragma("unroll")
#else
#define XNOR_UNROLL _Pragma("GCC unroll 24")
#endif
