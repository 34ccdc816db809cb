#include "value_range.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace xnor::tools {
namespace {

constexpr double kMost = 0x1p53;

// The number that fills all of `text`; false where there is none.
bool read_number(const std::string& text, double* out) {
  char* stop = nullptr;
  *out = std::strtod(text.c_str(), &stop);
  return !text.empty() && *stop == '\0' && std::isfinite(*out);
}

// The median of the 3x3 pixels around one; beyond an edge stands the pixel at the edge.
int median_around(const uint16_t* frame, int height, int width, int row, int column) {
  std::array<uint16_t, 9> around;
  for (int n = 0; n < 9; ++n) {
    const int y = std::clamp(row + n / 3 - 1, 0, height - 1), x = std::clamp(column + n % 3 - 1, 0, width - 1);
    around[n] = frame[static_cast<size_t>(y) * width + x];
  }
  std::nth_element(around.begin(), around.begin() + 4, around.end());
  return around[4];
}

uint16_t value_at(const std::vector<uint64_t>& histogram, uint64_t rank) {
  uint64_t sum = 0;
  for (size_t value = 0; value < histogram.size(); ++value)
    if ((sum += histogram[value]) > rank) return static_cast<uint16_t>(value);
  return 65535;
}

}  // namespace

std::string parse_range(const std::string& text, RangeChoice* out) {
  const std::string wrong = "--range: got " + text + "; must be LOW,HIGH in ascending counts, or percentiles P%,Q%";
  const size_t comma = text.find(',');
  if (comma == std::string::npos) return wrong;
  std::string low = text.substr(0, comma), high = text.substr(comma + 1);
  const bool are_percentiles = !low.empty() && low.back() == '%' && !high.empty() && high.back() == '%';
  if (are_percentiles) low.pop_back(), high.pop_back();
  Range range;
  if (!read_number(low, &range.low) || !read_number(high, &range.high) || !(range.low < range.high)) return wrong;
  if (are_percentiles ? range.low < 0 || range.high > 100 : range.low < -kMost || range.high > kMost) return wrong;
  out->is_fixed = !are_percentiles;
  (are_percentiles ? out->percentiles : out->fixed) = range;
  return "";
}

void RangeMeter::add(const uint16_t* frame, int height, int width) {
  const size_t num = static_cast<size_t>(height) * width, cut = num / 20;
  std::vector<uint64_t> own(1 << 16);
  for (size_t i = 0; i < num; ++i) {
    ++own[frame[i]];
    are_times_257_ = are_times_257_ && frame[i] % 257 == 0;
  }
  least_ = std::min(least_, value_at(own, 0));
  most_ = std::max(most_, value_at(own, num - 1));
  const int low = value_at(own, cut), high = value_at(own, num - 1 - cut);
  for (int row = 0; row < height; ++row)
    for (int column = 0; column < width; ++column) {
      const int value = frame[static_cast<size_t>(row) * width + column];
      const bool is_defect = (value < low || value > high) &&
                             std::abs(value - median_around(frame, height, width, row, column)) > 2 * (high - low);
      if (!is_defect) ++histogram_[value];
    }
}

Range RangeMeter::measure() const {
  if (most_ <= 255) return {0, 255};
  if (are_times_257_) return {0, 65535};
  uint64_t num = 0;
  for (const uint64_t count : histogram_) num += count;
  const double total = static_cast<double>(num);
  const uint64_t below = static_cast<uint64_t>(std::floor(total * percentiles_.low / 100.0));
  const uint64_t above = static_cast<uint64_t>(std::floor(total * (100.0 - percentiles_.high) / 100.0));
  double low = value_at(histogram_, std::min(below, num - 1));
  double high = value_at(histogram_, above < num ? num - 1 - above : 0);
  if (!(low < high)) {
    low = least_;
    high = most_;
  }
  return {low, high > low ? high : low + 1};
}

}  // namespace xnor::tools
