// SPDX-License-Identifier: Apache-2.0
// The threads that run handlers, the queue before them and the news after them. The network thread adds attempts and
// collects news; it is nudged once, however much comes until it collects. One more thread sets the stop tokens, because
// their callbacks are the user's and may take long.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "worker/attempt.h"

namespace geres::worker {

using Handlers = std::map<std::string, Handler>;

class Crew {
 public:
  struct News {
    std::vector<AttemptPtr> started, progressed, ended;
    bool empty() const { return started.empty() && progressed.empty() && ended.empty(); }
  };
  struct Load {
    int waiting = 0, running = 0;
  };

  Crew(int threads, const Handlers& handlers, const Clock& clock, std::function<void()> nudge);
  ~Crew();
  static bool in_handler();  // of any crew, on this thread  // close()
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  void add(std::vector<AttemptPtr> attempts);
  // True: its handler had not started and never will; the attempt has ended with this.
  bool take_back(Attempt& attempt, model::Outcome outcome, std::string error);
  // Does nothing if it has ended. The first reason counts, but a cancel outweighs a lost lease and a leaving worker.
  void ask_to_stop(const AttemptPtr& attempt, StopReason reason);
  News collect();
  std::pair<Stage, Millis> stage(const Attempt& attempt) const;  // and when the handler started
  std::optional<wire::ProgressItem> take_progress(Attempt& attempt);
  Load load() const;
  void close();  // queued attempts never start; returns when all handlers have returned

  void progress(Attempt& attempt, wire::ProgressItem item);  // called on a handler's thread

 private:
  void work();
  void set_stops();
  wire::FinishedItem run(Attempt& attempt) const;
  static wire::FinishedItem ended(const Attempt& attempt, const Result& result);
  void finish(const AttemptPtr& attempt, wire::FinishedItem end);  // call it with the lock held
  void note(std::vector<AttemptPtr>& kind, AttemptPtr attempt);

  const Handlers& handlers_;
  const Clock& clock_;
  const std::function<void()> nudge_;

  mutable std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<AttemptPtr> queue_;  // including those taken back, until a thread skips them
  Load load_;
  News news_;
  bool nudged_ = false;
  bool closed_ = false;

  std::mutex stops_mutex_;
  std::condition_variable stops_filled_;
  std::deque<AttemptPtr> stops_;
  bool stops_closed_ = false;

  std::vector<std::thread> threads_;
};

}  // namespace geres::worker
