// SPDX-License-Identifier: Apache-2.0
#include "hub/webhooks/sender.h"

#include <algorithm>

#include "base/log.h"
#include "model/job.h"

namespace geres::hub::webhooks {
namespace {

constexpr Millis kRound = 30'000;  // between two looks at feeds without matching events
constexpr Millis kFailedPause = 1'000;
constexpr Millis kIdle = 60'000;
constexpr Millis kMeasure = 1'000;  // between two measurements of how far feeds are behind
constexpr std::size_t kPage = 1'000;
constexpr std::size_t kMadeAheadMax = 64 * 1024;  // bytes of bodies that are kept; others are made again when needed
constexpr int kPagesAtOnce = 4;

bool picks_jobs(const model::Webhook& webhook) {
  return !webhook.job_types.empty() || !webhook.tags.empty();
}

bool fits(const model::Webhook& webhook, const model::JobSpec& job) {
  const auto& types = webhook.job_types;
  return (types.empty() || std::ranges::find(types, job.type) != types.end()) &&
         std::ranges::all_of(webhook.tags, [&](const auto& tag) {
           const auto found = job.tags.find(tag.first);
           return found != job.tags.end() && found->second == tag.second;
         });
}

}  // namespace

Sender::Sender(engine::Engine& engine, store::Reads& reads, events::Tail& tail, const Clock& clock, Options options)
    : engine_(engine), reads_(reads), tail_(tail), clock_(clock), options_(std::move(options)) {
  Poster::Options posts;
  posts.answer_time_max = options_.answer_time_max;
  posts.connections_max = options_.in_flight_total_max;
  posts.ca_file = options_.ca_file;
  poster_ = std::make_unique<Poster>(options_.rules, posts);
}

Sender::~Sender() {
  stop(0);
}

void Sender::start(events::Teller& teller) {
  teller_ = &teller;
  thread_ = std::thread([this] { run(); });
}

void Sender::stop(Millis deadline) {
  if (!thread_.joinable()) return;
  {
    const std::lock_guard lock(inbox_mutex_);
    inbox_.stop = true;
  }
  stop_wait_ = deadline;
  poster_->wake();
  thread_.join();
}

void Sender::hear(engine::WebhookNews news) {
  {
    const std::lock_guard lock(inbox_mutex_);
    inbox_.news.push_back(std::move(news));
  }
  poster_->wake();
}

void Sender::ping(Uuid webhook, std::function<void(Posted)> then) {
  {
    const std::lock_guard lock(inbox_mutex_);
    if (!inbox_.stop) {
      inbox_.pings.push_back({webhook, std::move(then)});
      poster_->wake();
      return;
    }
  }
  then(Posted{0, "the hub is stopping"});
}

// ---- the thread -----------------------------------------------------------------------------------------------------

void Sender::run() {
  Millis stop_at = 0;
  bool loaded = false;
  while (true) {
    const Millis now = clock_.monotonic();
    try {
      if (!loaded) load(), loaded = true;
      take_inbox();
      if (!stopping_) {
        look_round(now);
        wake_due(now);
        for (const auto id : std::exchange(readable_, {}))
          if (const auto found = feeds_.find(id); found != feeds_.end()) read_on(found->second);
        dispatch();
        send_pings();
      }
      commit(now);
    } catch (const std::exception& failed) {
      log::warn("webhooks: {}", failed.what());
      next_round_ = now + kFailedPause;  // in which all feeds read on
    }
    if (stopping_) {
      if (stop_at == 0) stop_at = now + std::clamp<Millis>(stop_wait_, 200, 2'000);
      const bool quiet = poster_->under_way() == 0 && outbox_.empty() && !outbox_.on_its_way();
      if (quiet || now >= stop_at) break;
    }
    poster_->turn(wait_time(now));
    figures_.in_flight = std::int64_t(poster_->under_way());
    figures_.pending = std::int64_t(waiting_.size());
    measure(now);
  }
  for (auto& ping : pings_) ping.then(Posted{0, "the hub is stopping"});
  feeds_.clear();
  poster_->drop();
}

Millis Sender::wait_time(Millis now) const {
  if (stopping_) return 20;
  if (!readable_.empty()) return 0;
  Millis wait = std::min(kIdle, std::max<Millis>(0, next_round_ - now));
  if (figures_.lag > 0 || poster_->under_way() > 0) wait = std::clamp<Millis>(next_measure_ - now, 0, wait);
  if (!timers_.empty()) wait = std::clamp<Millis>(timers_.begin()->first - now, 0, wait);
  if (!outbox_.empty() && !outbox_.on_its_way()) wait = std::clamp<Millis>(next_commit_ - now, 0, wait);
  return wait;
}

void Sender::load() {
  for (auto& row : reads_.webhooks()) take(std::move(row));
  load_waiting();
}

// Loads the deliveries that are due first, as many as fit in memory.
void Sender::load_waiting() {
  more_in_store_ = false;
  std::optional<store::DeliveryRow> after;
  while (true) {
    auto rows = reads_.pending_deliveries(after, kPage);
    if (rows.empty()) return;
    after = rows.back();
    for (auto& row : rows) {
      if (waiting_.size() >= options_.pending_total_max) {
        more_in_store_ = true;
        return;
      }
      if (!waiting_.contains(row.key) && !outbox_.has(row.key)) take(std::move(row));
    }
  }
}

void Sender::take_inbox() {
  Inbox inbox;
  {
    const std::lock_guard lock(inbox_mutex_);
    std::swap(inbox, inbox_);
    inbox_.stop = inbox.stop;
  }
  if (inbox.settled) {
    outbox_.settled(*inbox.settled);
    if (!*inbox.settled) next_commit_ = clock_.monotonic() + kFailedPause;
    if (*inbox.settled)
      for (const auto& at : cursors_sent_)
        if (const auto found = feeds_.find(at.webhook);
            found != feeds_.end() && found->second.row.rewinds == at.rewinds)
          found->second.row.cursor = std::max(found->second.row.cursor, at.at);
  }
  for (auto& news : inbox.news) {
    for (auto& row : news.webhooks) take(std::move(row));
    for (auto& row : news.deliveries) take(std::move(row));
  }
  readable_.insert(inbox.nudged.begin(), inbox.nudged.end());
  for (const auto id : inbox.nudged)
    if (const auto found = feeds_.find(id); found != feeds_.end()) found->second.wants = true;
  for (auto& ping : inbox.pings) pings_.push_back(std::move(ping));
  stopping_ = inbox.stop;
}

void Sender::take(model::Webhook row) {
  const Uuid id = row.id;
  if (row.removed) return forget(id);
  const auto [found, fresh] = feeds_.try_emplace(id);
  auto& feed = found->second;
  const bool rewound = fresh || row.rewinds != feed.row.rewinds;
  const bool filter_changed = row.types != feed.row.types || row.batches != feed.row.batches ||
                              row.job_types != feed.row.job_types || row.tags != feed.row.tags;
  const bool woken = fresh || (row.enabled && !feed.row.enabled);
  if (!fresh && (rewound || filter_changed || !row.enabled)) rest(feed);
  if (rewound) feed.position = row.cursor;
  row.cursor = rewound ? row.cursor : feed.row.cursor;
  feed.row = std::move(row);
  feed.wants = true;
  readable_.insert(id);
  if (!woken || fresh) return;
  const Millis wall = clock_.wall(), now = clock_.monotonic();
  for (auto it = waiting_.lower_bound({id, 0}); it != waiting_.end() && it->first.webhook == id; ++it)
    if (!it->second.queued) timers_.emplace(now + std::max<Millis>(0, it->second.row.due - wall), it->first);
}

void Sender::take(store::DeliveryRow row) {
  if (row.state != store::DeliveryState::pending || !feeds_.contains(row.key.webhook)) return;
  if (waiting_.size() >= options_.pending_total_max) {
    more_in_store_ = true;
    return;
  }
  const Millis delay = std::clamp<Millis>(row.due - clock_.wall(), 0, kRetryAfterMax);
  wait(std::move(row), delay);
}

void Sender::forget(Uuid id) {
  feeds_.erase(id);
  readable_.erase(id);
  for (auto it = waiting_.lower_bound({id, 0}); it != waiting_.end() && it->first.webhook == id;)
    it = waiting_.erase(it);
  for (auto it = queues_.lower_bound({id, {}}); it != queues_.end() && it->first.first == id; ++it)
    it->second.items.clear();
}

void Sender::rest(Feed& feed) {
  feed.position = cursor(feed);
  feed.reader.reset();
  feed.outstanding.clear();
  ++feed.life;
  const auto queue = queues_.find({feed.row.id, {}});
  if (queue != queues_.end()) std::erase_if(queue->second.items, [](const Item& item) { return !item.stored; });
}

void Sender::wait(store::DeliveryRow row, Millis delay) {
  const auto key = row.key;
  const auto [found, fresh] = waiting_.insert_or_assign(key, Waiting{std::move(row)});
  const auto feed = feeds_.find(key.webhook);
  if (fresh && feed != feeds_.end()) ++feed->second.waiting;
  timers_.emplace(clock_.monotonic() + delay, key);
}

void Sender::wake_due(Millis now) {
  while (!timers_.empty() && timers_.begin()->first <= now) {
    const auto key = timers_.begin()->second;
    timers_.erase(timers_.begin());
    const auto found = waiting_.find(key);
    const auto feed = feeds_.find(key.webhook);
    if (found == waiting_.end() || found->second.queued || feed == feeds_.end() || !feed->second.row.enabled) continue;
    found->second.queued = true;
    Item item;
    item.key = key;
    item.url = found->second.row.url;
    item.stored = true;
    enqueue(std::move(item));
  }
}

// A feed without matching events moves too, so that a restart need not search everything before.
void Sender::look_round(Millis now) {
  if (now < next_round_) return;
  next_round_ = now + kRound;
  for (auto& [id, feed] : feeds_) {
    readable_.insert(id);
    if (feed.reader && cursor(feed) >= feed.row.cursor + std::int64_t(kPage)) outbox_.moved(id);
  }
  std::erase_if(queues_, [](const auto& entry) { return entry.second.in_flight == 0 && !entry.second.listed; });
  if (more_in_store_ && waiting_.size() < options_.pending_total_max / 2) load_waiting();
}

// ---- reading --------------------------------------------------------------------------------------------------------

store::EventNo Sender::cursor(const Feed& feed) const {
  if (!feed.outstanding.empty()) return *feed.outstanding.begin() - 1;
  return feed.reader ? feed.reader->position() : feed.position;
}

std::int64_t Sender::lag(const Feed& feed) const {
  if (feed.row.for_jobs || !feed.row.enabled || (feed.outstanding.empty() && !feed.wants)) return 0;
  return std::max<std::int64_t>(0, tail_.last() - cursor(feed));
}

void Sender::measure(Millis now) {
  if (now < next_measure_) return;
  next_measure_ = now + kMeasure;
  std::int64_t most = 0;
  for (const auto& [id, feed] : feeds_) most = std::max(most, lag(feed));
  figures_.lag = most;
}

// Leaves out events that are not about a job that the webhook asks for. The log does not contain types and tags, so
// jobs are looked up. Nothing is known of a job that is no longer kept, so nothing is told of it.
void Sender::pass_others(Feed& feed, std::vector<events::Told>& events) {
  if (!picks_jobs(feed.row)) return;
  std::erase_if(events, [&](const events::Told& told) {
    const auto& event = told.row();
    const auto job = store::about_job(event.type) ? reads_.job(event.subject) : std::nullopt;
    if (job && fits(feed.row, job->spec)) return false;
    feed.outstanding.erase(event.no);
    return true;
  });
}

void Sender::read_on(Feed& feed) {
  if (feed.row.for_jobs || !feed.row.enabled) return;
  const Uuid id = feed.row.id;
  if (!feed.reader) {
    events::Filter filter;
    filter.tenants = {feed.row.tenant};
    filter.batches = feed.row.batches;
    filter.types = store::event_types_of(feed.row.types, {}).value();
    feed.reader = std::make_unique<events::Reader>(tail_, filter, feed.position, [this, id] {
      {
        const std::lock_guard lock(inbox_mutex_);
        inbox_.nudged.push_back(id);
      }
      poster_->wake();
    });
  }
  for (int pages = 0; feed.outstanding.size() < options_.window && feed.waiting < options_.pending_max; ++pages) {
    if (pages == kPagesAtOnce) {  // give the other feeds their turn
      readable_.insert(id);
      break;
    }
    auto page = feed.reader->read(options_.window - feed.outstanding.size());
    if (page.gap_until) {
      Item item;
      item.key = {id, *page.gap_until};
      item.gap = true;
      item.life = feed.life;
      feed.outstanding.insert(*page.gap_until);
      enqueue(std::move(item));
      continue;
    }
    for (const auto& told : page.events) feed.outstanding.insert(told.row().no);
    std::vector<events::TextPtr> texts;
    try {
      pass_others(feed, page.events);
      texts = teller_->texts(page.events, kMadeAheadMax);
    } catch (const store::StoreFailed&) {
      rest(feed);
      throw;
    }
    for (std::size_t i = 0; i < page.events.size(); ++i) {
      Item item;
      item.key = {id, page.events[i].row().no};
      if (i < texts.size()) item.text = std::move(texts[i]);
      item.life = feed.life;
      enqueue(std::move(item));
    }
    if (page.more) continue;
    feed.wants = false;
    return;
  }
  feed.wants = true;  // read on when there is room again
}

}  // namespace geres::hub::webhooks
