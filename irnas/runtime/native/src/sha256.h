// SHA-256 (FIPS 180-4), for the checksum of a model file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace xnor {

// The digest as 64 lower-case hexadecimal digits.
std::string sha256_hex(const uint8_t* data, size_t size);

}  // namespace xnor
