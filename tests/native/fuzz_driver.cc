// Mutates model files and hands them to the target in fuzz_loader.cc, where there is no libFuzzer.
//
//   xnor-fuzz --seconds 600 [--seed 1] [--findings FOLDER] FILE.xnor ...   # mutates these
//   xnor-fuzz --chains 20 FILE.xnor ...                                    # the same mutations in every call
//   xnor-fuzz FILE.xnor ...                                                # runs these as they are
//
// A chain begins at one of the files and takes 64 steps; a step that was refused is mostly taken back, so that what is
// tried lies deep in the engine and not only in its checks. Everything runs in a child: what kills it, or takes longer
// than 30 s of processor time, is written down, and another child goes on. Exits with 1 after findings.
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "fuzz_loader.h"
#include "mutate.h"

namespace {

constexpr size_t kMaxBytes = 1 << 17;
constexpr int kSteps = 64, kMaxSeconds = 30;

// What the parent sees of its child.
struct Shared {
  uint64_t chain, num_runs, num_models;
  size_t num_bytes;
  uint8_t bytes[kMaxBytes];
};

struct Options {
  long seconds = 0;  // of both, what is not 0 ends it
  uint64_t chains = 0;
  uint64_t seed = 1;
  std::string findings = ".";
  std::vector<Bytes> files;
};

Bytes read_file(const char* path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    std::fprintf(stderr, "%s: got no file; must be a model\n", path);
    std::exit(2);
  }
  return Bytes(std::istreambuf_iterator<char>(in), {});
}

Options read_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool has_value = i + 1 < argc;
    if (word == "--seconds" && has_value)
      options.seconds = std::atol(argv[++i]);
    else if (word == "--chains" && has_value)
      options.chains = std::strtoull(argv[++i], nullptr, 10);
    else if (word == "--seed" && has_value)
      options.seed = std::strtoull(argv[++i], nullptr, 10);
    else if (word == "--findings" && has_value)
      options.findings = argv[++i];
    else
      options.files.push_back(read_file(argv[i]));
  }
  return options;
}

// Kills the process after so many seconds of work, however busy the machine is; 0 for never.
void limit_time(int seconds) {
  const itimerval limit = {{0, 0}, {seconds, 0}};
  setitimer(ITIMER_PROF, &limit, nullptr);
}

void run_chain(const Options& options, Shared* shared) {
  Dice dice(options.seed * 1000003 + shared->chain);
  Bytes base = options.files[dice.below(options.files.size())];
  for (int step = 0; step < kSteps; ++step) {
    Bytes next = mutate(base, &dice);
    if (next.size() > kMaxBytes) continue;
    shared->num_bytes = next.size();
    if (!next.empty()) std::memcpy(shared->bytes, next.data(), next.size());
    limit_time(kMaxSeconds);
    const bool is_model = LLVMFuzzerTestOneInput(next.data(), next.size()) == 0;
    ++shared->num_runs;
    shared->num_models += is_model;
    if (is_model || dice.one_in(16)) base = std::move(next);
  }
}

bool is_over(const Options& options, time_t end, const Shared& shared) {
  return options.chains ? shared.chain >= options.chains : std::time(nullptr) >= end;
}

[[noreturn]] void run_child(const Options& options, time_t end, Shared* shared) {
  for (; !is_over(options, end, *shared); ++shared->chain) run_chain(options, shared);
  limit_time(0);
  std::exit(0);  // at which the leak sanitizer looks
}

void write_finding(const Options& options, const Shared& shared, int status, int number) {
  const std::string path = options.findings + "/finding-" + std::to_string(number) + ".xnor";
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(shared.bytes), static_cast<std::streamsize>(shared.num_bytes));
  std::printf("%s: status %d, chain %llu of seed %llu\n", path.c_str(), status,
              static_cast<unsigned long long>(shared.chain), static_cast<unsigned long long>(options.seed));
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = read_options(argc, argv);
  if (options.files.empty() || (options.seconds == 0 && options.chains == 0)) {
    for (const Bytes& file : options.files) LLVMFuzzerTestOneInput(file.data(), file.size());
    return 0;
  }
  void* page = mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return 2;
  Shared* shared = new (page) Shared();
  const time_t end = std::time(nullptr) + options.seconds;
  int num_findings = 0;
  do {
    std::fflush(stdout);
    const pid_t child = fork();
    if (child < 0) return 2;
    if (child == 0) run_child(options, end, shared);
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) break;
    write_finding(options, *shared, status, ++num_findings);
    ++shared->chain;
  } while (!is_over(options, end, *shared) && num_findings < 100);
  std::printf("%llu runs, %llu models, %d findings\n", static_cast<unsigned long long>(shared->num_runs),
              static_cast<unsigned long long>(shared->num_models), num_findings);
  return num_findings ? 1 : 0;
}
