#include "mutate.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "container.h"
#include "json.h"
#include "sha256.h"

namespace {

using Kind = xnor::json::Value::Kind;
using Value = xnor::json::Value;

constexpr int64_t kNumbers[] = {0,          1,
                                2,          3,
                                4,          5,
                                7,          8,
                                9,          15,
                                16,         17,
                                31,         32,
                                33,         63,
                                64,         65,
                                127,        128,
                                255,        256,
                                257,        -1,
                                -2,         4095,
                                4096,       4097,
                                16777216,   16777217,
                                2147483647, 2147483648,
                                4294967296, 999999999999999999};
constexpr uint32_t kFloats[] = {0x00000000, 0x80000000, 0x3F800000, 0xBF800000, 0x00000001, 0x80000001, 0x007FFFFF,
                                0x7F7FFFFF, 0xFF7FFFFF, 0x7F61B1E6, 0xFF61B1E6, 0x5F800000, 0x20000000, 0x7FC00000};
const char* const kWords[] = {"conv",     "binary_block", "mix",       "clamp",   "center",         "pool",
                              "upsample", "concat",       "sigmoid",   "mean",    "excite_project", "contrast",
                              "multiply", "maximum",      "recombine", "none",    "tokens",         "attend",
                              "after",    "before",       "average",   "first",   "minimum",        "rows",
                              "columns",  "diagonal",     "nearest",   "bilinear"};
const char* const kRoles[] = {"weight", "bias",    "bits",       "scale",      "shift",   "lo",         "hi",
                              "g",      "c",       "post_a",     "post_b",     "post_lo", "post_c",     "post_g",
                              "a0",     "b0",      "lo0",        "hi0",        "g0",      "c0",         "c1",
                              "expand", "post_hi", "sign_scale", "sign_shift", "g1",      "expand_bias"};

template <typename T, size_t N>
const T& any_of(const T (&list)[N], Dice* dice) {
  return list[dice->below(N)];
}

struct Part {
  std::string name;
  bool is_float = false;
  std::vector<int64_t> shape;
  Bytes data;

