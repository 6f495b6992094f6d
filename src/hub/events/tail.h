// SPDX-License-Identifier: Apache-2.0
// The newest part of the event log, in memory, and the readers who follow it. The engine's thread appends what each
// tick committed; a reader has a position in the log and a filter, is nudged when something for it has come, and then
// reads on from its position: out of this memory, or out of the store when it has fallen behind. So a slow reader
// costs a position and nothing else, and never holds up the engine.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "hub/store/reads.h"

namespace geres::hub::events {

using store::EventNo;
using store::EventRow;

// Which events a reader is for. All that is given must fit.
struct Filter {
  std::vector<std::string> tenants;         // empty: all. Batches that all share are everybody's
  bool hosts = false;                       // with the hosts' events
  std::vector<Uuid> jobs;                   // empty: all
  std::vector<Uuid> batches;                // empty: all; a batch's own events and its jobs'
  std::uint32_t types = ~std::uint32_t(0);  // a bit per store::EventType

  static std::uint32_t bit(store::EventType type) { return std::uint32_t(1) << unsigned(type); }
  bool fits(const EventRow& event) const;
};

// An event as it is sent: a CloudEvent in JSON whose last member is its data.
struct Text {
  std::string event;
  std::size_t data_at = 0;
  std::string_view data() const { return std::string_view(event).substr(data_at, event.size() - 1 - data_at); }
};

using TextPtr = std::shared_ptr<const Text>;

// What one tick told. Events of a chunk have consecutive numbers.
struct Chunk {
  // Each event as it is sent, once somebody needed it; see Teller. Large ones (with results) are kept as long as
  // somebody is at sending them, so that a tail full of them does not fill the memory.
  struct Slot {
    TextPtr kept;
    std::weak_ptr<const Text> lent;
  };
  std::vector<EventRow> events;
  std::mutex mutex;
  std::vector<Slot> texts;
};

// An event and where it lies.
struct Told {
  std::shared_ptr<Chunk> chunk;
  std::size_t at = 0;
  const EventRow& row() const { return chunk->events[at]; }
};

class Tail {
 public:
  struct Options {
    std::size_t events_max = 16'384;  // kept in memory
    std::size_t scan_max = 2'000;     // events looked at by one read
  };
  explicit Tail(store::Reads& reads) : Tail(reads, Options{}) {}
  Tail(store::Reads& reads, Options options) : reads_(reads), options_(options) {}

  void start(EventNo last);                    // before the first publish: the last event in the store
  void publish(std::vector<EventRow> events);  // the engine's thread, after the commit
  EventNo last() const { return last_.load(); }
  std::size_t readers() const { return readers_.load(); }

 private:
  friend class Reader;
  struct Listener {
    const Filter* filter = nullptr;
    std::function<void()> nudge;
    std::atomic<EventNo> first{0};  // the first that fits and was not read; 0: none
  };
  using Listeners = std::vector<std::shared_ptr<Listener>>;
  // Listeners by the narrowest thing that their filter names, so that an event reaches those it may fit without a look
  // at all others.
  struct Index {
    std::unordered_map<Uuid, Listeners> jobs, batches;
    std::unordered_map<std::string, Listeners> tenants;
    Listeners all;
  };

  template <class F>
  void each_list(const Filter& filter, F use);
  void add(const std::shared_ptr<Listener>& listener);
  void remove(const std::shared_ptr<Listener>& listener);
  void tell(const Listeners& listeners, const EventRow& event);
  void tell(const EventRow& event);
  // The events after `after` that memory has, as chunks; nullopt: it does not reach so far back.
  std::optional<std::vector<std::shared_ptr<Chunk>>> since(EventNo after, std::size_t max) const;

  store::Reads& reads_;
  const Options options_;
  std::atomic<EventNo> last_{0};  // published
  std::atomic<EventNo> told_{0};  // up to here every listener that an event fits has it in `first`
  std::atomic<std::size_t> readers_{0};

  mutable std::mutex chunks_mutex_;
  std::deque<std::shared_ptr<Chunk>> chunks_;
  std::size_t kept_ = 0;

  std::mutex listeners_mutex_;
  Index index_;
};

// One reader of the log. For one thread at a time, but for the nudge, which comes on the engine's thread and must be
// quick. The tail must outlive it.
class Reader {
 public:
  // Reads on after event `after` (see Tail::last()); the nudge says that there is something to read.
  Reader(Tail& tail, Filter filter, EventNo after, std::function<void()> nudge);
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  struct Page {
    std::vector<Told> events;          // that fit, in order
    std::optional<EventNo> gap_until;  // events after position() up to this one are no longer kept; comes alone
    bool more = false;                 // there may be more right now
  };
  // True when the next read has to ask the store: then call it from a thread that may block.
  bool behind() const;
  Page read(std::size_t max);
  EventNo position() const { return position_; }  // all up to here was read or does not fit

 private:
  Page read_memory(const std::vector<std::shared_ptr<Chunk>>& chunks, std::size_t max);
  Page read_store(std::size_t max);
  std::vector<EventRow> stored(std::size_t max, bool& all);
  void take(const std::shared_ptr<Chunk>& chunk, std::size_t max, Page& page);
  Tail& tail_;
  const Filter filter_;
  EventNo position_;
  std::shared_ptr<Tail::Listener> listener_;
};

}  // namespace geres::hub::events
