#include "image_file.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace xnor::tools {
namespace {

constexpr int kMaxSide = 1 << 15;

std::string complain(const std::string& path, const std::string& got, const std::string& must) {
  return path + ": got " + got + "; must be " + must;
}

// The next whole number of a PGM header; -1 where there is none. Comments run from '#' to the end of the line.
int header_number(const std::vector<uint8_t>& file, size_t* at) {
  while (*at < file.size()) {
    const uint8_t c = file[*at];
    if (c == '#')
      while (*at < file.size() && file[*at] != '\n') ++*at;
    else if (c == ' ' || c == '\n' || c == '\r' || c == '\t')
      ++*at;
    else
      break;
  }
  int value = -1;
  while (*at < file.size() && file[*at] >= '0' && file[*at] <= '9' && value < (1 << 20))
    value = (value < 0 ? 0 : value) * 10 + (file[(*at)++] - '0');
  return value;
}

bool is_size(int height, int width) { return height > 0 && width > 0 && height <= kMaxSide && width <= kMaxSide; }

std::string read_pgm(const std::string& path, const std::vector<uint8_t>& file, Frames* out) {
  size_t at = 2;
  out->width = header_number(file, &at);
  out->height = header_number(file, &at);
  const int top = header_number(file, &at);
  ++at;  // the one blank that ends the header
  if (!is_size(out->height, out->width) || top < 1 || top > 65535)
    return complain(path, "a PGM header without sizes", "P5, width, height and a maximum of 1..65535");
  const size_t count = size_t(out->height) * out->width, wide = top > 255 ? 2 : 1;
  if (at > file.size() || file.size() - at < count * wide)
    return complain(path, "too few bytes", std::to_string(count * wide) + " after the header");
  out->count = 1;
  if (top == 255) {
    out->bytes.assign(file.begin() + at, file.begin() + at + count);
    return "";
  }
  out->bytes.resize(count * wide);
  if (wide == 1) {
    // As other readers of PGM do it.
    for (size_t i = 0; i < count; ++i)
      out->bytes[i] = static_cast<uint8_t>(std::min(255.0, std::nearbyint(double(file[at + i]) / top * 255)));
    return "";
  }
  out->kind = Kind::kCounts;
  for (size_t i = 0; i < count; ++i) {
    const uint16_t value = static_cast<uint16_t>(file[at + 2 * i] << 8 | file[at + 2 * i + 1]);
    std::memcpy(&out->bytes[2 * i], &value, 2);
  }
  return "";
}

std::string read_npy(const std::string& path, const std::vector<uint8_t>& file, Frames* out) {
  const std::string must = "an array of uint8, uint16 or float32, [H,W] or [N,H,W], in C order";
  if (file.size() < 12) return complain(path, "too few bytes", must);
  const bool long_header = file[6] >= 2;
  size_t length = file[8] | file[9] << 8, at = 10;
  if (long_header) {
    length |= size_t(file[10]) << 16 | size_t(file[11]) << 24;
    at = 12;
  }
  if (length > file.size() - at) return complain(path, "too few bytes", must);
  const std::string header(file.begin() + at, file.begin() + at + length);
  at += length;
  const bool is_float = header.find("'<f4'") != std::string::npos, is_count = header.find("'<u2'") != std::string::npos;
  const bool is_bytes = header.find("'|u1'") != std::string::npos;
  out->kind = is_float ? Kind::kFloats : is_count ? Kind::kCounts : Kind::kBytes;
  const size_t open = header.find("'shape': (");
  if (is_float + is_count + is_bytes != 1 || header.find("'fortran_order': False") == std::string::npos ||
      open == std::string::npos)
    return complain(path, "another array", must);
  std::vector<long> sizes;
  const char* text = header.c_str() + open + 10;
  for (char* stop = nullptr;; text = stop + 1) {
    const long size = std::strtol(text, &stop, 10);
    if (stop == text || size < 1 || size > kMaxSide) break;
    sizes.push_back(size);
    if (*stop != ',') break;
  }
  if (sizes.size() < 2 || sizes.size() > 3) return complain(path, "another shape", must);
  out->count = sizes.size() == 3 ? static_cast<int>(sizes[0]) : 1;
  out->height = static_cast<int>(sizes[sizes.size() - 2]);
  out->width = static_cast<int>(sizes.back());
  const size_t bytes = size_t(out->count) * out->height * out->width * out->item_bytes();
  if (file.size() - at != bytes) return complain(path, std::to_string(file.size() - at) + " bytes of data", must);
  out->bytes.assign(file.begin() + at, file.end());
  return "";
}

}  // namespace

std::string read_bytes(const std::string& path, std::vector<uint8_t>* out) {
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return complain(path, "no file that can be read", "a file");
  uint8_t part[1 << 16];
  for (size_t got; (got = std::fread(part, 1, sizeof part, file)) > 0;) out->insert(out->end(), part, part + got);
  const bool failed = std::ferror(file) != 0;
  std::fclose(file);
  return failed ? complain(path, "a read error", "a file") : "";
}

std::string read_frames(const std::string& path, int raw_height, int raw_width, int raw_bits, Frames* out) {
  std::vector<uint8_t> file;
  if (std::string error = read_bytes(path, &file); !error.empty()) return error;
  if (file.size() > 2 && file[0] == 'P' && file[1] == '5') return read_pgm(path, file, out);
  if (file.size() > 6 && std::memcmp(file.data(), "\x93NUMPY", 6) == 0) return read_npy(path, file, out);
  if (!is_size(raw_height, raw_width))
    return complain(path, "an unknown kind of file", "PGM, npy, or raw with --raw HxW");
  const size_t frame = size_t(raw_height) * raw_width * (raw_bits / 8);
  if (file.empty() || file.size() % frame)
    return complain(path, std::to_string(file.size()) + " bytes", "a multiple of " + std::to_string(frame));
  out->count = static_cast<int>(file.size() / frame);
  out->height = raw_height;
  out->width = raw_width;
  out->kind = raw_bits == 16 ? Kind::kCounts : Kind::kBytes;
  out->bytes = std::move(file);
  return "";
}

std::string write_pgm(const std::string& path, const uint8_t* pixels, int height, int width) {
  const std::string half = path + ".part";
  std::FILE* file = std::fopen(half.c_str(), "wb");
  if (file == nullptr) return complain(path, "a folder that cannot be written", "one that can");
  const size_t count = size_t(height) * width;
  bool good = std::fprintf(file, "P5\n%d %d\n255\n", width, height) > 0;
  good = std::fwrite(pixels, 1, count, file) == count && good;
  good = std::fclose(file) == 0 && good;
  if (!good || std::rename(half.c_str(), path.c_str()) != 0) return complain(path, "a write error", "room on the disk");
  return "";
}

}  // namespace xnor::tools
