#include "graph.h"

#include "op_reader.h"

namespace xnor {
namespace {

using Kind = json::Value::Kind;

constexpr int kMaxOps = 4096;

// R38: ops that no file before version 1.3 has.
bool is_of_1_3(const Network& network) {
  for (size_t k = 0; k < network.ops.size(); ++k) {
    const OpKind kind = network.ops[k].kind;
    if (kind == OpKind::kMean || kind == OpKind::kExcite || kind == OpKind::kContrast) return true;
    if (kind == OpKind::kSigmoid && k + 1 < network.ops.size()) return true;
  }
  return false;
}

// R43: what no file before version 1.4 has.
bool is_of_1_4(const Network& network) {
  for (const Op& op : network.ops) {
    if (op.kind == OpKind::kMultiply || op.kind == OpKind::kMaximum || op.kind == OpKind::kRecombine) return true;
    if (op.kind == OpKind::kTokens || op.kind == OpKind::kAttend) return true;
    if (op.kind == OpKind::kPool && op.pool > PoolKind::kFirst) return true;
  }
  return false;
}

Status check_graph(const Network& network, size_t tensors_used, const Container& container) {
  const int num_ops = static_cast<int>(network.ops.size());
  std::vector<bool> used(num_ops + 1, false);
  int deepest = 0;
  for (int k = 0; k < num_ops; ++k) {
    const Op& op = network.ops[k];
    for (int id : op.in) used[id] = true;
    if (!op.is_vector() && op.level > deepest) deepest = op.level;
    if (op.kind != OpKind::kSigmoid && k == num_ops - 1) return refuse_file("R24: graph", "another end", "sigmoid");
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
  const std::string& version = *container.note("version");
  if (version != "1.4" && is_of_1_4(*out))
    return refuse_file("R43: graph", "decompositions in version " + version, "in version 1.4");
  if (version != "1.3" && version != "1.4" && is_of_1_3(*out))
    return refuse_file("R38: graph", "vectors in version " + version, "in version 1.3");
  return check_graph(*out, tensors_used, container);
}

}  // namespace xnor
