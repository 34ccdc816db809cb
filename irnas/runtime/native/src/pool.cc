#include "pool.h"

namespace xnor {
namespace {

// Layers follow each other within microseconds, so a short look is cheaper than sleeping; a long one would
// burn the time of whoever shares the machine.
constexpr int kLooks = 2000;

inline void breathe() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace

Pool::Pool(int size) {
  threads_.reserve(size > 1 ? size - 1 : 0);
  for (int member = 1; member < size; ++member) threads_.emplace_back([this, member] { serve(member); });
}

Pool::~Pool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
    round_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Pool::run(Task task, void* context) {
  if (threads_.empty()) {
    task(context, 0);
    return;
  }
  {
    std::lock_guard<std::mutex> lock(mutex_);
    task_ = task;
    context_ = context;
    busy_.store(static_cast<int>(threads_.size()), std::memory_order_relaxed);
    round_.fetch_add(1, std::memory_order_release);
  }
  wake_.notify_all();
  task(context, 0);
  for (int look = 0; look < kLooks; ++look) {
    if (busy_.load(std::memory_order_acquire) == 0) return;
    breathe();
  }
  std::unique_lock<std::mutex> lock(mutex_);
  done_.wait(lock, [this] { return busy_.load(std::memory_order_acquire) == 0; });
}

void Pool::serve(int member) {
  unsigned seen = 0;
  for (;;) {
    for (int look = 0; look < kLooks && round_.load(std::memory_order_acquire) == seen; ++look) breathe();
    Task task = nullptr;
    void* context = nullptr;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [&] { return round_.load(std::memory_order_relaxed) != seen; });
      if (stop_) return;
      ++seen;
      task = task_;
      context = context_;
    }
    task(context, member);
    if (busy_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      // Under the lock, so that a caller between its look and its sleep is not missed.
      std::lock_guard<std::mutex> lock(mutex_);
      done_.notify_one();
    }
  }
}

}  // namespace xnor
