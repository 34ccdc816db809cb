// From the ops of a network to stages: what runs as one, and which maps lie in planes.
//
// A row of a map lies pixel by pixel, channels fastest. A convolution of few outputs would fill a small part of a
// vector that way; its lanes are pixels instead, and it reads and writes rows in planes, one channel after the other.
#include "kernels.h"
#include "plan.h"

namespace xnor {
namespace {

// The most outputs and the least terms with which lanes of pixels are worth the turning around.
constexpr int kFewOutputs = 8, kManyTerms = 18;

size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

class Builder {
 public:
  Builder(const Network& network, Plan* plan) : network_(network), plan_(plan), readers_(network.ops.size() + 1) {
    for (size_t k = 0; k < network.ops.size(); ++k)
      for (int id : network.ops[k].in) readers_[id].push_back(static_cast<int>(k));
  }

  void stages() {
    maps_.push_back(add(StepKind::kInput, -1, {}, network_.channels, 0));
    for (size_t k = 0; k < network_.ops.size(); ++k) maps_.push_back(op_stages(static_cast<int>(k)));
  }

 private:
  int add(StepKind kind, int op, std::vector<int> in, int channels, int level) {
    Stage stage;
    stage.kind = kind;
    stage.op = op;
    stage.in = std::move(in);
    stage.channels = channels;
    stage.height = level == kVector ? 1 : plan_->full_height >> level;
    stage.width = level == kVector ? 1 : plan_->full_width >> level;
    stage.row_bytes = round_up(row_items(stage) + 2 * kAlign, kAlign);
    plan_->stages.push_back(std::move(stage));
    return static_cast<int>(plan_->stages.size()) - 1;
  }

  // Bytes of a row without those that kernels may read beyond.
  size_t row_items(const Stage& stage) const {
    const size_t width = stage.width, channels = stage.channels;
    switch (stage.kind) {
      case StepKind::kSign:
        return width * network_.ops[stage.op].groups * network_.ops[stage.op].block.group_bytes;
      case StepKind::kRowSum:
        return sizeof(double);
      case StepKind::kTapSums:
        return channels * sizeof(double);
      case StepKind::kBasisSums:
      case StepKind::kAttention:
        return channels * sizeof(float);
      default:
        return width * channels * sizeof(float);
    }
  }

  int add_planes(StepKind kind, int op, std::vector<int> in, int channels, int level) {
    const int s = add(kind, op, std::move(in), channels, level);
    Stage& stage = plan_->stages[s];
    stage.plane = kMargin + round_up(stage.width, 16) + kMargin;
    stage.row_bytes = round_up(stage.plane * channels * sizeof(float) + 2 * kAlign, kAlign);
    return s;
  }

