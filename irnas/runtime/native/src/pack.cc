#include <cmath>

#include "model.h"

namespace xnor {
namespace {

int count_bits(const uint8_t* bytes, int size) {
  int count = 0;
  for (int i = 0; i < size; ++i) count += __builtin_popcount(bytes[i]);
  return count;
}

// Whether row (or column) `at` of 0..2 of a window is missing in a class: 1 lacks the first, 2 the last.
bool missing(int border_class, int at) { return (at == 0 && (border_class & 1)) || (at == 2 && (border_class & 2)); }

void fill_words(const Op& op, Block* block) {
  const int k = op.kernel, bytes = block->group_bytes, window = k * k * bytes;
  block->slots = (window + 3) / 4;
  block->vectors = (block->group_out + 15) / 16;
  const int rest = window % 4;
  block->last_mask = rest ? (uint32_t{1} << (8 * rest)) - 1 : ~uint32_t{0};
  block->words.assign(size_t(op.groups) * block->vectors * block->slots * 16, 0);
  for (int o = 0; o < op.channels; ++o) {
    const int group = o / block->group_out, lane = o % block->group_out;
    uint32_t* words = &block->words[(size_t(group) * block->vectors + lane / 16) * block->slots * 16 + lane % 16];
    int at = 0;
    for (int kx = 0; kx < k; ++kx)
      for (int ky = 0; ky < k; ++ky)
        for (int i = 0; i < bytes; ++i, ++at) {
          const uint32_t byte = block->bits[((size_t(o) * k + ky) * k + kx) * bytes + i];
          words[size_t(at / 4) * 16] |= byte << (8 * (at % 4));
        }
  }
}

void fill_start(const Op& op, Block* block) {
  const int k = op.kernel, bytes = block->group_bytes;
  block->start.assign(16 * static_cast<size_t>(block->stride), 0.0f);
  for (int classes = 0; classes < 16; ++classes)
    for (int o = 0; o < op.channels; ++o) {
      int start = 0;
      for (int ky = 0; ky < k; ++ky)
        for (int kx = 0; kx < k; ++kx) {
          const bool outside = k == 3 && (missing(classes >> 2, ky) || missing(classes & 3, kx));
          const uint8_t* tap = &block->bits[((size_t(o) * k + ky) * k + kx) * bytes];
          // With pad 0 a missing tap has the bits 0, so it adds a mismatch for each weight bit: taken back here.
          start += outside && op.pad == 0 ? 2 * count_bits(tap, bytes) : block->group_in;
        }
      block->start[classes * block->stride + o] = static_cast<float>(start);
    }
}

bool is_one(const Floats& table, int channels) {
  for (int o = 0; o < channels && !table.empty(); ++o)
    if (table[o] != 1.0f) return false;
  return true;
}

void fill_halves(const Op& op, Block* block) {
  block->is_unit = is_one(block->slope.hi, op.channels);
  block->is_plain = block->is_unit && block->slope.c.empty() && is_one(block->post.hi, op.channels);
  block->is_even = true;
  for (float start : block->start) block->is_even &= static_cast<int>(start) % 2 == 0;
  for (float scale : block->scale) block->is_even &= std::fabs(scale) < 1e38f;
  if (!block->is_even) return;
  block->half_start = block->start;
  for (float& start : block->half_start) start = start / 2 + 8388608.0f;
  block->twice_scale = block->scale;
  for (float& scale : block->twice_scale) scale *= 2;
}

}  // namespace

void pack_block(const Op& op, Block* block) {
  fill_words(op, block);
  fill_start(op, block);
  fill_halves(op, block);
  pack_flat_block(op, block);
}

}  // namespace xnor
