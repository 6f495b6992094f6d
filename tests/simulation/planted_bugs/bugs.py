# SPDX-License-Identifier: Apache-2.0
# Bugs that the simulation must find: a place in the product, what stands there, what a careless change might make of it,
# and the invariants of which one is expected to be violated. The text must occur once in its file; when the product
# changes there, the bug changes with it.
from typing import NamedTuple


class Bug(NamedTuple):
    name: str
    file: str  # under src/
    before: str
    after: str
    expected: str  # invariants, by space; "any" where several ways lead there


ENGINE = "hub/engine/engine.cpp"
ENGINE_STORE = "hub/engine/engine_store.cpp"
ATTEMPTS = "hub/engine/attempts.cpp"
BOARD_HOSTS = "hub/engine/board_hosts.cpp"
BOARD_LANES = "hub/engine/board_lanes.cpp"
BATCHES = "hub/engine/batches.cpp"
BUFFERED_STORE = "hub/engine/buffered_store.cpp"
ENROLMENTS = "hub/engine/enrolments.cpp"
EVENT_LOG = "hub/engine/event_log.cpp"
FETCHES = "hub/engine/fetches.cpp"
JOB_BOOK = "hub/engine/job_book.cpp"
JOB_VERBS = "hub/engine/job_verbs.cpp"
LANES = "hub/engine/lanes.cpp"
LOAD = "hub/engine/load.cpp"
HOSTS = "hub/engine/hosts.cpp"
MACHINES = "hub/engine/machines.cpp"
MEMORY_RETRY = "hub/engine/memory_retry.cpp"
BOARD_PASS = "hub/engine/board_pass.cpp"
OPERATIONS = "hub/engine/operations.cpp"
REPORTING = "hub/engine/reporting.cpp"
RETENTION = "hub/engine/retention.cpp"
SCALING = "hub/engine/scaling.cpp"
SUBMITTING = "hub/engine/submitting.cpp"
TROUBLE = "hub/engine/host_trouble.cpp"
VERBS = "hub/engine/engine_verbs.cpp"
SQLITE = "hub/store/sqlite/sqlite_store.cpp"

