// Section 2 of FORMAT.md: the metadata, and the reading of a file as a whole.

#include "graph.h"
#include "sha256.h"

namespace xnor {
namespace {

using Kind = json::Value::Kind;

constexpr char kPlain[] = "1.0", kWithCounts[] = "1.1", kWithThreshold[] = "1.2", kWithVectors[] = "1.3",
               kWithDecompositions[] = "1.4";

bool has_threshold(const std::string& version) {
  return version == kWithThreshold || version == kWithVectors || version == kWithDecompositions;
}

bool is_digest(const std::string& text) {
  if (text.size() != 64) return false;
  for (char c : text)
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) return false;
  return true;
}

bool is_integer(const json::Value* value, int64_t low, int64_t high) {
  return value != nullptr && value->is(Kind::kInteger) && value->integer >= low && value->integer <= high;
}

Status check_names(const Container& file) {
  static const char* const kKeys[] = {"format", "version", "arithmetic", "sha256",   "input",    "reference",
                                      "graph",  "name",    "trial",      "data_rev", "exporter", "parity"};
  // A file of another version may have other keys: its version is the first thing to say.
  const std::string *format = file.note("format"), *version = file.note("version");
  if (format && *format != "xnor") return refuse_file("R10: format", "'" + format->substr(0, 64) + "'", "xnor");
  if (version && *version != kPlain && *version != kWithCounts && !has_threshold(*version)) {
    Status status = refuse_file("R11: version", "'" + version->substr(0, 64) + "'",
                                "1.0, 1.1, 1.2, 1.3 or 1.4, which this engine reads");
    status.code = Code::kNewer;
    return status;
  }
  for (const char* key : kKeys)
    if (file.note(key) == nullptr) return refuse_file("R9: __metadata__", std::string("no ") + key, "complete");
  const bool is_with_threshold = has_threshold(*version);
  if (is_with_threshold && file.note("threshold") == nullptr)
    return refuse_file("R9: __metadata__", "no threshold", "complete");
  const size_t keys = is_with_threshold ? 13 : 12;
  if (file.metadata.size() != keys)
    return refuse_file("R9: __metadata__", std::to_string(file.metadata.size()) + " keys", std::to_string(keys));
  if (*file.note("arithmetic") != "fold-fma-1")
    return refuse_file("R12: arithmetic", "'" + *file.note("arithmetic") + "'", "fold-fma-1");
  return {};
}

Status read_object(const Container& file, const char* key, const char* rule, json::Value* out) {
  const std::string& text = *file.note(key);
  XNOR_TRY(json::parse(text.data(), text.size(), std::string(rule) + ": " + key, out));
  if (!out->is(Kind::kObject)) return refuse_file(std::string(rule) + ": " + key, "another value", "a JSON object");
  return {};
}

bool are_ascending(const json::Value* value) {
  return value != nullptr && value->is(Kind::kArray) && value->items.size() == 2 && value->items[0].is_number() &&
         value->items[1].is_number() && value->items[0].real < value->items[1].real;
}

Status read_counts(const Container& file, const json::Value& input, Network* out) {
  const json::Value* counts = input.find("counts");
  const std::string& version = *file.note("version");
  if (!has_threshold(version) && (counts != nullptr) != (version == kWithCounts))
    return refuse_file("R35: input.counts", counts ? "some" : "none", "there in version 1.1, and not in 1.0");
  if (counts == nullptr) return {};
  if (!are_ascending(counts) || counts->items[0].real < -0x1p53 || counts->items[1].real > 0x1p53)
    return refuse_file("R36: input.counts", "another value", "two ascending numbers of a magnitude of at most 2^53");
  out->has_counts = true;
  for (int end = 0; end < 2; ++end) out->counts[end] = counts->items[end].real;
  return {};
}

Status read_input(const Container& file, Network* out) {
  json::Value input;
  XNOR_TRY(read_object(file, "input", "R14", &input));
  const json::Value *channels = input.find("channels"), *multiple = input.find("multiple"), *pad = input.find("pad");
  const json::Value* range = input.find("range");
  const size_t members = input.find("counts") == nullptr ? 4 : 5;
  if (input.members.size() != members || !is_integer(channels, 1, 16) || !is_integer(multiple, 1, 256) ||
      !is_integer(pad, 1, 256) || pad->integer % multiple->integer)
    return refuse_file("R14: input", "other values", "channels 1..16, multiple 1..256, pad a multiple of it, range");
  if (!are_ascending(range))
    return refuse_file("R14: input.range", "another value", "the lowest and the highest number");
  out->channels = static_cast<int>(channels->integer);
  out->multiple = static_cast<int>(multiple->integer);
  out->pad = static_cast<int>(pad->integer);
  return read_counts(file, input, out);
}

Status read_threshold(const Container& file, Network* out) {
  const std::string* text = file.note("threshold");
  if (text == nullptr) return {};
  json::Value threshold;
  XNOR_TRY(json::parse(text->data(), text->size(), "R37: threshold", &threshold));
  if (!threshold.is_number() || threshold.real <= 0 || threshold.real >= 1)
    return refuse_file("R37: threshold", "'" + text->substr(0, 64) + "'", "a number between 0 and 1");
  out->threshold = threshold.real;
  return {};
}

Status read_reference(const Container& file, Network* out) {
  json::Value reference;
  XNOR_TRY(read_object(file, "reference", "R15", &reference));
  const json::Value *height = reference.find("height"), *width = reference.find("width");
  const json::Value *before = reference.find("input_sha256"), *behind = reference.find("output_sha256");
  const bool good = reference.members.size() == 5 && is_integer(height, 1, 1024) && is_integer(width, 1, 1024) &&
                    is_integer(reference.find("seed"), 0, int64_t{1} << 53) && height->integer % out->multiple == 0 &&
                    width->integer % out->multiple == 0 && before && is_digest(before->text) && behind &&
                    is_digest(behind->text);
  if (!good) return refuse_file("R15: reference", "other values", "height, width, seed and two digests");
  out->reference = {static_cast<int>(height->integer), static_cast<int>(width->integer),
                    static_cast<uint64_t>(reference.find("seed")->integer), before->text, behind->text};
  return {};
}

void append_quoted(const std::string& text, std::string* out) {
  static const char kDigits[] = "0123456789abcdef";
  out->push_back('"');
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      *out += std::string("\\u00") + kDigits[c >> 4] + kDigits[c & 15];
    } else {
      out->push_back(c);
    }
  }
  out->push_back('"');
}

