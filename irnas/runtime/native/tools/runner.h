// Runs a model on frames and reports what it found, frame by frame.
#pragma once

#include <string>
#include <vector>

#include "image_file.h"
#include "options.h"
#include "xnor.h"

namespace xnor::tools {

// The counts that become 0 and 255: of the option, of the model, or of all images given, which are one set then.
struct Mapping {
  Range range;
  const char* source = nullptr;  // null where they are not known
};

// Milliseconds.
struct Times {
  std::vector<double> wall, cpu;  // of each run; empty for frames that come one by one, which have no end
  double total = 0;               // wall time of all runs
};

// Functions that return a text return an empty one on success, and one line of complaint otherwise.
class Runner {
 public:
  Runner(const Options& options, xnor_model* model);

  const Mapping& mapping() const { return mapping_; }
  const Times& times() const { return times_; }
  long num_frames() const { return num_frames_; }
  bool has_mapped() const { return has_mapped_; }  // whether there were images of more than 8 bits

  // Finds the range of all these images where neither the option nor the model has one.
  std::string measure(const std::vector<std::string>& paths);

  // All frames of one file, or of a stream: `path` names it, and is empty for standard input.
  std::string run(const std::string& path, Frames* frames);

 private:
  std::string map(const std::string& path, Frames* frames);
  std::string run_one(const std::string& path, const void* image, const Frames& frames);
  std::string report(const std::string& path, const std::string& name, const Frames& frames);
  std::string print_boxes(const std::string& path, const Frames& frames);
  void print_summary(const std::string& name, const Frames& frames) const;
  std::vector<uint8_t> mask() const;

  const Options& options_;
  xnor_model* model_;
  Mapping mapping_;
  Times times_;
  long num_frames_ = 0;
  bool has_mapped_ = false;
  int height_ = 0, width_ = 0;  // that the model is prepared for
  std::vector<float> probabilities_;
  std::vector<xnor_box> boxes_;
};

double now_ms(int clock);

}  // namespace xnor::tools
