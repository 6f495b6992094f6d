// SPDX-License-Identifier: Apache-2.0
// The auditor: whatever the engine writes breaks no rule, and one row changed by hand is found, by the rule that it
// breaks and by no other.
#include "hub/store/sqlite/audit.h"

#include "hub/engine/engine_fixture.h"
#include "hub/store/sqlite/store_file.h"

namespace geres::hub::engine {
namespace {

using model::JobState;
using model::Outcome;

constexpr const char* kReady = "(SELECT seq FROM job WHERE name = 'ready')";
constexpr const char* kNightLane = "(SELECT lane FROM ready WHERE seq = (SELECT seq FROM job WHERE name = 'nightly'))";
constexpr const char* kEmptyLane = "(SELECT no FROM lane WHERE type = 'Other' AND no NOT IN (SELECT lane FROM ready))";

std::string seq_of(const std::string& name) {
  return "(SELECT seq FROM job WHERE name = '" + name + "')";
}

// A job of every kind, each under a name of its own.
class EngineAudit : public EngineTest {
 protected:
  NewJob named(const std::string& name, const std::string& type = "Work") {
    auto one = job(type);
    one.spec.name = name;
    return one;
  }

  // Grants what is next in line, which must be this one.
  store::LeaseRow grant(TestHost& host, Uuid id) {
    const auto lease = fetch(host).leases.at(0).lease;
    EXPECT_EQ(lease.job, id);
    return lease;
  }

  // A job that is alone in line while it is granted.
  Uuid ends(TestHost& host, const std::string& name, Outcome outcome, int max_attempts = 1) {
    auto one = named(name);
    one.spec.max_attempts = max_attempts;
    const auto id = submit(one);
    auto item = completion(grant(host, id).name, outcome, outcome == Outcome::finished ? 0 : 1);
    if (outcome == Outcome::finished) {
      item.result = "42";
      item.files = {{"out/a.txt", 3, std::string(64, '5')}};
    }
    ReportCall call;
    call.finished = {item};
    EXPECT_EQ(send(host, call).accepted.size(), 1u);
    return id;
  }

  void build() {
    push();
    batch("gone");
    batch("night");
    auto host = join("h", 8);
    webhooks();
    cursor();
    ends(host, "finished", Outcome::finished);
    ends(host, "failed", Outcome::failed);
    ends(host, "aborted", Outcome::aborted);
    ends(host, "no-package", Outcome::package);
    ends(host, "no-type", Outcome::type);
    ends(host, "timeout", Outcome::timeout);
    ends(host, "retrying", Outcome::failed, 3);
    poison();
    Slot<model::Job> again;
    engine->ask(RedriveJob{admin(), ends(host, "first", Outcome::failed)}, again.answer());
    tick();
    grant(host, again.value().id);
    start(host, grant_of(submit(named("running")), host).name);
    grant_of(submit(named("leased")), host);
    const auto released = submit(named("released"));
    finish(host, grant(host, released).name, Outcome::released);
    const auto twice = fetch(host).leases.at(0).lease;
    finish(host, twice.name, Outcome::released);
    waiting();
  }

  // One for jobs, which has something to tell, and one of the feed.
  void webhooks() {
    for (const bool for_jobs : {true, false}) {
      model::Webhook webhook;
      webhook.tenant = "acme";
      webhook.for_jobs = for_jobs;
      webhook.url = for_jobs ? "" : "https://example.com/";
      webhook.secret = "whsec_x";
      Slot<model::Webhook> slot;
      engine->ask(CreateWebhook{admin(), webhook}, slot.answer());
      tick();
      EXPECT_EQ(slot.value().for_jobs, for_jobs);
    }
    auto one = named("told");
    one.spec.webhook = {"https://example.com/job", {}};
    cancel(submit(one));
  }

  void cursor() {
    Slot<bool> slot;
    engine->ask(StoreCursor{{"amqp", engine->log(), engine->last_event()}}, slot.answer());
    tick();
    EXPECT_TRUE(slot.value());
  }

