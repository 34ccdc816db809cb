// What the tests from the inside share: one counter of failures, reproducible numbers, and rows between guard bytes.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "kernels.h"

inline int num_failures = 0;

inline void expect(bool good, const std::string& what) {
  if (good) return;
  ++num_failures;
  // A broken kernel fails everywhere: the first places are enough to find it.
  if (num_failures <= 50) std::printf("FAILED: %s\n", what.c_str());
}

// The sets that were compiled and run on this machine; the reference is the last.
inline std::vector<const xnor::Kernels*> kernel_sets() {
  int count = 0;
  const xnor::Kernels* const* all = xnor::all_kernels(&count);
  std::vector<const xnor::Kernels*> sets;
  for (int k = 0; k < count; ++k)
    if (all[k]->runs_here()) sets.push_back(all[k]);
  return sets;
}

// Numbers of both signs, none of them zero, each the same on every machine.
class Numbers {
 public:
  explicit Numbers(uint32_t seed) : state_(seed * 2654435761u + 1) {}

  uint32_t next() { return (state_ = state_ * 1664525u + 1013904223u) >> 8; }
  float number() { return (static_cast<float>(next() % 2000) - 999.5f) / 512.0f; }

  // Constants of a kernel, with the slack that it may read.
  xnor::Floats constants(int count) {
    xnor::Floats values(count + xnor::kSlack, 0.0f);
    for (int i = 0; i < count; ++i) values[i] = number();
    return values;
  }

  // A row that a kernel reads. Behind it lie 128 bytes of NaN: they may be read, and must not show in the result.
  xnor::Floats row(int count) {
    xnor::Floats values(count + 2 * xnor::kAlign / sizeof(float), std::nanf(""));
    for (int i = 0; i < count; ++i) values[i] = number();
    return values;
  }

 private:
  uint32_t state_;
};

// A row that a kernel writes, between guard bytes.
class GuardedRow {
 public:
  explicit GuardedRow(size_t num_bytes) : num_bytes_(num_bytes), bytes_(num_bytes + 2 * kGuard, kSentinel) {}

  uint8_t* bytes() { return bytes_.data() + kGuard; }
  float* floats() { return reinterpret_cast<float*>(bytes()); }

  // What was written, after a look at both guards.
  std::vector<uint8_t> content(const std::string& where) const {
    bool before = true, behind = true;
    for (size_t i = 0; i < kGuard; ++i) {
      before = before && bytes_[i] == kSentinel;
      behind = behind && bytes_[kGuard + num_bytes_ + i] == kSentinel;
    }
    if (!before) expect(false, where + ": wrote before its row");
    if (!behind) expect(false, where + ": wrote beyond its row");
    return std::vector<uint8_t>(bytes_.begin() + kGuard, bytes_.end() - kGuard);
  }

 private:
  static constexpr size_t kGuard = 2 * xnor::kAlign;
  static constexpr uint8_t kSentinel = 0xA5;
  size_t num_bytes_;
  xnor::Table<uint8_t> bytes_;
};

// The tests of rows_test.cc and of planes_test.cc.
void test_rows();
void test_planes();
