// Sections 3 and 4 of FORMAT.md: the graph's text and the tensors become checked ops.
#pragma once

#include "container.h"
#include "json.h"
#include "model.h"

namespace xnor {

// `out` knows its input already.
Status read_graph(const json::Value& graph, const Container& container, Network* out);

}  // namespace xnor