  int op_stages(int k) {
    const Op& op = network_.ops[k];
    if (feeds_its_mix(k) || feeds_its_slopes(k)) return maps_[op.in[0]];
    switch (op.kind) {
      case OpKind::kConv:
        return conv_stage(k, -1);
      case OpKind::kMix:
        if (op.in[0] > 0 && feeds_its_slopes(op.in[0] - 1)) return conv_stage(op.in[0] - 1, k);
        break;
      case OpKind::kMean:
        return mean_stages(k);
      case OpKind::kExcite:
        return excite_stages(k);
      case OpKind::kRecombine:
        return recombine_stages(k);
      case OpKind::kAttend:
        return attend_stages(k);
      default:
        break;
    }
    std::vector<int> in;
    for (int id : op.in) in.push_back(as_pixels(id));
    const int channels_in = network_.channels_of(op.in[0]), level_in = network_.level_of(op.in[0]);
    switch (op.kind) {
      case OpKind::kBlock:
        in[0] = add(StepKind::kSign, k, {in[0]}, channels_in, level_in);
        return add(StepKind::kBlock, k, in, op.channels, op.level);
      case OpKind::kCenter:
        in.push_back(add(StepKind::kRowSum, k, {in[0]}, 1, level_in));
        return add(StepKind::kCenter, k, in, op.channels, op.level);
      case OpKind::kMix:
        if (op.in[0] > 0 && feeds_its_mix(op.in[0] - 1))
          return add(StepKind::kUpMix, k, {in[0]}, op.channels, op.level);
        return add(StepKind::kMix, k, in, op.channels, op.level);
      case OpKind::kClamp:
        return add(StepKind::kClamp, k, in, op.channels, op.level);
      case OpKind::kPool:
        return add(StepKind::kPool, k, in, op.channels, op.level);
      case OpKind::kUpsample:
        return add(StepKind::kUpsample, k, in, op.channels, op.level);
      case OpKind::kContrast:
        return add(StepKind::kContrast, k, in, op.channels, op.level);
      case OpKind::kMultiply:
        return add(StepKind::kMultiply, k, in, op.channels, op.level);
      case OpKind::kTokens:
        return add(StepKind::kTokens, k, in, op.channels, kVector);
      case OpKind::kMaximum:
        return add(StepKind::kMaximum, k, in, op.channels, op.level);
      case OpKind::kConcat:
        return add(StepKind::kConcat, k, in, op.channels, op.level);
      default:
        break;
    }
    const bool is_last = k + 1 == static_cast<int>(network_.ops.size());
    return add(is_last ? StepKind::kOutput : StepKind::kSigmoid, k, in, op.channels, op.level);
  }

  // Whether op k is a bilinear upsample that only a mix of its lower and its upper half reads. These two run as one
  // stage, because the map between them would be the widest of the network.
  bool feeds_its_mix(int k) const {
    const Op& up = network_.ops[k];
    if (up.kind != OpKind::kUpsample || up.up != UpKind::kBilinear) return false;
    const Op* mix = reader(k);
    return mix != nullptr && mix->kind == OpKind::kMix && mix->in.size() == 2 && mix->in[0] == mix->in[1] &&
           mix->channels % 16 == 0 && up.channels == 2 * mix->channels && mix->starts[0] == 0 &&
           mix->starts[1] == mix->channels;
  }

  // Whether op k is a convolution that only an activation of two slopes reads: these run as one stage, too.
  bool feeds_its_slopes(int k) const {
    const Op& conv = network_.ops[k];
    if (conv.kind != OpKind::kConv) return false;
    const Op* mix = reader(k);
    return mix != nullptr && mix->kind == OpKind::kMix && mix->in.size() == 1 && mix->starts[0] == 0 &&
           mix->channels == conv.channels && mix->maps[0].has_slopes_alone();
  }

  // The op that alone reads what op k writes; null where there are several.
  const Op* reader(int k) const {
    const std::vector<int>& readers = readers_[k + 1];
    if (readers.empty()) return nullptr;
    for (int each : readers)
      if (each != readers[0]) return nullptr;
    return &network_.ops[readers[0]];
  }

  bool has_few_outputs(const Op& op) const {
    return op.kind == OpKind::kConv && op.channels <= kFewOutputs && op.stride == 1 && op.groups == 1 && op.pad == 0 &&
           !op.is_vector();
  }

  bool has_many_terms(const Op& op) const { return op.kernel == 3 && 9 * network_.channels_of(op.in[0]) >= kManyTerms; }

  // Whether convolution k runs on planes; `written` is the tensor that its stage writes.
  bool runs_on_planes(const Op& op, int written) const {
    if (!has_few_outputs(op)) return false;
    if (has_many_terms(op)) return true;
    for (int k : readers_[written]) {
      const Op& each = network_.ops[k];
      const bool reads_planes = each.kind == OpKind::kMean || each.kind == OpKind::kExcite ||
                                each.kind == OpKind::kRecombine || (has_few_outputs(each) && has_many_terms(each));
      if (!reads_planes) return false;
    }
    return true;
  }

