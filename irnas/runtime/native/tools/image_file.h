// Images from files: PGM (P5, 8 or 16 bits), NumPy arrays (uint8, uint16 or float32, [H,W] or [N,H,W]), raw frames.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace xnor::tools {

enum class Kind : uint8_t { kBytes, kCounts, kFloats };  // 0..255, uint16 of any range, 0..1

struct Frames {
  int count = 0, height = 0, width = 0;
  Kind kind = Kind::kBytes;
  std::vector<uint8_t> bytes;  // count * height * width items in the order of this machine

  size_t item_bytes() const { return kind == Kind::kFloats ? 4 : kind == Kind::kCounts ? 2 : 1; }
};

// Both return an empty text on success and one line of complaint otherwise.
std::string read_bytes(const std::string& path, std::vector<uint8_t>* out);

// raw_height and raw_width are the size of the frames in a file that is neither PGM nor npy, 0 where unknown, and
// raw_bits (8 or 16) that of their pixels.
std::string read_frames(const std::string& path, int raw_height, int raw_width, int raw_bits, Frames* out);

// Writes beside the target first, so that a reader never meets half a file.
std::string write_pgm(const std::string& path, const uint8_t* pixels, int height, int width);

}  // namespace xnor::tools
