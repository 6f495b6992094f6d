// SPDX-License-Identifier: Apache-2.0
// From what a pool's book, its provider and its hosts say to what is done next. Two pure steps, with the planner
// between them: look() says what there is, act() what to do about the difference to what is wanted. What a provider's
// answer means for the book is settled() and its neighbours.
//
// What makes it safe, whatever the provider does:
// - Each call is an intent in the book before it is made. What became of one without an answer is decided by the lists
//   that follow, by the mark of the order on its machines.
// - What is ordered counts as coming from the order on, and nothing is ordered while a call is open.
// - A machine is removed only after its host was drained, empty and retired, or has gone by itself.
// - A list that misses half of the machines whose hosts report is not believed until the next one says the same. A
//   machine whose host reports is never removed for being absent from a list.
#pragma once

#include <map>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "geres/policy.h"
#include "scaler/book.h"
#include "scaler/planner.h"
#include "scaler/provider.h"

namespace geres::scaler {

struct Listing {
  Millis begun = 0;
  std::vector<Machine> machines;
};

// Failures of a provider, until the next success.
struct Trouble {
  int tries = 0;
  Millis until = 0;
  Why why = Why::unknown;
  std::string text;
};

// What a scaler remembers of a pool between two evaluations, beside the book. All of it may be lost: then things take
// a little longer.
struct Memory {
  struct Doubt {
    std::set<std::string> listed;  // by the list that was not believed
  };
  struct Unknown {  // an intent that has no answer
    Millis since = 0;
    int lists = 0;
    std::size_t found = 0;
  };
  struct Again {
    int tries = 0;
    Millis at = 0;
  };

  explicit Memory(std::uint32_t seed = 1) : chance(seed) {}

  std::minstd_rand chance;
  std::optional<Millis> asked_at;        // when the last list was asked for
  std::optional<Millis> listed_at;       // when the last one that was believed was begun
  std::map<std::string, Machine> there;  // by that list
  std::optional<Doubt> doubt;
  std::optional<std::set<std::string>> confirmed;  // strange as it is, it was said twice
  std::map<std::string, int> absences;             // lists in a row that did not name a machine of the book
  std::map<std::string, Millis> since;             // "lost w1": when that was first seen
  std::map<std::string, Millis> removed;           // what the provider said is removed, for a while
  std::map<std::string, Millis> woken;             // from when they have time to join
  std::map<std::string, Again> removals;           // that failed
  std::map<std::string, Unknown> unknown;          // by request
  std::vector<Millis> given_up;                    // machines that did not join
  Trouble orders, calls;                           // of orders alone; of any call
  std::optional<std::int64_t> stopped_at;  // the version of the settings with which the provider refuses to work
  std::string stopped_why;
};

enum class Fate {
  coming,    // ordered or booting
  ready,     // takes jobs
  draining,  // by us
  held,      // drained by an operator
  retiring,  // empty for good
  lost,      // its host is not heard of
  unfit,     // its host is not given jobs
  left,      // its host has gone by itself
  failed,    // says the provider, or it did not join
  asleep,
};

struct Seen {
  BookMachine machine;
  Fate fate = Fate::coming;
  bool removable = false;  // nothing of it can hold a job any more
  bool bad = false;        // its host is to be drained whatever is wanted
};

struct View {
  std::vector<Seen> machines;
  policy::HostCounts hosts;  // unmanaged ones are the hub's to know
  Hold hold;
  Record record;                   // what the list and the time have changed
  std::vector<std::string> notes;  // for people: what is strange
  bool doubted = false;
  bool open = false;              // intents without an outcome
  bool order_open = false;        // one of them an order
  std::set<std::string> leaving;  // instances of those that are removals
  std::int64_t limit_all = 0;     // machines of any state that there may be
  Millis boot_timeout = 0;
};

struct LookInput {
  const Book& book;
  const Capabilities& provider;
  const Listing* fresh = nullptr;        // a list that came in since the last look
  const std::string* calling = nullptr;  // the request of the intent whose call is under way
  Millis now = 0;
};

View look(Memory& memory, const LookInput& input);

struct Call {
  enum class Kind { list, order, remove, wake };
  Kind kind = Kind::list;
  std::int64_t count = 0;              // order
  std::vector<std::string> instances;  // remove, wake
};

struct Actions {
  std::vector<std::string> resume, drain, retire;  // ids of hosts
  std::optional<Call> call;
  Changes changes;
};

struct ActInput {
  const Pool& pool;
  const Capabilities& provider;
  std::int64_t wanted = 0;
  bool calling = false;  // a call is under way
  Millis now = 0;
};

Actions act(Memory& memory, const View& view, const ActInput& input);

// What an answer changes in the book. `pool` is as it was at the call.
Record settle_order(Memory& memory, const Pool& pool, const Intent& intent, const Told<Ordered>& told, Millis now);
Record settle_removal(Memory& memory, const Pool& pool, const Intent& intent, const Told<std::vector<Removed>>& told,
                      Millis now);
Record settle_waking(Memory& memory, const Pool& pool, const Intent& intent, const Told<std::vector<Removed>>& told,
                     Millis now);
void settle_list(Memory& memory, const Pool& pool, const Told<std::vector<Machine>>& told, Millis now);

// The usual time from order to ready, from the machines of a book.
Millis usual_boot(const Book& book);

}  // namespace geres::scaler
