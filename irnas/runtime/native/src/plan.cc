#include "plan.h"

#include <algorithm>

#include "kernels.h"
#include "pool.h"

namespace xnor {
namespace {

constexpr int kMaxSide = 16384;
constexpr size_t kMaxBytes = size_t{1} << 32;

size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

class Builder {
 public:
  Builder(const Network& network, Plan* plan) : network_(network), plan_(plan) {}

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
    stage.height = plan_->full_height >> level;
    stage.width = plan_->full_width >> level;
    size_t bytes = static_cast<size_t>(stage.width) * channels * sizeof(float);
    if (kind == StepKind::kSign)
      bytes = static_cast<size_t>(stage.width) * network_.ops[op].groups * network_.ops[op].block.group_bytes;
    if (kind == StepKind::kRowSum) bytes = sizeof(double);
    stage.row_bytes = round_up(bytes + 2 * kAlign, kAlign);
    plan_->stages.push_back(std::move(stage));
    return static_cast<int>(plan_->stages.size()) - 1;
  }

  int op_stages(int k) {
    const Op& op = network_.ops[k];
    std::vector<int> in;
    for (int id : op.in) in.push_back(maps_[id]);
    const int channels_in = network_.channels_of(op.in[0]), level_in = network_.level_of(op.in[0]);
    switch (op.kind) {
      case OpKind::kBlock:
        in[0] = signs(k, in[0], channels_in, level_in);
        return add(StepKind::kBlock, k, in, op.channels, op.level);
      case OpKind::kCenter:
        in.push_back(add(StepKind::kRowSum, k, {in[0]}, 1, level_in));
        return add(StepKind::kCenter, k, in, op.channels, op.level);
      case OpKind::kConv:
        return add(StepKind::kConv, k, in, op.channels, op.level);
      case OpKind::kMix:
        if (op.in[0] > 0 && feeds_its_mix(op.in[0] - 1))
          return add(StepKind::kUpMix, k, {in[0]}, op.channels, op.level);
        return add(StepKind::kMix, k, in, op.channels, op.level);
      case OpKind::kClamp:
        return add(StepKind::kClamp, k, in, op.channels, op.level);
      case OpKind::kPool:
        return add(StepKind::kPool, k, in, op.channels, op.level);
      case OpKind::kUpsample:
        if (feeds_its_mix(k)) return in[0];
        return add(StepKind::kUpsample, k, in, op.channels, op.level);
      case OpKind::kConcat:
        return add(StepKind::kConcat, k, in, op.channels, op.level);
      case OpKind::kSigmoid:
        break;
    }
    return add(StepKind::kOutput, k, in, op.channels, op.level);
  }

  // Whether op k is a bilinear upsample that only a mix of its lower and its upper half reads. These two run as one
  // stage, because the map between them would be the widest of the network.
  bool feeds_its_mix(int k) const {
    const Op& up = network_.ops[k];
    if (up.kind != OpKind::kUpsample || up.up != UpKind::kBilinear) return false;
    const Op* mix = nullptr;
    for (const Op& each : network_.ops)
      for (int id : each.in) {
        if (id != k + 1) continue;
        if (mix != nullptr && mix != &each) return false;
        mix = &each;
      }
    return mix != nullptr && mix->kind == OpKind::kMix && mix->in.size() == 2 && mix->in[0] == mix->in[1] &&
           mix->channels % 16 == 0 && up.channels == 2 * mix->channels && mix->starts[0] == 0 &&
           mix->starts[1] == mix->channels;
  }

  int signs(int k, int x, int channels, int level) { return add(StepKind::kSign, k, {x}, channels, level); }

  const Network& network_;
  Plan* plan_;
  std::vector<int> maps_;  // by tensor id
};

size_t stage_scratch(const Network& network, const std::vector<Stage>& stages, const Stage& stage) {
  if (stage.in.empty()) return 0;
  const Stage& x = stages[stage.in[0]];
  switch (stage.kind) {
    case StepKind::kBlock:
      return block_scratch(network.ops[stage.op], x.width);
    case StepKind::kConv:
      return conv_scratch(network.ops[stage.op], x.channels, x.width);
    default:
      return 0;
  }
}

// The order of rows for output rows [first, last): each row only when somebody waits for it.
class Streamer {
 public:
  Streamer(const Network& network, const Plan& plan, Band* band) : network_(network), plan_(plan), band_(band) {}

