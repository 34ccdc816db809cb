#include "stream.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#if defined(__linux__)
#include <sys/inotify.h>
#endif

namespace xnor::tools {
namespace {

volatile sig_atomic_t stopped = 0;

// Without SA_RESTART, so that a read that waits returns.
void stop_on_signals() {
  struct sigaction action = {};
  action.sa_handler = [](int) { stopped = 1; };
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

// As many bytes as there are, at most `size`; fewer only at the end, or where a signal stops it. Negative on an error.
ssize_t read_fully(int file, uint8_t* out, size_t size) {
  size_t got = 0;
  while (got < size && !stopped) {
    const ssize_t part = read(file, out + got, size - got);
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) return -1;
    if (part == 0) break;
    got += static_cast<size_t>(part);
  }
  return static_cast<ssize_t>(got);
}

bool is_finished(const std::string& name) {
  const bool is_part = name.size() >= 5 && name.compare(name.size() - 5, 5, ".part") == 0;
  return !name.empty() && name[0] != '.' && !is_part;
}

void run_file(const Options& options, const std::string& name, Runner* runner) {
  const std::string path = options.watched + "/" + name;
  Frames frames;
  std::string error = read_frames(path, options.raw_height, options.raw_width, options.bits, &frames);
  if (error.empty()) error = runner->run(path, &frames);
  if (!error.empty()) std::fprintf(stderr, "xnor-run: %s\n", error.c_str());
}

std::string list_folder(const std::string& folder, std::vector<std::string>* names) {
  DIR* const open = opendir(folder.c_str());
  if (open == nullptr) return "--watch: got " + folder + "; must be a folder that can be read";
  while (const dirent* entry = readdir(open))
    if (is_finished(entry->d_name) && entry->d_type != DT_DIR) names->push_back(entry->d_name);
  closedir(open);
  std::sort(names->begin(), names->end());
  return "";
}

}  // namespace

std::string run_stdin(const Options& options, Runner* runner) {
  stop_on_signals();
  const size_t items = size_t(options.raw_height) * options.raw_width, size = items * (options.bits / 8);
  Frames frames;
  while (!stopped) {
    frames.count = 1;
    frames.height = options.raw_height;
    frames.width = options.raw_width;
    frames.kind = options.bits == 16 ? Kind::kCounts : Kind::kBytes;
    frames.bytes.resize(size);
    const ssize_t got = read_fully(STDIN_FILENO, frames.bytes.data(), size);
    if (got == 0 || stopped) break;
    if (got < 0) return "standard input: got a read error; must be open";
    if (static_cast<size_t>(got) < size)
      return "standard input: got " + std::to_string(got) + " bytes of frame " + std::to_string(runner->num_frames()) +
             "; must be whole frames of " + std::to_string(size);
    if (std::string error = runner->run("", &frames); !error.empty()) return error;
  }
  return "";
}

#if defined(__linux__)
namespace {

// Waits for files in the folder and adds their names; returns at once where there are none and `is_patient` is not set.
std::string read_names(const Options& options, int events, bool is_patient, std::vector<std::string>* names) {
  pollfd ready = {events, POLLIN, 0};
  if (poll(&ready, 1, is_patient ? -1 : 0) <= 0) return "";
  alignas(inotify_event) char buffer[1 << 14];
  const ssize_t got = read(events, buffer, sizeof buffer);
  for (ssize_t at = 0; at < got;) {
    const inotify_event* event = reinterpret_cast<const inotify_event*>(buffer + at);
    at += static_cast<ssize_t>(sizeof *event + event->len);
    if (event->mask & IN_IGNORED) return "--watch: got " + options.watched + " removed; must stay";
    if (event->mask & IN_Q_OVERFLOW) std::fprintf(stderr, "xnor-run: more images came than the system noted\n");
    const std::string name = event->len ? event->name : "";
    if (is_finished(name) && !(event->mask & IN_ISDIR)) names->push_back(name);
  }
  return "";
}

std::string run_events(const Options& options, int events, Runner* runner) {
  std::vector<std::string> names, early;
  if (std::string error = list_folder(options.watched, &names); !error.empty()) return error;
  // What came while the folder was listed may stand in both lists.
  if (std::string error = read_names(options, events, false, &early); !error.empty()) return error;
  for (const std::string& name : early)
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  while (!stopped) {
    for (const std::string& name : names)
      if (!stopped) run_file(options, name, runner);
    names.clear();
    if (stopped) break;
    if (std::string error = read_names(options, events, true, &names); !error.empty()) return error;
  }
  return "";
}

}  // namespace

std::string run_folder(const Options& options, Runner* runner) {
  stop_on_signals();
  const int events = inotify_init1(IN_CLOEXEC);
  // Before the folder is listed, so that nothing falls between.
  const bool is_watched =
      events >= 0 && inotify_add_watch(events, options.watched.c_str(), IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR) >= 0;
  std::string error;
  if (is_watched)
    error = run_events(options, events, runner);
  else
    error = "--watch: got " + options.watched + "; must be a folder that can be watched";
  if (events >= 0) close(events);
  return error;
}
#else
std::string run_folder(const Options&, Runner*) { return "--watch: got another system; must be Linux"; }
#endif

}  // namespace xnor::tools
