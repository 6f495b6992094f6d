// SPDX-License-Identifier: Apache-2.0
#include "hub/events/tail.h"

#include <algorithm>

namespace geres::hub::events {
namespace {

bool about_batch(store::EventType type) {
  return !about_job(type) && type <= store::EventType::batch_completed;
}

template <class T>
bool within(const std::vector<T>& list, const T& one) {
  return std::find(list.begin(), list.end(), one) != list.end();
}

}  // namespace

bool Filter::fits(const EventRow& event) const {
  if ((types & bit(event.type)) == 0) return false;
  if (event.tenant.empty() ? !hosts && !about_batch(event.type) : !tenants.empty() && !within(tenants, event.tenant))
    return false;
  if (!jobs.empty() && !(about_job(event.type) && within(jobs, event.subject))) return false;
  if (batches.empty()) return true;
  if (about_batch(event.type)) return within(batches, event.subject);
  return about_job(event.type) && within(batches, event.batch);
}

// ---- the engine's side ----------------------------------------------------------------------------------------------

void Tail::start(EventNo last) {
  last_ = told_ = last;
}

void Tail::publish(std::vector<EventRow> events) {
  if (events.empty()) return;
  auto chunk = std::make_shared<Chunk>();
  chunk->events = std::move(events);
  {
    const std::lock_guard lock(chunks_mutex_);
    // Were a number missing, readers must not step over it unawares: they find it in the store.
    if (chunk->events.front().no != last_ + 1) chunks_.clear(), kept_ = 0;
    kept_ += chunk->events.size();
    chunks_.push_back(chunk);
    while (chunks_.size() > 1 && kept_ > options_.events_max) {
      kept_ -= chunks_.front()->events.size();
      chunks_.pop_front();
    }
    last_ = chunk->events.back().no;
  }
  if (readers() > 0) {
    const std::lock_guard lock(listeners_mutex_);
    for (const auto& event : chunk->events) tell(event);
  }
  told_ = chunk->events.back().no;
}

void Tail::tell(const Listeners& listeners, const EventRow& event) {
  for (const auto& listener : listeners) {
    if (!listener->filter->fits(event)) continue;
    EventNo none = 0;
    if (listener->first.compare_exchange_strong(none, event.no)) listener->nudge();
  }
}

void Tail::tell(const EventRow& event) {
  const auto tell_those = [&](const auto& map, const auto& key) {
    if (map.empty()) return;
    if (const auto found = map.find(key); found != map.end()) tell(found->second, event);
  };
  if (about_job(event.type)) {
    tell_those(index_.jobs, event.subject);
    tell_those(index_.batches, event.batch);
  } else if (about_batch(event.type)) {
    tell_those(index_.batches, event.subject);
  }
  tell_those(index_.tenants, event.tenant);
  tell(index_.all, event);
}

// ---- the readers' side ----------------------------------------------------------------------------------------------

template <class F>
void Tail::each_list(const Filter& filter, F use) {
  if (!filter.jobs.empty()) {
    for (const auto job : filter.jobs) use(index_.jobs, job);
  } else if (!filter.batches.empty()) {
    for (const auto batch : filter.batches) use(index_.batches, batch);
  } else if (!filter.tenants.empty()) {
    for (const auto& tenant : filter.tenants) use(index_.tenants, tenant);
    use(index_.tenants, std::string());
  }
}

void Tail::add(const std::shared_ptr<Listener>& listener) {
  const std::lock_guard lock(listeners_mutex_);
  const Filter& filter = *listener->filter;
  if (filter.jobs.empty() && filter.batches.empty() && filter.tenants.empty()) index_.all.push_back(listener);
  each_list(filter, [&](auto& map, const auto& key) { map[key].push_back(listener); });
  ++readers_;
}

void Tail::remove(const std::shared_ptr<Listener>& listener) {
  const std::lock_guard lock(listeners_mutex_);
  std::erase(index_.all, listener);
  each_list(*listener->filter, [&](auto& map, const auto& key) {
    const auto found = map.find(key);
    if (found == map.end()) return;
    std::erase(found->second, listener);
    if (found->second.empty()) map.erase(found);
  });
  --readers_;
}

std::optional<std::vector<std::shared_ptr<Chunk>>> Tail::since(EventNo after, std::size_t max) const {
  const std::lock_guard lock(chunks_mutex_);
  std::vector<std::shared_ptr<Chunk>> found;
  if (after >= last_) return found;
  if (chunks_.empty() || chunks_.front()->events.front().no > after + 1) return std::nullopt;
  auto at = std::partition_point(chunks_.begin(), chunks_.end(),
                                 [after](const auto& chunk) { return chunk->events.back().no <= after; });
  for (std::size_t taken = 0; at != chunks_.end() && taken < max; ++at) {
    taken += (*at)->events.size();
    found.push_back(*at);
  }
  return found;
}

Reader::Reader(Tail& tail, Filter filter, EventNo after, std::function<void()> nudge)
    : tail_(tail), filter_(std::move(filter)), position_(after), listener_(std::make_shared<Tail::Listener>()) {
  listener_->filter = &filter_;
  listener_->nudge = std::move(nudge);
  tail_.add(listener_);
  // What was published between `after` and now has nudged nobody.
  if (tail_.last() > after) {
    EventNo none = 0;
    listener_->first.compare_exchange_strong(none, after + 1);
  }
}

Reader::~Reader() {
  tail_.remove(listener_);
}

bool Reader::behind() const {
  const EventNo first = listener_->first.load();
  return first != 0 && !tail_.since(std::max(position_, first - 1), 1);
}

Reader::Page Reader::read(std::size_t max) {
  const EventNo told = tail_.told_;
  const EventNo first = listener_->first.exchange(0);
  if (first == 0) {
    position_ = std::max(position_, told);
    return {};
  }
  position_ = std::max(position_, first - 1);
  const EventNo last = tail_.last();
  const auto chunks = tail_.since(position_, tail_.options_.scan_max);
  auto page = chunks ? read_memory(*chunks, max) : read_store(max);
  page.more = position_ < last;
  // The publisher only ever sets it from 0, so what it set meanwhile lies behind this.
  if (page.more) listener_->first = position_ + 1;
  return page;
}

// Until the page is full or the chunk at its end.
void Reader::take(const std::shared_ptr<Chunk>& chunk, std::size_t max, Page& page) {
  const EventNo base = chunk->events.front().no;
  for (auto i = std::size_t(std::max<EventNo>(0, position_ + 1 - base)); i < chunk->events.size(); ++i) {
    if (page.events.size() == max) return;
    position_ = chunk->events[i].no;
    if (filter_.fits(chunk->events[i])) page.events.push_back({chunk, i});
  }
}

Reader::Page Reader::read_memory(const std::vector<std::shared_ptr<Chunk>>& chunks, std::size_t max) {
  Page page;
  for (const auto& chunk : chunks) take(chunk, max, page);
  return page;
}

// What the store has after the position: of one job by its index, else all, to be filtered here. `all`: the whole log
// was looked through.
std::vector<EventRow> Reader::stored(std::size_t max, bool& all) {
  all = filter_.jobs.size() == 1;
  if (!all) return tail_.reads_.events(position_, tail_.options_.scan_max);
  auto rows = tail_.reads_.job_events(filter_.jobs.front(), position_, max);
  all = rows.size() < max;
  return rows;
}

Reader::Page Reader::read_store(std::size_t max) {
  Page page;
  const EventNo last = tail_.last();
  bool all = false;
  auto rows = stored(max, all);
  // Asked for after the rows: had some been purged in between, that shows here.
  const EventNo kept_from = tail_.reads_.event_range().first;
  const EventNo gone = kept_from == 0 ? last : kept_from - 1;
  if (gone > position_) {
    position_ = gone;
    page.gap_until = gone;
    return page;
  }
  if (rows.empty()) {
    position_ = std::max(position_, last);
    return page;
  }
  auto chunk = std::make_shared<Chunk>();
  chunk->events = std::move(rows);
  if (filter_.jobs.size() == 1) {
    for (std::size_t i = 0; i < chunk->events.size(); ++i) {
      position_ = chunk->events[i].no;
      if (filter_.fits(chunk->events[i])) page.events.push_back({chunk, i});
    }
    if (all) position_ = std::max(position_, last);
    return page;
  }
  take(chunk, max, page);
  return page;
}

}  // namespace geres::hub::events
