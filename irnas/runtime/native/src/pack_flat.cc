// Tables for rows of few channels, which kernels take as one run of values: see flat_vectors().
#include <algorithm>

#include "model.h"

namespace xnor {
namespace {

constexpr int kLanes = 16;

Floats repeat(const Floats& table, size_t begin, int channels, int items) {
  Floats out;
  for (int i = 0; i < items && !table.empty(); ++i) out.push_back(table[begin + i % channels]);
  return out;
}

TwoSlope repeat(const TwoSlope& map, int channels, int items) {
  const auto each = [&](const Floats& table) { return repeat(table, 0, channels, items); };
  return {each(map.a), each(map.b), each(map.lo), each(map.hi), each(map.g), each(map.c)};
}

// The source of vectors whose value i comes from place `place(i)`; false where some lane lies `reach` or farther from
// the first of its vector.
template <typename Place>
bool fill_source(int vectors, int reach, Place place, FlatSource* out) {
  out->from.clear();
  for (int v = 0; v < vectors; ++v) {
    int first = place(v * kLanes);
    for (int lane = 1; lane < kLanes; ++lane) first = std::min(first, place(v * kLanes + lane));
    out->first[v] = first;
    for (int lane = 0; lane < kLanes; ++lane) out->from.push_back(place(v * kLanes + lane) - first);
  }
  return *std::max_element(out->from.begin(), out->from.end()) < reach;
}

void fill_signs(const Op& op, Block* block) {
  const int channels = block->group_in, vectors = flat_vectors(channels);
  if (vectors == 0 || op.groups != 1) return;
  FlatSigns& signs = block->flat_signs;
  const int items = vectors * kLanes, pixels = items / channels;
  signs.bytes = pixels * block->group_bytes;
  if (signs.bytes > 8) return;
  signs.vectors = vectors;
  for (int p = 0; p < pixels; ++p) signs.mask |= ((uint64_t{1} << channels) - 1) << (8 * p * block->group_bytes);
  signs.scale = repeat(block->sign_scale, 0, channels, items);
  signs.shift = repeat(block->sign_shift, 0, channels, items);
}

void fill_constants(const Op& op, Block* block) {
  FlatBlock& flat = block->flat;
  const int channels = op.channels, items = flat.vectors * kLanes;
  flat.scale = repeat(block->scale, 0, channels, items);
  flat.shift = repeat(block->shift, 0, channels, items);
  flat.slope = repeat(block->slope, channels, items);
  flat.post = repeat(block->post, channels, items);
  flat.start.clear();
  flat.bias.clear();
  for (size_t row_class = 0; row_class < 4; ++row_class) {
    const size_t at = row_class * 4 * block->stride;
    for (float start : repeat(block->start, at, channels, items)) flat.start.push_back(start);
    for (float bias : repeat(block->bias, block->bias_by_class ? at : 0, channels, items)) flat.bias.push_back(bias);
  }
}

}  // namespace

void pack_flat_block(const Op& op, Block* block) {
  fill_signs(op, block);
  const int channels = op.channels, slots = block->slots, vectors = flat_vectors(channels);
  if (vectors == 0 || channels == 1 || op.groups != 1 || slots > 7 || slots % 2 == 0) return;
  FlatBlock& flat = block->flat;
  // As make_windows() of rows_block.inl lays them out.
  const int step = op.kernel * block->group_bytes * op.stride;
  const auto pixel_of = [&](int i) { return i / channels; };
  if (!fill_source(vectors, (64 - 4) / step + 1, pixel_of, &flat.pixel)) return;
  flat.vectors = vectors;
  flat.pixels = vectors * kLanes / channels;
  for (int from : flat.pixel.from)
    for (int byte = 0; byte < 4; ++byte) flat.bytes.push_back(static_cast<uint8_t>(from * step + byte));
  for (int v = 0; v < vectors; ++v)
    for (int slot = 0; slot < slots; ++slot)
      for (int lane = 0; lane < kLanes; ++lane) {
        const int o = (v * kLanes + lane) % channels;
        flat.words.push_back(block->words[(size_t(o / kLanes) * slots + slot) * kLanes + o % kLanes]);
      }
  fill_constants(op, block);
}

void pack_flat_mix(const int* channels, Op* mix) {
  FlatMix& flat = mix->flat_mix;
  const int outputs = mix->channels, vectors = flat_vectors(outputs), items = vectors * kLanes;
  flat.vectors = 0;
  if (vectors == 0) return;
  flat.is_straight = true;
  for (size_t n = 0; n < mix->in.size(); ++n) {
    const int start = mix->starts[n], seen = channels[n];
    const auto place = [&](int i) { return i / outputs * seen + (start + i % outputs) % seen; };
    if (!fill_source(vectors, 2 * kLanes, place, &flat.in[n])) return;
    flat.is_straight &= seen == outputs && start % seen == 0;
    flat.step[n] = items / outputs * seen;
    flat.maps[n] = repeat(mix->maps[n], outputs, items);
  }
  flat.vectors = vectors;
}

void pack_flat_conv(int channels, Op* conv) {
  FlatConv& flat = conv->flat_conv;
  const int outputs = conv->channels, vectors = flat_vectors(outputs), items = vectors * kLanes;
  const int terms = conv->kernel * conv->kernel * channels, apart = conv->stride * channels;
  flat.vectors = 0;
  if (vectors == 0 || conv->groups != 1 || outputs == 1 || outputs > 8 || terms > 36) return;
  const auto place = [&](int i) { return i / outputs * apart; };
  if (!fill_source(vectors, kLanes, place, &flat.in)) return;
  flat.vectors = vectors;
  flat.step = items / outputs * apart;
  flat.bias = repeat(conv->bias, 0, outputs, items);
  flat.weight.clear();
  for (int v = 0; v < vectors; ++v)
    for (int t = 0; t < terms; ++t)
      for (int lane = 0; lane < kLanes; ++lane)
        flat.weight.push_back(conv->weight[size_t(t) * (outputs + kSlack) + (v * kLanes + lane) % outputs]);
}

}  // namespace xnor
