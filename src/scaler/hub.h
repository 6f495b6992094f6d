// SPDX-License-Identifier: Apache-2.0
// The hub as a scaler sees it: it keeps the book, commits what a scaler writes, and refuses what an old one writes. An
// interface, so that tests bring their own.
#pragma once

#include <boost/system/result.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "geres/policy.h"
#include "scaler/book.h"

namespace geres::scaler {

struct HubTrouble {
  enum class Kind {
    stale,    // another scaler has the lease: this one has no say any more
    held,     // another scaler has the lease
    busy,     // the host has a job, or is not retired: nothing was changed
    refused,  // the call is wrong; it would be refused again
    away,     // nobody knows whether it was done
  };
  Kind kind = Kind::away;
  std::string text;
};

template <class T>
using FromHub = boost::system::result<T, HubTrouble>;
[[noreturn]] void throw_exception_from_error(const HubTrouble& trouble, const boost::source_location& where);

struct ScalerLease {
  std::int64_t epoch = 0;
  Millis ttl = 30'000;
};

struct DemandNow {
  policy::Demand demand;
  std::int64_t unmanaged = 0;  // hosts
};

// One thread at a time. A call waits for its answer, for some seconds at most.
class Hub {
 public:
  virtual ~Hub() = default;
  virtual FromHub<ScalerLease> lease(const std::string& holder, std::optional<std::int64_t> epoch) = 0;
  virtual FromHub<std::vector<std::string>> pools() = 0;
  virtual FromHub<Book> book(const std::string& pool) = 0;
  virtual FromHub<DemandNow> demand(const std::string& pool) = 0;
  virtual FromHub<void> record(const std::string& pool, std::int64_t epoch, const Record& record) = 0;
  virtual FromHub<void> drain(const std::vector<std::string>& hosts, std::int64_t epoch, const std::string& why) = 0;
  virtual FromHub<void> resume(const std::vector<std::string>& hosts, std::int64_t epoch) = 0;
  virtual FromHub<void> retire(const std::string& host, std::int64_t epoch) = 0;
  virtual FromHub<std::string> join_token(const std::string& pool, std::int64_t epoch, const std::string& request) = 0;
};

}  // namespace geres::scaler
