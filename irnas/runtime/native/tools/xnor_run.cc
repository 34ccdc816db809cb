// xnor-run: runs a model on images, writes masks or targets, and says how long it took.
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "image_file.h"
#include "options.h"
#include "runner.h"
#include "stream.h"
#include "xnor.h"

namespace {

using xnor::tools::Frames;
using xnor::tools::Options;
using xnor::tools::Runner;

int fail(const std::string& text) {
  std::fprintf(stderr, "xnor-run: %s\n", text.c_str());
  return 2;
}

std::string run_files(const Options& options, Runner* runner) {
  const std::vector<std::string> paths(options.paths.begin() + 1, options.paths.end());
  if (std::string error = runner->measure(paths); !error.empty()) return error;
  for (const std::string& path : paths) {
    Frames frames;
    std::string error = xnor::tools::read_frames(path, options.raw_height, options.raw_width, options.bits, &frames);
    if (error.empty()) error = runner->run(path, &frames);
    if (!error.empty()) return error;
  }
  return "";
}

void print_times(std::FILE* out, const char* name, std::vector<double> times) {
  std::sort(times.begin(), times.end());
  std::fprintf(out, " %s min %.3f ms, median %.3f ms;", name, times.front(), times[times.size() / 2]);
}

// How it went, below what it found, or beside it where another program reads that.
void print_end(const Options& options, bool is_threshold_of_model, const Runner& runner, const xnor_model* model,
               double seconds) {
  std::FILE* out = options.is_piped() || options.is_stream() ? stderr : stdout;
  const xnor::tools::Mapping& mapping = runner.mapping();
  if (runner.has_mapped())
    std::fprintf(out, "counts %.10g..%.10g read as 0..255, the range of %s\n", mapping.range.low, mapping.range.high,
                 mapping.source);
  if (options.limit() != 0.5f)
    std::fprintf(out, "threshold %.10g of %s\n", options.threshold,
                 is_threshold_of_model ? "the model" : "--threshold");
  xnor_info info;
  xnor_describe(model, &info);
  const char* plural = options.threads == 1 ? "" : "s";
  const xnor::tools::Times& times = runner.times();
  if (options.is_stream()) {
    const double frames = static_cast<double>(runner.num_frames());
    std::fprintf(out, "%ld frames in %.3f s: %.1f FPS; engine alone %.1f FPS, kernels %s, %d thread%s\n",
                 runner.num_frames(), seconds, frames / seconds, times.total > 0 ? 1e3 * frames / times.total : 0.0,
                 info.kernels, options.threads, plural);
    return;
  }
  std::fprintf(out, "%zu runs, kernels %s, %d thread%s:", times.wall.size(), info.kernels, options.threads, plural);
  print_times(out, "wall", times.wall);
  print_times(out, "CPU", times.cpu);
  std::fprintf(out, " maps %.1f MiB\n", static_cast<double>(info.arena_bytes) / (1 << 20));
}

std::string verify(const Options& options, xnor_model* model) {
  if (xnor_verify(model, options.threads, XNOR_AUTO) != XNOR_OK) return options.paths[0] + ": " + xnor_error();
  xnor_info info;
  xnor_describe(model, &info);
  std::printf("kernels %s: equal to the reference run, bit by bit\n", info.kernels);
  return "";
}

std::string run(Options* options, xnor_model* model) {
  if (options->verify) return verify(*options, model);
  xnor_info info;
  xnor_describe(model, &info);
  const bool is_of_model = options->threshold == xnor::tools::kOfModel;
  if (is_of_model) options->threshold = info.threshold;
  Runner runner(*options, model);
  const double start = xnor::tools::now_ms(CLOCK_MONOTONIC);
  const std::string error = !options->watched.empty() ? run_folder(*options, &runner)
                            : options->is_stream()    ? run_stdin(*options, &runner)
                                                      : run_files(*options, &runner);
  // Of a stream, what was run before the error was reported already.
  if (error.empty() || options->is_stream())
    print_end(*options, is_of_model, runner, model, 1e-3 * (xnor::tools::now_ms(CLOCK_MONOTONIC) - start));
  return error;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || std::strcmp(argv[1], "--help") == 0 || std::strcmp(argv[1], "-h") == 0) {
    std::fputs(xnor::tools::kUsage, argc < 2 ? stderr : stdout);
    return argc < 2 ? 2 : 0;
  }
  Options options;
  std::string error = xnor::tools::parse_options(argc, argv, &options);
  if (!error.empty()) return fail(error);
  std::vector<uint8_t> file;
  error = xnor::tools::read_bytes(options.paths[0], &file);
  if (!error.empty()) return fail(error);
  xnor_model* model = nullptr;
  char text[1024];
  if (xnor_load(file.data(), file.size(), options.kernels.c_str(), &model, text, sizeof text) != XNOR_OK)
    return fail(options.paths[0] + ": " + text);
  error = run(&options, model);
  xnor_free(model);
  return error.empty() ? 0 : fail(error);
}
