// Where a session's rows lie while it runs.
#pragma once

#include "session.h"

namespace xnor {

// Sets to zero what is left and right of the pixels of a row in planes.
void clear_margins(const Stage& stage, float* row);

// Where the rows of one band lie.
struct Session::Place {
  const Plan& plan;
  const std::vector<Ring>& rings;
  uint8_t* arena;
  uint8_t* scratch;

  template <typename T = float>
  T* row(int map, int y) const {
    const Ring& ring = rings[map];
    return reinterpret_cast<T*>(arena + ring.offset +
                                plan.stages[map].row_bytes * static_cast<size_t>(y % ring.height));
  }
};

}  // namespace xnor
