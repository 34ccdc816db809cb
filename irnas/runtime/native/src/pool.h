// A fixed team of threads that runs one function on every member and waits for all.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <vector>

namespace xnor {

class Pool {
 public:
  using Task = void (*)(void* context, int member);

  // `size` members, of which the caller of run() is member 0. May throw where threads cannot be had.
  explicit Pool(int size);
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  int size() const { return static_cast<int>(threads_.size()) + 1; }

  // Calls task(context, member) once per member and returns when all have returned. Allocates nothing.
  void run(Task task, void* context);

 private:
  void serve(int member);

  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::condition_variable done_;
  std::atomic<unsigned> round_{0};
  std::atomic<int> busy_{0};
  bool stop_ = false;
  Task task_ = nullptr;
  void* context_ = nullptr;
};

// Where the band of a member begins when `rows` are shared among `size` members; it ends where the next begins.
inline int band_begin(int rows, int member, int size) { return static_cast<int>(int64_t{rows} * member / size); }

}  // namespace xnor
