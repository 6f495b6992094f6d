// SPDX-License-Identifier: Apache-2.0
// Who is called when something happens. A webhook of its tenant's feed has an address and a cursor in the event log; a
// tenant may also have one webhook for jobs, without an address, which signs what is sent to the addresses that jobs
// bring along.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/uuid.h"

namespace geres::model {

struct Webhook {
  Uuid id;
  std::string tenant;
  bool for_jobs = false;
  std::string name;                         // may be empty
  std::string url;                          // empty: for_jobs
  std::vector<std::string> types;           // "geres.job.finished", "geres.job.*"; none: all
  std::vector<Uuid> batches;                // none: all
  std::vector<std::string> job_types;       // none: all. With these or tags only jobs' events are told
  std::map<std::string, std::string> tags;  // that a job must have, all of them
  std::string secret;                       // "whsec_…"
  std::string old_secret;  // still signs beside the new one until then, so that receivers can change over
  Millis old_secret_until = 0;
  bool enabled = true;
  std::string reason;        // why it is not enabled
  std::int64_t cursor = 0;   // events up to this one were told, or are deliveries of their own
  std::int64_t rewinds = 0;  // grows when the cursor is set from outside; older words about the cursor do not count
  bool removed = false;      // gone for everybody; kept until its deliveries are gone too
  Millis created_at = 0;
  std::string created_by;
  bool operator==(const Webhook&) const = default;
};

// What a job brings along. An empty url: nothing.
struct JobWebhook {
  std::string url;
  std::vector<std::string> types;  // none: its own end
  bool operator==(const JobWebhook&) const = default;
};

}  // namespace geres::model