std::string as_object(const Container& file) {
  std::string text = "{";
  for (const auto& [name, value] : file.metadata) {
    if (name == "graph") continue;  // half the file, and of no use to a reader of facts
    if (text.size() > 1) text.push_back(',');
    append_quoted(name, &text);
    text.push_back(':');
    append_quoted(value, &text);
  }
  return text + "}";
}

}  // namespace

Status read_network(const uint8_t* bytes, size_t size, Network* out) {
  Container file;
  XNOR_TRY(open_container(bytes, size, &file));
  XNOR_TRY(check_names(file));
  const std::string digest = sha256_hex(file.payload, file.payload_bytes);
  if (digest != *file.note("sha256"))
    return refuse_file("R13: sha256", *file.note("sha256"), digest + ", that of the data");
  XNOR_TRY(read_input(file, out));
  XNOR_TRY(read_threshold(file, out));
  XNOR_TRY(read_reference(file, out));
  json::Value graph, parity;
  XNOR_TRY(read_object(file, "parity", "R17", &parity));
  const std::string& text = *file.note("graph");
  XNOR_TRY(json::parse(text.data(), text.size(), "R16: graph", &graph));
  XNOR_TRY(read_graph(graph, file, out));
  out->metadata = as_object(file);
  return {};
}

}  // namespace xnor
