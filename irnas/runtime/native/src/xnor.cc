// The C interface: translates, and lets no exception out.
#include "xnor.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "guard.h"
#include "session.h"
#include "sha256.h"

struct xnor_model {
  xnor::Session session;
  bool prepared = false;
  xnor::Guard guard{[](void* model) { static_cast<xnor_model*>(model)->orphan(); }, this};

  void orphan() {
    if (session.forget_threads()) prepared = false;
  }
};

namespace {

// What the last failing call of a thread said: another thread's call must not change it while it is read.
thread_local std::string last_error;

using xnor::Code;
using xnor::Status;

// Only memory and threads can fail with an exception in here; both are reported as XNOR_MEMORY.
template <typename Work>
Status guarded(Work work) {
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return xnor::refuse(Code::kMemory, "engine: got no memory; must have enough for the model and its maps");
  } catch (const std::exception& problem) {
    return xnor::refuse(Code::kMemory, std::string("engine: got ") + problem.what() + "; must have memory and threads");
  }
}

// Section 7 of FORMAT.md: splitmix64, of which 24 bits make a float of 0..1.
std::vector<float> reference_input(uint64_t seed, size_t count) {
  std::vector<float> values(count);
  for (float& value : values) {
    uint64_t z = seed += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    value = static_cast<float>(z >> 40) * 0x1p-24f;
  }
  return values;
}

std::string digest(const std::vector<float>& values) {
  return xnor::sha256_hex(reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(float));
}

int report(const Status& status) {
  last_error = status.text;
  return static_cast<int>(status.code);
}

// Whoever calls these holds the lock of the model.
Status prepare(xnor_model* model, const xnor::Request& request) {
  model->prepared = false;
  const Status status = guarded([&] { return model->session.prepare(request); });
  model->prepared = status.ok();
  return status;
}

Status verify(xnor_model* model, int32_t threads, const xnor::Mode* mode) {
  const xnor::Network& network = model->session.network();
  const xnor::ReferenceRun& reference = network.reference;
  XNOR_TRY(prepare(model, {reference.height, reference.width, false, threads, mode}));
  model->prepared = false;  // for whoever comes next
  const size_t pixels = static_cast<size_t>(reference.height) * reference.width;
  const std::vector<float> input = reference_input(reference.seed, pixels * network.channels);
  std::vector<float> output(pixels);
  model->session.run({input.data(), false, network.channels}, output.data());
  if (digest(input) != reference.input_sha256)
    return xnor::refuse_file("R15: reference.input_sha256", reference.input_sha256, digest(input));
  if (digest(output) != reference.output_sha256)
    return xnor::refuse_file("R15: reference.output_sha256", reference.output_sha256, digest(output));
  return {};
}

// Whether an image is what a model was prepared for.
Status check_run(const xnor_model* model, int32_t height, int32_t width, int32_t type, int32_t channels, bool has_all) {
  const xnor::Plan& plan = model->session.plan();
  const int own = model->session.network().channels;
  if (!model->prepared) return {Code::kArgument, "run: got an unprepared model; must be prepared"};
  if (height != plan.height || width != plan.width)
    return {Code::kArgument, "run: got an image of " + std::to_string(height) + "x" + std::to_string(width) +
                                 "; must be " + std::to_string(plan.height) + "x" + std::to_string(plan.width) +
                                 ", for which the model was prepared last"};
  if ((type != XNOR_U8 && type != XNOR_F32) || (channels != 1 && channels != own) || !has_all)
    return {Code::kArgument, "run: got another image; must be bytes or floats of the model's channels"};
  return {};
}

// Calls work(mode) with the way of running that a number stands for; null leaves the choice to the plan.
template <typename Work>
Status with_mode(int32_t mode, Work work) {
  if (mode < XNOR_AUTO || mode > XNOR_LAYERS)
    return xnor::refuse(Code::kArgument, "mode: got " + std::to_string(mode) + "; must be 0..2");
  const xnor::Mode wanted = mode == XNOR_LAYERS ? xnor::Mode::kLayers : xnor::Mode::kStreamed;
  return work(mode == XNOR_AUTO ? nullptr : &wanted);
}

}  // namespace