  // Convolution k and, unless it is -1, the mix that bends its sums.
  int conv_stage(int k, int slopes) {
    const Op& op = network_.ops[k];
    const bool on_planes = runs_on_planes(op, (slopes < 0 ? k : slopes) + 1);
    const int s = on_planes ? add_planes(StepKind::kPlaneConv, k, {as_planes(op.in[0])}, op.channels, op.level)
                            : add(StepKind::kConv, k, {as_pixels(op.in[0])}, op.channels, op.level);
    plan_->stages[s].slopes = slopes;
    return s;
  }

  int mean_stages(int k) {
    const Op& op = network_.ops[k];
    const int id = op.in[0], level = network_.level_of(id);
    const int sums = add(StepKind::kTapSums, k, {maps_[id]}, op.kernel * network_.channels_of(id), level);
    return add(StepKind::kMean, k, {sums}, op.channels, kVector);
  }

  int excite_stages(int k) {
    const Op& op = network_.ops[k];
    const size_t items = excite_items(op, network_.channels_of(op.in[0]));
    const int kernel = add(StepKind::kExciteKernel, k, {as_pixels(op.in[1])}, static_cast<int>(items), kVector);
    return add(StepKind::kExcite, k, {as_planes(op.in[0]), kernel}, 1, op.level);
  }

  // The sums of each row, the weights that they make, and with them the result.
  int recombine_stages(int k) {
    const Op& op = network_.ops[k];
    std::vector<int> in;
    for (int id : op.in) in.push_back(as_planes(id));
    const int num_terms = static_cast<int>(op.basis.terms.size());
    const int sums = add(StepKind::kBasisSums, k, in, op.channels * num_terms * 2, op.level);
    plan_->stages[sums].width = 1;
    in.erase(in.begin());
    in.push_back(add(StepKind::kGains, k, {sums}, op.channels * op.basis.num_sources, kVector));
    return add_planes(StepKind::kRecombine, k, in, op.channels, op.level);
  }

  // The rows of the matrix, as many as the vectors have channels, fitted to the columns; then the result.
  int attend_stages(int k) {
    const Op& op = network_.ops[k];
    const int x = as_planes(op.in[0]), length = network_.channels_of(op.in[1]);
    const int plane = static_cast<int>(round_up(matrix_width(op, plan_->full_height, plan_->full_width), kSlack));
    const int rows =
        add(StepKind::kAttention, k, {as_pixels(op.in[1]), as_pixels(op.in[2])}, op.channels * plane, kVector);
    plan_->stages[rows].height = length;
    return add_planes(StepKind::kAttend, k, {x, rows}, op.channels, op.level);
  }

  // The stage that writes tensor `id` in the one form or the other.
  int as_planes(int id) {
    const int s = maps_[id];
    if (plan_->stages[s].plane) return s;
    return turned(s, [&] { return add_planes(StepKind::kToPlanes, -1, {s}, plan_->stages[s].channels, level_of(s)); });
  }

  int as_pixels(int id) {
    const int s = maps_[id];
    if (!plan_->stages[s].plane) return s;
    return turned(s, [&] { return add(StepKind::kFromPlanes, -1, {s}, plan_->stages[s].channels, level_of(s)); });
  }

  template <typename Make>
  int turned(int s, Make make) {
    if (turned_.size() < plan_->stages.size()) turned_.resize(plan_->stages.size(), -1);
    if (turned_[s] >= 0) return turned_[s];
    const int other = make();
    turned_.resize(plan_->stages.size(), -1);
    return turned_[s] = other;
  }

  int level_of(int s) const {
    int level = 0;
    while (plan_->full_height >> level != plan_->stages[s].height) ++level;
    return level;
  }

  const Network& network_;
  Plan* plan_;
  std::vector<std::vector<int>> readers_;  // by tensor id, the ops that read it
  std::vector<int> maps_;                  // by tensor id
  std::vector<int> turned_;                // by stage, the stage that writes the same in the other form, or -1
};

}  // namespace

void make_stages(const Network& network, Plan* plan) { Builder(network, plan).stages(); }

}  // namespace xnor