BUGS = [
    # ---- a fleet that sizes itself
    Bug("a-machine-is-taken-from-a-job", MACHINES,
        "           return !host.leases.empty() || host.row.mode != model::HostMode::stop;\n",
        "           return host.row.mode != model::HostMode::stop;\n", "scaler I4 audit"),
    Bug("a-machine-is-taken-that-may-be-granted-to", MACHINES,
        "           return !host.leases.empty() || host.row.mode != model::HostMode::stop;\n",
        "           return !host.leases.empty();\n", "scaler I4 audit"),
    Bug("who-joins-late-on-a-removed-machine-is-served", MACHINES,
        "    host.mode = model::HostMode::stop;\n", "", "scaler I4 audit"),
    Bug("the-scaler-resumes-what-an-operator-drains", SCALING,
        "const bool own = row.mode_by == ModeBy::scaler && row.mode == HostMode::drain;",
        "const bool own = row.mode == HostMode::drain;", "scaler"),
    Bug("an-old-scaler-is-believed", SCALING,
        "  if (epoch == state_.scaler.epoch && epoch > 0) return {};\n",
        "  if (epoch <= state_.scaler.epoch && epoch > 0) return {};\n", "scaler"),
    Bug("a-packed-host-is-not-looked-at-from-the-fullest-on", BOARD_PASS,
        "    auto at = kind.packed ? hosts.lower_bound(place_rank(true, slots, kind.like.slots)) : hosts.begin();\n",
        "    auto at = hosts.begin();\n    if (kind.packed && at != hosts.end()) at = std::prev(hosts.end());\n", "pass"),
    Bug("a-host-that-has-done-such-work-is-not-found", BOARD_PASS,
        "kind->have_done.find(claim.work)", "kind->have_done.find(0)", "pass"),
    Bug("an-operators-drain-is-forgotten-with-its-host", HOSTS,
        "      drained != state_.host_drains.end()) {\n", "      drained == state_.host_drains.end() && false) {\n", "drain"),
    # ---- running out of memory
    Bug("asks-for-more-memory-than-any-host-has", MEMORY_RETRY,
        "  const auto bytes = std::min({twice, of_tenant, of_hosts});\n",
        "  const auto bytes = std::min(twice, of_tenant);\n", "I8 memory"),
    Bug("asks-for-more-memory-than-its-tenant-may", MEMORY_RETRY,
        "  const auto bytes = std::min({twice, of_tenant, of_hosts});\n",
        "  const auto bytes = std::min(twice, of_hosts);\n", "memory"),
    Bug("is-promised-more-memory-and-does-not-get-it", ATTEMPTS,
        "  if (more.bytes > 0) status.memory = more.bytes;\n", "", "memory"),
    # ---- commits and answers
    Bug("answer-before-commit", ENGINE,
        "      committing = true;\n",
        "      committing = true;\n      for (auto& command : commands) command->settle(*tick);\n      commands.clear();\n",
        "I1 I3 I7 I9 I12 answer"),
    Bug("unknown-taken-for-failed", ENGINE_STORE,
        "    finish(tick, commands);\n    commands.clear();\n    return Ran::committed;\n", "    return Ran::refused;\n", "any"),
    Bug("unknown-taken-for-done", ENGINE_STORE,
        "  if (became == store::Committed::done) {\n", "  if (became != store::Committed::deposed) {\n", "any"),
    Bug("doubt-ends-before-the-store-answers", ENGINE_STORE,
        "    if (!in_step()) return std::nullopt;\n", "    if (!in_step()) return store::Committed::not_done;\n", "any"),
    Bug("what-is-taken-away-stays", BUFFERED_STORE,
        "    if (fate.removed) removed.push_back(key);\n", "", "any"),
    Bug("tick-number-stands-still", ENGINE,
        "      state_->tick = number;\n", "", "any"),
    Bug("state-kept-after-a-refused-tick", ENGINE,
        "    store_.rollback();\n    work.stale = true;\n    if (failed",
        "    store_.rollback();\n    work.stale = failed.failure == store::Failure::unknown;\n    if (failed", "any"),
    # ---- what is read after a start
    Bug("log-read-before-it-is-durable", SQLITE,
        "      settle_log();\n", "", "I1 I2 I4 I5 I11 I12"),
    Bug("log-synced-but-not-written-anew", SQLITE,
        "const int written = log->pMethods->xWrite(log, bytes.data(), length, at);",
        "const int written = SQLITE_OK;", "I1 I2 I4 I5 I11 I12"),
    # ---- leases
    Bug("no-fence", ATTEMPTS,
        "found != state_.leases.end() && found->second.row.name == name ?",
        "found != state_.leases.end() ?", "I3 I4 I5"),
    Bug("other-end-accepted", REPORTING,
        "  if (recorded == item.outcome && row->attempt.exit == item.exit) return Verdict::accepted;\n",
        "  return Verdict::accepted;\n", "I3"),
    Bug("repeated-end-refused", REPORTING,
        "  if (recorded == item.outcome && row->attempt.exit == item.exit) return Verdict::accepted;\n",
        "", "I3"),
    Bug("lease-by-the-time-of-day", ENGINE,
        "          monotonic - clockwork_->paused, clockwork_->ages};",
        "          clock_.wall() - clockwork_->paused, clockwork_->ages};", "I5 I6 I8"),
    Bug("leased-again-too-early", REPORTING,
        "      lease->deadline = now_.lease + lease->row.ttl;",
        "      lease->deadline = now_.lease + lease->row.ttl - 1'000;", "I5 I6"),
    Bug("first-lease-too-short", ATTEMPTS,
        "  lease.deadline = now_.lease + row.ttl;",
        "  lease.deadline = now_.lease + row.ttl - 1'000;", "I5 I6"),
    Bug("renewals-forgotten", ATTEMPTS,
        "    if (lease->deadline > now_.lease) {  // renewed since",
        "    if (false) {", "I5 I6"),
    Bug("leases-short-after-a-start", LOAD,
        "    lease.deadline = now.lease + lease.row.ttl;",
        "    lease.deadline = now.lease + 300;", "I5 I6"),
    Bug("held-counted-to-the-answer", ENGINE,
        "std::max<Millis>(0, monotonic - fetch->call.received_at)",
        "clock_.monotonic() - fetch->call.received_at", "I5 I6"),
    Bug("unheard-released-before-its-answer-came", REPORTING,
        "if (heard(lease.row.fetch_id) && !named", "if (!named", "I5 I6"),
    Bug("fetch-not-idempotent", FETCHES,
        "    again.leases = leases_of_fetch(*host, call.fetch_id);\n", "", "fetch"),
    Bug("repeated-fetch-tells-no-cancel", FETCHES,
        "    again.cancel = cancels_of_fetch(*host, call.fetch_id);\n", "", "I9"),
    Bug("order-heard-before-its-lease", FETCHES,
        "cancel_confirmed = told.second.sure", "cancel_confirmed = true", "I9"),
    Bug("copy-of-a-fetch-told-nothing", VERBS,
        "(repeated ? tick.round.out.repeated_fetches : tick.round.out.replaced_fetches)",
        "tick.round.out.replaced_fetches", "I9"),
    # ---- attempts and their counts
    Bug("attempt-starts-again-at-one", JOB_BOOK,
        "  move(job, Trigger::retry);\n", "  job.status.attempt = 0;\n  move(job, Trigger::retry);\n", "any"),
    Bug("retry-resets-failures", ATTEMPTS, "      ++status.failures;\n", "      status.failures = 1;\n", "I10 I8 unstarted"),
    Bug("one-failure-too-many", ATTEMPTS,
        "if (status.failures >= job.spec.max_attempts)", "if (status.failures > job.spec.max_attempts)", "I10"),
    Bug("host-loss-not-counted", ATTEMPTS, "      ++status.host_losses;\n", "", "I10 I8"),
    Bug("poison-lives-on", TROUBLE,
        "if (status.host_losses < losses_max) return false;",
        "if (status.host_losses <= losses_max) return false;", "I10 audit"),
    Bug("retry-never-due", JOB_BOOK,
        "  make_scheduled({job.id.seq(), now_.engine + pause, false, pause});\n",
        "", "I8"),
    Bug("result-lost", ATTEMPTS, "    status.result = item->result;\n", "", "I3"),
    Bug("start-not-stored", ATTEMPTS,
        "  store_.put(lease.row);\n  if (const auto host = state_.hosts",
        "  if (const auto host = state_.hosts", "I11 I12"),
    # ---- cancel
    Bug("cancel-flag-in-memory-only", ATTEMPTS,
        "  state_.news.insert(lease.row.host);\n  store_.put(lease.row);\n",
        "  state_.news.insert(lease.row.host);\n", "I9 I12"),
    Bug("released-after-a-cancel", ATTEMPTS,
        "    case Outcome::released:\n      if (cancel_requested) return book_.cancel(job);\n",
        "    case Outcome::released:\n", "I9"),
    Bug("lost-after-a-cancel", ATTEMPTS,
        "      ++status.host_losses;\n      if (cancel_requested) return book_.cancel(job);\n",
        "      ++status.host_losses;\n", "I9"),
    Bug("retried-after-a-cancel", ATTEMPTS,
        "      if (cancel_requested) return book_.cancel(job);\n      ++stats_.retried;",
        "      ++stats_.retried;", "I9"),
    # ---- hosts that cannot start jobs
    Bug("unstarted-counts-as-a-loss", ATTEMPTS,
        "      return unstarted ? settle_unstarted(job)",
        "      if (unstarted && ++status.host_losses >= options_.host_losses_max) return book_.fail_for_good(job, Reason::poison);\n"
        "      return unstarted ? settle_unstarted(job)", "I10 audit"),
    Bug("unstarted-is-ready-at-once", ATTEMPTS,
        "      return unstarted ? settle_unstarted(job) : ready_again(job, lane);", "      return ready_again(job, lane);", "unstarted"),
    Bug("sick-host-not-avoided", "hub/engine/placement.cpp",
        "  if (claim.avoids(host)) return Hurdle::avoided;\n", "", "unstarted I8"),
    Bug("avoided-host-forgotten-at-a-start", "hub/store/sqlite/json_columns.cpp",
        "  trouble.avoid = string_in(members, \"avoid\");\n", "", "any"),
    Bug("sick-host-never-rests", TROUBLE,
        "    rests = item->given_back == GivenBack::not_started && health", "    rests = false && health", "unstarted"),
    Bug("sick-host-tried-with-all", BOARD_HOSTS,
        "  view.on_trial = host.health.on_trial(now);\n", "", "unstarted"),
    Bug("day-never-ends", ATTEMPTS,
        "  if (now_.engine - trouble.since >= options_.unstarted_max) {", "  if (false) {", "unstarted"),
    Bug("day-ends-early", ATTEMPTS,
        "  if (now_.engine - trouble.since >= options_.unstarted_max) {",
        "  if (now_.engine - trouble.since >= options_.unstarted_max / 2) {", "unstarted"),
    Bug("day-goes-on-over-a-start", TROUBLE,
        "  trouble.unstarted = 0;\n  trouble.since = 0;\n", "", "unstarted"),
    Bug("slice-skips-a-row", OPERATIONS,
        "  operation.cursor = slice.cursor;", "  operation.cursor = slice.cursor + 1;", "I9 I8"),
    Bug("operations-forgotten-at-a-start", LOAD,
        "  for (auto& row : image.operations) state.operations.emplace(row.id, std::move(row));\n", "", "I8 I9"),
    Bug("batch-cancel-spares-what-runs", BATCHES,
        "model::JobState::ready, model::JobState::leased,\n                   model::JobState::running};",
        "model::JobState::ready};", "I8 I9"),
    Bug("batch-cancel-tells-what-runs-later", OPERATIONS,
        "  if (kind == OperationKind::cancel_batch || kind == OperationKind::cancel_filter) cancel_leased(operation);\n",
        "", "I9"),
    Bug("batch-forgotten-with-jobs", JOB_BOOK,
        "    if (std::any_of(counts.begin(), counts.end(), [](auto n) { return n != 0; })) return false;\n",
        "    if (false) return false;\n", "I1 I8 audit counters"),
    Bug("dead-letter-uncounted", JOB_BOOK, "++stats_.jobs_failed, count_dead_letter(job, +1);", "++stats_.jobs_failed;",
        "audit"),
    Bug("redrive-settles-nothing", JOB_BOOK,
        "  if (job.status.redrive_of) settle_redriven(*job.status.redrive_of);\n",
        "", "I2"),
    Bug("bulk-cancel-over-all-tenants", OPERATIONS, "  if (!caller.all_tenants) {\n", "  if (false) {\n", "I9 I13"),
    Bug("close-strands-the-queue", BOARD_LANES,
        "batch.row.state == model::BatchState::cancelled ||", "batch.row.state != model::BatchState::open ||", "I8"),
    # ---- submits
    Bug("list-key-forgotten-before-its-jobs", "hub/store/sqlite/tick_reads.cpp", "    if (kept) continue;\n", "", "I7"),
    Bug("list-key-not-kept", SUBMITTING,
        "  if (!submit.list_key.empty())\n    store_.changes().list_keys",
        "  if (false)\n    store_.changes().list_keys", "I7"),
    Bug("key-answers-for-anything", SUBMITTING,
        "      if (found[k]->digest != submit.jobs[askers[k]].spec.key_digest) return reused(askers[k], asked[k].key);\n",
        "", "I7"),
    Bug("list-done-in-part", SUBMITTING,
        "  if (auto ok = check_queue_limits(prepared, submit); !ok) return ok.error();\n",
        "  if (auto ok = check_queue_limits(prepared, submit); !ok) {\n"
        "    if (!prepared[0].existing && submit.jobs[0].spec.key.empty()) {\n"
        "      auto where = lanes_.lane(store::lane_key(prepared[0].spec));\n"
        "      if (where) book_.insert(prepared[0].spec, **where, std::nullopt);\n"
        "    }\n    return ok.error();\n  }\n", "I7 refusal"),
    Bug("another-tenants-job-seen", JOB_BOOK,
        "  if (job && !caller.sees(job->spec.tenant)) return std::nullopt;\n", "", "I9 I13"),
    Bug("redrive-not-linked", JOB_BOOK, "  old.status.redriven_as = made.id;\n", "", "I2"),
    Bug("redrive-changes-the-old-job", JOB_BOOK,
        "  auto made = insert(spec, **where, old.id);\n",
        "  auto made = insert(spec, **where, old.id);\n  old.status.state = JobState::cancelled;\n", "I2 counters"),
    # ---- events
    Bug("event-outside-the-transaction", EVENT_LOG,
        "  store_.changes().events.push_back(event);\n",
        "", "I11"),
    Bug("cancel-without-an-event", JOB_BOOK,
        "  move(job, Trigger::cancel);\n  events_.emit(EventType::job_cancelled, job);\n",
        "  move(job, Trigger::cancel);\n", "I8 I2"),
    Bug("events-numbered-anew-at-a-start", LOAD, "  state->last_event = image.last_event;\n", "", "any"),
    Bug("refused-patch-takes-the-job-out", JOB_VERBS,
        "      if (!found) return found.error();\n      where", "      if (!found) return book_.take_out(*job), found.error();\n      where",
        "refusal"),
    # ---- who may join
    Bug("join-token-without-end", ENROLMENTS, "    --token.uses_left;\n", "", "join audit"),
    Bug("coming-back-changes-the-secret", ENROLMENTS,
        "  admission.enrolment->joining.clear();\n",
        "  admission.enrolment->joining.clear();\n"
        "  admission.enrolment->secret_sha256 = std::string(64, char('0' + now_.wall % 10));\n"
        "  admission.writes_enrolment = true;\n", "secret"),
    Bug("earlier-secret-ends-at-once", ENROLMENTS,
        "  enrolment.earlier_sha256 = wanted.presented;\n", "", "secret audit"),
    # ---- limits, shares, counters
    Bug("limit-counted-twice", ATTEMPTS,
        "  ++lane.tenant->running;\n", "  lane.tenant->running += 2;\n", "counters I8"),
    Bug("limit-freed-at-a-cancel", ATTEMPTS,
        "  lease.row.cancel_grace = what.grace;\n",
        "  lease.row.cancel_grace = what.grace;\n  --lease.lane->tenant->running;\n", "counters I14"),
    Bug("limits-forgotten-at-a-start", LOAD, "    ++lease.lane->tenant->running;\n", "", "counters I14"),
    Bug("batch-limit-forgotten-at-a-start", LOAD, "    ++lease.lane->batch->running;\n", "", "counters I14"),
    Bug("shares-ignored", BOARD_LANES, "tenant.account.charged(now) + place.slot_time", "0", "I14"),
    Bug("who-waits-is-put-where-others-stand", BOARD_LANES,
        "if (contends && !place.contended) newcomers",
        "if (contends && (!place.contended || tenant->running == 0)) newcomers", "I14"),
    Bug("slot-time-not-charged", ATTEMPTS, "  settle_charge(lease, now_.monotonic);\n", "", "I14"),
    Bug("running-jobs-are-free", "hub/engine/account.cpp",
        "settled_ + expected_ + overrun_.at(now) + idle_.at(now)", "settled_ + idle_.at(now)", "I14"),
    Bug("weights-ignored", BOARD_LANES,
        "place.slot_time, tenant.row.weight)", "place.slot_time, 1)", "I14"),
    Bug("parked-for-ever", BOARD_HOSTS, "  lanes_.has_room(host);\n", "", "I8"),
    Bug("pause-not-told-to-the-board", BATCHES, "  state_.board.touch(**found);\n", "", "pass"),
    Bug("gathered-believed-for-ever", BUFFERED_STORE, "  gathered_->outdate(changes_);\n", "", "I2"),
    Bug("turn-stands-too-late", BOARD_LANES,
        "  if (!(standing < place.latest)) return;\n", "  return;\n", "pass"),
    Bug("standing-not-looked-at-again", "hub/engine/board_pass.cpp",
        "      if (standing == turn.standing) return", "      return", "pass"),
    Bug("count-not-taken-back", JOB_BOOK,
        "  count(batch, job.spec.tenant, job.status.state, -1);\n  count(batch, job.spec.tenant, *to, +1);\n",
        "  count(batch, job.spec.tenant, *to, +1);\n", "counters"),
    Bug("head-kept-after-it-left", LANES,
        "  if (lane.ready == 0 || lane.head == row) lane.head.reset();\n", "", "counters any"),
    # ---- retention
    Bug("purged-too-early", RETENTION,
        "    const Millis keep = std::max(rule.keep, options_.keep_key_min);\n", "    const Millis keep = 0;\n", "I1"),
    Bug("purge-of-a-job-that-waits", RETENTION,
        "    if (ids.size() < options_.slice) ++state_.sweep_step;\n",
        "    for (auto& [no, lane] : state_.lanes_by_no)\n"
        "      if (lane->head)\n"
        "        for (const auto& job : store_.read().jobs_by_seq(std::span(&lane->head->seq, 1)))\n"
        "          store_.changes().jobs_purged.push_back(job.id);\n"
        "    if (ids.size() < options_.slice) ++state_.sweep_step;\n", "any"),
]
