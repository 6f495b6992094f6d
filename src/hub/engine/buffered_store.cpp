// SPDX-License-Identifier: Apache-2.0
// Rows gather in Changes; counters are summed up and become rows when they are handed over.
#include "hub/engine/buffered_store.h"

#include "hub/engine/gathered.h"

namespace geres::hub::engine {

namespace {

void hand_over(auto& fates, auto& put, auto& removed) {
  for (auto& [key, fate] : fates) {
    if (fate.removed) removed.push_back(key);
    if (fate.put) put.push_back(std::move(*fate.put));
  }
  fates.clear();
}

void add(RegistryNews& news, const store::Changes& changes) {
  const auto append = [](auto& to, const auto& rows) { to.insert(to.end(), rows.begin(), rows.end()); };
  append(news.tokens, changes.tokens);
  append(news.tokens_removed, changes.tokens_removed);
  append(news.hosts, changes.hosts);
  append(news.hosts_removed, changes.hosts_removed);
  append(news.join_tokens, changes.join_tokens);
  append(news.join_tokens_removed, changes.join_tokens_removed);
  append(news.enrolments, changes.enrolments);
  append(news.enrolments_removed, changes.enrolments_removed);
  append(news.batches, changes.batches);
  append(news.batches_removed, changes.batches_removed);
}

}  // namespace

BufferedStore::BufferedStore(store::Store& store) : store_(store), gathered_(std::make_unique<Gathered>()) {}
BufferedStore::BufferedStore(BufferedStore&&) noexcept = default;
BufferedStore::~BufferedStore() = default;

void BufferedStore::begin(const store::Wanted& wanted) {
  *gathered_ = Gathered(wanted, store_.begin(wanted));
}

void BufferedStore::insert(const model::Job& job) {
  changes_.jobs.push_back(job);
  if (!job.spec.key.empty()) fresh_keys_[{job.spec.tenant, job.spec.key}] = {job.id, job.spec.key_digest};
}

void BufferedStore::count(Uuid batch, const std::string& tenant, model::JobState state, std::int64_t by) {
  counts_[{batch, tenant}][std::size_t(state)] += by;
}

void BufferedStore::flush() {
  flushed_ += changes_.size();  // the rest has been counted as it came
  hand_over(ready_, changes_.ready, changes_.ready_removed);
  hand_over(scheduled_, changes_.scheduled, changes_.scheduled_removed);
  hand_over(deadlines_, changes_.deadlines, changes_.deadlines_removed);
  hand_over(leases_, changes_.leases, changes_.leases_removed);
  hand_over(deliveries_, changes_.deliveries, changes_.deliveries_removed);
  for (const auto& [key, counts] : counts_)
    for (std::size_t i = 0; i < counts.size(); ++i)
      if (counts[i] != 0) changes_.counts.push_back({key.first, key.second, model::JobState(i), counts[i]});
  counts_.clear();
  if (changes_.empty()) return;
  wrote_ = true;
  gathered_->outdate(changes_);
  add(registry_news_, changes_);
  store_.apply(changes_);
  changes_.clear();
}

store::TickReads& BufferedStore::read() {
  flush();
  return store_;
}

std::vector<std::optional<model::Job>> BufferedStore::jobs(std::span<const Uuid> ids) {
  flush();
  std::vector<std::optional<model::Job>> found(ids.size());
  std::vector<Uuid> asked;
  std::vector<std::size_t> askers;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    if (auto held = gathered_->job(ids[i])) {
      found[i] = std::move(*held);
    } else {
      asked.push_back(ids[i]);
      askers.push_back(i);
    }
  }
  if (asked.empty()) return found;
  auto stored = store_.jobs(asked);
  for (std::size_t k = 0; k < stored.size(); ++k) found[askers[k]] = std::move(stored[k]);
  return found;
}

std::optional<model::Job> BufferedStore::job(Uuid id) {
  return std::move(jobs(std::span(&id, 1)).front());
}

std::optional<store::ScheduledRow> BufferedStore::scheduled_row(Uuid id) {
  flush();
  if (auto held = gathered_->scheduled_row(id)) return *held;
  return store_.scheduled_row(id);
}

std::optional<store::AttemptRow> BufferedStore::ended_attempt(Uuid lease) {
  flush();
  if (auto held = gathered_->ended_attempt(lease)) return std::move(*held);
  return store_.ended_attempt(lease);
}

std::optional<store::ListKeyRow> BufferedStore::list_key(const std::string& scope, const std::string& key) {
  flush();
  if (auto held = gathered_->list_key(scope, key)) return std::move(*held);
  return store_.list_key(scope, key);
}

std::vector<std::optional<KeyedJob>> BufferedStore::jobs_by_key(std::span<const store::KeyRef> keys) {
  std::vector<std::optional<KeyedJob>> found(keys.size());
  std::vector<store::KeyRef> asked;
  std::vector<std::size_t> askers;
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (const auto fresh = fresh_keys_.find({keys[i].tenant, keys[i].key}); fresh != fresh_keys_.end()) {
      found[i] = fresh->second;
    } else if (auto held = gathered_->job_by_key(keys[i].tenant, keys[i].key)) {
      found[i] = std::move(*held);
    } else {
      asked.push_back(keys[i]);
      askers.push_back(i);
    }
  }
  if (asked.empty()) return found;
  const auto stored = store_.jobs_by_key(asked);
  for (std::size_t k = 0; k < stored.size(); ++k)
    if (stored[k]) found[askers[k]] = KeyedJob{stored[k]->id, stored[k]->spec.key_digest};
  return found;
}

std::vector<store::Taken> BufferedStore::take_ready(std::span<const store::LaneTake> lanes) {
  flush();
  wrote_ = true;
  return store_.take_ready(lanes);
}

std::size_t BufferedStore::purge_events(store::EventNo keep_from, Millis before, Millis now, std::size_t max) {
  flush();
  const auto gone = store_.purge_events(keep_from, before, now, max);
  wrote_ |= gone > 0;
  return gone;
}

store::Store::KeySlice BufferedStore::purge_list_keys(Millis before, store::Store::KeyPlace after, std::size_t max) {
  flush();
  const auto slice = store_.purge_list_keys(before, after, max);
  wrote_ |= slice.forgotten > 0;
  return slice;
}

std::size_t BufferedStore::purge_deliveries(Uuid webhook, bool all, Millis before, std::size_t dead_max,
                                            std::size_t max) {
  flush();
  const auto gone = store_.purge_deliveries(webhook, all, before, dead_max, max);
  wrote_ |= gone > 0;
  return gone;
}

std::size_t BufferedStore::purge_scaler(Millis before, std::size_t max) {
  flush();
  const auto gone = store_.purge_scaler(before, max);
  wrote_ |= gone > 0;
  return gone;
}

}  // namespace geres::hub::engine