extern "C" {

int xnor_abi(void) { return XNOR_ABI; }

const char* xnor_kernels(void) {
  struct Names {
    char text[64] = {};
    Names() {
      int count = 0, length = 0;
      const xnor::Kernels* const* all = xnor::all_kernels(&count);
      for (int i = 0; i < count; ++i)
        if (all[i]->runs_here())
          length += std::snprintf(text + length, sizeof text - length, "%s%s", length ? " " : "", all[i]->name);
    }
  };
  static const Names names;
  return names.text;
}

uint64_t xnor_spin(uint64_t additions) {
  uint64_t sum = additions;
  for (uint64_t i = 0; i < additions; i += 16)
    for (int n = 0; n < 16; ++n) {
      sum += i;
      asm volatile("" : "+r"(sum));  // or the compiler would multiply
    }
  return sum;
}

uint64_t xnor_count(const char* kernels, uint64_t rounds) {
  const xnor::Kernels* set = nullptr;
  if (!xnor::choose_kernels(kernels, &set).ok() || set->count == nullptr) return 0;
  return set->count(rounds);
}

int xnor_load(const void* bytes, size_t size, const char* kernels, xnor_model** model, char* error, size_t error_size) {
  std::unique_ptr<xnor_model> made;
  const Status status = guarded([&]() -> Status {
    if (bytes == nullptr || model == nullptr)
      return xnor::refuse(Code::kArgument, "load: got no bytes; must have some");
    made = std::make_unique<xnor_model>();
    return made->session.load(static_cast<const uint8_t*>(bytes), size, kernels);
  });
  if (model != nullptr) *model = status.ok() ? made.release() : nullptr;
  if (error != nullptr && error_size) std::snprintf(error, error_size, "%s", status.text.c_str());
  return static_cast<int>(status.code);
}

void xnor_describe(const xnor_model* model, xnor_info* info) {
  const auto lock = model->guard.lock();
  const xnor::Network& network = model->session.network();
  const xnor::Plan& plan = model->session.plan();
  info->kernels = model->session.kernels().name;
  info->metadata = network.metadata.c_str();
  info->channels = network.channels;
  info->multiple = network.multiple;
  info->pad = network.pad;
  info->num_ops = static_cast<int32_t>(network.ops.size());
  info->mode = !model->prepared ? XNOR_AUTO : plan.mode == xnor::Mode::kStreamed ? XNOR_STREAMED : XNOR_LAYERS;
  info->arena_bytes = plan.total_bytes;
  info->has_counts = network.has_counts;
  std::copy_n(network.counts, 2, info->counts);
  info->threshold = network.threshold;
}

int xnor_prepare(xnor_model* model, int32_t height, int32_t width, int32_t extend, int32_t threads, int32_t mode) {
  const auto lock = model->guard.lock();
  return report(with_mode(
      mode, [&](const xnor::Mode* wanted) { return prepare(model, {height, width, extend != 0, threads, wanted}); }));
}

int xnor_run(xnor_model* model, const void* image, int32_t height, int32_t width, int32_t type, int32_t channels,
             float* out) {
  const auto lock = model->guard.lock();
  const Status status = check_run(model, height, width, type, channels, image && out);
  if (!status.ok()) return report(status);
  model->session.run({image, type == XNOR_U8, channels}, out);
  return XNOR_OK;
}

int xnor_profile(xnor_model* model, const void* image, int32_t height, int32_t width, int32_t type, int32_t channels,
                 float* out, xnor_step* steps, size_t capacity, size_t* num) {
  const auto lock = model->guard.lock();
  const xnor::Plan& plan = model->session.plan();
  return report(guarded([&]() -> Status {
    XNOR_TRY(check_run(model, height, width, type, channels, image && out && num && (steps || !capacity)));
    if (plan.threads != 1)
      return xnor::refuse(Code::kArgument,
                          "profile: got " + std::to_string(plan.threads) + " threads; must be prepared with 1");
    const std::vector<uint64_t> nanoseconds = model->session.profile({image, type == XNOR_U8, channels}, out);
    *num = plan.stages.size();
    for (size_t s = 0; s < std::min(capacity, *num); ++s) {
      const xnor::Stage& stage = plan.stages[s];
      steps[s] = {step_name(stage.kind), stage.op, stage.channels, stage.height, stage.width, nanoseconds[s]};
    }
    return {};
  }));
}

void xnor_map_counts(const uint16_t* counts, size_t num, double low, double high, uint8_t* out) {
  for (size_t i = 0; i < num; ++i) {
    const double level = (static_cast<double>(counts[i]) - low) * 255.0 / (high - low);
    out[i] = static_cast<uint8_t>(std::nearbyint(std::min(std::max(level, 0.0), 255.0)));
  }
}

int xnor_verify(xnor_model* model, int32_t threads, int32_t mode) {
  const auto lock = model->guard.lock();
  return report(guarded(
      [&] { return with_mode(mode, [&](const xnor::Mode* wanted) { return verify(model, threads, wanted); }); }));
}

const char* xnor_error(void) { return last_error.c_str(); }

void xnor_free(xnor_model* model) { delete model; }

}  // extern "C"
