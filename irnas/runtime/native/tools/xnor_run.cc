// xnor-run: runs a model on images, writes masks, and says how long it took.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "image_file.h"
#include "value_range.h"
#include "xnor.h"

namespace {

constexpr char kUsage[] =
    "usage: xnor-run MODEL IMAGE... [options]\n"
    "       xnor-run MODEL --verify [--threads N] [--kernels NAME]   repeat the reference run that the file holds\n"
    "  IMAGE            PGM (8 or 16 bits), NumPy array (uint8, uint16 or float32, [H,W] or [N,H,W]), or raw 8-bit\n"
    "                   frames\n"
    "  -o FOLDER        write each mask as FOLDER/NAME.pgm (255 where the probability exceeds the threshold)\n"
    "  --probability    write 255 times the probability instead\n"
    "  --threshold P    default: the model's own, which is 0.5 where it has none\n"
    "  --raw HxW        size of raw frames\n"
    "  --range LOW,HIGH counts of 16-bit images that become 0 and 255, or P%,Q%: percentiles of all images given;\n"
    "                   default: those that the model holds, else 0.01%,99.99%\n"
    "  --threads N      default 1\n"
    "  --kernels NAME   one of those that run here, instead of the best; XNOR_KERNELS does the same\n"
    "  --repeat N       run each image N times for the timing, default 1\n";

constexpr float kHalf = 0.5f;
constexpr double kOfModel = -1;  // no threshold of the user's

struct Options {
  std::vector<std::string> paths;  // the model, then images
  std::string folder, kernels;
  bool probability = false, verify = false;
  double threshold = kOfModel;
  int raw_height = 0, raw_width = 0, threads = 1, repeat = 1;
  bool has_range = false;
  xnor::tools::RangeChoice range;

  // What a probability must exceed: the threshold in the precision of the engine's output, as everywhere.
  float limit() const { return static_cast<float>(threshold); }
};

int fail(const std::string& text) {
  std::fprintf(stderr, "xnor-run: %s\n", text.c_str());
  return 2;
}

std::string parse(int argc, char** argv, Options* out) {
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--probability") {
      out->probability = true;
      continue;
    }
    if (word == "--verify") {
      out->verify = true;
      continue;
    }
    if (word.size() < 2 || word[0] != '-') {
      out->paths.push_back(word);
      continue;
    }
    if (i + 1 == argc) return word + ": got no value; must have one";
    const char* value = argv[++i];
    if (word == "-o")
      out->folder = value;
    else if (word == "--kernels")
      out->kernels = value;
    else if (word == "--threads")
      out->threads = std::atoi(value);
    else if (word == "--repeat")
      out->repeat = std::atoi(value);
    else if (word == "--threshold")
      out->threshold = std::atof(value);
    else if (word == "--range") {
      if (std::string error = xnor::tools::parse_range(value, &out->range); !error.empty()) return error;
      out->has_range = true;
    } else if (word != "--raw")
      return word + ": got an unknown option; see --help";
    else if (std::sscanf(value, "%dx%d", &out->raw_height, &out->raw_width) != 2)
      return "--raw: got " + std::string(value) + "; must be HxW, such as 256x256";
  }
  if (out->paths.size() < (out->verify ? 1 : 2))
    return "got " + std::to_string(out->paths.size()) + " files; must be a model and images";
  if (out->repeat < 1) return "--repeat: must be at least 1";
  return "";
}

double now_ms(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return 1e3 * static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_nsec);
}

std::string stem(const std::string& path) {
  const size_t slash = path.find_last_of('/'), start = slash == std::string::npos ? 0 : slash + 1;
  const size_t dot = path.find_last_of('.');
  return path.substr(start, dot == std::string::npos || dot < start ? std::string::npos : dot - start);
}

std::string save(const Options& options, const std::string& name, const std::vector<float>& probabilities, int height,
                 int width) {
  std::vector<uint8_t> pixels(probabilities.size());
  for (size_t i = 0; i < probabilities.size(); ++i)
    pixels[i] = options.probability                  ? static_cast<uint8_t>(255 * probabilities[i] + 0.5f)
                : probabilities[i] > options.limit() ? 255
                                                     : 0;
  return xnor::tools::write_pgm(options.folder + "/" + name + ".pgm", pixels.data(), height, width);
}

struct Times {
  std::vector<double> wall, cpu;  // milliseconds for each run
};

// The counts that become 0 and 255: of the option, of the model, or of all images given, which are one set then.
struct Mapping {
  xnor::tools::Range range;
  const char* source = nullptr;  // null where no image has more than 8 bits
};

std::string find_mapping(const Options& options, const xnor_model* model, Mapping* out) {
  xnor_info info;
  xnor_describe(model, &info);
  xnor::tools::RangeMeter meter(options.range.percentiles);
  for (size_t i = 1; i < options.paths.size(); ++i) {
    xnor::tools::Frames frames;
    std::string error = xnor::tools::read_frames(options.paths[i], options.raw_height, options.raw_width, &frames);
    if (!error.empty()) return error;
    if (frames.kind != xnor::tools::Kind::kCounts) continue;
    if (options.range.is_fixed || (info.has_counts && !options.has_range)) {
      *out = {options.range.fixed, "--range"};
      if (!options.range.is_fixed) *out = {{info.counts[0], info.counts[1]}, "the model"};
      return "";
    }
    const size_t count = size_t(frames.height) * frames.width;
    std::vector<uint16_t> frame(count);
    for (int n = 0; n < frames.count; ++n) {
      std::memcpy(frame.data(), &frames.bytes[2 * n * count], 2 * count);
      meter.add(frame.data(), frames.height, frames.width);
    }
  }
  if (!meter.is_empty()) *out = {meter.measure(), "these images"};
  return "";
}

