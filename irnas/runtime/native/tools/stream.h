// Frames that arrive one by one: from standard input, or as files in a folder. SIGINT and SIGTERM end both in good
// order.
#pragma once

#include <string>

#include "runner.h"

namespace xnor::tools {

// Raw frames from standard input, until it ends. An empty text on success, one line of complaint otherwise.
std::string run_stdin(const Options& options, Runner* runner);

// The images that lie in the folder, in the order of their names, then each that is written or moved there, until a
// signal. Names that begin with a dot, or end in .part, are somebody's unfinished work and passed over. An image that
// cannot be run is one line on standard error, and the next one is waited for.
std::string run_folder(const Options& options, Runner* runner);

}  // namespace xnor::tools
