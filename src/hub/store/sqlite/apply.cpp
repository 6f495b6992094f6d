// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/apply.h"
#include "hub/store/sqlite/blob_rows.h"
#include "hub/store/sqlite/enrolment_rows.h"

#include <algorithm>
#include <map>

#include "hub/store/shapes/job.h"
#include "hub/store/sqlite/job_rows.h"
#include "hub/store/sqlite/scaler_rows.h"
#include "hub/store/sqlite/small_rows.h"
#include "hub/store/sqlite/webhook_rows.h"
#include "hub/store/with_jobs.h"

namespace geres::hub::store::sqlite {
namespace {

template <class Rows, class Bind>
void for_each(Database& database, Sql sql, const Rows& rows, Bind bind) {
  if (rows.empty()) return;
  auto statement = database.cached(sql);
  for (const auto& row : rows) {
    bind(statement, row);
    statement.run();
  }
}

void remove_ids(Database& database, Sql sql, const std::vector<Uuid>& ids) {
  for_each(database, sql, ids, [](Statement& s, Uuid id) { s.bind(id); });
}

// How many jobs that have not ended need a package version; summed up over one call.
class PackageUse {
 public:
  explicit PackageUse(Database& database) : database_(database) {}
  void add(std::string_view tenant, std::string_view digest, std::int64_t by) {
    if (digest.empty()) return;
    if (last_ == sums_.end() || last_->first.first != tenant || last_->first.second != digest)
      last_ = sums_.try_emplace({std::string(tenant), std::string(digest)}).first;
    last_->second += by;
  }
  void write() {
    if (sums_.empty()) return;
    auto add =
        database_.cached("INSERT INTO package_use VALUES(?,?,?) ON CONFLICT DO UPDATE SET jobs = jobs + excluded.jobs");
    auto drop = database_.cached("DELETE FROM package_use WHERE tenant=? AND sha256=? AND jobs <= 0");
    for (const auto& [key, by] : sums_) {
      if (by != 0) add.bind(key.first, Blob{key.second}, by).run();
      if (by < 0) drop.bind(key.first, Blob{key.second}).run();
    }
  }

