// xnor-test MODEL...: what only a look from the inside can show, the first and the last of it on each model file.
//
//   - run() allocates nothing, with every kernel set, way of running and number of threads (operators new are counted);
//   - kernels write only their row (guard bytes around each), and give the reference's bits at the borders of a vector:
//     binary blocks here, the other ops in rows_test.cc;
//   - a file cut anywhere, or with any byte changed, is refused or runs, and nothing else.
#include "xnor.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "check.h"

static std::atomic<long> allocations{0};

void* operator new(size_t size) {
  ++allocations;
  if (void* at = std::malloc(size)) return at;
  throw std::bad_alloc();
}
void* operator new(size_t size, std::align_val_t align) {
  ++allocations;
  const size_t unit = static_cast<size_t>(align);
  if (void* at = std::aligned_alloc(unit, (size + unit - 1) / unit * unit)) return at;
  throw std::bad_alloc();
}
void operator delete(void* at) noexcept { std::free(at); }
void operator delete(void* at, size_t) noexcept { std::free(at); }
void operator delete(void* at, std::align_val_t) noexcept { std::free(at); }
void operator delete(void* at, size_t, std::align_val_t) noexcept { std::free(at); }

namespace {

std::vector<uint8_t> read_file(const char* path) {
  std::vector<uint8_t> bytes;
  std::FILE* file = std::fopen(path, "rb");
  if (file == nullptr) return bytes;
  for (int c; (c = std::fgetc(file)) != EOF;) bytes.push_back(static_cast<uint8_t>(c));
  std::fclose(file);
  return bytes;
}

void test_no_allocation(const std::vector<uint8_t>& file) {
  for (const xnor::Kernels* set : kernel_sets())
    for (int mode : {XNOR_STREAMED, XNOR_LAYERS})
      for (int threads = 1; threads <= 3; ++threads) {
        xnor_model* model = nullptr;
        char text[256];
        expect(xnor_load(file.data(), file.size(), set->name, &model, text, sizeof text) == XNOR_OK, text);
        std::vector<uint8_t> image(37 * 41, 100);
        std::vector<float> out(image.size());
        expect(xnor_prepare(model, 37, 41, 1, threads, mode) == XNOR_OK, xnor_error());
        const long before = allocations;
        for (int i = 0; i < 3; ++i) xnor_run(model, image.data(), 37, 41, XNOR_U8, 1, out.data());
        const long num_allocations = allocations - before;
        expect(num_allocations == 0, std::string(set->name) + ": run() allocates");
        xnor_free(model);
      }
}

// A block with random constants of any shape. `variant` says which of the optional ones it has.
xnor::Op make_block(int channels, int outputs, int kernel, unsigned seed, int variant) {
  std::srand(seed);
  const auto number = [] { return static_cast<float>(std::rand() % 2001 - 1000) / 512.0f; };
  const auto fill = [&](int count) {
    xnor::Floats values(count + xnor::kSlack, 0.0f);
    for (int i = 0; i < count; ++i) values[i] = number();
    return values;
  };
  xnor::Op op;
  op.kind = xnor::OpKind::kBlock;
  op.kernel = kernel;
  op.channels = outputs;
  xnor::Block& block = op.block;
  block.residual = xnor::Residual::kAfter;
  block.group_in = channels;
  block.group_out = outputs;
  block.group_bytes = (channels + 7) / 8;
  block.stride = outputs + xnor::kSlack;
  block.bits.resize(size_t(outputs) * kernel * kernel * block.group_bytes);
  for (size_t i = 0; i < block.bits.size(); ++i) {
    block.bits[i] = static_cast<uint8_t>(std::rand() >> 7);
    if (channels % 8 && (i + 1) % block.group_bytes == 0) block.bits[i] &= (1 << channels % 8) - 1;
  }
  for (xnor::Floats* table : {&block.scale, &block.bias, &block.slope.lo, &block.slope.hi, &block.slope.c})
    *table = fill(outputs);
  if (variant % 2 == 0) block.shift = fill(outputs);
  if (variant / 2 % 2) block.slope.g = fill(outputs);
  if (variant / 4 % 3 > 0)
    for (xnor::Floats* table : {&block.post.a, &block.post.b, &block.post.lo, &block.post.hi}) *table = fill(outputs);
  if (variant / 4 % 3 > 1)
    for (xnor::Floats* table : {&block.post.g, &block.post.c}) *table = fill(outputs);
  if (variant / 12 % 2) block.scale[0] = 3e38f;  // twice of which is no number
  xnor::pack_block(op, &block);
  return op;
}

// Signs and one row of a block, by one set, between guard bytes.
std::vector<uint8_t> run_block(const xnor::Kernels& set, const xnor::Op& op, int channels, int width, bool top) {
  const std::string where = std::string(set.name) + " C=" + std::to_string(channels) + " W=" + std::to_string(width);
  const size_t spare = 2 * xnor::kAlign;
  xnor::Table<float> x(size_t(width) * channels + spare), residual(size_t(width) * op.channels + spare);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(int(i * 2654435761u >> 7) % 200 - 99);
  for (size_t i = 0; i < residual.size(); ++i) residual[i] = static_cast<float>(int(i * 40503u >> 3) % 64) - 31.5f;
  GuardedRow bits(size_t(width) * op.block.group_bytes), out(size_t(width) * op.channels * sizeof(float));
  GuardedRow scratch(xnor::block_scratch(op, width));
  set.sign({&op, x.data(), channels, width, bits.bytes()});
  bits.content(where + " sign");
  const uint8_t* row = bits.bytes();
  const bool has_rows = op.kernel == 3;
  set.block({&op,
             {top ? nullptr : row, has_rows ? row : nullptr, has_rows ? row : nullptr},
             residual.data(),
             out.floats(),
             width,
             width,
             has_rows && top ? 1 : 0,
             scratch.bytes()});
  scratch.content(where + " scratch of a block");
  return out.content(where + " block");
}

// Variants of the block's constants, in the middle of a map and below its upper border: each of them, or of wide
// blocks, which take long, five in which each constant is there and is not.
void test_variants(int channels, int kernel, int width) {
  const int outputs = channels < 40 ? channels : channels / 2 + 1;
  const int num_variants = width == 9 || width == 33 ? 24 : 1;
  for (int variant = 0; variant < num_variants; variant += channels < 100 ? 1 : 5)
    for (bool top : {false, true}) {
      if (top && kernel == 1) continue;
      const xnor::Op op = make_block(channels, outputs, kernel, static_cast<unsigned>(channels * 100 + width), variant);
      const std::vector<uint8_t> wanted = run_block(xnor::kReferenceKernels, op, channels, width, top);
      for (const xnor::Kernels* set : kernel_sets())
        expect(run_block(*set, op, channels, width, top) == wanted,
               std::string(set->name) + ": other bits, C=" + std::to_string(channels) + " K=" + std::to_string(kernel) +
                   " W=" + std::to_string(width) + " variant " + std::to_string(variant));
    }
}

void test_blocks() {
  for (int channels : {1, 2, 3, 4, 6, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 40, 64, 65, 127, 128, 300})
    for (int kernel : {1, 3})
      for (int width : {1, 2, 3, 8, 9, 10, 17, 33, 70}) test_variants(channels, kernel, width);
}

// The yardsticks of a benchmark do what they are asked.
void test_yardsticks() {
  expect(xnor_spin(1000) >= 1000, "spin");
  expect(xnor_count("reference", 10) == 0 && xnor_count("none", 10) == 0, "count of a set without one");
  for (const xnor::Kernels* set : kernel_sets()) {
    if (set == &xnor::kReferenceKernels) continue;
    const uint64_t pairs = xnor_count(set->name, 5);
    expect(pairs > 0 && xnor_count(set->name, 10) == 2 * pairs, std::string(set->name) + ": count");
  }
}

void load_and_forget(const uint8_t* bytes, size_t size, bool must_fail, const char* what) {
  xnor_model* model = nullptr;
  char text[256] = "";
  const int code = xnor_load(bytes, size, "reference", &model, text, sizeof text);
  expect((code == XNOR_OK) == (model != nullptr) && (code == XNOR_OK) == (text[0] == '\0'), what);
  if (must_fail) expect(code != XNOR_OK, std::string(what) + " was accepted");
  xnor_free(model);
}

void test_damage(const std::vector<uint8_t>& file) {
  for (size_t size = 0; size < file.size(); size += size < 9000 ? 7 : 501) {
    const std::vector<uint8_t> cut(file.begin(), file.begin() + static_cast<long>(size));
    load_and_forget(cut.data(), cut.size(), true, "a cut file");
  }
  std::vector<uint8_t> changed = file;
  for (size_t at = 0; at < file.size(); at += at < 9000 ? 3 : 211) {
    changed[at] ^= static_cast<uint8_t>(1 << at % 8);
    load_and_forget(changed.data(), changed.size(), false, "a file with a changed bit");
    changed[at] = file[at];
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  for (int i = 1; i < argc; ++i) {
    const std::vector<uint8_t> file = read_file(argv[i]);
    test_no_allocation(file);
    test_damage(file);
  }
  test_blocks();
  test_rows();
  test_planes();
  test_yardsticks();
  std::printf("kernels %s: %s\n", xnor_kernels(), num_failures ? "FAILED" : "good");
  return num_failures ? 1 : 0;
}
