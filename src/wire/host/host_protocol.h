// SPDX-License-Identifier: Apache-2.0
// What a host and the hub say to each other: bodies of POST /v1/hosts, …/fetch and …/report, read and written by both
// sides from these structs (base/json.h). docs/host_protocol.md tells the story for other languages.
//
// The two sides may be of different versions. Members that a reader does not know are ignored on both sides, but for
// hosts and hubs of 0.1.0, which refuse them. So a member that came later is sent only where the other side has its
// protocol, a number that grows: a host says its own in a header of its registration, which old hubs pass over, and a
// hub answers the smaller of the two, but only where it was asked.
#pragma once

#include <boost/describe/class.hpp>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "model/attempt.h"
#include "model/batch.h"

namespace geres::wire {

// 1 is what hosts and hubs of 0.1.0 have, and who says none.
// 2 has `health` in a report, and `filesLeftOut` in an end.
// 3 has uploads by links, and such that are taken up again where they broke off.
constexpr int kProtocol = 3;
constexpr std::string_view kProtocolHeader = "Geres-Protocol";
// How a host keeps jobs apart: `user`, `fenced` or `none`. A header of the registration, too, as hubs of 0.1.0 refuse
// members of the body that they do not know.
constexpr std::string_view kIsolationHeader = "Geres-Isolation";
// How it holds jobs to their limits, likewise: `memory=HELD, processes=HELD`, each one cgroup2, cgroup1 or watched.
constexpr std::string_view kLimitsHeader = "Geres-Limits";

// The machine that it runs on, likewise, where somebody makes those: its pool, and what its provider calls it.
constexpr std::string_view kPoolHeader = "Geres-Pool";
constexpr std::string_view kInstanceHeader = "Geres-Instance";

// POST /v1/hosts
struct RegisterHost {
  static constexpr std::string_view kRequired[] = {"name", "slots"};
  std::string name;
  int slots = 1;
  std::map<std::string, std::string> labels;
  json::Size memory;
  std::optional<std::vector<std::string>> types;    // absent: any
  bool packages = true;                             // runs packaged jobs
  std::optional<std::vector<std::string>> tenants;  // absent: any the token allows
  std::optional<std::string> replaces;              // id of this host's earlier life: its leases come back at once
  std::string containment;
  std::optional<std::string> joining;  // with a join token: drawn by the host; with it a lost answer may be asked again
  std::optional<std::int64_t> change;  // with it: grows with each such call, so that a copy that comes late is known
};
BOOST_DESCRIBE_STRUCT(RegisterHost, (),
                      (name, slots, labels, memory, types, packages, tenants, replaces, containment, joining, change))

struct Registered {
  std::string id;
  std::string secret;           // bearer for this host's own calls and nothing else
  double reportSeconds = 5;     // report at least so often
  std::optional<int> protocol;  // of both sides; only to hosts that have said theirs
};
BOOST_DESCRIBE_STRUCT(Registered, (), (id, secret, reportSeconds, protocol))

// POST /v1/hosts/{id}/secret: for a host that has joined with a join token.
struct RenewSecret {
  static constexpr std::string_view kRequired[] = {"change"};
  std::int64_t change = 0;  // grows with each call that asks for a secret, that of the registration included
};
BOOST_DESCRIBE_STRUCT(RenewSecret, (), (change))

struct RenewedSecret {
  std::string secret;  // good from now on; the one before is, too, until this one is used, for an hour at most
};
BOOST_DESCRIBE_STRUCT(RenewedSecret, (), (secret))

// POST /v1/hosts/{id}/fetch
struct Fetch {
  static constexpr std::string_view kRequired[] = {"fetchId", "slots"};
  std::string fetchId;  // drawn by the host, one per call; a repeat gets the same answer
  int slots = 0;        // all of the host; the hub counts which are free. 0: it takes no jobs
  json::Duration wait{20'000};
};
BOOST_DESCRIBE_STRUCT(Fetch, (), (fetchId, slots, wait))

struct PackageRef {
  std::string name;
  std::string sha256;
  std::string url;  // path on the hub
};
BOOST_DESCRIBE_STRUCT(PackageRef, (), (name, sha256, url))

// An input as the host needs it: always by digest.
struct InputRef {
  std::string path;
  std::string sha256;
  std::string url;
};
BOOST_DESCRIBE_STRUCT(InputRef, (), (path, sha256, url))

struct LeaseGrant {
  std::string lease;
  std::int64_t ttlMs = 0;
  int attempt = 0;
  json::value job;  // the job as GET /v1/jobs/{id} shows it
  std::optional<PackageRef> package;
  std::vector<InputRef> inputs;
  std::int64_t timeoutMs = 0;  // 0: none
};
BOOST_DESCRIBE_STRUCT(LeaseGrant, (), (lease, ttlMs, attempt, job, package, inputs, timeoutMs))

struct CancelOrder {
  std::string lease;
  std::int64_t graceMs = 10'000;
};
BOOST_DESCRIBE_STRUCT(CancelOrder, (), (lease, graceMs))

struct Fetched {
  std::int64_t heldMs = 0;  // how long the hub held the call; leases count from sent + heldMs
  std::vector<LeaseGrant> leases;
  std::vector<CancelOrder> cancel;
  model::HostMode mode = model::HostMode::run;
};
BOOST_DESCRIBE_STRUCT(Fetched, (), (heldMs, leases, cancel, mode))

// POST /v1/hosts/{id}/report
struct ProgressItem {
  static constexpr std::string_view kRequired[] = {"lease"};
  std::string lease;
  std::optional<int> percent;
  std::string message;
};
BOOST_DESCRIBE_STRUCT(ProgressItem, (), (lease, percent, message))

struct LogItem {
  static constexpr std::string_view kRequired[] = {"lease", "stream", "offset", "data"};
  std::string lease;
  std::string stream;  // stdout | stderr
  std::int64_t offset = 0;
  std::string data;  // base64
};
BOOST_DESCRIBE_STRUCT(LogItem, (), (lease, stream, offset, data))

struct ExitShape {
  std::optional<int> code;
  std::optional<int> signal;
};
BOOST_DESCRIBE_STRUCT(ExitShape, (), (code, signal))

struct UsageShape {
  double cpuSeconds = 0;
  std::int64_t maxRssBytes = 0;
};
BOOST_DESCRIBE_STRUCT(UsageShape, (), (cpuSeconds, maxRssBytes))

struct FileItem {
  static constexpr std::string_view kRequired[] = {"path", "size", "sha256"};
  std::string path;
  std::int64_t size = 0;
  std::string sha256;
};
BOOST_DESCRIBE_STRUCT(FileItem, (), (path, size, sha256))

struct FilesLeftOutShape {
  std::int64_t count = 0;
  std::vector<model::LeftOutFile> named;  // the first of them, at most 100
};
BOOST_DESCRIBE_STRUCT(FilesLeftOutShape, (), (count, named))

// The first words of the error of a `released` attempt that never started, where that was no accident: the host could
// not start it and would fail with others as well, or has no room for this job's files. The rest is the reason.
inline constexpr std::string_view kNotStarted = "given back, not started: ";
inline constexpr std::string_view kNoRoom = "given back, no room for it: ";

struct FinishedItem {
  static constexpr std::string_view kRequired[] = {"lease", "outcome"};
  std::string lease;
  model::Outcome outcome = model::Outcome::finished;  // `expired` is refused: it is the hub's word
  std::optional<std::string> result;
  bool resultTruncated = false;
  std::optional<ExitShape> exit;
  std::optional<UsageShape> usage;
  std::string error;  // one sentence: exit or signal, last stderr line
  std::vector<FileItem> files;
  std::optional<FilesLeftOutShape> filesLeftOut;  // absent: none was; hubs before 0.2 do not know it
  std::optional<model::Cause> cause;              // nor this
  std::optional<std::int64_t> memoryLimit;        // with outOfMemory: that it ran into; absent: the machine had no more
};
BOOST_DESCRIBE_STRUCT(FinishedItem, (),
                      (lease, outcome, result, resultTruncated, exit, usage, error, files, filesLeftOut, cause,
                       memoryLimit))

// That a host takes no jobs by its own will, and why.
struct HealthItem {
  static constexpr std::string_view kRequired[] = {"state"};
  model::Health state = model::Health::well;
  std::string reason;
};
BOOST_DESCRIBE_STRUCT(HealthItem, (), (state, reason))

struct Report {
  static constexpr std::string_view kRequired[] = {"seq", "running"};
  std::int64_t seq = 0;              // grows with each report; a late one renews and releases nothing
  std::string fetched;               // the last fetchId whose answer was taken in
  std::optional<bool> fetchedOnly;   // true, for hubs of 0.1.0: that answer alone, which here goes without saying
  std::vector<std::string> running;  // every lease held, started or not
  std::vector<std::string> started;
  std::vector<ProgressItem> progress;
  std::vector<LogItem> log;
  std::vector<FinishedItem> finished;
  bool leaving = false;              // the host's last report: it goes away after this
  std::optional<HealthItem> health;  // as it is now; absent: well
};
BOOST_DESCRIBE_STRUCT(Report, (),
                      (seq, fetched, fetchedOnly, running, started, progress, log, finished, leaving, health))

struct RefusedItem {
  std::string lease;
  std::string code;  // stale | conflict | filesMissing
};
BOOST_DESCRIBE_STRUCT(RefusedItem, (), (lease, code))

struct Reported {
  std::vector<std::string> accepted;
  std::vector<RefusedItem> refused;
  std::vector<std::string> lost;  // leases named in `running` that are not this host's any more: kill them
  std::vector<CancelOrder> cancel;
  model::HostMode mode = model::HostMode::run;
};
BOOST_DESCRIBE_STRUCT(Reported, (), (accepted, refused, lost, cancel, mode))

// POST …/leases/{lease}/uploads: before a file is sent (protocol 3)
struct BeginUpload {
  static constexpr std::string_view kRequired[] = {"sha256", "size"};
  std::string sha256;
  std::int64_t size = 0;
};
BOOST_DESCRIBE_STRUCT(BeginUpload, (), (sha256, size))

// Where bytes are put, and what the request must carry besides. A secret while it lasts.
struct LinkShape {
  std::string url;
  std::map<std::string, std::string> headers;
};
BOOST_DESCRIBE_STRUCT(LinkShape, (), (url, headers))

// Its answer: one of four ways.
struct UploadPlan {
  bool there = false;                 // nothing is to be sent
  std::optional<LinkShape> link;      // all of it goes there, then …/uploads/{sha256}/arrived says so
  std::optional<std::string> upload;  // parts of `partBytes` each, by links of …/uploads/{sha256}/parts; then likewise
  std::int64_t partBytes = 0;
  std::int64_t received = 0;  // none of these: to the hub, which has so many bytes of an earlier try (?from=)
};
BOOST_DESCRIBE_STRUCT(UploadPlan, (), (there, link, upload, partBytes, received))

// POST …/uploads/{sha256}/parts: one part's link
struct UploadPart {
  static constexpr std::string_view kRequired[] = {"upload", "number", "sha256"};
  std::string upload;
  int number = 0;      // from 1
  std::string sha256;  // of the part
};
BOOST_DESCRIBE_STRUCT(UploadPart, (), (upload, number, sha256))

struct ArrivedPart {
  static constexpr std::string_view kRequired[] = {"sha256"};
  std::string etag;  // as the store answered
  std::string sha256;
};
BOOST_DESCRIBE_STRUCT(ArrivedPart, (), (etag, sha256))

// POST …/uploads/{sha256}/arrived
struct UploadArrived {
  static constexpr std::string_view kRequired[] = {"size"};
  std::int64_t size = 0;
  std::string upload;  // of parts
  std::vector<ArrivedPart> parts;
};
BOOST_DESCRIBE_STRUCT(UploadArrived, (), (size, upload, parts))

}  // namespace geres::wire
