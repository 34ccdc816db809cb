  // The parts of V that deal with columns of bits, in plain words: see rows_window.inl.

  // Columns of three rows of 16-bit pixels.
  static void weave2(const uint8_t* const* rows, int width, uint8_t* out) {
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
  static void count_plain(const uint8_t* const* rows, int num_rows, int step, int bytes, int count, int32_t* out) {
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