  Status run() {
    const int last_stage = static_cast<int>(plan_.stages.size()) - 1;
    first_needed();
    band_->rings.assign(plan_.stages.size(), Ring());
    for (int row = band_->first; row < band_->last; ++row) pull(last_stage, row);
    for (size_t s = 0; s < plan_.stages.size(); ++s) {
      Ring& ring = band_->rings[s];
      ring.height = std::max(ring.height, 1);
      ring.offset = band_->arena_bytes;
      size_t bytes = 0;
      if (__builtin_mul_overflow(plan_.stages[s].row_bytes, static_cast<size_t>(ring.height), &bytes) ||
          (band_->arena_bytes += bytes) > kMaxBytes)
        return refuse(Code::kMemory, "image: needs more than 4 GiB of maps; must be smaller");
    }
    return {};
  }

 private:
  // Row numbers of each stage only rise, so what the first output row needs is where a stage begins.
  void first_needed() {
    made_.assign(plan_.stages.size(), INT32_MAX);
    made_.back() = band_->first;
    for (size_t s = plan_.stages.size(); s-- > 0;) {
      const Stage& stage = plan_.stages[s];
      for (size_t n = 0; n < stage.in.size(); ++n) {
        int& begin = made_[stage.in[n]];
        begin = std::min(begin, rows_needed(network_, plan_.stages, stage, n, made_[s]).first);
      }
    }
  }

  void pull(int stage, int row) {
    waiting_.push_back({stage, row});
    while (!waiting_.empty()) {
      const Step top = waiting_.back();
      int& made = made_[top.stage];
      if (made > top.row) {
        waiting_.pop_back();
        continue;
      }
      if (!wait_for_inputs(plan_.stages[top.stage], made)) {
        emit(top.stage, made);
        ++made;
      }
    }
  }

  bool wait_for_inputs(const Stage& stage, int row) {
    for (size_t n = 0; n < stage.in.size(); ++n) {
      const Span span = rows_needed(network_, plan_.stages, stage, n, row);
      if (made_[stage.in[n]] > span.last) continue;
      waiting_.push_back({stage.in[n], span.last});
      return true;
    }
    return false;
  }

  void emit(int s, int row) {
    band_->steps.push_back({s, row});
    const Stage& stage = plan_.stages[s];
    for (size_t n = 0; n < stage.in.size(); ++n) {
      // Rows from the first one still read to the last one made live side by side.
      Ring& ring = band_->rings[stage.in[n]];
      const Span span = rows_needed(network_, plan_.stages, stage, n, row);
      ring.height = std::max(ring.height, made_[stage.in[n]] - span.first);
    }
  }

  const Network& network_;
  const Plan& plan_;
  Band* band_;
  std::vector<int> made_;  // by stage, the next row to make
  std::vector<Step> waiting_;
};

// Whole maps; one takes over the place of others that nobody reads any more.
Status lay_out(Plan* plan) {
  const int count = static_cast<int>(plan->stages.size());
  std::vector<int> last_use(count);
  for (int s = 0; s < count; ++s) {
    last_use[s] = s;
    for (int in : plan->stages[s].in) last_use[in] = s;
  }
  Band band;
  band.last = plan->full_height;
  band.rings.resize(count);
  struct Place {
    size_t begin, end;
    int until;
  };
  std::vector<Place> places;  // by begin
  for (int s = 0; s < count; ++s) {
    places.erase(std::remove_if(places.begin(), places.end(), [&](const Place& p) { return p.until < s; }),
                 places.end());
    const size_t bytes = plan->stages[s].row_bytes * static_cast<size_t>(plan->stages[s].height);
    size_t at = 0;
    auto next = places.begin();
    for (; next != places.end() && next->begin - at < bytes; ++next) at = next->end;
    places.insert(next, {at, at + bytes, last_use[s]});
    band.rings[s] = {at, plan->stages[s].height};
    band.arena_bytes = std::max(band.arena_bytes, at + bytes);
    if (band.arena_bytes > kMaxBytes)
      return refuse(Code::kMemory, "image: needs more than 4 GiB of maps; must be smaller");
  }
  plan->bands.push_back(std::move(band));
  return {};
}

Status stream(const Network& network, int bands, Plan* plan) {
  size_t arenas = 0;
  for (int member = 0; member < bands; ++member) {
    Band band;
    // The output's rows, not the map's: those below the image are computed for nobody.
    band.first = band_begin(plan->height, member, bands);
    band.last = band_begin(plan->height, member + 1, bands);
    XNOR_TRY(Streamer(network, *plan, &band).run());
    arenas += band.arena_bytes;
    plan->bands.push_back(std::move(band));
  }
  if (arenas > kMaxBytes) return refuse(Code::kMemory, "image: needs more than 4 GiB of maps; must be smaller");
  return {};
}

// Rows of the largest maps that two neighbouring bands both compute, summed over all bands, must not cost more than
// sharing each op's rows would: measured, half as much work again is where the two ways meet.
bool suits_streaming(const Plan& plan) {
  size_t bytes_made = 0, bytes_all = 0;
  for (const Stage& stage : plan.stages) bytes_all += stage.row_bytes * stage.height;
  for (const Band& band : plan.bands)
    for (const Step& step : band.steps) bytes_made += plan.stages[step.stage].row_bytes;
  return bytes_made <= bytes_all + bytes_all / 2;
}

}  // namespace

