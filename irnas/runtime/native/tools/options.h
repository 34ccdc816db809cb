// The command line of xnor-run.
#pragma once

#include <string>
#include <vector>

#include "value_range.h"

namespace xnor::tools {

constexpr double kOfModel = -1;  // no threshold of the user's

struct Options {
  std::vector<std::string> paths;  // the model, then images
  std::string folder, kernels, watched;
  bool probability = false, verify = false, boxes = false;
  double threshold = kOfModel;
  int raw_height = 0, raw_width = 0, bits = 8, threads = 1, repeat = 1;
  bool has_range = false;
  RangeChoice range;

  // What a probability must exceed: the threshold in the precision of the engine's output, as everywhere.
  float limit() const { return static_cast<float>(threshold); }
  // Frames that arrive one by one, nobody knows how many.
  bool is_stream() const { return !watched.empty() || (paths.size() == 2 && paths[1] == "-"); }
  bool writes_masks_to_stdout() const { return folder == "-"; }
  // Whether another program reads stdout, so that notes must go elsewhere.
  bool is_piped() const { return boxes || writes_masks_to_stdout(); }
};

extern const char kUsage[];

// An empty text on success and one line of complaint otherwise.
std::string parse_options(int argc, char** argv, Options* out);

}  // namespace xnor::tools