  store::LeaseRow grant_of(Uuid id, TestHost& host) { return grant(host, id); }

  void poison() {
    auto bad = named("poison");
    bad.spec.requirements.labels = {{"room", "two"}};
    const auto id = submit(bad);
    auto host = join("poisoned", 1, {{"room", "two"}});
    for (int life = 0; life < 3; ++life) {
      grant(host, id);
      host = join("poisoned", 1, {{"room", "two"}}, host.id);
    }
    EXPECT_EQ(get(id).status.reason, model::Reason::poison);
    auto lost = named("lost");
    lost.spec.requirements.labels = {{"room", "one"}};
    submit(lost);
    auto only = join("only", 1, {{"room", "one"}});
    fetch(only);
    join("only", 1, {{"room", "one"}}, only.id);
  }

  void waiting() {
    submit(named("ready"));
    auto timed = named("timed");
    timed.spec.queue_timeout = 60'000;
    submit(timed);
    auto later = named("later");
    later.spec.delay = 60'000;
    submit(later);
    auto nightly = named("nightly");
    nightly.batch = "night";
    submit(nightly);
    auto keyed = named("keyed");
    keyed.spec.key = "k";
    keyed.spec.key_digest = "d";
    submit(keyed);
    auto input = named("input");
    input.spec.inputs = {{"in.txt", std::string(64, '7'), {}, {}}};
    input.spec.requirements = {1, 1 << 20, {{"gpu", "a \"quoted\" one"}}};
    submit(input);
    auto in_gone = named("gone", "Other");
    in_gone.batch = "gone";
    cancel(submit(in_gone));
    auto elsewhere = named("elsewhere");
    elsewhere.spec.tenant = "globex";
    elsewhere.spec.package.clear();
    cancel(submit(elsewhere));
    Slot<Submitted> slot;
    Submit list;
    list.caller = caller();
    list.list = true;
    list.list_key = "list";
    list.jobs = {named("of-list"), named("of-list-too")};
    engine->ask(std::move(list), slot.answer());
    tick();
    slot.value();
  }

  store::Audit audited() { return store::audit_sqlite(store_file(), {.now = clock.wall()}); }

