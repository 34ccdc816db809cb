// Images from files: PGM (P5, 8 or 16 bits), NumPy arrays (uint8 or float32, [H,W] or [N,H,W]), raw 8-bit frames.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace xnor::tools {

struct Frames {
  int count = 0, height = 0, width = 0;
  bool is_float = false;       // 0..1 floats, or bytes 0..255
  std::vector<uint8_t> bytes;  // count * height * width items
};

// Both return an empty text on success and one line of complaint otherwise.
std::string read_bytes(const std::string& path, std::vector<uint8_t>* out);

// raw_height and raw_width are the size of the frames in a file that is neither PGM nor npy; 0 where unknown.
std::string read_frames(const std::string& path, int raw_height, int raw_width, Frames* out);

// Writes beside the target first, so that a reader never meets half a file.
std::string write_pgm(const std::string& path, const uint8_t* pixels, int height, int width);

}  // namespace xnor::tools
