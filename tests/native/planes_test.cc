// Rows in planes: each kernel set writes the reference's bits, and no byte outside its planes.
#include "check.h"
#include "plan.h"

namespace {

using xnor::Floats;
using xnor::Kernels;
using xnor::kMargin;
using xnor::Op;

const int kWidths[] = {1, 2, 3, 8, 15, 16, 17, 33, 64, 65, 131};

size_t plane_of(int width) { return kMargin + (width + 15) / 16 * 16 + kMargin; }

// A row in planes with zeros around its pixels, and 128 bytes of NaN behind it.
Floats plane_row(Numbers* numbers, int channels, int width) {
  const size_t plane = plane_of(width);
  Floats row = numbers->row(static_cast<int>(channels * plane));
  for (size_t i = 0; i < channels * plane; ++i) {
    const size_t at = i % plane;
    if (at < kMargin || at >= kMargin + static_cast<size_t>(width)) row[i] = 0.0f;
  }
  return row;
}

// Runs a kernel of each set on a row between guards; what it leaves between the planes must be what it found there.
template <typename Run>
void expect_same(const std::string& what, size_t num_floats, Run run) {
  GuardedRow wanted(num_floats * sizeof(float));
  run(xnor::kReferenceKernels, wanted.floats());
  for (const Kernels* set : kernel_sets()) {
    const std::string where = std::string(set->name) + " " + what;
    GuardedRow row(num_floats * sizeof(float));
    run(*set, row.floats());
    expect(row.content(where) == wanted.content("reference " + what), where + ": other bits than the reference");
  }
}

std::string sizes(int channels, int width) { return " C=" + std::to_string(channels) + " W=" + std::to_string(width); }

void test_turns(int channels, int width) {
  Numbers numbers(static_cast<uint32_t>(channels * 100 + width));
  const size_t plane = plane_of(width);
  const Floats pixels = numbers.row(channels * width), planes = plane_row(&numbers, channels, width);
  expect_same("to_planes" + sizes(channels, width), channels * plane, [&](const Kernels& set, float* out) {
    set.to_planes({pixels.data(), out + kMargin, channels, width, plane});
  });
  expect_same(
      "from_planes" + sizes(channels, width), static_cast<size_t>(channels) * width,
      [&](const Kernels& set, float* out) { set.from_planes({planes.data() + kMargin, out, channels, width, plane}); });
}

void test_conv(int channels, int outputs, int kernel, int width, bool bends) {
  Numbers numbers(static_cast<uint32_t>(channels * 1000 + outputs * 100 + width));
  const size_t plane = plane_of(width);
  Op op;
  op.kernel = kernel;
  op.channels = outputs;
  op.weight = numbers.constants(kernel * kernel * channels * (outputs + xnor::kSlack));
  op.bias = numbers.constants(outputs);
  xnor::TwoSlope slopes;
  slopes.lo = numbers.constants(outputs);
  slopes.hi = numbers.constants(outputs);
  std::vector<Floats> rows;
  for (int ky = 0; ky < 3; ++ky) rows.push_back(plane_row(&numbers, channels, width));
  const Floats zeros(plane + 2 * kMargin, 0.0f);
  for (int missing = -1; missing < kernel; ++missing) {
    const std::string what = "plane_conv O=" + std::to_string(outputs) + " K=" + std::to_string(kernel) +
                             sizes(channels, width) + " without row " + std::to_string(missing);
    expect_same(what, outputs * plane, [&](const Kernels& set, float* out) {
      xnor::PlaneConvRow row{&op, bends ? &slopes : nullptr, {}, {}, out + kMargin, plane, channels, width};
      for (int ky = 0; ky < kernel; ++ky) {
        row.x[ky] = (ky == missing ? zeros.data() : rows[ky].data()) + kMargin;
        row.planes[ky] = ky == missing ? 0 : plane;
      }
      set.plane_conv(row);
    });
  }
}

// Sums of doubles depend on their order, which the definition states; of a row of either kind.
void test_tap_sums(int channels, int width, int kernel) {
  Numbers numbers(static_cast<uint32_t>(channels * 10 + width + kernel));
  const size_t plane = plane_of(width), count = static_cast<size_t>(kernel) * channels;
  Floats pixels = numbers.row(channels * width), planes = plane_row(&numbers, channels, width);
  for (Floats* row : {&pixels, &planes})
    for (size_t i = 0; i < row->size() - 32; ++i) (*row)[i] = std::ldexp((*row)[i] / 3, int(numbers.next() % 80));
  expect_same("tap_sums of pixels" + sizes(channels, width), 2 * count, [&](const Kernels& set, float* out) {
    set.tap_sums(
        {pixels.data(), static_cast<size_t>(channels), 1, channels, width, kernel, reinterpret_cast<double*>(out)});
  });
  expect_same("tap_sums of planes" + sizes(channels, width), 2 * count, [&](const Kernels& set, float* out) {
    set.tap_sums({planes.data() + kMargin, 1, plane, channels, width, kernel, reinterpret_cast<double*>(out)});
  });
}

Op make_excite(Numbers* numbers, int channels, int factors, bool expands) {
  Op op;
  op.weight = numbers->constants(9 * factors);
  op.bias = numbers->constants(1);
  if (expands) {
    op.expand = numbers->constants(factors * (9 * channels + xnor::kSlack));
    op.expand_bias = numbers->constants(factors);
  }
  return op;
}

void test_excite(int channels, int num_factors, int width, bool expands) {
  Numbers numbers(static_cast<uint32_t>(channels * 100 + num_factors * 10 + width));
  const Op op = make_excite(&numbers, channels, num_factors, expands);
  const Floats factors = numbers.constants(num_factors);
  const size_t items = xnor::excite_items(op, channels), plane = plane_of(width);
  const std::string what = " E=" + std::to_string(num_factors) + sizes(channels, width);
  const auto make_kernel = [&](const Kernels& set, float* out) {
    GuardedRow scratch(xnor::excite_scratch(op, channels));
    set.excite_kernel({&op, factors.data(), out, channels, num_factors, scratch.bytes()});
    scratch.content(std::string(set.name) + " excite_kernel scratch" + what);
  };
  expect_same("excite_kernel" + what, items, make_kernel);
  Floats kernel(items, 0.0f);
  make_kernel(xnor::kReferenceKernels, kernel.data());
  std::vector<Floats> rows;
  for (int u = 0; u < 5; ++u) rows.push_back(plane_row(&numbers, channels, width));
  for (int row_class = 0; row_class < 4; ++row_class)
    expect_same("excite class " + std::to_string(row_class) + what, width, [&](const Kernels& set, float* out) {
      xnor::ExciteRow row{&op, kernel.data(), {}, {}, out, channels, width, row_class};
      for (int u = 0; u < xnor::excite_side(op); ++u) {
        row.x[u] = rows[u].data() + kMargin;
        row.planes[u] = plane;
      }
      set.excite(row);
    });
}

// Two filters of two taps, one of four and a further basis map for each of `rounds`, whose places overlap.
xnor::Basis make_basis(int rounds) {
  xnor::Basis basis;
  for (int n = 0; n < 3 * rounds; ++n) {
    xnor::Basis::Term term;
    term.num_taps = n % 3 == 2 ? 4 : 2;
    for (int i = 0; i < term.num_taps; ++i) {
      term.source[i] = i == 0 ? 0 : static_cast<int>(basis.places.size());
      term.sign[i] = i % 2 ? -1.0f : 1.0f;
      if (i != 0 || n == 0) basis.places.push_back({0, (n + i) % 17 - 8});
    }
    basis.terms.push_back(term);
  }
  basis.num_sources = static_cast<int>(basis.places.size());
  for (int n = 0; n < rounds; ++n) {
    xnor::Basis::Term term;
    term.num_taps = 1;
    term.source[0] = basis.num_sources++;
    basis.terms.push_back(term);
  }
  return basis;
}

void test_recombine(int channels, int rounds, int width) {
  Numbers numbers(static_cast<uint32_t>(channels * 100 + rounds * 10 + width));
  const size_t plane = plane_of(width);
  Op op;
  op.channels = channels;
  op.basis = make_basis(rounds);
  const int num_sources = op.basis.num_sources, num_places = static_cast<int>(op.basis.places.size());
  std::vector<Floats> rows;
  for (int s = 0; s <= num_sources; ++s) rows.push_back(plane_row(&numbers, channels, width));
  const Floats zeros(plane + 2 * kMargin, 0.0f), weights = numbers.constants(channels * num_sources);
  xnor::BasisRow row{};
  row.op = &op;
  row.origin = rows[num_sources].data() + kMargin;
  row.origin_plane = plane;
  for (int s = 0; s < num_sources; ++s) {
    const bool is_off = s % 5 == 3;
    row.x[s] = (is_off ? zeros.data() : rows[s].data()) + kMargin + (s < num_places ? op.basis.places[s].column : 0);
    row.planes[s] = is_off ? 0 : plane;
  }
  row.channels = channels;
  row.width = width;
  const std::string what = " of " + std::to_string(num_sources) + sizes(channels, width);
  expect_same("basis_sums" + what, channels * op.basis.terms.size() * 2, [&](const Kernels& set, float* out) {
    GuardedRow scratch(xnor::basis_scratch(op));
    xnor::BasisSumsRow sums{};
    static_cast<xnor::BasisRow&>(sums) = row;
    sums.out = out;
    sums.scratch = scratch.bytes();
    set.basis_sums(sums);
    scratch.content(std::string(set.name) + " basis_sums scratch" + what);
  });
  expect_same("recombine" + what, channels * plane, [&](const Kernels& set, float* out) {
    xnor::RecombineRow result{};
    static_cast<xnor::BasisRow&>(result) = row;
    result.weights = weights.data();
    result.out = out + kMargin;
    result.plane = plane;
    set.recombine(result);
  });
}

void test_raise(int channels, int num_pixels) {
  Numbers numbers(static_cast<uint32_t>(channels * 100 + num_pixels));
  const Floats x = numbers.row(channels * num_pixels);
  Floats before = numbers.constants(channels);
  for (int c = 0; c < channels; c += 3) before[c] = x[c];
  expect_same("raise" + sizes(channels, num_pixels), channels, [&](const Kernels& set, float* out) {
    // A kernel may read, not write, beyond the last channel.
    Floats most = before;
    set.raise({x.data(), channels, num_pixels, most.data()});
    for (size_t c = channels; c < most.size(); ++c) expect(most[c] == before[c], "raise: wrote beyond its channels");
    std::memcpy(out, most.data(), channels * sizeof(float));
  });
}

// The rows of a matrix, and with them a row of the result.
void test_attend(int channels, int length, int height, int width, bool is_gate) {
  Numbers numbers(static_cast<uint32_t>(channels * 1000 + length * 100 + height * 10 + width));
  Op op;
  op.channels = channels;
  op.is_gate = is_gate;
  op.scale = numbers.constants(channels);
  const xnor::Fit columns{length, is_gate ? width : height}, rows{length, height};
  const int size = columns.size, most = columns.most();
  const size_t plane = plane_of(width), across_plane = (size + 15) / 16 * 16;
  std::vector<int> firsts(size);
  Floats weights(static_cast<size_t>(size) * most, 0.0f);
  for (int j = 0; j < size; ++j) columns.weights(j, &firsts[j], &weights[static_cast<size_t>(j) * most]);
  const Floats query = numbers.constants(length), key = numbers.constants(length);
  const std::string what = " d=" + std::to_string(length) + " H=" + std::to_string(height) + sizes(channels, width);
  const auto make_across = [&](const Kernels& set, int a, float* out) {
    GuardedRow scratch(2 * (length + xnor::kSlack) * sizeof(float));
    set.attention({&op, query.data() + a, key.data(), length, size, across_plane, firsts.data(), weights.data(), most,
                   out, scratch.floats()});
    scratch.content(std::string(set.name) + " attention scratch" + what);
  };
  std::vector<Floats> across(length, Floats(channels * across_plane, 0.0f));
  for (int a = 0; a < length; ++a) make_across(xnor::kReferenceKernels, a, across[a].data());
  expect_same("attention" + what, channels * across_plane,
              [&](const Kernels& set, float* out) { make_across(set, length / 2, out); });
  const size_t row_step = channels * plane;
  Floats map(height * row_step + 32, 0.0f);
  for (int y = 0; y < height; ++y) {
    const Floats row = plane_row(&numbers, channels, width);
    std::memcpy(&map[y * row_step], row.data(), row_step * sizeof(float));
  }
  const int y = height / 3;
  int first = 0;
  float across_weights[xnor::kMaxLength];
  const int count = rows.weights(y, &first, across_weights);
  std::vector<const float*> seen;
  for (int g = 0; g < count; ++g) seen.push_back(across[first + g].data());
  expect_same("attend" + what, channels * plane, [&](const Kernels& set, float* out) {
    GuardedRow scratch((size + 2 * xnor::kSlack) * sizeof(float));
    set.attend({&op, seen.data(), across_weights, count, across_plane, map.data() + y * row_step + kMargin,
                map.data() + kMargin, row_step, out + kMargin, plane, height, width, scratch.floats()});
    scratch.content(std::string(set.name) + " attend scratch" + what);
  });
}

}  // namespace

void test_planes() {
  for (int width : kWidths) {
    for (int channels : {1, 2, 4, 5, 8, 15, 16, 17, 33}) {
      test_turns(channels, width);
      for (int kernel : {1, 3}) test_tap_sums(channels, width, kernel);
    }
    for (int channels : {1, 3, 4, 17})
      for (int outputs = 1; outputs <= 8; ++outputs)
        for (int kernel : {1, 3}) test_conv(channels, outputs, kernel, width, outputs % 2 == 0);
    for (int channels : {1, 7, 33}) test_raise(channels, width);
    for (const auto& [length, height] : {std::pair(16, 16), std::pair(1, 5), std::pair(64, 9), std::pair(23, 70)})
      for (bool is_gate : {false, true}) test_attend(width % 2 ? 1 : 3, length, height, width, is_gate);
    for (int channels : {1, 3, 18})
      for (int rounds : {1, 4}) test_recombine(channels, rounds, width);
    for (int channels : {1, 2, 4, 9}) {
      test_excite(channels, channels, width, false);
      test_excite(channels, 7, width, true);
    }
  }
}
