#include "runner.h"

#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace xnor::tools {
namespace {

constexpr float kHalf = 0.5f;

std::string stem(const std::string& path) {
  const size_t slash = path.find_last_of('/'), start = slash == std::string::npos ? 0 : slash + 1;
  const size_t dot = path.find_last_of('.');
  return path.substr(start, dot == std::string::npos || dot < start ? std::string::npos : dot - start);
}

long count_above(const std::vector<float>& probabilities, float limit) {
  return static_cast<long>(
      std::count_if(probabilities.begin(), probabilities.end(), [=](float p) { return p > limit; }));
}

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    char code[8];
    if (static_cast<unsigned char>(c) < 0x20) {
      std::snprintf(code, sizeof code, "\\u%04x", c);
      out += code;
    } else {
      if (c == '"' || c == '\\') out += '\\';
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace

double now_ms(int clock) {
  timespec time{};
  clock_gettime(static_cast<clockid_t>(clock), &time);
  return 1e3 * static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_nsec);
}

Runner::Runner(const Options& options, xnor_model* model) : options_(options), model_(model) {
  xnor_info info;
  xnor_describe(model, &info);
  if (options.range.is_fixed)
    mapping_ = {options.range.fixed, "--range"};
  else if (info.has_counts && !options.has_range)
    mapping_ = {{info.counts[0], info.counts[1]}, "the model"};
}

std::string Runner::measure(const std::vector<std::string>& paths) {
  if (mapping_.source != nullptr) return "";
  RangeMeter meter(options_.range.percentiles);
  for (const std::string& path : paths) {
    Frames frames;
    if (std::string error = read_frames(path, options_.raw_height, options_.raw_width, options_.bits, &frames);
        !error.empty())
      return error;
    if (frames.kind != Kind::kCounts) continue;
    const size_t count = size_t(frames.height) * frames.width;
    std::vector<uint16_t> frame(count);
    for (int n = 0; n < frames.count; ++n) {
      std::memcpy(frame.data(), &frames.bytes[2 * n * count], 2 * count);
      meter.add(frame.data(), frames.height, frames.width);
    }
  }
  if (!meter.is_empty()) mapping_ = {meter.measure(), "these images"};
  return "";
}

std::string Runner::map(const std::string& path, Frames* frames) {
  if (frames->kind != Kind::kCounts) return "";
  if (mapping_.source == nullptr)
    return (path.empty() ? "standard input" : path) +
           ": got 16 bits, and a model without their range; must come with --range LOW,HIGH";
  has_mapped_ = true;
  std::vector<uint16_t> counts(frames->bytes.size() / 2);
  std::memcpy(counts.data(), frames->bytes.data(), 2 * counts.size());
  frames->bytes.resize(counts.size());
  frames->kind = Kind::kBytes;
  xnor_map_counts(counts.data(), counts.size(), mapping_.range.low, mapping_.range.high, frames->bytes.data());
  return "";
}

std::string Runner::run(const std::string& path, Frames* frames) {
  const std::string where = path.empty() ? "standard input" : path;
  if (std::string error = map(path, frames); !error.empty()) return error;
  if (frames->height != height_ || frames->width != width_) {
    height_ = width_ = 0;
    if (xnor_prepare(model_, frames->height, frames->width, 1, options_.threads, XNOR_AUTO) != XNOR_OK)
      return where + ": " + xnor_error();
    height_ = frames->height;
    width_ = frames->width;
  }
  const size_t count = size_t(height_) * width_, bytes = count * frames->item_bytes();
  probabilities_.resize(count);
  for (int n = 0; n < frames->count; ++n) {
    if (std::string error = run_one(where, frames->bytes.data() + n * bytes, *frames); !error.empty()) return error;
    const std::string number = path.empty() ? std::to_string(num_frames_) : std::to_string(n);
    const std::string name = path.empty() ? "frame_" + number : stem(path) + (frames->count > 1 ? "_" + number : "");
    if (std::string error = report(path, name, *frames); !error.empty()) return error;
    ++num_frames_;
  }
  return "";
}

// Timed are runs alone, with the CPU time of all threads.
std::string Runner::run_one(const std::string& path, const void* image, const Frames& frames) {
  const int32_t type = frames.kind == Kind::kFloats ? XNOR_F32 : XNOR_U8;
  for (int r = 0; r < options_.repeat; ++r) {
    const double wall = now_ms(CLOCK_MONOTONIC), cpu = now_ms(CLOCK_PROCESS_CPUTIME_ID);
    if (xnor_run(model_, image, frames.height, frames.width, type, 1, probabilities_.data()) != XNOR_OK)
      return path + ": " + xnor_error();
    const double took = now_ms(CLOCK_MONOTONIC) - wall;
    times_.total += took;
    if (options_.is_stream()) continue;
    times_.wall.push_back(took);
    times_.cpu.push_back(now_ms(CLOCK_PROCESS_CPUTIME_ID) - cpu);
  }
  return "";
}

std::vector<uint8_t> Runner::mask() const {
  std::vector<uint8_t> pixels(probabilities_.size());
  for (size_t i = 0; i < pixels.size(); ++i)
    pixels[i] = options_.probability                   ? static_cast<uint8_t>(255 * probabilities_[i] + 0.5f)
                : probabilities_[i] > options_.limit() ? 255
                                                       : 0;
  return pixels;
}

std::string Runner::report(const std::string& path, const std::string& name, const Frames& frames) {
  std::string error;
  if (options_.writes_masks_to_stdout()) {
    const std::vector<uint8_t> pixels = mask();
    std::fwrite(pixels.data(), 1, pixels.size(), stdout);
  } else if (!options_.folder.empty()) {
    error = write_pgm(options_.folder + "/" + name + ".pgm", mask().data(), frames.height, frames.width);
  }
  if (error.empty() && options_.boxes) error = print_boxes(path, frames);
  if (error.empty() && !options_.is_piped()) print_summary(name, frames);
  if (!error.empty() || !(options_.is_stream() || options_.is_piped())) return error;
  // At once, for whoever waits for it.
  return std::fflush(stdout) == 0 ? "" : "standard output: got a write error; must be open, with room";
}

std::string Runner::print_boxes(const std::string& path, const Frames& frames) {
  size_t num = 0;
  do {
    if (num > boxes_.size()) boxes_.resize(num);
    if (xnor_find_boxes(probabilities_.data(), frames.height, frames.width, options_.threshold, boxes_.data(),
                        boxes_.size(), &num) != XNOR_OK)
      return "engine: got no memory; must have enough for the targets";
  } while (num > boxes_.size());
  const std::string image = path.empty() ? "" : "\"image\": " + quoted(path) + ", ";
  for (size_t i = 0; i < num; ++i) {
    const xnor_box& box = boxes_[i];
    std::printf(
        "{\"frame\": %ld, %s\"x\": %d, \"y\": %d, \"width\": %d, \"height\": %d, \"area\": %d, \"score\": %.6f}\n",
        num_frames_, image.c_str(), box.x, box.y, box.width, box.height, box.area, static_cast<double>(box.score));
  }
  return "";
}

void Runner::print_summary(const std::string& name, const Frames& frames) const {
  std::printf("%s %dx%d: %ld target pixels", name.c_str(), frames.height, frames.width,
              count_above(probabilities_, options_.limit()));
  if (options_.limit() != kHalf) std::printf(" (%ld at 0.5)", count_above(probabilities_, kHalf));
  std::printf(", highest probability %.4f\n",
              static_cast<double>(*std::max_element(probabilities_.begin(), probabilities_.end())));
}

}  // namespace xnor::tools
