// SPDX-License-Identifier: Apache-2.0
// What asynchronous calls of <geres/client.h> give back: a call under way (Pending) and a list that is read page by
// page while you walk it (Range).
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <future>
#include <iterator>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace geres::client {

namespace detail {

// Shared by the library, which fulfils it once, and the Pending.
template <class T>
struct State {
  std::promise<T> promise;
  std::function<void(std::function<void()>)> post;  // to the client's callback thread
  std::function<void()> cancel;
  std::mutex mutex;
  std::future<T> future = promise.get_future();  // until it is taken
  std::function<void(std::future<T>)> callback;
  bool done = false;

  void finished() {
    std::unique_lock lock(mutex);
    done = true;
    if (callback) hand_over(lock);
  }
  void hand_over(std::unique_lock<std::mutex>& lock) {
    auto ready = std::make_shared<std::future<T>>(std::move(future));
    auto call = std::move(callback);
    callback = nullptr;
    lock.unlock();
    post([ready, call = std::move(call)] { call(std::move(*ready)); });
  }
};

}  // namespace detail

// A call under way. It goes on when this object is thrown away; its outcome is then of no interest. The outcome is
// taken once: by get(), by future(), or by then(). One thread at a time.
template <class T>
class Pending {
 public:
  explicit Pending(std::shared_ptr<detail::State<T>> state) : state_(std::move(state)) {}

  // Waits for the outcome; throws an Error if that is what it is.
  T get() { return state_->future.get(); }
  // True when the outcome is there.
  bool wait_for(std::chrono::milliseconds time) const {
    return state_->future.wait_for(time) == std::future_status::ready;
  }
  std::future<T> future() { return std::move(state_->future); }
  operator std::future<T>() { return future(); }  // NOLINT: std::future<Job> job = client.async().submit(spec);

  // Calls back with the outcome, on the client's callback thread. The callback must not throw; the future it is given
  // is ready, and its get() throws what went wrong.
  void then(std::function<void(std::future<T>)> callback) {
    std::unique_lock lock(state_->mutex);
    state_->callback = std::move(callback);
    if (state_->done) state_->hand_over(lock);
  }

  // Gives it up: unless it is done already, the outcome is `Stopped`. What the hub did meanwhile stays done.
  void cancel() { state_->cancel(); }

 private:
  std::shared_ptr<detail::State<T>> state_;
};

template <class T>
struct Page {
  std::vector<T> items;
  std::string next;  // the cursor of the next page; empty: this was the last
};

// A list as an input range: `for (const auto& job : client.jobs(filter))`. The first page is asked for by begin(), each
// further one when the walk comes to it, and only then, so a list of millions costs one page of memory. What is
// submitted or ends meanwhile may be seen or not; nothing is seen twice. Advancing throws an Error like any call. One
// thread at a time; walked once.
template <class T>
class Range {
 public:
  using Fetch = std::function<Page<T>(const std::string& cursor)>;
  explicit Range(Fetch fetch) : walk_(std::make_shared<Walk>()) { walk_->fetch = std::move(fetch); }

 private:
  struct Walk {
    Fetch fetch;
    Page<T> page;
    std::size_t at = 0;
    bool begun = false;
    bool ended = false;
    void settle() {  // on an item, or at the end
      while (at >= page.items.size()) {
        if (begun && page.next.empty()) {
          ended = true;
          return;
        }
        page = fetch(page.next);
        at = 0;
        begun = true;
      }
    }
  };

 public:
  class iterator {
   public:
    using iterator_concept = std::input_iterator_tag;
    using iterator_category = std::input_iterator_tag;
    using value_type = T;
    using difference_type = std::ptrdiff_t;
    using reference = const T&;
    using pointer = const T*;

    iterator() = default;
    explicit iterator(std::shared_ptr<Walk> walk) : walk_(std::move(walk)) {}
    reference operator*() const { return walk_->page.items[walk_->at]; }
    pointer operator->() const { return &**this; }
    iterator& operator++() {
      ++walk_->at;
      walk_->settle();
      return *this;
    }
    void operator++(int) { ++*this; }
    friend bool operator==(const iterator& at, std::default_sentinel_t) { return !at.walk_ || at.walk_->ended; }

   private:
    std::shared_ptr<Walk> walk_;
  };

  iterator begin() {
    if (!walk_->begun) walk_->settle();
    return iterator(walk_);
  }
  std::default_sentinel_t end() const { return {}; }

 private:
  std::shared_ptr<Walk> walk_;
};

}  // namespace geres::client
