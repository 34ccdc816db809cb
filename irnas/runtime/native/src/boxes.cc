// Targets of an output: pixels above the threshold that touch each other, corners included.
#include <algorithm>
#include <new>
#include <vector>

#include "xnor.h"

namespace {

// Pixels of one row side by side, [begin, end).
struct Run {
  int row, begin, end;
  size_t root;  // a run of the same target that lies above or before it; itself where there is none
};

size_t find_root(std::vector<Run>* runs, size_t at) {
  while ((*runs)[at].root != at) at = (*runs)[at].root = (*runs)[(*runs)[at].root].root;
  return at;
}

// Joins a run with those of the row above that it touches; `above` is the first of them that may.
void join(std::vector<Run>* runs, size_t at, size_t* above, size_t above_end) {
  const Run& run = (*runs)[at];
  while (*above < above_end && (*runs)[*above].end < run.begin) ++*above;
  for (size_t other = *above; other < above_end && (*runs)[other].begin <= run.end; ++other) {
    const size_t a = find_root(runs, at), b = find_root(runs, other);
    (*runs)[std::max(a, b)].root = std::min(a, b);
  }
}

std::vector<Run> find_runs(const float* probabilities, int height, int width, float limit) {
  std::vector<Run> runs;
  size_t above = 0, above_end = 0;
  for (int row = 0; row < height; ++row) {
    const float* line = probabilities + static_cast<size_t>(row) * width;
    const size_t first = runs.size();
    for (int x = 0; x < width;) {
      if (!(line[x] > limit)) {
        ++x;
        continue;
      }
      const int begin = x;
      while (x < width && line[x] > limit) ++x;
      runs.push_back({row, begin, x, runs.size()});
      join(&runs, runs.size() - 1, &above, above_end);
    }
    above = first;
    above_end = runs.size();
  }
  return runs;
}

void add(const Run& run, const float* line, xnor_box* box) {
  const int right = std::max(box->x + box->width, run.end);
  box->x = std::min(box->x, run.begin);
  box->width = right - box->x;
  box->height = run.row + 1 - box->y;
  box->area += run.end - run.begin;
  box->score = std::max(box->score, *std::max_element(line + run.begin, line + run.end));
}

}  // namespace

int xnor_find_boxes(const float* probabilities, int32_t height, int32_t width, double threshold, xnor_box* boxes,
                    size_t capacity, size_t* num) {
  *num = 0;
  try {
    std::vector<Run> runs = find_runs(probabilities, height, width, static_cast<float>(threshold));
    std::vector<size_t> place(runs.size());  // of the target, by the first of its runs
    for (size_t at = 0; at < runs.size(); ++at) {
      const Run run = runs[at];
      const size_t root = find_root(&runs, at);
      if (root == at) place[at] = (*num)++;
      if (place[root] >= capacity) continue;
      xnor_box* box = boxes + place[root];
      if (root == at) *box = {run.begin, run.row, 0, 0, 0, 0.0f};
      add(run, probabilities + static_cast<size_t>(run.row) * width, box);
    }
  } catch (const std::bad_alloc&) {
    return XNOR_MEMORY;
  }
  return XNOR_OK;
}