  size_t op() const { return static_cast<size_t>(std::strtoul(name.c_str(), nullptr, 10)); }
  std::string role() const { return name.substr(std::min(name.size(), name.find('.') + 1)); }
};

// A model's file in its parts. The tensors are in the order of their data.
struct Parts {
  std::vector<std::pair<std::string, std::string>> metadata;
  std::vector<Part> tensors;
  Value graph, input;
};

void append_text(const std::string& text, std::string* out) {
  out->push_back('"');
  for (char c : text) {
    if (c == '"' || c == '\\') out->push_back('\\');
    out->push_back(c);
  }
  out->push_back('"');
}

std::string write(const Value& value) {
  std::string out;
  switch (value.kind) {
    case Kind::kNull:
      return "null";
    case Kind::kBool:
      return value.flag ? "true" : "false";
    case Kind::kInteger:
      return std::to_string(value.integer);
    case Kind::kReal:
      return std::to_string(value.real);
    case Kind::kString:
      append_text(value.text, &out);
      return out;
    case Kind::kArray:
      for (const Value& item : value.items) out += (out.empty() ? "" : ",") + write(item);
      return "[" + out + "]";
    case Kind::kObject:
      for (const auto& [name, member] : value.members) {
        if (!out.empty()) out.push_back(',');
        append_text(name, &out);
        out += ":" + write(member);
      }
  }
  return "{" + out + "}";
}

bool take_apart(const Bytes& file, Parts* out) {
  xnor::Container container;
  if (!xnor::open_container(file.data(), file.size(), &container).ok()) return false;
  const std::string *graph = container.note("graph"), *input = container.note("input");
  if (graph == nullptr || input == nullptr) return false;
  if (!xnor::json::parse(graph->data(), graph->size(), "R16: graph", &out->graph).ok()) return false;
  if (!xnor::json::parse(input->data(), input->size(), "R14: input", &out->input).ok()) return false;
  if (!out->graph.is(Kind::kArray) || out->graph.items.empty()) return false;
  out->metadata = container.metadata;
  for (const xnor::Tensor& tensor : container.tensors)
    out->tensors.push_back(
        {tensor.name, tensor.is_float, tensor.shape, Bytes(tensor.data, tensor.data + tensor.num_bytes)});
  return true;
}

Bytes put_together(Parts parts) {
  std::stable_sort(parts.tensors.begin(), parts.tensors.end(),
                   [](const Part& a, const Part& b) { return a.is_float > b.is_float; });
  Bytes payload;
  std::string entries;
  for (const Part& part : parts.tensors) {
    std::string shape;
    for (int64_t size : part.shape) shape += (shape.empty() ? "" : ",") + std::to_string(size);
    entries += ",";
    append_text(part.name, &entries);
    entries += ":{\"data_offsets\":[" + std::to_string(payload.size()) + "," +
               std::to_string(payload.size() + part.data.size()) + "],\"dtype\":\"" + (part.is_float ? "F32" : "U8") +
               "\",\"shape\":[" + shape + "]}";
    payload.insert(payload.end(), part.data.begin(), part.data.end());
  }
  std::string header = "{\"__metadata__\":{";
  for (auto& [key, text] : parts.metadata) {
    if (key == "sha256") text = xnor::sha256_hex(payload.data(), payload.size());
    if (key == "graph") text = write(parts.graph);
    if (key == "input") text = write(parts.input);
    if (header.back() != '{') header.push_back(',');
    append_text(key, &header);
    header.push_back(':');
    append_text(text, &header);
  }
  header += "}" + entries + "}";
  header.append((8 - header.size() % 8) % 8, ' ');
  Bytes file(8);
  const uint64_t length = header.size();
  std::memcpy(file.data(), &length, 8);
  file.insert(file.end(), header.begin(), header.end());
  file.insert(file.end(), payload.begin(), payload.end());
  return file;
}

void collect_leaves(Value* value, std::vector<Value*>* out) {
  for (Value& item : value->items) collect_leaves(&item, out);
  for (auto& member : value->members) collect_leaves(&member.second, out);
  if (value->items.empty() && value->members.empty()) out->push_back(value);
}

void change_leaf(Parts* parts, Dice* dice) {
  std::vector<Value*> leaves;
  collect_leaves(dice->one_in(8) ? &parts->input : &parts->graph, &leaves);
  Value* leaf = leaves[dice->below(leaves.size())];
  if (leaf->is(Kind::kString)) {
    leaf->text = any_of(kWords, dice);
    return;
  }
  const int64_t before = leaf->integer;
  leaf->kind = Kind::kInteger;
  leaf->integer = dice->one_in(2) ? before + (dice->one_in(2) ? 1 : -1) : any_of(kNumbers, dice);
}

// Data of another length: what was there, again and again.
void fit_data(Part* part) {
  uint64_t count = part->is_float ? 4 : 1;
  for (int64_t size : part->shape) count = std::min<uint64_t>(count * std::max<int64_t>(size, 0), 1 << 17);
  const Bytes before = part->data;
  part->data.resize(count);
  for (size_t i = before.size(); i < count && !before.empty(); ++i) part->data[i] = before[i % before.size()];
}

// Another number of channels wherever this number stands, which often gives a network that is right again.
void change_channels(Parts* parts, Dice* dice) {
  const Part& model = parts->tensors[dice->below(parts->tensors.size())];
  const int64_t before = model.shape[dice->below(model.shape.size())],
                behind = 1 + static_cast<int64_t>(dice->below(40));
  const auto replace = [&](int64_t* size) { *size = *size == before ? behind : *size; };
  const auto num_bytes = [](int64_t channels) { return (channels + 7) / 8; };
  for (Part& part : parts->tensors) {
    for (size_t i = 0; i + (part.is_float ? 0 : 1) < part.shape.size(); ++i)
      if (part.shape[i] != 3 || before == 3) replace(&part.shape[i]);
    if (!part.is_float && part.shape.back() == num_bytes(before)) {
      part.shape.back() = num_bytes(behind);
      // Bits beyond the last channel must be 0.
      for (uint8_t& byte : part.data) byte &= static_cast<uint8_t>((1 << ((behind - 1) % 8 + 1)) - 1);
    }
    fit_data(&part);
  }
  for (Value& op : parts->graph.items)
    for (auto& [name, value] : op.members)
      if (name == "channels") replace(&value.integer);
  for (auto& [name, value] : parts->input.members)
    if (name == "channels") replace(&value.integer);
}

// Everything that stands behind op `at` moves up by one, and an op without constants is put there.
void insert_op(Parts* parts, Dice* dice) {
  static const char* const kPlain[] = {"clamp", "center", "sigmoid",  "pool",    "upsample",
                                       "mix",   "concat", "multiply", "maximum", "recombine"};
  std::vector<Value>& ops = parts->graph.items;
  const size_t at = dice->below(ops.size());
  for (size_t k = at; k < ops.size(); ++k)
    for (auto& [name, value] : ops[k].members)
      if (name == "in")
        for (Value& id : value.items) id.integer += id.integer >= static_cast<int64_t>(at) ? 1 : 0;
  for (Part& part : parts->tensors)
    if (part.op() >= at) part.name = std::to_string(part.op() + 1) + "." + part.role();
  const std::string kind = any_of(kPlain, dice), id = std::to_string(at);
  const bool takes_two = kind == "concat" || kind == "multiply" || kind == "recombine";
  std::string text = "{\"op\":\"" + kind + "\",\"in\":[" + id + (takes_two ? "," + id : "") + "]";
  if (kind == "recombine") text += ",\"filters\":[[[1,0,0],[-1,1,-2]]]";
  if (kind == "pool") text += dice->one_in(2) ? ",\"kind\":\"average\"" : ",\"kind\":\"maximum\"";
  if (kind == "upsample") text += dice->one_in(2) ? ",\"kind\":\"bilinear\"" : ",\"kind\":\"nearest\"";
  if (kind == "mix") text += ",\"channels\":" + std::to_string(1 + dice->below(40)) + ",\"starts\":[1]";
  text += "}";
  Value op;
  xnor::json::parse(text.data(), text.size(), "R16: graph", &op);
  ops.insert(ops.begin() + static_cast<long>(at), op);
}

void change_data(Part* part, Dice* dice) {
  if (part->data.size() < 4) return;
  const size_t whole = part->data.size() / 4;
  const bool all = dice->one_in(4);
  const uint32_t word = any_of(kFloats, dice);
  for (size_t n = 0; n < (all ? whole : 1 + dice->below(8)); ++n) {
    const size_t at = all ? n : dice->below(whole);
    if (part->is_float)
      std::memcpy(part->data.data() + 4 * at, &word, 4);
    else
      part->data[4 * at] = static_cast<uint8_t>(dice->next());
  }
}

void change_tensors(Parts* parts, Dice* dice) {
  const size_t at = dice->below(parts->tensors.size());
  Part& part = parts->tensors[at];
  const std::string op = std::to_string(part.op()) + ".";
  switch (dice->below(6)) {
    case 0:
      parts->tensors.erase(parts->tensors.begin() + static_cast<long>(at));
      return;
    case 1:
      part.name = op + any_of(kRoles, dice);
      return;
    case 2: {
      // Roles come in pairs: two more of the same size have a chance to be right.
      Part twin = part;
      twin.name = op + any_of(kRoles, dice);
      parts->tensors.push_back(twin);
      twin.name = op + any_of(kRoles, dice);
      if (dice->one_in(2)) parts->tensors.push_back(twin);
      return;
    }
    case 3:
      part.shape[dice->below(part.shape.size())] = any_of(kNumbers, dice);
      fit_data(&part);
      return;
    default:
      change_data(&part, dice);
  }
}

void change_bytes(Bytes* file, Dice* dice) {
  const size_t at = dice->below(file->size());
  switch (dice->below(5)) {
    case 0:
      (*file)[at] ^= static_cast<uint8_t>(1 << dice->below(8));
      return;
    case 1:
      (*file)[at] = static_cast<uint8_t>(dice->next());
      return;
    case 2:
      file->resize(at);
      return;
    case 3:
      (*file)[dice->below(std::min<size_t>(file->size(), 8))] = static_cast<uint8_t>(dice->next());
      return;
    default: {
      const Bytes piece(file->begin() + static_cast<long>(at),
                        file->begin() + static_cast<long>(std::min(file->size(), at + 1 + dice->below(64))));
      file->insert(file->begin() + static_cast<long>(dice->below(file->size())), piece.begin(), piece.end());
    }
  }
}

}  // namespace

uint64_t Dice::next() {
  uint64_t z = state_ += 0x9E3779B97F4A7C15u;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
  return z ^ (z >> 31);
}

Bytes mutate(const Bytes& file, Dice* dice) {
  Parts parts;
  if (dice->one_in(5) || !take_apart(file, &parts) || parts.tensors.empty()) {
    Bytes changed = file;
    if (!changed.empty()) change_bytes(&changed, dice);
    return changed;
  }
  switch (dice->below(8)) {
    case 0:
      change_channels(&parts, dice);
      break;
    case 1:
      insert_op(&parts, dice);
      break;
    case 2:
    case 3:
    case 4:
      change_leaf(&parts, dice);
      break;
    default:
      change_tensors(&parts, dice);
  }
  return put_together(std::move(parts));
}
