// The safetensors container: an 8-byte length, a JSON header, then the tensors without gaps.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "status.h"

namespace xnor {

struct Tensor {
  std::string name;
  bool is_float = false;  // F32, otherwise U8
  std::vector<int64_t> shape;
  const uint8_t* data = nullptr;
  size_t num_bytes = 0;
};

// A view into the bytes that were opened; they must outlive it.
struct Container {
  std::vector<std::pair<std::string, std::string>> metadata;  // header["__metadata__"], all of it text
  std::vector<Tensor> tensors;                                // in the order of their data
  const uint8_t* payload = nullptr;
  size_t payload_bytes = 0;

  const Tensor* find(const std::string& name) const;
  // The metadata of that name, or null.
  const std::string* note(const char* name) const;
};

Status open_container(const uint8_t* bytes, size_t size, Container* out);

}  // namespace xnor
