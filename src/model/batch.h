// SPDX-License-Identifier: Apache-2.0
// The things a hub keeps beside jobs: batches, tenants, packages, tokens, hosts.
#pragma once

#include <array>
#include <boost/describe/enum.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/uuid.h"

namespace geres::model {

enum class BatchState { open, closed, cancelled };
BOOST_DESCRIBE_ENUM(BatchState, open, closed, cancelled)

constexpr Uuid kDefaultBatch{};      // shown as "batch0"
std::string batch_text(Uuid batch);  // "batch0" or the UUID

// Belongs to its tenant; with an empty tenant it is shared, like batch0.
struct Batch {
  Uuid id;
  std::string tenant;
  std::string name;
  std::int64_t priority = 500;  // lower first
  bool dedicated = false;       // a host that runs it runs nothing else meanwhile
  int max_running = 0;          // 0: no limit
  BatchState state = BatchState::open;
  bool paused = false;
  Millis created_at = 0;
  std::string created_by;
  bool over_tenants = false;  // made by an operator: its priority ranks over all tenants, else within its own
};

constexpr std::int64_t kDefaultBatchPriority = 999;

// Jobs by state, in the order of JobState.
using StateCounts = std::array<std::int64_t, 8>;

struct Tenant {
  std::string name;
  double weight = 1;                    // share relative to others, > 0
  int max_running = 0;                  // leases at a time; 0: no limit
  std::int64_t max_queued = 0;          // jobs that have not ended; 0: no limit
  std::optional<Millis> keep_finished;  // retention; absent: the hub's
  std::optional<Millis> keep_failed;
  std::int64_t max_memory_per_job = 0;  // bytes that one may ask for; 0: no limit
};

struct PackageVersion {
  std::string tenant;
  std::string name;
  std::string sha256;
  std::int64_t size = 0;
  int version = 0;  // 1, 2, … per tenant and name
  std::vector<std::string> types;
  bool open = false;  // has a library without manifest: its types are known only when it is loaded
  Millis created_at = 0;
};

enum class Role { admin, operator_, submitter, viewer, host };
BOOST_DESCRIBE_ENUM(Role, admin, operator_, submitter, viewer, host)

struct Token {
  Uuid id;
  std::string name;
  std::string sha256;  // of the secret; the secret itself is never stored
  std::vector<Role> roles;
  std::vector<std::string> tenants;  // empty: all
  std::optional<Millis> expires;
  Millis created_at = 0;
};

enum class HostMode { run, drain, stop };
BOOST_DESCRIBE_ENUM(HostMode, run, drain, stop)

// Who has set a host's mode. What an operator has set the scaler leaves alone.
enum class ModeBy { operator_, scaler };
BOOST_DESCRIBE_ENUM(ModeBy, operator_, scaler)

// Whether a host can start jobs. One that rests is tried again by itself; one that is unfit, too, but it wants looking
// after. Only those that are well are granted to.
enum class Health { well, resting, unfit };
BOOST_DESCRIBE_ENUM(Health, well, resting, unfit)

struct Host {
  Uuid id;
  std::string name;
  std::string secret_sha256;
  std::string address;
  int slots = 1;
  std::int64_t memory = 0;  // bytes; 0: not said
  std::map<std::string, std::string> labels;
  std::optional<std::vector<std::string>> types;    // absent: any
  bool packages = true;                             // runs packaged jobs
  std::optional<std::vector<std::string>> tenants;  // absent: any
  std::string containment;                          // cgroup2 | freezer | pidns | bestEffort; empty: not said
  HostMode mode = HostMode::run;
  Millis joined_at = 0;
  std::string isolation;       // user | fenced | none; empty: not said
  std::string memory_held;     // how jobs are held to their memory: cgroup2 | cgroup1 | watched; empty: not said
  std::string processes_held;  // likewise
  std::string pool, instance;  // the machine that it runs on, where somebody makes those; empty: nobody does
  ModeBy mode_by = ModeBy::operator_;
  std::string mode_reason;  // why it drains or stops; empty: not said
  Uuid enrolment{};         // whose secret it uses, instead of one that ends with it; nil: it joined with a token
};

// Lets hosts enrol, so many as it has uses.
struct JoinToken {
  Uuid id;
  std::string sha256;                // of its secret
  std::string name;                  // of the one host that it is for; empty: any
  std::vector<std::string> tenants;  // whose jobs its hosts may run; empty: all
  Millis expires = 0;
  int uses = 1;
  int uses_left = 1;
  std::string created_by;
  Millis created_at = 0;
  bool operator==(const JoinToken&) const = default;
};

// A host that has joined with a join token. It owns its name for its tenants, and comes back by its own secret, also
// after it was away for long.
struct Enrolment {
  Uuid id;
  std::string name;
  std::optional<std::vector<std::string>> tenants;  // in order; absent: any
  std::string secret_sha256;
  std::string earlier_sha256;  // the secret before, until the new one is used; empty: none
  Millis earlier_until = 0;    // and until then at most
  Millis secret_since = 0;
  Uuid join_token;
  std::string joining;      // SHA-256 of the random id with which it joined; empty: it has used its secret since
  std::int64_t change = 0;  // the host's number of the call that gave it this secret: older ones come too late
  Millis enrolled_at = 0;
  bool operator==(const Enrolment&) const = default;
};

}  // namespace geres::model
