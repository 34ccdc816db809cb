// Model files with something wrong in them, most of which still get past the container: sizes, checksum and offsets
// fit.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

using Bytes = std::vector<uint8_t>;

// A sequence that is the same on every machine.
class Dice {
 public:
  explicit Dice(uint64_t seed) : state_(seed) {}

  uint64_t next();
  // A number of 0..count - 1.
  size_t below(size_t count) { return count ? static_cast<size_t>(next() % count) : 0; }
  bool one_in(size_t count) { return below(count) == 0; }

 private:
  uint64_t state_;
};

// One step away from `file`: a changed byte, or a changed part of the model.
Bytes mutate(const Bytes& file, Dice* dice);
