// Reads the ops of attention.
#include <cstring>

#include "op_reader.h"

namespace xnor {

Status OpReader::read_tokens(Op* op) {
  XNOR_TRY(read_integer("side", 1, kMaxTokens, &op->side));
  XNOR_TRY(read_floats("weight", in_channels_, &op->weight));
  XNOR_TRY(read_floats("bias", 1, &op->bias));
  if (op->weight.empty() || op->bias.empty()) return refuse_file("R21: " + where_, "no weight or bias", "with both");
  op->channels = op->side * op->side;
  op->level = kVector;
  return {};
}

Status OpReader::read_attend(Op* op) {
  int form = 0;
  XNOR_TRY(read_choice("form", {"matrix", "gate"}, &form));
  op->is_gate = form == 1;
  const int query = network_.channels_of(op->in[1]), key = network_.channels_of(op->in[2]);
  if (query != key || query > kMaxLength)
    return refuse_file(place(".in"),
                       "vectors of " + std::to_string(query) + " and " + std::to_string(key) + " channels",
                       "as many, 1..256");
  XNOR_TRY(read_floats("scale", in_channels_, &op->scale));
  if (op->scale.empty()) return refuse_file("R21: " + where_, "no scale", "with a scale");
  return {};
}

}  // namespace xnor
