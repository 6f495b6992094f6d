// SPDX-License-Identifier: Apache-2.0
// The store as the verbs of one tick use it. What they write gathers here and goes to the store in few, large pieces;
// reading through it hands over first what has gathered, so that a verb sees whatever was written before it in the same
// tick. One tick, one thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "hub/engine/registry_news.h"
#include "hub/store/store.h"

namespace geres::hub::engine {

class Gathered;

// Which job has a key, and what it was made of.
struct KeyedJob {
  Uuid id;
  std::string digest;
};

class BufferedStore {
 public:
  explicit BufferedStore(store::Store& store);
  BufferedStore(BufferedStore&&) noexcept;
  ~BufferedStore();

  void begin(const store::Wanted& wanted);  // the store's transaction

  // ---- writing
  // Rows to write. What has a verb of its own below goes through that.
  store::Changes& changes() { return changes_; }
  void insert(const model::Job& job);
  // Places of jobs, leases and deliveries come and go within one tick: of several writes of one row the last one
  // counts, in whatever order a store applies them.
  void put(const store::ReadyRow& row) { put(ready_, row, row); }
  void put(const store::ScheduledRow& row) { put(scheduled_, row.seq, row); }
  void put(const store::QueueDeadlineRow& row) { put(deadlines_, row.seq, row); }
  void put(const store::LeaseRow& row) { put(leases_, row.job, row); }
  void put(const store::DeliveryRow& row) { put(deliveries_, row.key, row); }
  void remove(const store::ReadyRow& row) { remove(ready_, row); }
  void remove_scheduled(store::Seq job) { remove(scheduled_, job); }
  void remove_deadline(store::Seq job) { remove(deadlines_, job); }
  void remove_lease(Uuid job) { remove(leases_, job); }
  void remove(const store::DeliveryKey& key) { remove(deliveries_, key); }
  void count(Uuid batch, const std::string& tenant, model::JobState state, std::int64_t by);
  void replaced(Uuid host) { registry_news_.hosts_replaced.push_back(host); }  // it is removed besides
  void flush();
  bool wrote() const { return wrote_; }
  const RegistryNews& registry_news() const { return registry_news_; }         // of what was handed over
  std::size_t written() const { return flushed_ + keyed_ + changes_.size(); }  // how often, so far

  // ---- reading
  store::TickReads& read();
  // The same as read() has, but what was gathered as the tick began is known without asking the store.
  std::vector<std::optional<model::Job>> jobs(std::span<const Uuid> ids);
  std::optional<model::Job> job(Uuid id);
  std::optional<store::ScheduledRow> scheduled_row(Uuid id);
  std::optional<store::AttemptRow> ended_attempt(Uuid lease);
  std::optional<store::ListKeyRow> list_key(const std::string& scope, const std::string& key);
  // Likewise; and the jobs of this tick are known without handing them over, which would be done once for each submit.
  std::vector<std::optional<KeyedJob>> jobs_by_key(std::span<const store::KeyRef> keys);

  // ---- what the store takes away by itself
  std::vector<store::Taken> take_ready(std::span<const store::LaneTake> lanes);
  std::size_t purge_events(store::EventNo keep_from, Millis before, Millis now, std::size_t max);
  store::Store::KeySlice purge_list_keys(Millis before, store::Store::KeyPlace after, std::size_t max);
  std::size_t purge_deliveries(Uuid webhook, bool all, Millis before, std::size_t dead_max, std::size_t max);
  std::size_t purge_scaler(Millis before, std::size_t max);

 private:
  // What becomes of one row: taken away, written, or first the one and then the other.
  template <class Row>
  struct Fate {
    bool removed = false;
    std::optional<Row> put;
  };
  template <class Key, class Row>
  using Fates = std::map<Key, Fate<Row>>;

  template <class Key, class Row>
  void put(Fates<Key, Row>& fates, const Key& key, const Row& row) {
    fates[key].put = row;
    ++keyed_;
  }
  template <class Key, class Row>
  void remove(Fates<Key, Row>& fates, const Key& key) {
    fates[key] = {true, std::nullopt};
    ++keyed_;
  }

  store::Store& store_;
  std::unique_ptr<Gathered> gathered_;
  RegistryNews registry_news_;
  store::Changes changes_;
  Fates<store::ReadyRow, store::ReadyRow> ready_;
  Fates<store::Seq, store::ScheduledRow> scheduled_;
  Fates<store::Seq, store::QueueDeadlineRow> deadlines_;
  Fates<Uuid, store::LeaseRow> leases_;
  Fates<store::DeliveryKey, store::DeliveryRow> deliveries_;
  std::map<std::pair<Uuid, std::string>, model::StateCounts> counts_;   // by (batch, tenant)
  std::map<std::pair<std::string, std::string>, KeyedJob> fresh_keys_;  // by (tenant, key): of this tick
  std::size_t flushed_ = 0, keyed_ = 0;
  bool wrote_ = false;
};

}  // namespace geres::hub::engine
