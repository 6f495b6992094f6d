// SPDX-License-Identifier: Apache-2.0
// What hosts report: which leases they hold, what started, how it goes on, what has ended.
#pragma once

#include "hub/engine/fetches.h"

namespace geres::hub::engine {

class Reporting {
 public:
  Reporting(Round& round, Attempts& attempts, Hosts& hosts, Fetches& fetches)
      : state_(round.state),
        store_(round.store),
        now_(round.now),
        attempts_(attempts),
        hosts_(hosts),
        fetches_(fetches) {}

  Result<ReportAnswer> report(const ReportCall& call);

 private:
  enum class Verdict { accepted, stale, conflict, filesMissing };
  Verdict complete(const Uuid& host, const Completion& item);
  Verdict completed_before(const Completion& item);
  void release_unheard(HostState& host, const ReportCall& call);

  State& state_;
  BufferedStore& store_;
  const Now& now_;
  Attempts& attempts_;
  Hosts& hosts_;
  Fetches& fetches_;
};

}  // namespace geres::hub::engine
