// libFuzzer target: any bytes are read as a model, and what is accepted runs on a small image with every kernel set.
//
//   cmake -S . -B build-fuzz -DCMAKE_CXX_COMPILER=clang++ -DXNOR_TESTS=ON -DXNOR_FUZZ=ON
//   cmake --build build-fuzz --target xnor-fuzz
//   mkdir -p corpus && cp *.xnor corpus/
//   build-fuzz/irnas/runtime/native/tests/xnor-fuzz -max_total_time=600 -max_len=65536 corpus
//
// A mutated file would stop at its checksum, so the checksum of the data is put right first where its place is found.
// Every other check sees what the fuzzer made.
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "sha256.h"
#include "xnor.h"

namespace {

void mend_checksum(std::vector<uint8_t>* file) {
  if (file->size() < 8) return;
  uint64_t length = 0;
  std::memcpy(&length, file->data(), 8);
  if (length > file->size() - 8) return;
  static const char kKey[] = "\"sha256\":\"";
  const std::string header(file->begin() + 8, file->begin() + 8 + static_cast<long>(length));
  const size_t at = header.find(kKey), start = at + sizeof kKey - 1;
  if (at == std::string::npos || start + 64 > header.size()) return;
  const size_t data = 8 + static_cast<size_t>(length);
  const std::string digest = xnor::sha256_hex(file->data() + data, file->size() - data);
  std::memcpy(file->data() + 8 + start, digest.data(), 64);
}

void run_all(xnor_model* model) {
  xnor_info info;
  xnor_describe(model, &info);
  const int side = info.multiple < 16 ? info.multiple : 16;
  // A file may ask for maps of a gigabyte: that is slow, not wrong.
  if (info.multiple > 16 || info.num_ops > 64) return;
  std::vector<float> image(static_cast<size_t>(side) * side, 0.25f), out(image.size());
  for (int mode : {XNOR_STREAMED, XNOR_LAYERS})
    if (xnor_prepare(model, side, side, 0, 2, mode) == XNOR_OK)
      xnor_run(model, image.data(), side, side, XNOR_F32, 1, out.data());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<uint8_t> file(data, data + size);
  mend_checksum(&file);
  std::string names = std::string(xnor_kernels()) + " ";
  for (size_t at = 0, stop; (stop = names.find(' ', at)) != std::string::npos; at = stop + 1) {
    xnor_model* model = nullptr;
    char text[256];
    const std::string name = names.substr(at, stop - at);
    if (xnor_load(file.data(), file.size(), name.c_str(), &model, text, sizeof text) != XNOR_OK) return 0;
    run_all(model);
    xnor_free(model);
  }
  return 0;
}
