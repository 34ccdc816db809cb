#include "graph.h"

#include <cstring>

namespace xnor {
namespace {

using Kind = json::Value::Kind;

constexpr int kMaxOps = 4096;
constexpr int kMaxChannels = 4096;
constexpr int kMaxLevel = 8;

struct Name {
  const char* text;
  OpKind kind;
  int least_inputs, most_inputs;
  int num_attributes;  // besides op and in
};

constexpr Name kNames[] = {
    {"conv", OpKind::kConv, 1, 1, 4},         {"binary_block", OpKind::kBlock, 1, 2, 6},
    {"mix", OpKind::kMix, 1, 2, 2},           {"clamp", OpKind::kClamp, 1, 1, 0},
    {"center", OpKind::kCenter, 1, 1, 0},     {"pool", OpKind::kPool, 1, 1, 1},
    {"upsample", OpKind::kUpsample, 1, 1, 1}, {"concat", OpKind::kConcat, 2, 16, 0},
    {"sigmoid", OpKind::kSigmoid, 1, 1, 0},
};

const char* const kRules[] = {"R25", "R26", "R27", "R28", "R29", "R30", "R31", "R32", "R33"};

// Reads one op: its attributes, then its constants.
class OpReader {
 public:
  OpReader(const json::Value& value, const Container& container, const Network& network, int index)
      : value_(value), container_(container), network_(network), index_(index), where_("op " + std::to_string(index)) {}

  Status read(Op* op);
  int tensors_used() const { return tensors_used_; }

 private:
  Status head(Op* op);
  Status attributes(Op* op);
  Status geometry(Op* op);
  Status conv(Op* op);
  Status block(Op* op);
  Status block_constants(Op* op);
  Status mix(Op* op);
  Status join(Op* op);

  std::string place(const std::string& what) const { return rule_ + ": " + where_ + what; }

  Status whole(const char* name, int64_t low, int64_t high, int* out) const {
    const json::Value* found = value_.find(name);
    if (found == nullptr || !found->is(Kind::kInteger) || found->integer < low || found->integer > high)
      return refuse_file(place(std::string(".") + name), "another value or none",
                         "a whole number of " + std::to_string(low) + ".." + std::to_string(high));
    *out = static_cast<int>(found->integer);
    return {};
  }

  template <size_t N>
  Status choice(const char* name, const char* const (&known)[N], int* out) const {
    const json::Value* found = value_.find(name);
    std::string list;
    for (size_t i = 0; i < N; ++i) {
      if (found != nullptr && found->is(Kind::kString) && found->text == known[i]) {
        *out = static_cast<int>(i);
        return {};
      }
      list += std::string(i ? ", " : "") + known[i];
    }
    return refuse_file(place(std::string(".") + name), found ? "'" + found->text + "'" : "nothing", "one of " + list);
  }

