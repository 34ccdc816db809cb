#include "op_reader.h"

#include <cstring>

namespace xnor {
namespace {

using Kind = json::Value::Kind;

constexpr int kMaxLevel = 8;

struct Name {
  const char* text;
  OpKind kind;
  int least_inputs, most_inputs;
  int num_attributes;  // besides op and in
};

constexpr Name kNames[] = {
    {"conv", OpKind::kConv, 1, 1, 4},
    {"binary_block", OpKind::kBlock, 1, 2, 6},
    {"mix", OpKind::kMix, 1, 2, 2},
    {"clamp", OpKind::kClamp, 1, 1, 0},
    {"center", OpKind::kCenter, 1, 1, 0},
    {"pool", OpKind::kPool, 1, 1, 1},
    {"upsample", OpKind::kUpsample, 1, 1, 1},
    {"concat", OpKind::kConcat, 2, 16, 0},
    {"sigmoid", OpKind::kSigmoid, 1, 1, 0},
    {"mean", OpKind::kMean, 1, 1, 1},
    {"excite_project", OpKind::kExcite, 2, 2, 0},
    {"contrast", OpKind::kContrast, 1, 1, 1},
    {"multiply", OpKind::kMultiply, 2, 2, 0},
    {"maximum", OpKind::kMaximum, 1, 1, 0},
    {"recombine", OpKind::kRecombine, 2, 16, 1},
    {"tokens", OpKind::kTokens, 1, 1, 1},
    {"attend", OpKind::kAttend, 3, 3, 1},
};

const char* const kRules[] = {"R25", "R26", "R27", "R28", "R29", "R30", "R31", "R32", "R33",
                              "R40", "R41", "R42", "R44", "R45", "R46", "R47", "R48"};

}  // namespace

Status OpReader::read_head(Op* op) {
  const json::Value* name = value_.find("op");
  if (!value_.is(Kind::kObject) || name == nullptr || !name->is(Kind::kString))
    return refuse_file(place(""), "no name", "an object with op and in");
  const Name* known = nullptr;
  for (const Name& each : kNames)
    if (name->text == each.text) known = &each;
  if (known == nullptr)
    return refuse_file(place(".op"), "'" + name->text + "'",
                       "conv, binary_block, mix, clamp, center, pool, upsample, concat, sigmoid, mean, "
                       "excite_project, contrast, multiply, maximum, recombine, tokens or attend");
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
  XNOR_TRY(read_head(op));
  rule_ = kRules[static_cast<int>(op->kind)];
  op->channels = in_channels_;
  op->level = network_.level_of(op->in[0]);
  XNOR_TRY(check_vectors(*op));
  XNOR_TRY(read_attributes(op));
  if (network_.level_of(op->in[0]) == kVector && (op->kernel != 1 || op->level != kVector))
    return refuse_file("R39: " + where_, "a vector with kernel " + std::to_string(op->kernel),
                       "one with kernel 1 and stride 1");
  if (op->channels < 1 || op->channels > kMaxChannels)
    return refuse_file("R23: " + where_, std::to_string(op->channels) + " channels", "1..4096");
  if (!op->is_vector() && (op->level < 0 || op->level > kMaxLevel))
    return refuse_file("R22: " + where_, "level " + std::to_string(op->level), "0..8");
  return {};
}

Status OpReader::read_attributes(Op* op) {
  int chosen = 0;
  switch (op->kind) {
    case OpKind::kConv:
      return read_conv(op);
    case OpKind::kBlock:
      return read_block(op);
    case OpKind::kMix:
      return read_mix(op);
    case OpKind::kConcat:
      return read_concat(op);
    case OpKind::kPool:
      XNOR_TRY(read_choice("kind", {"average", "maximum", "first", "minimum", "rows", "columns", "diagonal"}, &chosen));
      op->pool = static_cast<PoolKind>(chosen);
      ++op->level;
      return {};
    case OpKind::kUpsample:
      XNOR_TRY(read_choice("kind", {"nearest", "bilinear"}, &chosen));
      op->up = static_cast<UpKind>(chosen);
      --op->level;
      return {};
    case OpKind::kMean:
      return read_mean(op);
    case OpKind::kExcite:
      return read_excite(op);
    case OpKind::kContrast:
      return read_contrast(op);
    case OpKind::kMultiply:
      return check_alike(*op);
    case OpKind::kRecombine:
      return read_recombine(op);
    case OpKind::kTokens:
      return read_tokens(op);
    case OpKind::kAttend:
      return read_attend(op);
    case OpKind::kMaximum:
    case OpKind::kClamp:
    case OpKind::kCenter:
    case OpKind::kSigmoid:
      return {};
  }
  return {};
}

// R39: which ops read vectors.
Status OpReader::check_vectors(const Op& op) const {
  const bool may_read = op.kind == OpKind::kConv || op.kind == OpKind::kMix || op.kind == OpKind::kSigmoid;
  for (int n = 0; n < num_inputs_; ++n) {
    const bool is_vector = network_.level_of(op.in[n]) == kVector;
    if (op.kind == OpKind::kAttend && is_vector != (n > 0))
      return refuse_file("R48: " + where_, "other inputs", "a map and two vectors");
    if (op.kind == OpKind::kAttend) continue;
    if (op.kind == OpKind::kExcite && is_vector != (n == 1))
      return refuse_file("R41: " + where_, "other inputs", "a map and a vector");
    if (op.kind != OpKind::kExcite && is_vector && !may_read)
      return refuse_file("R39: " + where_, "a vector", "a map, or the op conv, mix or sigmoid");
  }
  return {};
}

Status OpReader::read_geometry(Op* op) {
  XNOR_TRY(read_integer("kernel", 1, 3, &op->kernel));
  if (op->kernel == 2) return refuse_file(place(".kernel"), "2", "1 or 3");
  XNOR_TRY(read_integer("stride", 1, 2, &op->stride));
  XNOR_TRY(read_integer("groups", 1, kMaxChannels, &op->groups));
  XNOR_TRY(read_integer("pad", op->kernel == 3 ? -1 : 0, op->kernel == 3 ? 1 : 0, &op->pad));
  if (in_channels_ % op->groups)
    return refuse_file(place(".groups"), std::to_string(op->groups), "a divisor of " + std::to_string(in_channels_));
  if (op->stride == 2) ++op->level;
  return {};
}

Status OpReader::read_integer(const char* name, int64_t low, int64_t high, int* out) const {
  const json::Value* value = value_.find(name);
  if (value == nullptr || !value->is(Kind::kInteger) || value->integer < low || value->integer > high)
    return refuse_file(place(std::string(".") + name), "another value or none",
                       "a whole number of " + std::to_string(low) + ".." + std::to_string(high));
  *out = static_cast<int>(value->integer);
  return {};
}

Status OpReader::read_choice(const char* name, const std::vector<const char*>& words, int* out) const {
  const json::Value* value = value_.find(name);
  std::string list;
  for (size_t i = 0; i < words.size(); ++i) {
    if (value != nullptr && value->is(Kind::kString) && value->text == words[i]) {
      *out = static_cast<int>(i);
      return {};
    }
    list += std::string(i ? ", " : "") + words[i];
  }
  return refuse_file(place(std::string(".") + name), value ? "'" + value->text + "'" : "nothing", "one of " + list);
}

Status OpReader::find_tensor(const std::string& role, bool is_float, const std::vector<int64_t>& shape,
                             const Tensor** out) {
  const std::string name = tensor_name(role);
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

Status OpReader::read_floats(const std::string& role, int count, Floats* out) {
  const Tensor* tensor = nullptr;
  XNOR_TRY(find_tensor(role, true, {count}, &tensor));
  if (tensor == nullptr) return {};
  out->assign(static_cast<size_t>(count) + kSlack, 0.0f);
  std::memcpy(out->data(), tensor->data, tensor->num_bytes);
  return {};
}

Status OpReader::read_slopes(const std::string& before, const std::string& behind, int count, TwoSlope* out) {
  const std::pair<const char*, Floats*> roles[] = {{"a", &out->a},   {"b", &out->b}, {"lo", &out->lo},
                                                   {"hi", &out->hi}, {"g", &out->g}, {"c", &out->c}};
  for (const auto& [role, target] : roles) XNOR_TRY(read_floats(before + role + behind, count, target));
  if (out->a.empty() != out->b.empty() || out->lo.empty() != out->hi.empty())
    return refuse_file("R21: " + where_, "half a pair of constants", "a with b, lo with hi");
  if (!out->g.empty() && out->c.empty()) return refuse_file("R34: " + where_, "g without c", "g with c");
  return {};
}

Status OpReader::read_conv(Op* op) {
  XNOR_TRY(read_geometry(op));
  const Tensor* weight = container_.find(tensor_name("weight"));
  if (weight == nullptr) return refuse_file("R21: " + where_, "no weight", "with a weight");
  const int64_t outputs = weight->shape[0], k = op->kernel, group_in = in_channels_ / op->groups;
  XNOR_TRY(find_tensor("weight", true, {outputs, k, k, group_in}, &weight));
  if (outputs > kMaxChannels || outputs % op->groups)
    return refuse_file(place(".groups"), std::to_string(op->groups), "a divisor of " + std::to_string(outputs));
  op->channels = static_cast<int>(outputs);
  const size_t terms = k * k * group_in, stride = outputs + kSlack;
  op->weight.assign(terms * stride, 0.0f);
  for (int64_t o = 0; o < outputs; ++o)
    for (size_t t = 0; t < terms; ++t)
      std::memcpy(&op->weight[t * stride + o], weight->data + (o * terms + t) * sizeof(float), sizeof(float));
  XNOR_TRY(read_floats("bias", op->channels, &op->bias));
  if (op->bias.empty()) op->bias.assign(stride, 0.0f);
  pack_flat_conv(in_channels_, op);
  return {};
}

Status OpReader::read_mix(Op* op) {
  XNOR_TRY(read_integer("channels", 1, kMaxChannels, &op->channels));
  const json::Value* starts = value_.find("starts");
  if (starts == nullptr || !starts->is(Kind::kArray) || starts->items.size() != static_cast<size_t>(num_inputs_))
    return refuse_file(place(".starts"), "another value", "a whole number for each input");
  for (int n = 0; n < num_inputs_; ++n) {
    const json::Value& start = starts->items[n];
    if (!start.is(Kind::kInteger) || start.integer < 0 || start.integer > 4095)
      return refuse_file(place(".starts"), "another value", "whole numbers of 0..4095");
    op->starts[n] = static_cast<int>(start.integer);
    XNOR_TRY(read_slopes("", std::to_string(n), op->channels, &op->maps[n]));
  }
  if (num_inputs_ == 2 && network_.level_of(op->in[1]) != op->level)
    return refuse_file("R22: " + where_, "inputs of two levels", "of one");
  const int channels[2] = {in_channels_, network_.channels_of(op->in.back())};
  pack_flat_mix(channels, op);
  return {};
}

Status OpReader::read_concat(Op* op) {
  for (int n = 1; n < num_inputs_; ++n) {
    op->channels += network_.channels_of(op->in[n]);
    if (network_.level_of(op->in[n]) != op->level)
      return refuse_file("R22: " + where_, "inputs of two levels", "of one");
  }
  return {};
}

Status OpReader::read_mean(Op* op) {
  XNOR_TRY(read_integer("kernel", 1, 3, &op->kernel));
  if (op->kernel == 2) return refuse_file(place(".kernel"), "2", "1 or 3");
  op->channels = op->kernel * op->kernel * in_channels_;
  op->level = kVector;
  return {};
}

Status OpReader::read_contrast(Op* op) {
  const json::Value* sides = value_.find("sides");
  if (in_channels_ != 1) return refuse_file(place(".in"), std::to_string(in_channels_) + " channels", "1");
  if (sides == nullptr || !sides->is(Kind::kArray) || sides->items.empty() || sides->items.size() > kMaxSides)
    return refuse_file(place(".sides"), "another value", "1 to 16 numbers");
  int64_t before = 1;
  for (const json::Value& side : sides->items) {
    if (!side.is(Kind::kInteger) || side.integer <= before || side.integer > kMaxSquare || side.integer % 2 == 0)
      return refuse_file(place(".sides"), "another value", "odd numbers of 3..127 that rise");
    before = side.integer;
    op->sides.push_back(static_cast<int>(before));
  }
  op->channels = static_cast<int>(op->sides.size());
  return {};
}

Status OpReader::read_excite(Op* op) {
  const int factors = network_.channels_of(op->in[1]), terms = 9 * in_channels_;
  const Tensor *weight = nullptr, *expand = nullptr;
  XNOR_TRY(find_tensor("weight", true, {1, 3, 3, factors}, &weight));
  XNOR_TRY(read_floats("bias", 1, &op->bias));
  if (weight == nullptr || op->bias.empty()) return refuse_file("R21: " + where_, "no weight or bias", "with both");
  op->weight.assign(9 * static_cast<size_t>(factors) + kSlack, 0.0f);
  std::memcpy(op->weight.data(), weight->data, weight->num_bytes);
  op->channels = 1;
  XNOR_TRY(find_tensor("expand", true, {factors, 3, 3, in_channels_}, &expand));
  XNOR_TRY(read_floats("expand_bias", factors, &op->expand_bias));
  if ((expand == nullptr) != op->expand_bias.empty())
    return refuse_file("R21: " + where_, "half a pair of constants", "expand with expand_bias");
  if (expand == nullptr) {
    if (factors != in_channels_)
      return refuse_file(place(".in"), std::to_string(factors) + " factors", std::to_string(in_channels_));
    return {};
  }
  const size_t stride = terms + kSlack;
  op->expand.assign(factors * stride, 0.0f);
  for (int w = 0; w < factors; ++w)
    std::memcpy(&op->expand[w * stride], expand->data + static_cast<size_t>(w) * terms * sizeof(float),
                terms * sizeof(float));
  return {};
}

}  // namespace xnor
