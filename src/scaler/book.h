// SPDX-License-Identifier: Apache-2.0
// What a hub keeps for a pool, and what a scaler writes into it, in the shapes of the API (base/json.h: the members'
// names are the API's).
#pragma once

#include <boost/describe/class.hpp>
#include <boost/describe/enum.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "scaler/pool.h"

namespace geres::scaler {

enum class Mode { run, drain, stop };
BOOST_DESCRIBE_ENUM(Mode, run, drain, stop)

struct BookHost {
  std::string id, name;
  Mode mode = Mode::run;
  std::string by;  // who drains it: operator or scaler
  std::int64_t slots = 1, busy = 0;
  std::optional<json::Time> idleSince;
  std::optional<double> restSeconds;  // until its last job is expected to end
  bool dedicated = false;             // to a batch that has jobs for it
  bool lost = false, unfit = false;
  bool keep = false;  // label geres.keep: the last to go
};
BOOST_DESCRIBE_STRUCT(BookHost, (),
                      (id, name, mode, by, slots, busy, idleSince, restSeconds, dedicated, lost, unfit, keep))

enum class Life { ordered, booting, ready, draining, retiring, gone, failed, asleep };
BOOST_DESCRIBE_ENUM(Life, ordered, booting, ready, draining, retiring, gone, failed, asleep)

struct BookMachine {
  std::string instance;
  Life state = Life::ordered;
  std::string request;
  json::Time orderedAt;
  std::optional<json::Time> readyAt, goneAt;
  std::string reason;
  std::optional<BookHost> host;
};
BOOST_DESCRIBE_STRUCT(BookMachine, (), (instance, state, request, orderedAt, readyAt, goneAt, reason, host))

enum class Verb { order, remove, sleep, wake };
BOOST_DESCRIBE_ENUM(Verb, order, remove, sleep, wake)
enum class Stage { issued, done, refused, failed, unknown };
BOOST_DESCRIBE_ENUM(Stage, issued, done, refused, failed, unknown)

struct IntentRefusal {
  std::string why;
  std::optional<json::Duration> retryAfter;
  std::string text;
};
BOOST_DESCRIBE_STRUCT(IntentRefusal, (), (why, retryAfter, text))

// A call to a provider: written before it is made, and again when its outcome is known.
struct Intent {
  std::string request;
  Verb verb = Verb::order;
  std::optional<std::int64_t> count;
  std::optional<std::vector<std::string>> instances;
  Stage state = Stage::issued;
  std::optional<IntentRefusal> refusal;
  std::optional<json::Time> issuedAt;  // the hub's
};
BOOST_DESCRIBE_STRUCT(Intent, (), (request, verb, count, instances, state, refusal, issuedAt))

struct MachineChange {
  std::string instance;
  Life state = Life::ordered;
  std::optional<std::string> request, zone, reason;
};
BOOST_DESCRIBE_STRUCT(MachineChange, (), (instance, state, request, zone, reason))

struct Changes {
  std::int64_t order = 0, resume = 0, wake = 0, drain = 0, retire = 0, remove = 0;
};
BOOST_DESCRIBE_STRUCT(Changes, (), (order, resume, wake, drain, retire, remove))

struct Decision {
  std::optional<json::Time> at;  // the hub's
  json::value input;             // {"demand": …, "hosts": …}
  std::string policy;
  std::int64_t raw = 0, wanted = 0, actual = 0;
  Changes changes;
  std::string reason;
  std::string outcome;  // ok, observed, policyFailed, providerHeld
};
BOOST_DESCRIBE_STRUCT(Decision, (), (at, input, policy, raw, wanted, actual, changes, reason, outcome))

// One transaction.
struct Record {
  std::vector<Intent> intents;
  std::vector<MachineChange> machines;
  std::optional<Decision> decision;
};
BOOST_DESCRIBE_STRUCT(Record, (), (intents, machines, decision))

// Machines that are gone and intents that are settled are left out.
struct Book {
  Pool pool;
  std::vector<BookMachine> machines;
  std::vector<Intent> intents;
  std::vector<Decision> decisions;  // the last ones, newest last
};

Result<Book> read_book(const json::value& from);

}  // namespace geres::scaler
