// SPDX-License-Identifier: Apache-2.0
// Keeps one pool at what is wanted: an evaluation reads the book, asks the policy, plans, writes down what it is about
// to do, and does it. Calls to the provider are made by whoever owns the keeper, one at a time, and their answers
// brought back. Holds no thread and no clock; one thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "base/uuid.h"
#include "scaler/hub.h"
#include "scaler/reconcile.h"

namespace geres::scaler {

// A policy that may fail: a user's own.
class Decider {
 public:
  virtual ~Decider() = default;
  virtual Result<policy::Wanted> decide(const policy::Load& load) = 0;
};

using MakeDecider = std::function<Result<std::unique_ptr<Decider>>(const Pool& pool)>;

// A call for the owner to make. What it needs beside the provider is in it.
struct DueCall {
  Call call;
  Intent intent;  // but for a list
  Order order;    // for an order
  Pool pool;
  Millis begun = 0;
};

using CallAnswer = std::variant<Told<std::vector<Machine>>, Told<Ordered>, Told<std::vector<Removed>>>;

enum class Evaluated { done, hub_away, stale };

class Keeper {
 public:
  Keeper(std::string pool, Hub& hub, MakeDecider make_decider, Random& random, std::uint32_t seed);

  // With settings of the pool as they are now, so that the owner can make the provider anew when they change.
  using ProviderOf = std::function<const Capabilities*(const Pool& pool)>;  // null: there is none, and why is logged

  // `due` is set to the call to be made now, if any; then answered() follows before the next one.
  Evaluated evaluate(std::int64_t epoch, Millis now, const ProviderOf& provider, std::optional<DueCall>& due);
  Evaluated answered(std::int64_t epoch, Millis now, const DueCall& due, CallAnswer answer);

  const std::string& name() const { return pool_; }
  bool calling() const { return calling_.has_value(); }
  Millis interval() const { return interval_; }
  const Memory& memory() const { return memory_; }
  // So that work which turns up is worth an evaluation before its time.
  bool nothing_comes() const { return nothing_comes_; }

 private:
  struct Made {
    policy::Wanted raw;
    bool by_hand = false;
    bool failed = false;
  };
  void say(const std::vector<std::string>& notes, bool listed);
  void remember(const Book& book);
  Made decide(const Book& book, const policy::Load& load, Millis now);
  bool flush(std::int64_t epoch, Evaluated& end);
  Evaluated write(std::int64_t epoch, Record record, Actions& actions, std::optional<Intent>& intent);
  Evaluated apply(std::int64_t epoch, const Actions& actions, const std::string& reason);
  std::string new_request();
  Evaluated trouble(const char* what, const HubTrouble& trouble);

  std::string pool_;
  Hub& hub_;
  MakeDecider make_decider_;
  Random& random_;
  Memory memory_;
  std::unique_ptr<Decider> decider_;
  std::optional<std::int64_t> decider_version_;
  std::string decider_trouble_;
  bool remembered_ = false;
  std::vector<Answered> history_;
  std::vector<policy::Moment> past_;
  std::optional<Millis> last_out_, last_in_;
  std::optional<std::int64_t> last_raw_;
  std::optional<std::string> calling_;  // the request of the call under way; empty text for a list
  std::optional<Listing> fresh_;
  std::vector<Record> unwritten_;  // outcomes that the hub has not heard of yet
  Millis interval_ = 15'000;
  bool nothing_comes_ = false;
  std::string noted_;  // what was logged last, so that it is logged once
};

}  // namespace geres::scaler
