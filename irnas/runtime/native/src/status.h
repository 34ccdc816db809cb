// The answer of everything that can be refused: success, or a code with one line of text.
#pragma once

#include <string>
#include <utility>

namespace xnor {

// The values are part of the C ABI (xnor.h).
enum class Code : int {
  kOk = 0,
  kArgument = 1,  // the caller asked for something that is not there
  kFile = 2,      // the bytes are not a model that this engine can run
  kNewer = 3,     // the file comes from a newer format
  kMemory = 4,    // no memory for tables or maps
};

struct Status {
  Code code = Code::kOk;
  std::string text;

  bool ok() const { return code == Code::kOk; }
};

inline Status refuse(Code code, std::string text) { return {code, std::move(text)}; }

// "where: got X; must be Y (rule)", the grammar of every error in irnas. `place` is "RULE: where" with a rule of
// FORMAT.md.
inline Status refuse_file(const std::string& place, const std::string& got, const std::string& must) {
  const size_t colon = place.find(": ");
  const std::string rule = place.substr(0, colon), where = place.substr(colon + 2);
  return {Code::kFile, ".xnor " + where + ": got " + got + "; must be " + must + " (rule " + rule + ")"};
}

}  // namespace xnor

#define XNOR_TRY(expression)               \
  do {                                     \
    ::xnor::Status status_ = (expression); \
    if (!status_.ok()) return status_;     \
  } while (0)
