// A strict reader of JSON: RFC 8259, no duplicate keys, no depth beyond a cap, nothing after the value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "status.h"

namespace xnor::json {

struct Value {
  enum class Kind : uint8_t { kNull, kBool, kInteger, kReal, kString, kArray, kObject };

  Kind kind = Kind::kNull;
  bool flag = false;
  int64_t integer = 0;  // of kInteger
  double real = 0;      // of kInteger and kReal
  std::string text;
  std::vector<Value> items;
  std::vector<std::pair<std::string, Value>> members;

  bool is(Kind k) const { return kind == k; }
  bool is_number() const { return kind == Kind::kInteger || kind == Kind::kReal; }

  // The member of that name, or null.
  const Value* find(const char* name) const;
};

// Parses all of `text`; `where` begins the message of a refusal.
Status parse(const char* text, size_t size, const std::string& where, Value* out);

}  // namespace xnor::json
