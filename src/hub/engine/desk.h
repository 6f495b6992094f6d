// SPDX-License-Identifier: Apache-2.0
// Who waits for an answer longer than one tick: open fetches, and callers of bulk verbs. Nothing here is state of jobs;
// it outlives a state that is dropped and read again.
#pragma once

#include <map>
#include <set>

#include "hub/engine/verbs.h"

namespace geres::hub::engine {

struct OpenFetch {
  FetchCall call;
  Answer<FetchAnswer> answer;
  Millis until = 0;  // monotonic
};

struct OpenOperation {
  Answer<BulkDone> answer;
  BulkDone done;  // so far
  BulkWatch watch = {};
};

struct Desk {
  std::map<Uuid, OpenFetch> fetches;             // by host; at most one each
  std::set<std::pair<Millis, Uuid>> fetch_ends;  // the same by time
  std::map<Uuid, OpenOperation> operations;      // by operation
  std::size_t offers = 0;                        // fetches that ask for jobs
  std::vector<Uuid> changed;                     // hosts whose fetch was opened or closed since the last pass

  void open(OpenFetch fetch) {
    close(fetch.call.host);
    fetch_ends.emplace(fetch.until, fetch.call.host);
    const Uuid host = fetch.call.host;
    offers += fetch.call.slots > 0;
    changed.push_back(host);
    fetches.emplace(host, std::move(fetch));
  }
  // Takes the fetch away without answering it.
  std::optional<OpenFetch> close(Uuid host) {
    const auto found = fetches.find(host);
    if (found == fetches.end()) return std::nullopt;
    fetch_ends.erase({found->second.until, host});
    offers -= found->second.call.slots > 0;
    changed.push_back(host);
    OpenFetch fetch = std::move(found->second);
    fetches.erase(found);
    return fetch;
  }
};

}  // namespace geres::hub::engine
