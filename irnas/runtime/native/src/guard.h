// The lock of a model, which a fork waits for: no child inherits a model that is half prepared or locked for good.
#pragma once

#include <mutex>

namespace xnor {

class Guard {
 public:
  // orphan(owner) is called in every forked child, where the threads of the parent are no more. It allocates nothing.
  Guard(void (*orphan)(void* owner), void* owner);
  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

  std::unique_lock<std::mutex> lock() const { return std::unique_lock<std::mutex>(mutex_); }

 private:
  friend struct Guards;

  mutable std::mutex mutex_;
  void (*orphan_)(void* owner);
  void* owner_;
  Guard* next_ = nullptr;
  Guard* previous_ = nullptr;
};

}  // namespace xnor
