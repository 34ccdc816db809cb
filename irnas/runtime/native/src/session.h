// A model in memory, ready to run on images of one size.
#pragma once

#include <memory>

#include "kernels.h"
#include "plan.h"
#include "pool.h"

namespace xnor {

struct Image {
  const void* at = nullptr;  // [height][width][channels]
  bool is_bytes = false;     // uint8, read as v / 255; otherwise float
  int channels = 1;          // those of the model, or 1, which is repeated
};

class Session {
 public:
  const Network& network() const { return network_; }
  const Kernels& kernels() const { return *kernels_; }
  const Plan& plan() const { return plan_; }

  Status load(const uint8_t* bytes, size_t size, const char* kernel_name);
  Status prepare(const Request& request);

  // One image of the prepared size; out is [height][width]. Allocates nothing.
  void run(const Image& image, float* out);

  // The same on one thread, and the nanoseconds that each stage took.
  std::vector<uint64_t> profile(const Image& image, float* out);

  // For a forked child, which has none of the threads that run() would wait for; returns whether there were any. A
  // session that had some must be prepared anew.
  bool forget_threads();

 private:
  struct Place;

  void run_band(int band);
  void run_layer(int member);
  void run_row(const Place& place, int stage, int row);
  void input_row(const Stage& stage, int row, float* out) const;
  void window_row(const Place& place, const Stage& stage, int row, float* out);
  void output_row(const Place& place, const Stage& stage, int row, float* out);
  void plane_row(const Place& place, const Stage& stage, int row, float* out);
  void plane_conv_row(const Place& place, const Stage& stage, int row, float* out);
  void excite_row(const Place& place, const Stage& stage, int row, float* out);
  void basis_row(const Place& place, const Stage& stage, int row, float* out);
  void gains_row(const Place& place, const Stage& stage, float* out);
  void place_sources(const Place& place, const Stage& stage, size_t first, int row, BasisRow* args) const;
  void attention_row(const Place& place, const Stage& stage, int row, float* out);
  void maximum_row(const Place& place, const Stage& stage, int row, float* out);
  void mean_row(const Place& place, const Stage& stage, float* out);
  const float* plane_at(const Place& place, int map, int row, size_t* plane) const;

  Network network_;
  const Kernels* kernels_ = nullptr;
  Plan plan_;
  Table<uint8_t> arena_;    // of all bands
  Table<uint8_t> scratch_;  // of all threads
  Floats zeros_;            // a row of a plane off the map
  std::unique_ptr<Pool> pool_;
  Image image_;
  float* out_ = nullptr;
  int stage_ = 0;  // that the threads share, layer by layer
};

}  // namespace xnor
