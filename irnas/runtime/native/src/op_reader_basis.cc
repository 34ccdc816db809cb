// Reads the op recombine: its filters, and how many of the inputs are further basis maps.
#include <algorithm>

#include "op_reader.h"

namespace xnor {
namespace {

using Kind = json::Value::Kind;

constexpr char kMust[] = "0..32 filters of 2 or 4 taps: a sign, first 1, a row and a column within +-8";

// The number of the place at a row and a column, which is new where no tap had it before.
int place_of(Basis* basis, int row, int column) {
  const int count = static_cast<int>(basis->places.size());
  for (int i = 0; i < count; ++i)
    if (basis->places[i].row == row && basis->places[i].column == column) return i;
  basis->places.push_back({row, column});
  basis->first_row = std::min(basis->first_row, row);
  basis->last_row = std::max(basis->last_row, row);
  return count;
}

bool is_whole(const json::Value& value, int64_t most) {
  return value.is(Kind::kInteger) && value.integer >= -most && value.integer <= most;
}

bool read_tap(const json::Value& tap, Basis* basis, Basis::Term* term) {
  if (!tap.is(Kind::kArray) || tap.items.size() != 3) return false;
  const json::Value &sign = tap.items[0], &row = tap.items[1], &column = tap.items[2];
  if (!is_whole(sign, 1) || sign.integer == 0 || (term->num_taps == 0 && sign.integer != 1)) return false;
  if (!is_whole(row, kMaxReach) || !is_whole(column, kMaxReach)) return false;
  term->sign[term->num_taps] = static_cast<float>(sign.integer);
  term->source[term->num_taps++] = place_of(basis, static_cast<int>(row.integer), static_cast<int>(column.integer));
  return true;
}

}  // namespace

// R44 and R46: inputs of one level and of as many channels each.
Status OpReader::check_alike(const Op& op) const {
  for (int id : op.in) {
    if (network_.level_of(id) != op.level) return refuse_file("R22: " + where_, "inputs of two levels", "of one");
    if (network_.channels_of(id) != in_channels_)
      return refuse_file(place(".in"), std::to_string(network_.channels_of(id)) + " channels",
                         std::to_string(in_channels_));
  }
  return {};
}

Status OpReader::read_recombine(Op* op) {
  XNOR_TRY(check_alike(*op));
  const json::Value* filters = value_.find("filters");
  if (filters == nullptr || !filters->is(Kind::kArray) || filters->items.size() > kMaxFilters)
    return refuse_file(place(".filters"), "another value", kMust);
  Basis& basis = op->basis;
  for (const json::Value& filter : filters->items) {
    const size_t num_taps = filter.is(Kind::kArray) ? filter.items.size() : 0;
    Basis::Term term;
    bool good = num_taps == 2 || num_taps == 4;
    for (size_t i = 0; good && i < num_taps; ++i) good = read_tap(filter.items[i], &basis, &term);
    if (!good) return refuse_file(place(".filters"), "another filter", kMust);
    basis.terms.push_back(term);
  }
  basis.num_sources = static_cast<int>(basis.places.size());
  for (int n = basis.has_filters() ? 2 : 1; n < num_inputs_; ++n) {
    Basis::Term term;
    term.num_taps = 1;
    term.source[0] = basis.num_sources++;
    basis.terms.push_back(term);
  }
  return {};
}

}  // namespace xnor
