// Section 8 of FORMAT.md: which counts become 0 and 255. The same rule, bit for bit, is irnas/runtime/value_range.py.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

namespace xnor::tools {

struct Range {
  double low = 0, high = 0;
};

struct RangeChoice {
  bool is_fixed = false;
  Range fixed;
  Range percentiles{0.01, 99.99};
};

// LOW,HIGH or P%,Q%. Empty on success, one line of complaint otherwise.
std::string parse_range(const std::string& text, RangeChoice* out);

// The range of a set of frames, one frame after the other.
class RangeMeter {
 public:
  explicit RangeMeter(const Range& percentiles) : percentiles_(percentiles), histogram_(1 << 16) {}

  void add(const uint16_t* frame, int height, int width);
  bool is_empty() const { return least_ > most_; }
  Range measure() const;

 private:
  Range percentiles_;
  std::vector<uint64_t> histogram_;  // of the pixels that are no defects
  uint16_t least_ = 65535, most_ = 0;
  bool are_times_257_ = true;
};

}  // namespace xnor::tools
