// SPDX-License-Identifier: Apache-2.0
// A fleet that sizes itself: pools as operators set them, and the calls of the scaler. It decides how many machines
// there should be and has them made and removed; what is here sees to it that only one scaler does, that what it does
// is written down before it happens, and that no machine is taken from a job.
#pragma once

#include "hub/engine/catalogue.h"
#include "hub/engine/hosts.h"

namespace geres::hub::engine {

class Scaling {
 public:
  Scaling(Round& round, EventLog& events, Hosts& hosts, Machines& machines, Catalogue& catalogue)
      : state_(round.state),
        store_(round.store),
        options_(round.options),
        now_(round.now),
        out_(round.out),
        events_(events),
        hosts_(hosts),
        machines_(machines),
        catalogue_(catalogue) {}

  // ---- operators
  Result<model::Pool> put_pool(model::Pool pool, std::optional<std::int64_t> version);
  Result<std::optional<model::Pool>> delete_pool(const std::string& name, std::optional<std::int64_t> version,
                                                 bool drain);
  Result<model::Pool> pause_pool(const std::string& name, std::optional<std::int64_t> version, bool paused);
  Result<model::Pool> scale_pool(const std::string& name, std::optional<std::int64_t> version,
                                 std::optional<model::Pool::Scale> scale);

  // ---- the scaler
  Result<ScalerLease> take(const std::string& holder, std::optional<std::int64_t> epoch);
  Result<Recorded> record(const RecordScaling& news);
  Result<std::vector<HostInfo>> move_hosts(const MoveHosts& move);
  Result<HostInfo> retire(std::int64_t epoch, Uuid host);
  Result<model::Token> create_join_token(const CreateJoinToken& wanted);

 private:
  Result<PoolState*> find_pool(const std::string& name, std::optional<std::int64_t> version);
  model::Pool put(PoolState& pool);
  void pool_changed(const std::string& pool);
  bool has_machines(const std::string& pool) const;
  bool remove_if_empty(const std::string& name);  // one that is being removed

  Result<void> leads(std::int64_t epoch) const;
  Result<void> check(const std::string& pool, const store::IntentRow& intent);
  void take_in(PoolState& pool, store::IntentRow intent);
  void retire_machine(const Machines::Key& key);
  bool take_in(const std::string& pool, store::MachineRow news);
  bool is_gone(const Machines::Key& key);
  std::int64_t take_in(PoolState& pool, store::DecisionRow decision);
  void tell(PoolState& pool, const store::DecisionRow& decision);

  State& state_;
  BufferedStore& store_;
  const Options& options_;
  const Now& now_;
  Outbox& out_;
  EventLog& events_;
  Hosts& hosts_;
  Machines& machines_;
  Catalogue& catalogue_;
};

}  // namespace geres::hub::engine
