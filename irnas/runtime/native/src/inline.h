// Two words to the compiler that the kernels need.
#pragma once

#define XNOR_INLINE __attribute__((always_inline)) inline
// Loops over the pixels of a tile must vanish, or their accumulators live in memory.
#if defined(__clang__)
#define XNOR_UNROLL _Pragma("unroll")
#else
#define XNOR_UNROLL _Pragma("GCC unroll 16")
#endif
