// Reads a binary block, whose constants have rules of their own (R26, R34).
#include <cstring>

#include "op_reader.h"

namespace xnor {

Status OpReader::read_block(Op* op) {
  Block& block = op->block;
  XNOR_TRY(read_geometry(op));
  int chosen = 0, channels = 0;
  XNOR_TRY(read_choice("residual", {"none", "after", "before"}, &chosen));
  XNOR_TRY(read_integer("channels", in_channels_, in_channels_, &channels));
  block.residual = static_cast<Residual>(chosen);
  XNOR_TRY(read_block_bits(op));
  if ((block.residual == Residual::kNone) != (num_inputs_ == 1))
    return refuse_file(place(".residual"), std::to_string(num_inputs_) + " inputs", "none with one, another with two");
  if (num_inputs_ == 2 && network_.channels_of(op->in[1]) != op->channels)
    return refuse_file(place(".in"), "a residual of other channels", std::to_string(op->channels));
  if (num_inputs_ == 2 && network_.level_of(op->in[1]) != op->level)
    return refuse_file("R22: " + where_, "a residual of another level", std::to_string(op->level));
  return read_block_constants(op);
}

Status OpReader::read_block_bits(Op* op) {
  Block& block = op->block;
  const Tensor* bits = container_.find(tensor_name("bits"));
  if (bits == nullptr) return refuse_file("R21: " + where_, "no bits", "with bits");
  block.group_in = in_channels_ / op->groups;
  block.group_bytes = (block.group_in + 7) / 8;
  const int64_t outputs = bits->shape[0], k = op->kernel;
  XNOR_TRY(find_tensor("bits", false, {outputs, k, k, block.group_bytes}, &bits));
  if (outputs > kMaxChannels || outputs % op->groups)
    return refuse_file(place(".groups"), std::to_string(op->groups), "a divisor of " + std::to_string(outputs));
  op->channels = static_cast<int>(outputs);
  block.group_out = op->channels / op->groups;
  block.bits.assign(bits->data, bits->data + bits->num_bytes);
  const int spare = block.group_bytes * 8 - block.group_in;
  for (size_t i = block.group_bytes - 1; i < block.bits.size(); i += block.group_bytes)
    if (block.bits[i] >> (8 - spare))
      return refuse_file("R34: tensor " + bits->name, "bits beyond the channels", "0 there");
  return {};
}

Status OpReader::read_block_constants(Op* op) {
  Block& block = op->block;
  const int outputs = op->channels;
  block.stride = outputs + kSlack;
  XNOR_TRY(read_floats("scale", outputs, &block.scale));
  XNOR_TRY(read_floats("shift", outputs, &block.shift));
  XNOR_TRY(read_floats("sign_scale", in_channels_, &block.sign_scale));
  XNOR_TRY(read_floats("sign_shift", in_channels_, &block.sign_shift));
  XNOR_TRY(read_floats("lo", outputs, &block.slope.lo));
  XNOR_TRY(read_floats("hi", outputs, &block.slope.hi));
  XNOR_TRY(read_floats("g", outputs, &block.slope.g));
  XNOR_TRY(read_floats("c", outputs, &block.slope.c));
  XNOR_TRY(read_slopes("post_", "", outputs, &block.post));
  const Tensor* bias = container_.find(tensor_name("bias"));
  if (block.scale.empty() || bias == nullptr) return refuse_file("R21: " + where_, "no scale or bias", "with both");
  block.bias_by_class = bias->shape.size() == 3 && op->kernel == 3;
  if (block.bias_by_class) {
    XNOR_TRY(find_tensor("bias", true, {4, 4, outputs}, &bias));
    block.bias.assign(16 * static_cast<size_t>(block.stride), 0.0f);
    for (size_t i = 0; i < 16; ++i)
      std::memcpy(&block.bias[i * block.stride], bias->data + i * outputs * sizeof(float), outputs * sizeof(float));
  } else {
    XNOR_TRY(read_floats("bias", outputs, &block.bias));
  }
  if (block.sign_scale.empty() != block.sign_shift.empty() || block.slope.lo.empty() != block.slope.hi.empty())
    return refuse_file("R21: " + where_, "half a pair of constants", "sign_scale with sign_shift, lo with hi");
  const bool after = block.residual == Residual::kAfter;
  if (!block.slope.g.empty() && (block.residual == Residual::kNone || (after && block.slope.c.empty())))
    return refuse_file("R34: " + where_, "g", "only with a residual, and with c where it comes after");
  pack_block(*op, &block);
  return {};
}

}  // namespace xnor
