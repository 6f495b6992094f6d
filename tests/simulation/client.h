// SPDX-License-Identifier: Apache-2.0
// A client of one tenant: it submits, cancels, changes and reads, one call at a time, and repeats a call until it has a
// definite answer, with its key where it has one.
#pragma once

#include "hub/engine/with_jobs.h"
#include "simulation/hub.h"
#include "simulation/network.h"

namespace geres::simulation {

class Client {
 public:
  Client(Timeline& timeline, Dice& dice, const Plan& plan, Ledger& ledger, Network& network, Hub& hub, Trace& trace,
         std::string tenant, int jobs);

  void start();
  bool idle() const { return !call_; }
  void heal() { healed_ = true, link = {}; }
  std::vector<std::string> batches;  // names it may use
  void storm(int calls) { storm_ += calls; }
  // For the operator, who has no tenant: runs the queue of a batch again.
  void resume_batch(const std::string& id);
  Link link;

 private:
  using Reply = std::function<void(bool again)>;
  using Call = std::function<void(Engine&, Reply)>;
  void next();
  void begin(Call call);
  void send();
  template <class T>
  Answer<T> answer(Reply reply, std::function<void(const T&)> done);

  void submit();
  void repeat();
  void send_submit(int op, hub::engine::Submit submit);
  hub::engine::NewJob new_job(int op, int index);
  void disturb();  // something with a job or batch that is there
  void cancel(Uuid job);
  void cancel_foreign();
  void cancel_many();
  void cancel_batch();
  void delete_batch();
  void dismiss(Uuid id);
  void close_or_pause();
  void redrive(Uuid job);
  void redrive_many();
  void patch(Uuid job);
  void read(Uuid job);

  Timeline& timeline_;
  Dice& dice_;
  const Plan& plan_;
  Ledger& ledger_;
  Network& network_;
  Hub& hub_;
  Trace& trace_;
  std::string tenant_;
  hub::engine::Caller caller_;
  int jobs_left_;
  int storm_ = 0;
  bool healed_ = false;

  std::optional<Call> call_;
  std::uint64_t call_no_ = 0, send_no_ = 0;
  int tries_ = 0;
  std::vector<Uuid> known_;
  struct Past {
    int op;
    hub::engine::Submit submit;
    Millis at;
  };
  std::vector<Past> past_;  // keyed ones that were answered
};

}  // namespace geres::simulation
