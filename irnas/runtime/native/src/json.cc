#include "json.h"

#include <charconv>
#include <cstring>
#include <set>

namespace xnor::json {
namespace {

constexpr int kMaxDepth = 16;

class Reader {
 public:
  Reader(const char* text, size_t size) : begin_(text), at_(text), end_(text + size) {}

  bool document(Value* out) {
    skip_blanks();
    if (!value(out, 0)) return false;
    skip_blanks();
    return at_ == end_ || fail("something after the value");
  }

  std::string complaint() const { return what_ + " at byte " + std::to_string(at_ - begin_); }

 private:
  bool fail(const char* what) {
    what_ = what;
    return false;
  }

  void skip_blanks() {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) ++at_;
  }

  bool take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  bool word(const char* text) {
    const size_t size = std::strlen(text);
    if (static_cast<size_t>(end_ - at_) < size || std::memcmp(at_, text, size) != 0) return fail("an unknown word");
    at_ += size;
    return true;
  }

  bool value(Value* out, int depth) {
    if (depth > kMaxDepth) return fail("values nested too deeply");
    if (at_ == end_) return fail("an end too early");
    switch (*at_) {
      case '{':
        return object(out, depth);
      case '[':
        return array(out, depth);
      case '"':
        out->kind = Value::Kind::kString;
        return string(&out->text);
      case 't':
      case 'f':
        out->kind = Value::Kind::kBool;
        out->flag = *at_ == 't';
        return word(out->flag ? "true" : "false");
      case 'n':
        out->kind = Value::Kind::kNull;
        return word("null");
      default:
        return number(out);
    }
  }

  bool object(Value* out, int depth) {
    out->kind = Value::Kind::kObject;
    ++at_;
    skip_blanks();
    if (take('}')) return true;
    std::set<std::string> names;
    do {
      skip_blanks();
      std::string name;
      if (at_ == end_ || *at_ != '"') return fail("a member without a name");
      if (!string(&name)) return false;
      if (!names.insert(name).second) return fail("a name twice");
      skip_blanks();
      if (!take(':')) return fail("a name without ':'");
      skip_blanks();
      out->members.emplace_back(std::move(name), Value());
      if (!value(&out->members.back().second, depth + 1)) return false;
      skip_blanks();
    } while (take(','));
    return take('}') || fail("an object without an end");
  }

  bool array(Value* out, int depth) {
    out->kind = Value::Kind::kArray;
    ++at_;
    skip_blanks();
    if (take(']')) return true;
    do {
      skip_blanks();
      out->items.emplace_back();
      if (!value(&out->items.back(), depth + 1)) return false;
      skip_blanks();
    } while (take(','));
    return take(']') || fail("an array without an end");
  }

  bool hex4(uint32_t* out) {
    if (end_ - at_ < 4) return fail("a short \\u escape");
    uint32_t code = 0;
    const auto [stop, error] = std::from_chars(at_, at_ + 4, code, 16);
    if (error != std::errc() || stop != at_ + 4) return fail("a wrong \\u escape");
    at_ += 4;
    *out = code;
    return true;
  }

  bool escape(std::string* out) {
    if (at_ == end_) return fail("a string without an end");
    static const char kFrom[] = "\"\\/bfnrt", kTo[] = "\"\\/\b\f\n\r\t";
    const char c = *at_++;
    if (c != 'u') {
      const char* code = c ? std::strchr(kFrom, c) : nullptr;
      if (code == nullptr) return fail("an unknown escape");
      out->push_back(kTo[code - kFrom]);
      return true;
    }
    uint32_t code = 0;
    if (!hex4(&code)) return false;
    if (code >= 0xD800 && code < 0xDC00) {
      uint32_t low = 0;
      if (!take('\\') || !take('u') || !hex4(&low)) return fail("half a surrogate pair");
      if (low < 0xDC00 || low > 0xDFFF) return fail("half a surrogate pair");
      code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
    } else if (code >= 0xDC00 && code < 0xE000) {
      return fail("half a surrogate pair");
    }
    append_utf8(code, out);
    return true;
  }

  static void append_utf8(uint32_t code, std::string* out) {
    if (code < 0x80) {
      out->push_back(static_cast<char>(code));
      return;
    }
    const int tail = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    const uint32_t lead[] = {0, 0xC0, 0xE0, 0xF0};
    out->push_back(static_cast<char>(lead[tail] | (code >> (6 * tail))));
    for (int i = tail - 1; i >= 0; --i) out->push_back(static_cast<char>(0x80 | ((code >> (6 * i)) & 0x3F)));
  }

  bool string(std::string* out) {
    ++at_;
    while (at_ != end_) {
      const char c = *at_++;
      if (c == '"') return true;
      if (static_cast<unsigned char>(c) < 0x20) return fail("a control character in a string");
      if (c != '\\')
        out->push_back(c);
      else if (!escape(out))
        return false;
    }
    return fail("a string without an end");
  }

  static bool is_digit(char c) { return c >= '0' && c <= '9'; }

  bool digits() {
    if (at_ == end_ || !is_digit(*at_)) return false;
    while (at_ != end_ && is_digit(*at_)) ++at_;
    return true;
  }

  bool number(Value* out) {
    const char* start = at_;
    take('-');
    const bool zero = at_ != end_ && *at_ == '0';
    if (zero ? !take('0') : !digits()) return fail("no value");
    bool is_integer = true;
    if (take('.')) {
      is_integer = false;
      if (!digits()) return fail("a number without digits");
    }
    if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
      is_integer = false;
      ++at_;
      if (!take('-')) take('+');
      if (!digits()) return fail("a number without digits");
    }
    // from_chars knows no locale; strtod would read "0,5" on some machines.
    if (std::from_chars(start, at_, out->real).ec != std::errc()) return fail("a number out of range");
    out->kind = Value::Kind::kReal;
    if (is_integer) {
      if (std::from_chars(start, at_, out->integer).ec != std::errc()) return fail("a number out of range");
      out->kind = Value::Kind::kInteger;
    }
    return true;
  }

  const char* begin_;
  const char* at_;
  const char* end_;
  std::string what_;
};

}  // namespace

const Value* Value::find(const char* name) const {
  for (const auto& [key, value] : members)
    if (key == name) return &value;
  return nullptr;
}

Status parse(const char* text, size_t size, const std::string& where, Value* out) {
  Reader reader(text, size);
  if (reader.document(out)) return {};
  return refuse_file(where, reader.complaint(), "valid JSON without repeated names");
}

}  // namespace xnor::json
