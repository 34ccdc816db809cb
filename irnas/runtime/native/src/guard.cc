#include "guard.h"

#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace xnor {

// All that live. It is never destroyed: a model may be freed while a process ends.
struct Guards {
  std::mutex mutex;
  Guard* first = nullptr;

  static Guards& all() {
    static Guards* const guards = new Guards();
    return *guards;
  }

  // In this order everywhere: the list, then models. Nobody who holds a model asks for the list.
  static void before_fork() {
    all().mutex.lock();
    for (Guard* guard = all().first; guard != nullptr; guard = guard->next_) guard->mutex_.lock();
  }
  static void unlock_all() {
    for (Guard* guard = all().first; guard != nullptr; guard = guard->next_) guard->mutex_.unlock();
    all().mutex.unlock();
  }
  static void in_child() {
    for (Guard* guard = all().first; guard != nullptr; guard = guard->next_) guard->orphan_(guard->owner_);
    unlock_all();
  }

  static void watch_forks() {
#if defined(__unix__) || defined(__APPLE__)
    static const int watching = pthread_atfork(before_fork, unlock_all, in_child);
    static_cast<void>(watching);
#endif
  }
};

Guard::Guard(void (*orphan)(void* owner), void* owner) : orphan_(orphan), owner_(owner) {
  Guards& all = Guards::all();
  Guards::watch_forks();
  std::lock_guard<std::mutex> lock(all.mutex);
  next_ = all.first;
  if (next_ != nullptr) next_->previous_ = this;
  all.first = this;
}

Guard::~Guard() {
  Guards& all = Guards::all();
  std::lock_guard<std::mutex> lock(all.mutex);
  (previous_ != nullptr ? previous_->next_ : all.first) = next_;
  if (next_ != nullptr) next_->previous_ = previous_;
}

}  // namespace xnor