Span rows_needed(const Network& network, const std::vector<Stage>& stages, const Stage& stage, size_t n, int y) {
  const int height = stages[stage.in[n]].height;
  const auto clip = [height](int row) { return std::min(std::max(row, 0), height - 1); };
  switch (stage.kind) {
    case StepKind::kConv:
    case StepKind::kBlock: {
      const Op& op = network.ops[stage.op];
      if (n == 1) return {y, y};
      return {clip(op.stride * y - op.kernel / 2), clip(op.stride * y + op.kernel / 2)};
    }
    case StepKind::kCenter:
      return n == 0 ? Span{y, y} : Span{0, height - 1};
    case StepKind::kPool:
      return {2 * y, 2 * y + 1};
    case StepKind::kUpMix:
    case StepKind::kUpsample:
      if (stage.kind == StepKind::kUpsample && network.ops[stage.op].up == UpKind::kNearest) return {y / 2, y / 2};
      return y % 2 ? Span{y / 2, clip(y / 2 + 1)} : Span{clip(y / 2 - 1), y / 2};
    default:
      return {y, y};
  }
}

Status make_plan(const Network& network, const Request& request, Plan* out) {
  *out = Plan();
  const int height = request.height, width = request.width, threads = request.threads;
  const int unit = request.extend ? network.pad : network.multiple;
  const auto extend = [unit](int size) { return (size + unit - 1) / unit * unit; };
  if (height < 1 || width < 1 || height > kMaxSide || width > kMaxSide)
    return refuse(Code::kArgument, "image: got " + std::to_string(height) + "x" + std::to_string(width) +
                                       " pixels; must be 1x1 to 16384x16384");
  if (threads < 1 || threads > 256)
    return refuse(Code::kArgument, "threads: got " + std::to_string(threads) + "; must be 1..256");
  if (!request.extend && (height % unit || width % unit))
    return refuse(Code::kArgument, "image: got " + std::to_string(height) + "x" + std::to_string(width) +
                                       " pixels; must be multiples of " + std::to_string(unit));
  out->height = height;
  out->width = width;
  out->full_height = extend(height);
  out->full_width = extend(width);
  out->threads = threads;
  Builder(network, out).stages();
  for (const Stage& stage : out->stages)
    out->scratch_bytes = std::max(out->scratch_bytes, round_up(stage_scratch(network, out->stages, stage), kAlign));
  out->mode = request.mode ? *request.mode : Mode::kStreamed;
  if (out->mode == Mode::kStreamed) {
    XNOR_TRY(stream(network, std::min(threads, height), out));
    if (!request.mode && out->bands.size() > 1 && !suits_streaming(*out)) {
      out->mode = Mode::kLayers;
      out->bands.clear();
    }
  }
  if (out->mode == Mode::kLayers) XNOR_TRY(lay_out(out));
  for (const Band& band : out->bands) out->total_bytes += band.arena_bytes;
  out->total_bytes += out->scratch_bytes * threads;
  return {};
}

}  // namespace xnor