  Status tensor(const std::string& role, bool is_float, const std::vector<int64_t>& shape, const Tensor** out);
  Status floats(const std::string& role, int count, Floats* out);
  Status slope(const std::string& before, const std::string& behind, int count, TwoSlope* out);

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

Status OpReader::head(Op* op) {
  const json::Value* name = value_.find("op");
  if (!value_.is(Kind::kObject) || name == nullptr || !name->is(Kind::kString))
    return refuse_file(place(""), "no name", "an object with op and in");
  const Name* known = nullptr;
  for (const Name& each : kNames)
    if (name->text == each.text) known = &each;
  if (known == nullptr)
    return refuse_file(place(".op"), "'" + name->text + "'",
                       "conv, binary_block, mix, clamp, center, pool, upsample, concat or sigmoid");
  if (value_.members.size() != static_cast<size_t>(known->num_attributes) + 2)
    return refuse_file(place(" (" + name->text + ")"), std::to_string(value_.members.size()) + " members",
                       std::to_string(known->num_attributes + 2));
  op->kind = known->kind;
  const json::Value* in = value_.find("in");
  rule_ = "R20";
  if (in == nullptr || !in->is(Kind::kArray) || in->items.size() < static_cast<size_t>(known->least_inputs) ||
      in->items.size() > static_cast<size_t>(known->most_inputs))
    return refuse_file(
        place(".in"), "another value",
        "a list of " + std::to_string(known->least_inputs) + ".." + std::to_string(known->most_inputs) + " tensors");
  for (const json::Value& item : in->items) {
    if (!item.is(Kind::kInteger) || item.integer < 0 || item.integer > index_)
      return refuse_file(place(".in"), "another value", "ids of 0.." + std::to_string(index_));
    op->in.push_back(static_cast<int>(item.integer));
  }
  num_inputs_ = static_cast<int>(op->in.size());
  in_channels_ = network_.channels_of(op->in[0]);
  return {};
}

Status OpReader::read(Op* op) {
  XNOR_TRY(head(op));
  rule_ = kRules[static_cast<int>(op->kind)];
  op->channels = in_channels_;
  op->level = network_.level_of(op->in[0]);
  XNOR_TRY(attributes(op));
  if (op->channels < 1 || op->channels > kMaxChannels)
    return refuse_file("R23: " + where_, std::to_string(op->channels) + " channels", "1..4096");
  if (op->level < 0 || op->level > kMaxLevel)
    return refuse_file("R22: " + where_, "level " + std::to_string(op->level), "0..8");
  return {};
}

Status OpReader::attributes(Op* op) {
  static const char* const kPools[] = {"average", "maximum", "first"};
  static const char* const kUps[] = {"nearest", "bilinear"};
  int chosen = 0;
  switch (op->kind) {
    case OpKind::kConv:
      return conv(op);
    case OpKind::kBlock:
      return block(op);
    case OpKind::kMix:
      return mix(op);
    case OpKind::kConcat:
      return join(op);
    case OpKind::kPool:
      XNOR_TRY(choice("kind", kPools, &chosen));
      op->pool = static_cast<PoolKind>(chosen);
      ++op->level;
      return {};
    case OpKind::kUpsample:
      XNOR_TRY(choice("kind", kUps, &chosen));
      op->up = static_cast<UpKind>(chosen);
      --op->level;
      return {};
    case OpKind::kClamp:
    case OpKind::kCenter:
    case OpKind::kSigmoid:
      return {};
  }
  return {};
}

Status OpReader::geometry(Op* op) {
  XNOR_TRY(whole("kernel", 1, 3, &op->kernel));
  if (op->kernel == 2) return refuse_file(place(".kernel"), "2", "1 or 3");
  XNOR_TRY(whole("stride", 1, 2, &op->stride));
  XNOR_TRY(whole("groups", 1, kMaxChannels, &op->groups));
  XNOR_TRY(whole("pad", op->kernel == 3 ? -1 : 0, op->kernel == 3 ? 1 : 0, &op->pad));
  if (in_channels_ % op->groups)
    return refuse_file(place(".groups"), std::to_string(op->groups), "a divisor of " + std::to_string(in_channels_));
  if (op->stride == 2) ++op->level;
  return {};
}

Status OpReader::tensor(const std::string& role, bool is_float, const std::vector<int64_t>& shape, const Tensor** out) {
  const std::string name = std::to_string(index_) + "." + role;
  *out = container_.find(name);
  if (*out == nullptr) return {};
  ++tensors_used_;
  if ((*out)->is_float != is_float) return refuse_file("R21: tensor " + name, "another dtype", is_float ? "F32" : "U8");
  if ((*out)->shape != shape) {
    std::string text;
    for (int64_t size : shape) text += (text.empty() ? "" : ", ") + std::to_string(size);
    return refuse_file("R21: tensor " + name, "another shape", "[" + text + "]");
  }
  return {};
}

Status OpReader::floats(const std::string& role, int count, Floats* out) {
  const Tensor* found = nullptr;
  XNOR_TRY(tensor(role, true, {count}, &found));
  if (found == nullptr) return {};
  out->assign(static_cast<size_t>(count) + kSlack, 0.0f);
  std::memcpy(out->data(), found->data, found->num_bytes);
  return {};
}

Status OpReader::slope(const std::string& before, const std::string& behind, int count, TwoSlope* out) {
  const std::pair<const char*, Floats*> roles[] = {{"a", &out->a},   {"b", &out->b}, {"lo", &out->lo},
                                                   {"hi", &out->hi}, {"g", &out->g}, {"c", &out->c}};
  for (const auto& [role, target] : roles) XNOR_TRY(floats(before + role + behind, count, target));
  if (out->a.empty() != out->b.empty() || out->lo.empty() != out->hi.empty())
    return refuse_file("R21: " + where_, "half a pair of constants", "a with b, lo with hi");
  if (!out->g.empty() && out->c.empty()) return refuse_file("R34: " + where_, "g without c", "g with c");
  return {};
}

Status OpReader::conv(Op* op) {
  XNOR_TRY(geometry(op));
  const Tensor* weight = container_.find(std::to_string(index_) + ".weight");
  if (weight == nullptr) return refuse_file("R21: " + where_, "no weight", "with a weight");
  const int64_t outputs = weight->shape[0], k = op->kernel, group_in = in_channels_ / op->groups;
  XNOR_TRY(tensor("weight", true, {outputs, k, k, group_in}, &weight));
  if (outputs > kMaxChannels || outputs % op->groups)
    return refuse_file(place(".groups"), std::to_string(op->groups), "a divisor of " + std::to_string(outputs));
  op->channels = static_cast<int>(outputs);
  const size_t terms = k * k * group_in, stride = outputs + kSlack;
  op->weight.assign(terms * stride, 0.0f);
  for (int64_t o = 0; o < outputs; ++o)
    for (size_t t = 0; t < terms; ++t)
      std::memcpy(&op->weight[t * stride + o], weight->data + (o * terms + t) * sizeof(float), sizeof(float));
  XNOR_TRY(floats("bias", op->channels, &op->bias));
  if (op->bias.empty()) op->bias.assign(stride, 0.0f);
  return {};
}

Status OpReader::block(Op* op) {
  static const char* const kResiduals[] = {"none", "after", "before"};
  Block& block = op->block;
  XNOR_TRY(geometry(op));
  int chosen = 0, channels = 0;
  XNOR_TRY(choice("residual", kResiduals, &chosen));
  XNOR_TRY(whole("channels", in_channels_, in_channels_, &channels));
  block.residual = static_cast<Residual>(chosen);
  const Tensor* bits = container_.find(std::to_string(index_) + ".bits");
  if (bits == nullptr) return refuse_file("R21: " + where_, "no bits", "with bits");
  block.group_in = in_channels_ / op->groups;
  block.group_bytes = (block.group_in + 7) / 8;
  const int64_t outputs = bits->shape[0], k = op->kernel;
  XNOR_TRY(tensor("bits", false, {outputs, k, k, block.group_bytes}, &bits));
  if (outputs > kMaxChannels || outputs % op->groups)
    return refuse_file(place(".groups"), std::to_string(op->groups), "a divisor of " + std::to_string(outputs));
  op->channels = static_cast<int>(outputs);
  block.group_out = op->channels / op->groups;
  block.bits.assign(bits->data, bits->data + bits->num_bytes);
  const int spare = block.group_bytes * 8 - block.group_in;
  for (size_t i = block.group_bytes - 1; i < block.bits.size(); i += block.group_bytes)
    if (block.bits[i] >> (8 - spare))
      return refuse_file("R34: tensor " + bits->name, "bits beyond the channels", "0 there");
  if ((block.residual == Residual::kNone) != (num_inputs_ == 1))
    return refuse_file(place(".residual"), std::to_string(num_inputs_) + " inputs", "none with one, another with two");
  if (num_inputs_ == 2 && network_.channels_of(op->in[1]) != op->channels)
    return refuse_file(place(".in"), "a residual of other channels", std::to_string(op->channels));
  if (num_inputs_ == 2 && network_.level_of(op->in[1]) != op->level)
    return refuse_file("R22: " + where_, "a residual of another level", std::to_string(op->level));
  return block_constants(op);
}

Status OpReader::block_constants(Op* op) {
  Block& block = op->block;
  const int outputs = op->channels;
  block.stride = outputs + kSlack;
  XNOR_TRY(floats("scale", outputs, &block.scale));
  XNOR_TRY(floats("shift", outputs, &block.shift));
  XNOR_TRY(floats("sign_scale", in_channels_, &block.sign_scale));
  XNOR_TRY(floats("sign_shift", in_channels_, &block.sign_shift));
  XNOR_TRY(floats("lo", outputs, &block.slope.lo));
  XNOR_TRY(floats("hi", outputs, &block.slope.hi));
  XNOR_TRY(floats("g", outputs, &block.slope.g));
  XNOR_TRY(floats("c", outputs, &block.slope.c));
  XNOR_TRY(slope("post_", "", outputs, &block.post));
  const Tensor* bias = container_.find(std::to_string(index_) + ".bias");
  if (block.scale.empty() || bias == nullptr) return refuse_file("R21: " + where_, "no scale or bias", "with both");
  block.bias_by_class = bias->shape.size() == 3 && op->kernel == 3;
  if (block.bias_by_class) {
    XNOR_TRY(tensor("bias", true, {4, 4, outputs}, &bias));
    block.bias.assign(16 * static_cast<size_t>(block.stride), 0.0f);
    for (size_t i = 0; i < 16; ++i)
      std::memcpy(&block.bias[i * block.stride], bias->data + i * outputs * sizeof(float), outputs * sizeof(float));
  } else {
    XNOR_TRY(floats("bias", outputs, &block.bias));
  }
  if (block.sign_scale.empty() != block.sign_shift.empty() || block.slope.lo.empty() != block.slope.hi.empty())
    return refuse_file("R21: " + where_, "half a pair of constants", "sign_scale with sign_shift, lo with hi");
  const bool after = block.residual == Residual::kAfter;
  if (!block.slope.g.empty() && (block.residual == Residual::kNone || (after && block.slope.c.empty())))
    return refuse_file("R34: " + where_, "g", "only with a residual, and with c where it comes after");
  pack_block(*op, &block);
  return {};
}

Status OpReader::mix(Op* op) {
  XNOR_TRY(whole("channels", 1, kMaxChannels, &op->channels));
  const json::Value* starts = value_.find("starts");
  if (starts == nullptr || !starts->is(Kind::kArray) || starts->items.size() != static_cast<size_t>(num_inputs_))
    return refuse_file(place(".starts"), "another value", "a whole number for each input");
  for (int n = 0; n < num_inputs_; ++n) {
    const json::Value& start = starts->items[n];
    if (!start.is(Kind::kInteger) || start.integer < 0 || start.integer > 4095)
      return refuse_file(place(".starts"), "another value", "whole numbers of 0..4095");
    op->starts[n] = static_cast<int>(start.integer);
    XNOR_TRY(slope("", std::to_string(n), op->channels, &op->maps[n]));
  }
  if (num_inputs_ == 2 && network_.level_of(op->in[1]) != op->level)
    return refuse_file("R22: " + where_, "inputs of two levels", "of one");
  return {};
}

Status OpReader::join(Op* op) {
  for (int n = 1; n < num_inputs_; ++n) {
    op->channels += network_.channels_of(op->in[n]);
    if (network_.level_of(op->in[n]) != op->level)
      return refuse_file("R22: " + where_, "inputs of two levels", "of one");
  }
  return {};
}

Status check_whole(const Network& network, size_t tensors_used, const Container& container) {
  const int num_ops = static_cast<int>(network.ops.size());
  std::vector<bool> used(num_ops + 1, false);
  int deepest = 0;
  for (int k = 0; k < num_ops; ++k) {
    const Op& op = network.ops[k];
    for (int id : op.in) used[id] = true;
    if (op.level > deepest) deepest = op.level;
    if ((op.kind == OpKind::kSigmoid) != (k == num_ops - 1))
      return refuse_file("R24: graph", "another end", "sigmoid, once and last");
  }
  for (int id = 0; id < num_ops; ++id)
    if (!used[id]) return refuse_file("R20: tensor " + std::to_string(id), "no use", "used by an op");
  if (network.ops.back().level != 0 || network.ops.back().channels != 1)
    return refuse_file("R24: output", "another shape", "level 0 and 1 channel");
  if (network.multiple % (1 << deepest))
    return refuse_file("R22: input.multiple", std::to_string(network.multiple),
                       "a multiple of " + std::to_string(1 << deepest));
  if (tensors_used != container.tensors.size())
    return refuse_file("R21: data", std::to_string(container.tensors.size()) + " tensors",
                       std::to_string(tensors_used) + ", those that the ops name");
  return {};
}

}  // namespace

Status read_graph(const json::Value& graph, const Container& container, Network* out) {
  if (!graph.is(Kind::kArray) || graph.items.empty()) return refuse_file("R16: graph", "no ops", "a list of ops");
  if (graph.items.size() > kMaxOps)
    return refuse_file("R6: graph", std::to_string(graph.items.size()) + " ops", "at most 4096");
  size_t tensors_used = 0;
  for (size_t k = 0; k < graph.items.size(); ++k) {
    Op op;
    OpReader reader(graph.items[k], container, *out, static_cast<int>(k));
    XNOR_TRY(reader.read(&op));
    tensors_used += reader.tensors_used();
    out->ops.push_back(std::move(op));
  }
  return check_whole(*out, tensors_used, container);
}

}  // namespace xnor
