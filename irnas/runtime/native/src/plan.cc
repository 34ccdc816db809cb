#include "plan.h"

#include <algorithm>

#include "kernels.h"
#include "pool.h"

namespace xnor {
namespace {

constexpr int kMaxSide = 16384;
constexpr size_t kMaxBytes = size_t{1} << 32;

size_t round_up(size_t value, size_t unit) { return (value + unit - 1) / unit * unit; }

// Where maps lie that do not all live at once. Times only rise.
class Places {
 public:
  // Finds `bytes` that nobody needs from time `now` on, and keeps them up to and with `until`; false beyond kMaxBytes.
  bool put(size_t bytes, int now, int until, size_t* offset) {
    places_.erase(std::remove_if(places_.begin(), places_.end(), [&](const Place& p) { return p.until < now; }),
                  places_.end());
    size_t at = 0;
    auto next = places_.begin();
    for (; next != places_.end() && next->begin - at < bytes; ++next) at = next->end;
    places_.insert(next, {at, at + bytes, until});
    *offset = at;
    bytes_ = std::max(bytes_, at + bytes);
    return bytes_ <= kMaxBytes;
  }

  size_t bytes() const { return bytes_; }

 private:
  struct Place {
    size_t begin, end;
    int until;
  };
  std::vector<Place> places_;  // by begin
  size_t bytes_ = 0;
};

size_t stage_scratch(const Network& network, const std::vector<Stage>& stages, const Stage& stage) {
  if (stage.in.empty()) return 0;
  const Stage& x = stages[stage.in[0]];
  switch (stage.kind) {
    case StepKind::kBlock:
      return block_scratch(network.ops[stage.op], x.width);
    case StepKind::kConv:
      return conv_scratch(network.ops[stage.op], x.channels, x.width);
    case StepKind::kContrast:
      return contrast_scratch(network.ops[stage.op], x.width);
    case StepKind::kMaximum:
      return maximum_scratch(x.channels, x.width);
    case StepKind::kBasisSums:
      return basis_scratch(network.ops[stage.op]);
    case StepKind::kTokens:
      return (x.channels + kSlack) * sizeof(float);
    case StepKind::kAttention:
      return attention_scratch(x.channels, matrix_width(network.ops[stage.op], stages[0].height, stages[0].width));
    case StepKind::kAttend:
      return (std::max(x.height, x.width) + kMaxLength + 2 * kSlack) * sizeof(float) + kMaxLength * sizeof(float*);
    case StepKind::kGains:
      return stages[stage.in[0]].channels * sizeof(double);
    case StepKind::kExciteKernel:
      return excite_scratch(network.ops[stage.op], network.channels_of(network.ops[stage.op].in[0]));
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
    return lay_out();
  }

 private:
  // A ring takes over the place of others that nobody reads any more.
  Status lay_out() {
    const int num_stages = static_cast<int>(plan_.stages.size());
    std::vector<int> begin(num_stages, 0), end(num_stages, 0), order(num_stages);
    for (int at = static_cast<int>(band_->steps.size()); at-- > 0;) begin[band_->steps[at].stage] = at;
    for (int at = 0; at < static_cast<int>(band_->steps.size()); ++at) {
      const int s = band_->steps[at].stage;
      end[s] = at;
      for (int in : plan_.stages[s].in) end[in] = at;
    }
    for (int s = 0; s < num_stages; ++s) order[s] = s;
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return begin[a] < begin[b]; });
    Places places;
    for (int s : order) {
      Ring& ring = band_->rings[s];
      ring.height = std::max(ring.height, 1);
      size_t bytes = 0;
      if (__builtin_mul_overflow(plan_.stages[s].row_bytes, static_cast<size_t>(ring.height), &bytes) ||
          !places.put(bytes, begin[s], end[s], &ring.offset))
        return refuse(Code::kMemory, "image: needs more than 4 GiB of maps; must be smaller");
    }
    band_->arena_bytes = places.bytes();
    return {};
  }

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
  Places places;
  for (int s = 0; s < count; ++s) {
    const size_t bytes = plan->stages[s].row_bytes * static_cast<size_t>(plan->stages[s].height);
    band.rings[s].height = plan->stages[s].height;
    if (!places.put(bytes, s, last_use[s], &band.rings[s].offset))
      return refuse(Code::kMemory, "image: needs more than 4 GiB of maps; must be smaller");
  }
  band.arena_bytes = places.bytes();
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
    case StepKind::kPlaneConv:
    case StepKind::kBlock: {
      const Op& op = network.ops[stage.op];
      if (n == 1) return {y, y};
      return {clip(op.stride * y - op.kernel / 2), clip(op.stride * y + op.kernel / 2)};
    }
    case StepKind::kExcite: {
      const int reach = excite_side(network.ops[stage.op]) / 2;
      return n == 1 ? Span{0, 0} : Span{clip(y - reach), clip(y + reach)};
    }
    case StepKind::kContrast: {
      const int reach = network.ops[stage.op].sides.back() / 2;
      return {clip(y - reach), clip(y + reach)};
    }
    case StepKind::kMaximum:
      return {clip(y - 1), clip(y + 1)};
    case StepKind::kBasisSums:
    case StepKind::kRecombine: {
      // The origin is read by the sums alone, ahead of the source; the weights come last, and are one row.
      const size_t source = stage.kind == StepKind::kBasisSums ? 1 : 0;
      if (stage.kind == StepKind::kRecombine && n + 1 == stage.in.size()) return {0, 0};
      const Basis& basis = network.ops[stage.op].basis;
      if (n != source || !basis.has_filters()) return {y, y};
      return {clip(y + basis.first_row), clip(y + basis.last_row)};
    }
    case StepKind::kAttend: {
      if (n == 0 && network.ops[stage.op].is_gate) return {y, y};
      if (n == 0) return {0, height - 1};
      Span span{};
      float weights[kMaxLength];
      span.last = Fit{height, stage.height}.weights(y, &span.first, weights);
      span.last += span.first - 1;
      return span;
    }
    case StepKind::kAttention:
      return {0, 0};
    case StepKind::kTokens:
    case StepKind::kGains:
    case StepKind::kMean:
      return {0, height - 1};
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
  make_stages(network, out);
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
