#include "container.h"

#include <algorithm>
#include <cstring>

#include "json.h"

namespace xnor {
namespace {

using Kind = json::Value::Kind;

constexpr size_t kMaxHeaderBytes = 1048576;
constexpr size_t kMaxDataBytes = 268435456;
constexpr size_t kMaxTensors = 16384;
constexpr int64_t kMaxAxis = 16777216;
constexpr size_t kMaxTextBytes = 786432;

Status read_shape(const json::Value& value, const std::string& where, Tensor* tensor, size_t* num_bytes) {
  if (!value.is(Kind::kArray) || value.items.empty() || value.items.size() > 4)
    return refuse_file("R3: " + where + ".shape", "another value", "a list of 1..4 sizes");
  size_t count = tensor->is_float ? sizeof(float) : 1;
  for (const json::Value& item : value.items) {
    if (!item.is(Kind::kInteger) || item.integer < 1 || item.integer > kMaxAxis)
      return refuse_file("R3: " + where + ".shape", "a wrong size", "a whole number of 1..16777216");
    tensor->shape.push_back(item.integer);
    if (__builtin_mul_overflow(count, static_cast<size_t>(item.integer), &count))
      return refuse_file("R4: " + where + ".shape", "a product beyond 64 bits", "the size of its data");
  }
  *num_bytes = count;
  return {};
}

Status read_tensor(const json::Value& entry, const Container& container, Tensor* tensor) {
  const std::string where = "tensor " + tensor->name;
  const json::Value* dtype = entry.find("dtype");
  const json::Value* shape = entry.find("shape");
  const json::Value* offsets = entry.find("data_offsets");
  if (!entry.is(Kind::kObject) || entry.members.size() != 3 || !dtype || !shape || !offsets)
    return refuse_file("R3: " + where, "other members", "exactly dtype, shape and data_offsets");
  if (!dtype->is(Kind::kString) || (dtype->text != "F32" && dtype->text != "U8"))
    return refuse_file("R3: " + where + ".dtype", "'" + dtype->text + "'", "F32 or U8");
  tensor->is_float = dtype->text == "F32";
  size_t expected = 0;
  XNOR_TRY(read_shape(*shape, where, tensor, &expected));
  if (!offsets->is(Kind::kArray) || offsets->items.size() != 2 || !offsets->items[0].is(Kind::kInteger) ||
      !offsets->items[1].is(Kind::kInteger))
    return refuse_file("R3: " + where + ".data_offsets", "another value", "two whole numbers");
  const int64_t begin = offsets->items[0].integer, end = offsets->items[1].integer;
  if (begin < 0 || end < begin || static_cast<uint64_t>(end) > container.payload_bytes)
    return refuse_file("R3: " + where + ".data_offsets", std::to_string(begin) + ".." + std::to_string(end),
                       "within the " + std::to_string(container.payload_bytes) + " bytes of data");
  tensor->data = container.payload + begin;
  tensor->num_bytes = static_cast<size_t>(end - begin);
  if (tensor->num_bytes != expected)
    return refuse_file("R4: " + where + ".data_offsets", std::to_string(tensor->num_bytes) + " bytes",
                       std::to_string(expected) + " by dtype and shape");
  return {};
}

Status read_metadata(const json::Value& value, Container* out) {
  if (!value.is(Kind::kObject)) return refuse_file("R9: __metadata__", "another value", "an object of texts");
  for (const auto& [name, text] : value.members) {
    if (!text.is(Kind::kString)) return refuse_file("R9: __metadata__." + name, "another value", "a text");
    if (text.text.size() > kMaxTextBytes)
      return refuse_file("R18: __metadata__." + name, std::to_string(text.text.size()) + " characters",
                         "at most 786432");
    out->metadata.emplace_back(name, text.text);
  }
  return {};
}

// Every byte of the data belongs to exactly one tensor: what is not read by anyone could hide anything.
Status check_tiling(Container* out) {
  std::sort(out->tensors.begin(), out->tensors.end(),
            [](const Tensor& a, const Tensor& b) { return a.data != b.data ? a.data < b.data : a.name < b.name; });
  const uint8_t* at = out->payload;
  bool floats_over = false;
  for (const Tensor& tensor : out->tensors) {
    if (tensor.data != at)
      return refuse_file("R5: tensor " + tensor.name, "a start at byte " + std::to_string(tensor.data - out->payload),
                         "the end of the one before, " + std::to_string(at - out->payload));
    if (tensor.is_float && floats_over)
      return refuse_file("R5: tensor " + tensor.name, "an F32 tensor behind a U8 one", "the other way round");
    floats_over = !tensor.is_float;
    at += tensor.num_bytes;
  }
  const size_t used = static_cast<size_t>(at - out->payload);
  if (used != out->payload_bytes)
    return refuse_file("R5: data", std::to_string(out->payload_bytes) + " bytes",
                       std::to_string(used) + ", the sum of its tensors");
  return {};
}

Status check_finite(const Container& container) {
  for (const Tensor& tensor : container.tensors) {
    if (!tensor.is_float) continue;
    for (size_t i = 0; i < tensor.num_bytes; i += sizeof(uint32_t)) {
      uint32_t word = 0;
      std::memcpy(&word, tensor.data + i, sizeof word);
      if ((word & 0x7F800000u) == 0x7F800000u)
        return refuse_file("R7: tensor " + tensor.name, "NaN or infinity", "finite");
    }
  }
  return {};
}

Status check_text(const char* text, size_t size) {
  for (size_t i = 0; i < size; ++i)
    if (static_cast<unsigned char>(text[i]) >= 0x80)
      return refuse_file("R2: header", "a byte beyond ASCII at " + std::to_string(i), "ASCII");
  if (text[0] != '{') return refuse_file("R2: header", "another first byte", "'{'");
  return {};
}

}  // namespace

const Tensor* Container::find(const std::string& name) const {
  for (const Tensor& tensor : tensors)
    if (tensor.name == name) return &tensor;
  return nullptr;
}

const std::string* Container::note(const char* name) const {
  for (const auto& [key, text] : metadata)
    if (key == name) return &text;
  return nullptr;
}

Status open_container(const uint8_t* bytes, size_t size, Container* out) {
  if (size < 8) return refuse_file("R1: file", std::to_string(size) + " bytes", "at least 8");
  uint64_t header_bytes = 0;
  for (int i = 7; i >= 0; --i) header_bytes = header_bytes << 8 | bytes[i];
  if (header_bytes < 2 || header_bytes > kMaxHeaderBytes || header_bytes % 8 || header_bytes > size - 8)
    return refuse_file("R1: header length", std::to_string(header_bytes),
                       "2..1048576, a multiple of 8, within the file of " + std::to_string(size) + " bytes");
  const char* text = reinterpret_cast<const char*>(bytes + 8);
  XNOR_TRY(check_text(text, header_bytes));
  size_t text_bytes = header_bytes;
  while (text_bytes > 1 && text[text_bytes - 1] == ' ') --text_bytes;
  // Nothing but spaces may fill up, so a blank of another kind must not hide at the end.
  if (text[text_bytes - 1] != '}') return refuse_file("R2: header", "another last byte", "'}', then spaces");
  json::Value header;
  XNOR_TRY(json::parse(text, text_bytes, "R2: header", &header));
  out->payload = bytes + 8 + header_bytes;
  out->payload_bytes = size - 8 - header_bytes;
  if (out->payload_bytes > kMaxDataBytes || header.members.size() > kMaxTensors + 1)
    return refuse_file(
        "R6: file",
        std::to_string(out->payload_bytes) + " bytes in " + std::to_string(header.members.size()) + " entries",
        "at most 268435456 in 16384");
  for (const auto& [name, entry] : header.members) {
    if (name == "__metadata__") {
      XNOR_TRY(read_metadata(entry, out));
      continue;
    }
    Tensor tensor;
    tensor.name = name;
    XNOR_TRY(read_tensor(entry, *out, &tensor));
    out->tensors.push_back(std::move(tensor));
  }
  XNOR_TRY(check_tiling(out));
  return check_finite(*out);
}

}  // namespace xnor