 private:
  using Sums = std::map<std::pair<std::string, std::string>, std::int64_t>;
  Database& database_;
  Sums sums_;
  Sums::iterator last_ = sums_.end();
};

void insert_inputs(Database& database, const model::Job& job) {
  auto insert = database.cached("INSERT OR IGNORE INTO job_input VALUES(?,?,?)");
  for (const auto& input : job.spec.inputs) {
    const std::string digest = digest_bytes(input.sha256);
    if (!digest.empty()) insert.bind(job.spec.tenant, Blob{digest}, job.id.seq()).run();
  }
}

void insert_jobs(Database& database, const std::vector<model::Job>& jobs, PackageUse& use) {
  if (jobs.empty()) return;
  auto insert = database.cached(insert_job_sql());
  for (const auto& job : jobs) {
    const std::string digest = digest_bytes(job.spec.package_sha256);
    insert_job(insert, job, digest);
    if (!job.spec.inputs.empty()) insert_inputs(database, job);
    if (!model::ended(job.status.state)) use.add(job.spec.tenant, digest, 1);
  }
}

// A job that ends needs its package no more.
void update_jobs(Database& database, const std::vector<JobUpdate>& updates, PackageUse& use) {
  if (updates.empty()) return;
  auto update = database.cached(update_job_sql());
  auto find = database.cached("SELECT state, tenant, package_sha256 FROM job WHERE seq=?");
  for (const auto& change : updates) {
    if (model::ended(change.status.state)) {
      if (find.bind(change.id.seq()).step() && !model::ended(model::JobState(find.integer(0))))
        use.add(find.view(1), find.view(2), -1);
      find.reset();
    }
    update_job(update, change);
  }
}

void edit_jobs(Database& database, const std::vector<JobEdit>& edits) {
  for_each(database, "UPDATE job SET priority=?2, not_before=?3, tags=?4 WHERE seq=?1", edits,
           [tags = std::string()](Statement& s, const JobEdit& edit) mutable {
             tags = tags_text(edit.tags);
             s.bind(edit.id.seq(), edit.priority, edit.not_before, OrNull{tags});
           });
}

// Taken away first: a job may leave one place and come to another, or to the same again, in one tick.
void write_queue(Database& database, const Changes& changes) {
  for_each(database, "DELETE FROM ready WHERE lane=? AND priority=? AND seq=?", changes.ready_removed,
           [](Statement& s, const ReadyRow& r) { s.bind(r.lane, r.priority, r.seq); });
  for_each(database, "INSERT INTO ready VALUES(?,?,?)", changes.ready,
           [](Statement& s, const ReadyRow& r) { s.bind(r.lane, r.priority, r.seq); });
  for_each(database, "DELETE FROM scheduled WHERE seq=?", changes.scheduled_removed,
           [](Statement& s, Seq seq) { s.bind(seq); });
  for_each(database, "INSERT OR REPLACE INTO scheduled VALUES(?,?,?,?)", changes.scheduled,
           [](Statement& s, const ScheduledRow& r) { s.bind(r.seq, r.due, r.by_wall, r.duration); });
  for_each(database, "DELETE FROM queue_deadline WHERE seq=?", changes.deadlines_removed,
           [](Statement& s, Seq seq) { s.bind(seq); });
  // The full duration is the job's own; cap_durations needs it.
  for_each(database,
           "INSERT OR REPLACE INTO queue_deadline"
           " VALUES(?1, ?2, coalesce((SELECT queue_timeout FROM job WHERE seq=?1), 0))",
           changes.deadlines, [](Statement& s, const QueueDeadlineRow& r) { s.bind(r.seq, r.due); });
}

void write_leases(Database& database, const Changes& changes) {
  for_each(database, "DELETE FROM lease WHERE seq=?", changes.leases_removed,
           [](Statement& s, Uuid job) { s.bind(job.seq()); });
  if (changes.leases.empty()) return;
  auto put = database.cached(put_lease_sql());
  for (const auto& lease : changes.leases) put_lease(put, lease);
}

void write_history(Database& database, const Changes& changes) {
  put_each(database, "INSERT INTO attempt VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)", changes.attempts,
           [](const auto& row, auto put) { shapes::attempt_columns(row, put); });
  for_each(database, "INSERT OR REPLACE INTO job_file VALUES(?,?,?,?,?)", changes.files,
           [digest = std::string()](Statement& s, const JobFileRow& row) mutable {
             digest = digest_bytes(row.file.sha256);
             s.bind(row.job.seq(), row.file.path, row.tenant, row.file.size, Blob{digest});
           });
}

void purge_job(Database& database, Uuid id, PackageUse& use) {
  const auto job = find_job(database, id);
  if (!job) return;
  if (!model::ended(job->status.state)) use.add(job->spec.tenant, digest_bytes(job->spec.package_sha256), -1);
  const Seq seq = id.seq();
  auto remove_input = database.cached("DELETE FROM job_input WHERE tenant=? AND sha256=? AND seq=?");
  for (const auto& input : job->spec.inputs) {
    const std::string digest = digest_bytes(input.sha256);
    remove_input.bind(job->spec.tenant, Blob{digest}, seq).run();
  }
  database.cached("DELETE FROM attempt WHERE seq=?").bind(seq).run();
  database.cached("DELETE FROM job_file WHERE seq=?").bind(seq).run();
  database.cached("DELETE FROM job WHERE seq=?").bind(seq).run();
}

void insert_events(Database& database, const std::vector<EventRow>& events) {
  put_each(database, "INSERT INTO event VALUES(?,?,?,?,?,?,?,?)", events,
           [](const auto& row, auto put) { shapes::event_columns(row, put); });
}

}  // namespace

void apply_changes(Database& database, const Changes& changes, HighMarks& marks) {
  PackageUse use(database);
  put_tenants(database, changes.tenants);
  put_batches(database, changes.batches);
  insert_lanes(database, changes.lanes);
  put_lane_durations(database, changes.lane_durations);
  for_each(database, "DELETE FROM lane WHERE no=?", changes.lanes_removed, [](Statement& s, LaneNo no) { s.bind(no); });
  put_hosts(database, changes.hosts);
  remove_host_drains(database, changes.host_drains_removed);
  put_host_drains(database, changes.host_drains);
  remove_ids(database, "DELETE FROM host WHERE id=?", changes.hosts_removed);
  put_join_tokens(database, changes.join_tokens);
  remove_ids(database, "DELETE FROM join_token WHERE id=?", changes.join_tokens_removed);
  put_enrolments(database, changes.enrolments);
  remove_ids(database, "DELETE FROM enrolment WHERE id=?", changes.enrolments_removed);
  put_packages(database, changes.packages);
  remove_packages(database, changes.packages_removed);
  put_tokens(database, changes.tokens);
  remove_ids(database, "DELETE FROM token WHERE id=?", changes.tokens_removed);
  insert_jobs(database, changes.jobs, use);
  update_jobs(database, changes.updates, use);
  edit_jobs(database, changes.edits);
  write_queue(database, changes);
  write_leases(database, changes);
  write_history(database, changes);
  add_counts(database, changes.counts);
  add_dead_letters(database, changes.dead_letters);
  insert_list_keys(database, changes.list_keys);
  put_operations(database, changes.operations);
  remove_ids(database, "DELETE FROM operation WHERE id=?", changes.operations_removed);
  put_webhooks(database, changes.webhooks);
  remove_ids(database, "DELETE FROM webhook WHERE id=?", changes.webhooks_removed);
  remove_deliveries(database, changes.deliveries_removed);
  put_deliveries(database, changes.deliveries);
  put_cursors(database, changes.cursors);
  put_pools(database, changes.pools);
  for_each(database, "DELETE FROM pool WHERE name=?", changes.pools_removed,
           [](Statement& s, const std::string& name) { s.bind(name); });
  put_machines(database, changes.machines);
  put_intents(database, changes.intents);
  put_decisions(database, changes.decisions);
  put_load_samples(database, changes.load_samples);
  remove_blobs(database, changes.blobs_removed);
  put_blobs(database, changes.blobs);
  if (!changes.scaler.empty()) put_scaler(database, changes.scaler.back());
  for (const Uuid id : changes.jobs_purged) purge_job(database, id, use);
  use.write();
  remove_ids(database, "DELETE FROM batch_count WHERE batch=?", changes.batches_removed);
  remove_ids(database, "DELETE FROM batch WHERE id=?", changes.batches_removed);
  insert_events(database, changes.events);
  raise_marks(changes, marks);
}

}  // namespace geres::hub::store::sqlite
