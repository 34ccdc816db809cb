// Functions of V that arrange and count columns of bits without vectors: see rows_block.inl.

template <typename Word>
static void InterleaveWords(const uint8_t* const* rows, size_t pixel, int width, uint8_t* out) {
  for (int j = 0; j < width; ++j, out += 3 * sizeof(Word))
    for (int ky = 0; ky < 3; ++ky) __builtin_memcpy(out + ky * sizeof(Word), rows[ky] + j * pixel, sizeof(Word));
}

// Columns of three rows whose pixels follow each other, 1, 2, 4 or 8 bytes each.
static void InterleaveRowsPlain(const uint8_t* const* rows, int bytes, int width, uint8_t* out) {
  if (bytes == 1) return InterleaveWords<uint8_t>(rows, 1, width, out);
  if (bytes == 4) return InterleaveWords<uint32_t>(rows, 4, width, out);
  if (bytes == 8) return InterleaveWords<uint64_t>(rows, 8, width, out);
  for (int j = 0; j < width; ++j, out += 6) {
    uint16_t top, middle, low;
    __builtin_memcpy(&top, rows[0] + 2 * j, 2);
    __builtin_memcpy(&middle, rows[1] + 2 * j, 2);
    __builtin_memcpy(&low, rows[2] + 2 * j, 2);
    // Two bytes too many, which the next column or the spare one overwrites.
    const uint64_t column = top | uint64_t{middle} << 16 | uint64_t{low} << 32;
    __builtin_memcpy(out, &column, 8);
  }
}

// Bits that are set at each pixel of `num_rows` rows together; a pixel has `bytes` bytes, every `step`.
static void PopulationCountsPlain(const uint8_t* const* rows, int num_rows, int step, int bytes, int count,
                                  int32_t* out) {
  const int rest = bytes % 8;
  const uint64_t mask = rest ? (uint64_t{1} << (8 * rest)) - 1 : ~uint64_t{0};
  for (int j = 0; j < count; ++j) {
    int sum = 0;
    for (int ky = 0; ky < num_rows; ++ky)
      for (int at = 0; at < bytes; at += 8) {
        uint64_t word;  // may reach beyond the row, into its slack
        __builtin_memcpy(&word, rows[ky] + static_cast<size_t>(j) * step + at, 8);
        sum += __builtin_popcountll(at + 8 > bytes ? word & mask : word);
      }
    out[j] = sum;
  }
}
