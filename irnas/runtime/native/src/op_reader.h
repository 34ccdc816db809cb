// Reads one op of a file: its attributes, then its constants. Messages name the rule of FORMAT.md that is broken.
#pragma once

#include <string>
#include <vector>

#include "container.h"
#include "json.h"
#include "model.h"

namespace xnor {

constexpr int kMaxChannels = 4096;

class OpReader {
 public:
  OpReader(const json::Value& value, const Container& container, const Network& network, int index)
      : value_(value), container_(container), network_(network), index_(index), where_("op " + std::to_string(index)) {}

  Status read(Op* op);
  int tensors_used() const { return tensors_used_; }

 private:
  Status read_head(Op* op);
  Status read_attributes(Op* op);
  Status read_geometry(Op* op);
  Status read_conv(Op* op);
  Status read_block(Op* op);
  Status read_block_bits(Op* op);
  Status read_block_constants(Op* op);
  Status read_mix(Op* op);
  Status read_concat(Op* op);
  Status read_mean(Op* op);
  Status read_excite(Op* op);
  Status read_contrast(Op* op);
  Status read_recombine(Op* op);
  Status read_tokens(Op* op);
  Status read_attend(Op* op);
  Status check_alike(const Op& op) const;
  Status check_vectors(const Op& op) const;

  std::string place(const std::string& what) const { return rule_ + ": " + where_ + what; }
  std::string tensor_name(const std::string& role) const { return std::to_string(index_) + "." + role; }

  Status read_integer(const char* name, int64_t low, int64_t high, int* out) const;
  // The index of an attribute's word among the words that it may be.
  Status read_choice(const char* name, const std::vector<const char*>& words, int* out) const;
  // Null where the file has no such tensor; refused where it has another type or shape.
  Status find_tensor(const std::string& role, bool is_float, const std::vector<int64_t>& shape, const Tensor** out);
  Status read_floats(const std::string& role, int count, Floats* out);
  Status read_slopes(const std::string& before, const std::string& behind, int count, TwoSlope* out);

  const json::Value& value_;
  const Container& container_;
  const Network& network_;
  const int index_;
  const std::string where_;
  std::string rule_ = "R19";
  int num_inputs_ = 0;
  int in_channels_ = 0;  // of the first input
  int tensors_used_ = 0;
};

}  // namespace xnor