void map_frames(const Mapping& mapping, xnor::tools::Frames* frames) {
  if (frames->kind != xnor::tools::Kind::kCounts) return;
  std::vector<uint16_t> counts(frames->bytes.size() / 2);
  std::memcpy(counts.data(), frames->bytes.data(), 2 * counts.size());
  frames->bytes.resize(counts.size());
  frames->kind = xnor::tools::Kind::kBytes;
  xnor_map_counts(counts.data(), counts.size(), mapping.range.low, mapping.range.high, frames->bytes.data());
}

long count_above(const std::vector<float>& probabilities, float limit) {
  return static_cast<long>(
      std::count_if(probabilities.begin(), probabilities.end(), [=](float p) { return p > limit; }));
}

// All frames of one file. Timed are runs alone, with the CPU time of all threads.
std::string run_file(const Options& options, const Mapping& mapping, const std::string& path, xnor_model* model,
                     Times* times) {
  xnor::tools::Frames frames;
  std::string error = xnor::tools::read_frames(path, options.raw_height, options.raw_width, &frames);
  if (!error.empty()) return error;
  if (xnor_prepare(model, frames.height, frames.width, 1, options.threads, XNOR_AUTO) != XNOR_OK)
    return path + ": " + xnor_error();
  map_frames(mapping, &frames);
  const size_t count = size_t(frames.height) * frames.width, bytes = count * frames.item_bytes();
  const int32_t type = frames.kind == xnor::tools::Kind::kFloats ? XNOR_F32 : XNOR_U8;
  std::vector<float> probabilities(count);
  for (int n = 0; n < frames.count; ++n) {
    const uint8_t* image = frames.bytes.data() + n * bytes;
    for (int r = 0; r < options.repeat; ++r) {
      const double wall = now_ms(CLOCK_MONOTONIC), cpu = now_ms(CLOCK_PROCESS_CPUTIME_ID);
      if (xnor_run(model, image, frames.height, frames.width, type, 1, probabilities.data()) != XNOR_OK)
        return path + ": " + xnor_error();
      times->wall.push_back(now_ms(CLOCK_MONOTONIC) - wall);
      times->cpu.push_back(now_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu);
    }
    const std::string name = stem(path) + (frames.count > 1 ? "_" + std::to_string(n) : "");
    if (!options.folder.empty()) error = save(options, name, probabilities, frames.height, frames.width);
    if (!error.empty()) return error;
    std::printf("%s %dx%d: %ld target pixels", name.c_str(), frames.height, frames.width,
                count_above(probabilities, options.limit()));
    if (options.limit() != kHalf) std::printf(" (%ld at 0.5)", count_above(probabilities, kHalf));
    std::printf(", highest probability %.4f\n",
                static_cast<double>(*std::max_element(probabilities.begin(), probabilities.end())));
  }
  return "";
}

void print_times(const char* name, std::vector<double> times) {
  std::sort(times.begin(), times.end());
  std::printf(" %s min %.3f ms, median %.3f ms;", name, times.front(), times[times.size() / 2]);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || std::strcmp(argv[1], "--help") == 0 || std::strcmp(argv[1], "-h") == 0) {
    std::fputs(kUsage, argc < 2 ? stderr : stdout);
    return argc < 2 ? 2 : 0;
  }
  Options options;
  std::string error = parse(argc, argv, &options);
  if (!error.empty()) return fail(error);
  std::vector<uint8_t> file;
  error = xnor::tools::read_bytes(options.paths[0], &file);
  if (!error.empty()) return fail(error);
  xnor_model* model = nullptr;
  char text[1024];
  if (xnor_load(file.data(), file.size(), options.kernels.c_str(), &model, text, sizeof text) != XNOR_OK)
    return fail(options.paths[0] + ": " + text);
  Times times;
  if (options.verify) {
    const int code = xnor_verify(model, options.threads, XNOR_AUTO);
    if (code != XNOR_OK) error = options.paths[0] + ": " + xnor_error();
    options.paths.resize(1);
  }
  xnor_info info;
  xnor_describe(model, &info);
  const bool is_of_model = options.threshold == kOfModel;
  if (is_of_model) options.threshold = info.threshold;
  Mapping mapping;
  if (error.empty()) error = find_mapping(options, model, &mapping);
  for (size_t i = 1; i < options.paths.size() && error.empty(); ++i)
    error = run_file(options, mapping, options.paths[i], model, &times);
  if (error.empty() && mapping.source)
    std::printf("counts %.10g..%.10g read as 0..255, the range of %s\n", mapping.range.low, mapping.range.high,
                mapping.source);
  if (error.empty() && options.paths.size() > 1 && options.limit() != kHalf)
    std::printf("threshold %.10g of %s\n", options.threshold, is_of_model ? "the model" : "--threshold");
  xnor_describe(model, &info);
  if (options.verify && error.empty()) {
    std::printf("kernels %s: equal to the reference run, bit by bit\n", info.kernels);
  } else if (error.empty()) {
    std::printf("%zu runs, kernels %s, %d thread%s:", times.wall.size(), info.kernels, options.threads,
                options.threads == 1 ? "" : "s");
    print_times("wall", times.wall);
    print_times("CPU", times.cpu);
    std::printf(" maps %.1f MiB\n", static_cast<double>(info.arena_bytes) / (1 << 20));
  }
  xnor_free(model);
  return error.empty() ? 0 : fail(error);
}
