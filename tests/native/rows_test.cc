// Rows of every op but the binary ones: each kernel set writes the reference's bits, and no byte outside its row.
//
// Widths and channels lie around the edges of vectors of 4, 8 and 16 lanes and of the tiles of pixels.
#include <functional>
#include <limits>

#include "check.h"

namespace {

using xnor::Floats;
using xnor::Kernels;
using xnor::Op;

const int kCounts[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 23, 31, 32, 33, 63, 64, 65, 130};
const int kChannels[] = {1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 24, 31, 32, 33, 64, 65};
const int kWidths[] = {1, 2, 3, 4, 7, 8, 9, 15, 16, 17, 33, 70};

// Runs a row of `num_items` floats with each set: the bits of the reference, between guards that are intact.
void expect_same(const std::string& what, int num_items, const std::function<void(const Kernels&, float*)>& run) {
  const size_t num_bytes = num_items * sizeof(float);
  GuardedRow wanted(num_bytes);
  run(xnor::kReferenceKernels, wanted.floats());
  const std::vector<uint8_t> wanted_bytes = wanted.content("reference " + what);
  for (const Kernels* set : kernel_sets()) {
    const std::string where = std::string(set->name) + " " + what;
    GuardedRow row(num_bytes);
    run(*set, row.floats());
    expect(row.content(where) == wanted_bytes, where + ": other bits than the reference");
  }
}

std::string sizes(int channels, int width) { return "C=" + std::to_string(channels) + " W=" + std::to_string(width); }

// Both zeros, bounds and their neighbours, in every lane in turn.
void sprinkle(Floats* row, int count, uint32_t seed, const std::vector<float>& specials) {
  for (int i = 0; i < count; ++i)
    if ((i + seed) % 3 == 0) (*row)[i] = specials[(i / 3 + seed) % specials.size()];
}

struct ConvShape {
  int channels, outputs, kernel, stride, groups, pad;
};

std::string text_of(const ConvShape& shape) {
  return "conv O=" + std::to_string(shape.outputs) + " K=" + std::to_string(shape.kernel) + " stride " +
         std::to_string(shape.stride) + " groups " + std::to_string(shape.groups) + " pad " +
         std::to_string(shape.pad) + " C=" + std::to_string(shape.channels);
}

// One row of a convolution; `border` is 1 where the row above is missing, 2 where the one below is.
void run_conv(const Kernels& set, const Op& op, const ConvShape& shape, int in_width, int border,
              const xnor::TwoSlope* slopes, float* out) {
  Numbers numbers(static_cast<uint32_t>(shape.channels * 100 + in_width));
  std::vector<Floats> rows;
  for (int ky = 0; ky < 3; ++ky) rows.push_back(numbers.row(in_width * shape.channels));
  const float* x[3] = {rows[0].data(), nullptr, nullptr};
  if (shape.kernel == 3)
    for (int ky = 0; ky < 3; ++ky)
      x[ky] = (ky == 0 && border & 1) || (ky == 2 && border & 2) ? nullptr : rows[ky].data();
  GuardedRow scratch(xnor::conv_scratch(op, shape.channels, in_width));
  const int width = (in_width + shape.stride - 1) / shape.stride;
  set.conv({&op, {x[0], x[1], x[2]}, out, shape.channels, in_width, width, scratch.bytes(), slopes});
  scratch.content(std::string(set.name) + " " + text_of(shape) + " scratch");
}

void test_conv(const ConvShape& shape) {
  Numbers numbers(static_cast<uint32_t>(shape.outputs));
  Op op;
  op.kind = xnor::OpKind::kConv;
  op.channels = shape.outputs;
  op.kernel = shape.kernel;
  op.stride = shape.stride;
  op.groups = shape.groups;
  op.pad = shape.pad;
  const int terms = shape.kernel * shape.kernel * shape.channels / shape.groups, step = shape.outputs + xnor::kSlack;
  op.weight.assign(static_cast<size_t>(terms) * step, 0.0f);
  for (int t = 0; t < terms; ++t)
    for (int o = 0; o < shape.outputs; ++o) op.weight[t * step + o] = numbers.number();
  op.bias = numbers.constants(shape.outputs);
  xnor::pack_flat_conv(shape.channels, &op);
  xnor::TwoSlope slopes;
  slopes.lo = numbers.constants(shape.outputs);
  slopes.hi = numbers.constants(shape.outputs);
  for (int in_width : kWidths)
    for (int border = 0; border < (shape.kernel == 3 ? 4 : 1); ++border) {
      const int width = (in_width + shape.stride - 1) / shape.stride;
      const std::string what = text_of(shape) + " W=" + std::to_string(in_width) + " border " + std::to_string(border);
      expect_same(what, width * shape.outputs, [&](const Kernels& set, float* out) {
        run_conv(set, op, shape, in_width, border, in_width % 2 ? &slopes : nullptr, out);
      });
    }
}

void test_convs() {
  for (int channels : {1, 3, 4, 8, 16, 17, 32})
    for (int outputs : {1, 3, 4, 6, 7, 8, 9, 16, 17, 33})
      for (int stride : {1, 2}) {
        test_conv({channels, outputs, 1, stride, 1, 0});
        for (int pad : {-1, 0, 1}) test_conv({channels, outputs, 3, stride, 1, pad});
      }
  for (int stride : {1, 2})
    for (int pad : {-1, 0, 1}) {
      test_conv({6, 9, 3, stride, 3, pad});
      test_conv({16, 16, 3, stride, 16, pad});
      test_conv({24, 40, 3, stride, 2, pad});
    }
  test_conv({34, 34, 1, 1, 2, 0});
  test_conv({18, 6, 1, 2, 6, 0});
}

// Constants of a two-slope map (A1); `variant` says which of the optional ones it has.
xnor::TwoSlope make_map(Numbers* numbers, int channels, int variant) {
  xnor::TwoSlope map;
  if (variant & 1)
    for (Floats* table : {&map.a, &map.b}) *table = numbers->constants(channels);
  if (variant & 2)
    for (Floats* table : {&map.lo, &map.hi}) *table = numbers->constants(channels);
  if (variant & 4) map.c = numbers->constants(channels);
  if ((variant & 12) == 12) map.g = numbers->constants(channels);
  return map;
}

void test_mix(int outputs, int width, int num_inputs, int variant) {
  Numbers numbers(static_cast<uint32_t>(outputs * 100 + width * 10 + variant));
  // As many channels, and fewer and more of them, from a start that wraps around.
  const int channels[2] = {outputs + variant % 3, variant % 4 ? outputs / 2 + 1 : outputs * (1 + variant / 8)};
  Op op;
  op.kind = xnor::OpKind::kMix;
  op.channels = outputs;
  op.starts[0] = variant % 2 ? outputs + 1 : 0;
  op.starts[1] = variant % 5;
  for (int n = 0; n < num_inputs; ++n) op.maps[n] = make_map(&numbers, outputs, (variant + 5 * n) % 16);
  op.in.resize(num_inputs);
  xnor::pack_flat_mix(channels, &op);
  const Floats x = numbers.row(width * channels[0]), y = numbers.row(width * channels[1]);
  const std::string what =
      "mix of " + std::to_string(num_inputs) + " variant " + std::to_string(variant) + " " + sizes(outputs, width);
  expect_same(what, width * outputs, [&](const Kernels& set, float* out) {
    set.mix({&op, {x.data(), num_inputs == 2 ? y.data() : nullptr}, {channels[0], channels[1]}, out, width});
  });
}

void test_pool(int channels, int width) {
  Numbers numbers(static_cast<uint32_t>(channels * 100 + width));
  Floats top = numbers.row(2 * width * channels), low = numbers.row(2 * width * channels);
  // Equal values and both zeros: the maximum keeps the first of equals.
  sprinkle(&top, 2 * width * channels, 0, {0.0f, -0.0f, 1.5f});
  sprinkle(&low, 2 * width * channels, 1, {-0.0f, 0.0f, 1.5f, 1.5f});
  using xnor::PoolKind;
  for (const PoolKind kind : {PoolKind::kAverage, PoolKind::kMaximum, PoolKind::kFirst, PoolKind::kMinimum,
                              PoolKind::kRows, PoolKind::kColumns, PoolKind::kDiagonal})
    expect_same(
        "pool " + std::to_string(int(kind)) + " " + sizes(channels, width), width * channels,
        [&](const Kernels& set, float* out) { set.pool({{top.data(), low.data()}, out, channels, width, kind}); });
}

void test_upsample(int channels, int width) {
  Numbers numbers(static_cast<uint32_t>(channels * 100 + width));
  const Floats near = numbers.row(width * channels), far = numbers.row(width * channels);
  for (const xnor::UpKind kind : {xnor::UpKind::kNearest, xnor::UpKind::kBilinear})
    expect_same(
        "upsample " + std::to_string(int(kind)) + " " + sizes(channels, width), 2 * width * channels,
        [&](const Kernels& set, float* out) { set.upsample({near.data(), far.data(), out, channels, width, kind}); });
}

void test_up_mix(int outputs, int width, int variant) {
  Numbers numbers(static_cast<uint32_t>(outputs + width + variant));
  Op op;
  op.kind = xnor::OpKind::kMix;
  op.channels = op.starts[1] = outputs;
  for (int n = 0; n < 2; ++n) op.maps[n] = make_map(&numbers, outputs, (variant + 6 * n) % 16);
  const Floats near = numbers.row(width * 2 * outputs), far = numbers.row(width * 2 * outputs);
  expect_same(
      "up_mix variant " + std::to_string(variant) + " " + sizes(outputs, width), 2 * width * outputs,
      [&](const Kernels& set, float* out) { set.up_mix({&op, near.data(), far.data(), out, 2 * outputs, width}); });
}

void test_concat(int num_inputs, int width) {
  Numbers numbers(static_cast<uint32_t>(num_inputs * 100 + width));
  std::vector<Floats> rows;
  xnor::ConcatRow concat{};
  int outputs = 0;
  for (int n = 0; n < num_inputs; ++n) {
    concat.channels[n] = kChannels[(n * 5 + num_inputs) % 18];
    outputs += concat.channels[n];
    rows.push_back(numbers.row(width * concat.channels[n]));
    concat.x[n] = rows[n].data();
  }
  concat.num_inputs = num_inputs;
  concat.width = width;
  expect_same("concat of " + std::to_string(num_inputs) + " W=" + std::to_string(width), width * outputs,
              [&](const Kernels& set, float* out) {
                xnor::ConcatRow row = concat;
                row.out = out;
                set.concat(row);
              });
}

void test_contrast(int num, int width, int above, int below) {
  Numbers numbers(static_cast<uint32_t>(width * 100 + above * 7 + below));
  Op op;
  op.kind = xnor::OpKind::kContrast;
  op.sides = num == 4 ? std::vector<int>{3, 7, 11, 47} : std::vector<int>{3, 11, 47};
  op.channels = num;
  std::vector<Floats> rows;
  xnor::ContrastRow contrast{};
  for (int d = -above; d <= below; ++d) {
    rows.push_back(numbers.row(width));
    sprinkle(&rows.back(), width, 1, {0.0f, -0.0f});
  }
  for (int d = -above; d <= below; ++d) contrast.x[xnor::kMaxSquare / 2 + d] = rows[d + above].data();
  contrast.op = &op;
  contrast.width = width;
  std::vector<uint8_t> scratch(xnor::contrast_scratch(op, width));
  contrast.scratch = scratch.data();
  expect_same("contrast W=" + std::to_string(width), width * op.channels, [&](const Kernels& set, float* out) {
    xnor::ContrastRow row = contrast;
    row.out = out;
    set.contrast(row);
  });
}

// Equal values and both zeros: the maximum keeps the first of equals, in the order of the definition.
void test_maximum(int channels, int width) {
  Numbers numbers(static_cast<uint32_t>(channels * 100 + width));
  std::vector<Floats> rows;
  for (uint32_t i = 0; i < 3; ++i) {
    rows.push_back(numbers.row(width * channels));
    sprinkle(&rows[i], width * channels, i, {0.0f, -0.0f, 1.5f, -0.0f});
  }
  for (const auto& [above, below] : {std::pair(0, 2), std::pair(1, 2), std::pair(0, 1), std::pair(1, 1)})
    expect_same("maximum " + sizes(channels, width), width * channels, [&](const Kernels& set, float* out) {
      GuardedRow scratch(xnor::maximum_scratch(channels, width));
      set.maximum({{rows[above].data(), rows[1].data(), rows[below].data()}, out, channels, width, scratch.bytes()});
      scratch.content(std::string(set.name) + " maximum scratch " + sizes(channels, width));
    });
}

void test_items(int count) {
  const float infinity = std::numeric_limits<float>::infinity(), tiny = std::numeric_limits<float>::denorm_min();
  Numbers numbers(static_cast<uint32_t>(count));
  for (uint32_t seed = 0; seed < 3; ++seed) {
    Floats x = numbers.row(count);
    for (int i = 0; i < count; ++i) x[i] *= 16;
    sprinkle(&x, count, seed,
             {0.0f, -0.0f, 1.0f, -1.0f, tiny, -tiny, 87.0f, -87.0f, 90.0f, -90.0f, infinity, -infinity});
    const std::string what = " of " + std::to_string(count);
    expect_same("clamp" + what, count, [&](const Kernels& set, float* out) { set.clamp(x.data(), out, count); });
    expect_same("multiply" + what, count,
                [&](const Kernels& set, float* out) { set.multiply(x.data(), x.data() + 1, out, count - 1); });
    expect_same("sigmoid" + what, count, [&](const Kernels& set, float* out) { set.sigmoid(x.data(), out, count); });
    expect_same("center" + what, count,
                [&](const Kernels& set, float* out) { set.center(x.data(), 0.37f, out, count); });
  }
}

// A sum of doubles depends on its order, which the definition states.
void test_row_sum(int channels, int width) {
  Numbers numbers(static_cast<uint32_t>(channels * 100 + width));
  Floats x = numbers.row(width * channels);
  for (int i = 0; i < width * channels; ++i) x[i] = std::ldexp(x[i] / 3, static_cast<int>(numbers.next() % 80));
  const double wanted = xnor::kReferenceKernels.row_sum(x.data(), channels, width);
  for (const Kernels* set : kernel_sets()) {
    const double sum = set->row_sum(x.data(), channels, width);
    expect(std::memcmp(&sum, &wanted, sizeof sum) == 0,
           std::string(set->name) + " row_sum " + sizes(channels, width) + ": other bits than the reference");
  }
}

}  // namespace

void test_rows() {
  test_convs();
  for (int channels : kChannels)
    for (int width : kWidths) {
      for (int variant = 0; variant < 16; ++variant)
        for (int num_inputs : {1, 2}) test_mix(channels, width, num_inputs, variant);
      test_pool(channels, width);
      test_maximum(channels, width);
      test_upsample(channels, width);
      test_row_sum(channels, width);
    }
  for (int outputs : {16, 32, 48})
    for (int width : kWidths)
      for (int variant = 0; variant < 16; ++variant) test_up_mix(outputs, width, variant);
  for (int num_inputs : {2, 3, 7, 16})
    for (int width : kWidths) test_concat(num_inputs, width);
  for (int width : kWidths)
    for (const auto& [above, below] : {std::pair(0, 0), std::pair(23, 23), std::pair(2, 23), std::pair(23, 1)})
      for (int num : {3, 4}) test_contrast(num, width, above, below);
  for (int count : kCounts) test_items(count);
}
