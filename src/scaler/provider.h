// SPDX-License-Identifier: Apache-2.0
// What a scaler asks of whatever can make machines: a cloud, a batch system, a script, this machine. Providers are
// slow, tell lies and lose answers; what makes any of them safe is done around them (reconcile.h, scaler.h), so a
// provider only passes on what it was asked and what it was told.
//
// One call at a time, on a thread of the pool's own, which may take a minute.
#pragma once

#include <boost/system/result.hpp>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "scaler/pool.h"
#include "tls/trust.h"

namespace geres::scaler {

enum class MachineState { pending, running, stopping, asleep, failed };
BOOST_DESCRIBE_ENUM(MachineState, pending, running, stopping, asleep, failed)

struct Machine {
  std::string instance;
  MachineState state = MachineState::pending;
  Millis created_at = 0;  // 0: unknown
  std::string request;    // of the order that made it; empty if the provider cannot tell
  std::string zone;
  std::string reason;  // for people: why it is in that state
};

enum class Why { quota, capacity, throttled, unauthorized, invalid, unknown };
BOOST_DESCRIBE_ENUM(Why, quota, capacity, throttled, unauthorized, invalid, unknown)
std::string_view why_name(Why why);

struct Refusal {
  Why why = Why::unknown;
  Millis retry_after = 0;
  std::string text;
  bool maybe_done = false;  // nobody knows whether it was done: the next list tells
};

template <class T>
using Told = boost::system::result<T, Refusal>;
[[noreturn]] void throw_exception_from_error(const Refusal& refusal, const boost::source_location& where);

struct Order {
  std::string request;  // the same one when it is repeated
  std::int64_t count = 1;
  std::string join_token;  // for the hosts on the machines; never in a log, never on a command line
};

struct Ordered {
  std::vector<std::string> instances;  // as far as they are known already
  std::int64_t accepted = 0;           // how many come; fewer than were ordered is normal
  std::optional<Refusal> refusal;      // why not all
};

struct Removed {
  enum class Outcome { removed, not_found, failed };
  std::string instance;
  Outcome outcome = Outcome::removed;
  std::string text;
};

struct Capabilities {
  bool marks = true;    // list() names the order that made a machine
  bool sleeps = false;  // has machines that wake up
  std::int64_t most_a_call = 100;
};

class Provider {
 public:
  virtual ~Provider() = default;
  virtual Capabilities capabilities() const = 0;
  virtual Told<std::vector<Machine>> list() = 0;  // this pool's
  virtual Told<Ordered> order(const Order& order) = 0;
  virtual Told<std::vector<Removed>> remove(std::span<const std::string> instances, const std::string& request) = 0;
  virtual Told<std::vector<Removed>> wake(std::span<const std::string> instances, const std::string& request) = 0;
  // Any thread: a call that is under way ends soon, as one whose outcome is unknown.
  virtual void stop() = 0;
};

// Where the machines of a pool are to register.
struct Join {
  std::string hub;  // URL
  tls::Trust trust;
  std::filesystem::path data;  // of the scaler: hosts of this machine have their directories there
  std::string program;         // geres
};

// As the pool's settings say. The error's field is relative to the provider's settings.
Result<std::unique_ptr<Provider>> make_provider(const Pool& pool, const Join& join);

// Names that providers give: 1 to 200 printable characters without spaces.
bool is_instance(std::string_view name);

}  // namespace geres::scaler
