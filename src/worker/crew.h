// SPDX-License-Identifier: Apache-2.0
// The threads that run handlers, the queue before them and the news behind them. The network thread adds attempts and
// collects news; it is nudged once when there is some, however many come until it collects. One more thread sets stop
// tokens, as their callbacks are the user's and may take long.
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
  // True: it had not started and never will; it has ended with this.
  bool take_back(Attempt& attempt, model::Outcome outcome, std::string error);
  // Nothing if it has ended. Of several reasons the first counts, but a cancel outweighs a lease and a leaving.
  void ask_to_stop(const AttemptPtr& attempt, StopReason reason);
  News collect();
  std::pair<Stage, Millis> stage(const Attempt& attempt) const;  // and when it started
  std::optional<wire::ProgressItem> take_progress(Attempt& attempt);
  Load load() const;
  void close();  // what waits never starts; returns when all handlers have

  void progress(Attempt& attempt, wire::ProgressItem item);  // a handler's thread

 private:
  void work();
  void set_stops();
  wire::FinishedItem run(Attempt& attempt) const;
  static wire::FinishedItem ended(const Attempt& attempt, const Result& result);
  void finish(const AttemptPtr& attempt, wire::FinishedItem end);  // with the lock
  void note(std::vector<AttemptPtr>& kind, AttemptPtr attempt);

  const Handlers& handlers_;
  const Clock& clock_;
  const std::function<void()> nudge_;

  mutable std::mutex mutex_;
  std::condition_variable filled_;
  std::deque<AttemptPtr> queue_;  // and those taken back, until somebody passes them
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
