#pragma once

#include <cstddef>
#include <cstdint>

// 0 where the bytes are a model, which then ran; -1 where they were refused. Aborts where two kernel sets differ.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