  void change(const std::string& sql) {
    store::sqlite::Database database(store_file(), SQLITE_OPEN_READWRITE, "");
    database.execute(sql);
  }
  std::string value(const std::string& sql) {
    store::sqlite::Database database(store_file(), SQLITE_OPEN_READONLY, "");
    auto rows = database.prepare("SELECT " + sql);
    return rows.step() ? std::string(rows.view(0)) : "";
  }
};

struct Case {
  const char* rule;
  std::string change;
  std::string row;  // SQL for what the rule must name; empty: not looked at
};

// For one host, and not used.
std::string token_row(const std::string& digest) {
  return "INSERT INTO join_token VALUES(x'00000000000000000000000000000009', " + digest +
         ", '', '[]', 9, 1, 1, '', 1);";
}

std::string enrolment_row(int n, const std::string& name) {
  const auto digit = std::to_string(n);
  return "INSERT INTO enrolment VALUES(x'0000000000000000000000000000000" + digit + "', '" + name +
         "', NULL, printf('%064d', " + digit + "), '', 0, 1, x'00000000000000000000000000000009', '', 0, 1);";
}

std::vector<Case> cases() {
  const std::string ready = kReady, empty = kEmptyLane, night = kNightLane;
  const std::string of_ready = "'seq=' || " + ready;
  const auto seq_row = [](const std::string& name) { return "'seq=' || " + seq_of(name); };
  const std::string ready_event = "(SELECT no FROM event WHERE seq = " + ready + ")";
  const std::string batch0 = "batch = zeroblob(16) AND tenant = 'acme'";
  const std::string other_id = "x'00000000000010000000000000000001'";
  const auto set = [](const std::string& column, const std::string& name) {
    return "UPDATE job SET " + column + " WHERE name = '" + name + "'";
  };
  const auto lease = [](const std::string& column, const std::string& name = "leased") {
    return "UPDATE lease SET " + column + " WHERE seq = " + seq_of(name);
  };
  const auto event = [&](const std::string& column, const std::string& name, int type) {
    return "UPDATE event SET " + column + " WHERE seq = " + seq_of(name) + " AND type = " + std::to_string(type);
  };
  const auto event_row = [](const std::string& name, int type) {
    return "'no=' || (SELECT no FROM event WHERE seq = " + seq_of(name) + " AND type = " + std::to_string(type) + ")";
  };
  return {
      {"state-unknown", set("state = 1", "ready") + "; UPDATE batch_count SET s1 = s1 + 1, s2 = s2 - 1 WHERE " + batch0,
       of_ready},
      {"waits-nowhere", "DELETE FROM ready WHERE seq = " + ready, of_ready},
      {"waits-twice", "INSERT INTO scheduled VALUES(" + ready + ", 0, 0, 0)", of_ready},
      {"waits-elsewhere",
       "INSERT INTO scheduled VALUES(" + ready + ", 0, 0, 0); DELETE FROM ready WHERE seq = " + ready, of_ready},
      {"ended-but-waits",
       "INSERT INTO ready SELECT lane, priority, " + seq_of("finished") + " FROM ready WHERE seq = " + ready,
       seq_row("finished")},
      {"ready-without-job", "INSERT INTO ready VALUES(" + night + ", 3, 12345)",
       "'lane=' || " + night + " || ' AND priority=3 AND seq=12345'"},
      {"scheduled-without-job", "INSERT INTO scheduled VALUES(12345, 0, 0, 0)", "'seq=12345'"},
      {"due-time-unknown", set("due_at = NULL", "later"), seq_row("later")},
      {"lane-absent", "UPDATE ready SET lane = 999 WHERE seq = " + ready, "'lane=999 AND seq=' || " + ready},
      {"lane-of-another-kind", "UPDATE ready SET lane = " + empty + " WHERE seq = " + ready,
       "'lane=' || " + empty + " || ' AND seq=' || " + ready},
      {"lane-of-another-kind", "UPDATE lane SET requirements = replace(requirements, 'gpu', 'cpu')", ""},
      {"lane-of-another-kind", "UPDATE lane SET avoid = 'tiny' WHERE no = " + night, ""},
      {"lane-of-another-kind", set("trouble = '{\"avoid\":\"tiny\"}'", "ready"), ""},
      {"lane-of-another-kind", set("memory = 1125899906842624", "ready"), ""},
      {"priority-differs", "UPDATE ready SET priority = 77 WHERE seq = " + ready, ""},
      {"lane-twice",
       "UPDATE meta SET last_lane = 998; INSERT INTO lane SELECT 998, batch, tenant, type, packaged, requirements,"
       " avoid, 0, 0, 0 FROM lane WHERE no = " +
           night,
       "'no=998'"},
      {"lane-without-batch", "UPDATE lane SET batch = " + other_id + " WHERE no = " + empty, "'no=' || " + empty},
      {"lane-without-tenant", "UPDATE lane SET tenant = 'nobody' WHERE type = 'Other' AND no = " + empty,
       "'no=' || (SELECT no FROM lane WHERE tenant = 'nobody')"},
      {"deadline-absent", "DELETE FROM queue_deadline", seq_row("timed")},
      {"deadline-of-nobody", "INSERT INTO queue_deadline VALUES(12345, 0, 0)", "'seq=12345'"},
      {"lease-without-job", lease("lo = lo + 1"), seq_row("leased")},
      {"lease-of-unknown-host", lease("host = " + other_id), seq_row("leased")},
      {"lease-name-foreign", lease("name = " + other_id), seq_row("leased")},
      {"lease-without-end", lease("ttl = 0"), seq_row("leased")},
      {"lease-in-no-lane", lease("lane = 999"), seq_row("leased")},
      {"lease-in-wrong-lane", lease("lane = " + night), seq_row("leased")},
      {"lease-version-old", set("version = 99", "leased"), seq_row("leased")},
      {"batch-absent", "DELETE FROM lane WHERE no = " + empty + "; DELETE FROM batch WHERE name = 'gone'",
       seq_row("gone")},
      {"batch-of-another-tenant", "UPDATE batch SET tenant = 'globex' WHERE name = 'night'", seq_row("nightly")},
      {"cancelled-batch-waits", "UPDATE batch SET state = 2 WHERE name = 'night'", seq_row("nightly")},
      {"batch-name-twice", "UPDATE batch SET name = 'night' WHERE name = 'gone'", "'name=''night'''"},
      {"tenant-absent", "DELETE FROM lane WHERE tenant = 'globex'; DELETE FROM tenant WHERE name = 'globex'",
       "'tenant=''globex'''"},
      {"counts-differ", "UPDATE batch_count SET s2 = s2 + 1 WHERE " + batch0,
       "'batch=x''00000000000000000000000000000000'' AND tenant=''acme'''"},
      {"dead-letters-miscounted", "INSERT INTO dead_letter VALUES('acme', 99, 1)", "'tenant=''acme'' AND reason=99'"},
      {"settled-unfailed", set("settled_at = 5", "ready"), of_ready},
      {"host-name-twice",
       "INSERT INTO host SELECT " + other_id +
           ", name, secret_sha256, address, slots, memory, labels, types, tenants,"
           " packages, containment, mode, joined_at, isolation,"
           " memory_held, processes_held, pool, instance, mode_by, mode_reason, NULL FROM host WHERE name = 'h'",
       "'name=''h'''"},

      {"reason-misplaced", set("reason = 1", "ready"), of_ready},
      {"end-time-misplaced", set("finished_at = 5", "ready"), of_ready},
      {"cancel-forgotten", set("cancel_requested_at = 5", "ready"), of_ready},
      {"attempts-have-gaps", "DELETE FROM attempt WHERE attempt = 1 AND seq = " + seq_of("released"),
       seq_row("released")},
      {"attempt-without-job",
       "INSERT INTO attempt(seq, attempt, lease_lo, leased_at, ended_at, outcome) VALUES(12345, 1, 1, 1, 1, 7)",
       "'seq=12345 AND attempt=1'"},
      {"attempt-number-wrong", lease("attempt = 5"), seq_row("leased")},
      {"attempt-without-outcome", "UPDATE attempt SET outcome = NULL WHERE attempt = 1 AND seq = " + seq_of("released"),
       seq_row("released") + " || ' AND attempt=1'"},
      {"lease-name-twice", "UPDATE attempt SET lease_lo = 1 WHERE seq = " + seq_of("released"),
       seq_row("released") + " || ' AND attempt=2'"},
      {"outcome-against-state", "UPDATE attempt SET outcome = 0 WHERE attempt = 1 AND seq = " + seq_of("released"),
       seq_row("released") + " || ' AND attempt=1'"},
      {"state-against-outcome", "UPDATE attempt SET outcome = 7 WHERE seq = " + seq_of("finished"),
       seq_row("finished")},
      {"failures-miscounted", set("failures = 2", "ready"), of_ready},
      {"losses-miscounted", set("host_losses = 1", "ready"), of_ready},
      {"too-many-failures", set("max_attempts = 1", "retrying"), seq_row("retrying")},
      {"too-many-losses",
       "INSERT INTO attempt(seq, attempt, lease_lo, leased_at, ended_at, outcome) SELECT seq, 2, 1, 1, 1, 8 FROM job"
       " WHERE name = 'lost' UNION ALL SELECT seq, 3, 2, 1, 1, 9 FROM job WHERE name = 'lost'; " +
           set("attempt = 3, host_losses = 3", "lost"),
       seq_row("lost")},
      {"too-many-losses",  // all on one host, but more than may be even then
       "INSERT INTO attempt(seq, attempt, host, lease_lo, leased_at, ended_at, outcome) SELECT seq, n, 'only', n, 1, "
       "1, 8"
       " FROM job, (SELECT 2 AS n UNION SELECT 3 UNION SELECT 4 UNION SELECT 5 UNION SELECT 6) WHERE name = 'lost'; " +
           set("attempt = 6, host_losses = 6", "lost"),
       seq_row("lost")},
      {"key-without-digest", set("key_digest = NULL", "keyed"), seq_row("keyed")},
      {"list-key-names-nothing", "UPDATE list_key SET ids = " + other_id, "'scope=''acme'' AND key=''list'''"},
      {"run-again-one-sided", "UPDATE job SET redrive_of = NULL WHERE redrive_of IS NOT NULL",
       "'seq=' || (SELECT seq FROM job WHERE redriven_as IS NOT NULL)"},
      {"run-again-unended", set("redriven_as = " + other_id, "ready"), of_ready},
      {"input-of-nobody", "INSERT INTO job_input VALUES('acme', x'01', 12345)", "'seq=12345 AND sha256=x''01'''"},
      {"input-not-kept", "DELETE FROM job_input", seq_row("input")},
      {"file-of-nobody", "INSERT INTO job_file VALUES(" + ready + ", 'a', 'acme', 1, x'01')",
       of_ready + " || ' AND path=''a'''"},
      {"result-of-nobody", set("result = '1'", "ready"), of_ready},
      {"package-absent", "DELETE FROM package", ""},
      {"package-use-miscounted", "UPDATE package_use SET jobs = jobs + 1", ""},
      {"package-version-twice",
       "INSERT INTO package SELECT tenant, name, x'02', size, version, types, open, created_at FROM package",
       "'tenant=''acme'' AND name=''tools'' AND version=1'"},
      {"operation-astray", "INSERT INTO operation VALUES(" + other_id + ", 1, '{}', 10, 5, 0, -1, '')",
       "'id=x''00000000000010000000000000000001'''"},
      {"meta-row", "UPDATE meta SET log = ''", "'id=1'"},
      {"tick-low", "UPDATE meta SET tick = 0", "'id=1'"},
      {"id-mark-low", "UPDATE meta SET last_id = 1", "'id=1'"},
      {"lane-mark-low", "UPDATE meta SET last_lane = 0", "'id=1'"},
      {"backdated-mark-low", set("submitted_at = submitted_at - 1", "ready"), "'id=1'"},
      {"text-is-no-json", set("tags = '{'", "ready"), "'job tags, seq=' || " + ready},

      {"event-data-damaged", "UPDATE event SET data = '{' WHERE no = " + ready_event, "'no=' || " + ready_event},
      {"event-gap", "DELETE FROM event WHERE no = (SELECT max(no) FROM event WHERE type = 13)",
       "'no=' || (SELECT min(no) FROM event e WHERE NOT EXISTS (SELECT 1 FROM event f WHERE f.no = e.no - 1) AND no >"
       " 1)"},
      {"event-mark-wrong", "UPDATE meta SET last_event = last_event + 1", "'id=1'"},
      {"event-first-wrong", event("type = 1, data = json_set(data, '$.state', 'ready')", "ready", 0),
       "'no=' || " + ready_event},
      {"event-order", event("type = 1, data = json_set(data, '$.state', 'ready')", "running", 2),
       event_row("running", 3)},
      {"event-goes-back", event("data = json_set(data, '$.version', 1)", "running", 3), event_row("running", 3)},
      {"event-tells-another-state", event("data = json_set(data, '$.state', 'failed')", "ready", 0),
       "'no=' || " + ready_event},
      {"events-absent", event("seq = 12345", "ready", 0), of_ready},
      {"event-not-the-state", event("type = 8, data = json_set(data, '$.state', 'cancelled')", "finished", 6),
       seq_row("finished")},
      {"event-ahead", set("version = 0", "ready"), of_ready},
      {"event-of-another-tenant", event("tenant = 'globex'", "ready", 0), "'no=' || " + ready_event},
      {"batch-never-completed", "UPDATE batch SET state = 1 WHERE name = 'gone'", ""},
      {"webhook-ahead", "UPDATE webhook SET cursor = 1000000 WHERE for_jobs = 0", ""},
      {"webhook-damaged", "UPDATE webhook SET secret = 'none' WHERE for_jobs = 1", ""},
      {"webhooks-for-jobs", "UPDATE webhook SET for_jobs = 1, url = NULL", "'tenant=''acme'''"},
      {"delivery-of-no-webhook", "DELETE FROM webhook WHERE for_jobs = 1", ""},
      {"delivery-damaged", "UPDATE webhook_delivery SET attempts = -1", ""},
      {"delivery-ahead", "UPDATE webhook_delivery SET event = 1000000", ""},
      {"delivery-of-another-tenant", "UPDATE webhook SET tenant = 'globex' WHERE for_jobs = 1", ""},
      {"cursor-ahead", "UPDATE cursor SET at = 1000000", "'name=''amqp'''"},
      {"blob-taken-from-its-name", "INSERT INTO blob SELECT tenant, sha256, 1, 3, 1 FROM package LIMIT 1", ""},
      {"blob-damaged", "INSERT INTO blob VALUES('acme', zeroblob(31), 1, 1, 1)", ""},
      {"machine-taken-from-a-job",
       "UPDATE host SET mode = 2, pool = 'cpu', instance = 'm' WHERE id = (SELECT host FROM lease LIMIT 1);"
       " INSERT INTO machine VALUES('cpu', 'm', 3, NULL, NULL, 1, 1, NULL, NULL);"
       " INSERT INTO pool VALUES('cpu', 1, '{}', 0, 0, NULL, NULL)",
       ""},
      {"machine-gone-but-served",
       "UPDATE host SET pool = 'cpu', instance = 'm' WHERE id NOT IN (SELECT host FROM lease);"
       " INSERT INTO machine VALUES('cpu', 'm', 4, NULL, NULL, 1, 1, 1, NULL)",
       ""},
      {"host-without-machine",
       "UPDATE host SET pool = 'cpu', instance = 'm'; INSERT INTO pool VALUES('cpu', 1, '{}', 0, 0, NULL, NULL)", ""},
      {"join-token-overused", token_row("printf('%064d', 1)") + enrolment_row(1, "own"),
       "'id=x''00000000000000000000000000000009'''"},
      {"join-token-damaged", token_row("'short'"), "'id=x''00000000000000000000000000000009'''"},
      {"enrolment-name-twice", enrolment_row(1, "own") + enrolment_row(2, "own"), "'name=''own'''"},
      {"enrolment-with-two-hosts",
       enrolment_row(1, "h") +
           "UPDATE host SET enrolment = (SELECT id FROM enrolment) WHERE name = 'h'; INSERT INTO host SELECT " +
           other_id +
           ", 'h2', secret_sha256, address, slots, memory, labels, types, tenants,"
           " packages, containment, mode, joined_at, isolation,"
           " memory_held, processes_held, pool, instance, mode_by, mode_reason, enrolment FROM host WHERE name = 'h'",
       "'enrolment=x''00000000000000000000000000000001'''"},
      {"host-of-no-enrolment", "UPDATE host SET enrolment = " + other_id + " WHERE name = 'h'", ""},
      {"host-in-another-name", enrolment_row(1, "h"), ""},
      {"enrolment-damaged", enrolment_row(1, "own") + "UPDATE enrolment SET earlier_sha256 = secret_sha256",
       "'id=x''00000000000000000000000000000001'''"},
      {"machine-of-no-pool", "INSERT INTO machine VALUES('cpu', 'm', 2, NULL, NULL, 1, 1, NULL, NULL)",
       "'pool=''cpu'' AND instance=''m'''"},
      {"machine-damaged", "INSERT INTO machine VALUES('cpu', 'm', 2, NULL, NULL, 1, 1, 1, NULL)",
       "'pool=''cpu'' AND instance=''m'''"},
      {"intent-damaged", "INSERT INTO scaler_intent VALUES('r', 'cpu', 4, 0, '[]', 0, NULL, 1)", "'request=''r'''"},
      {"decision-damaged",
       "INSERT INTO scaler_decision VALUES(1, 'cpu', 1, 2, 0, '{}', 'fixed', 0, 0, 0, NULL, NULL, NULL)", "'id=1'"},
      {"pool-damaged", "INSERT INTO pool VALUES('cpu', 1, '{}', 0, 0, 5, NULL)", "'name=''cpu'''"},
      {"scaler-row", "INSERT INTO scaler VALUES(1, '', 1)", "'id=1'"},
      {"file-is-damaged",
       "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE INDEX job_dead ON job(state, seq, reason,"
       " tenant) WHERE state >= 5' WHERE name = 'job_dead'",
       "''"},
  };
}

TEST_F(EngineAudit, FindsNothingInWhatTheEngineWrites) {
  build();
  const auto audit = audited();
  EXPECT_EQ(words(audit), "");
  EXPECT_EQ(audit.jobs[std::size_t(JobState::running)], 1);
  EXPECT_EQ(audit.jobs[std::size_t(JobState::finished)], 1);
  EXPECT_EQ(audit.last_event, audit.events);
  EXPECT_EQ(audit.tick, store->load().tick);
}

TEST_F(EngineAudit, EveryRuleFindsItsRowAndNoOtherDoes) {
  build();
  engine.reset();
  store.reset();
  const auto sound = store_file().string() + ".sound";
  std::filesystem::copy_file(store_file(), sound);
  std::set<std::string> tried;
  for (const auto& one : cases()) {
    SCOPED_TRACE(std::string(one.rule) + ": " + one.change);
    for (const auto* end : {"-wal", "-shm"}) std::filesystem::remove(store_file().string() + end);
    std::filesystem::copy_file(sound, store_file(), std::filesystem::copy_options::overwrite_existing);
    const auto before = one.row.empty() ? "" : value(one.row);
    change(one.change);
    const auto row = one.row.empty() ? "" : value(one.row);
    const auto audit = audited();
    EXPECT_FALSE(audit.violations.empty());
    bool named = one.row.empty();
    for (const auto& violation : audit.violations) {
      EXPECT_EQ(violation.rule, one.rule) << words(audit);
      EXPECT_FALSE(violation.sentence.empty());
      named = named || violation.row == row || violation.row == before;
    }
    EXPECT_TRUE(named) << "it does not name " << row << words(audit);
    tried.insert(one.rule);
  }
  for (const auto rules : {store::sqlite::place_rules(), store::sqlite::history_rules(), store::sqlite::event_rules(),
                           store::sqlite::webhook_rules(), store::sqlite::scaler_rules()})
    for (const auto& rule : rules) EXPECT_TRUE(tried.contains(rule.name)) << rule.name << " is not tried";
}

TEST_F(EngineAudit, ReportsSoManyRowsOfARuleAndSaysThatThereAreMore) {
  build();
  engine.reset();
  store.reset();
  change("DELETE FROM ready");
  const auto few = store::audit_sqlite(store_file(), {.max = 2, .now = clock.wall()});
  EXPECT_TRUE(few.more);
  EXPECT_EQ(std::count_if(few.violations.begin(), few.violations.end(),
                          [](const auto& v) { return v.rule == "waits-nowhere"; }),
            2);
}

}  // namespace
}  // namespace geres::hub::engine
