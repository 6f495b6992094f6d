// SPDX-License-Identifier: Apache-2.0
// The rows that were read as the tick began because its commands were known to need them. A row is valid until the tick
// writes it, and is handed out once; a second reader asks the store. Lives for one tick, on one thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>

#include "hub/engine/buffered_store.h"
#include "hub/store/with_jobs.h"

namespace geres::hub::engine {

class Gathered {
 public:
  Gathered() = default;
  Gathered(const store::Wanted& wanted, store::Found found);

  // As in store::TickReads. The outer optional is empty if the row was not gathered, was handed out already, or has
  // been written since.
  template <class Row>
  using Held = std::optional<std::optional<Row>>;
  Held<model::Job> job(Uuid id) { return take(jobs_, id); }
  Held<store::ScheduledRow> scheduled_row(Uuid id) { return take(scheduled_, id); }
  Held<store::AttemptRow> ended_attempt(Uuid lease) { return take(ended_attempts_, lease); }
  Held<store::ListKeyRow> list_key(const std::string& scope, const std::string& key) {
    return take(lists_, {scope, key});
  }
  Held<KeyedJob> job_by_key(const std::string& tenant, const std::string& key) { return take(by_key_, {tenant, key}); }

  // To be called with all that the tick writes.
  void outdate(const store::Changes& changes);

 private:
  template <class Rows>
  static std::optional<typename Rows::mapped_type> take(Rows& rows, const typename Rows::key_type& key) {
    const auto held = rows.find(key);
    if (held == rows.end()) return std::nullopt;
    auto row = std::move(held->second);
    rows.erase(held);
    return row;
  }
  void outdate_job(store::Seq seq);

  using Key = std::pair<std::string, std::string>;
  // In the order of ids, in which a lease stands beside its job: its name begins as the job's id does.
  std::map<Uuid, std::optional<model::Job>> jobs_;
  std::map<Uuid, std::optional<store::ScheduledRow>> scheduled_;
  std::map<Uuid, std::optional<store::AttemptRow>> ended_attempts_;
  std::map<Key, std::optional<store::ListKeyRow>> lists_;
  std::map<Key, std::optional<KeyedJob>> by_key_;
};

}  // namespace geres::hub::engine
