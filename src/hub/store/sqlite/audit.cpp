// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/audit.h"

#include <boost/describe/enum_to_string.hpp>

#include "hub/store/json_columns.h"
#include "hub/store/store.h"
#include "model/job_transitions.h"

namespace geres::hub::store::sqlite {
namespace {

// ---- texts for people, as SQL functions

void give(sqlite3_context* context, std::string_view text) {
  sqlite3_result_text(context, text.data(), int(text.size()), SQLITE_TRANSIENT);
}

void job_id(sqlite3_context* context, int, sqlite3_value** values) {
  give(context,
       Uuid{std::uint64_t(sqlite3_value_int64(values[0])), std::uint64_t(sqlite3_value_int64(values[1]))}.str());
}

void id_text(sqlite3_context* context, int, sqlite3_value** values) {
  const auto* bytes = static_cast<const char*>(sqlite3_value_blob(values[0]));
  give(context, uuid_from({bytes == nullptr ? "" : bytes, std::size_t(sqlite3_value_bytes(values[0]))}).str());
}

void state_text(sqlite3_context* context, int, sqlite3_value** values) {
  give(context, model::state_name(model::JobState(sqlite3_value_int(values[0]))));
}

void event_text(sqlite3_context* context, int, sqlite3_value** values) {
  const int type = sqlite3_value_int(values[0]);
  give(context, type < 0 || type >= kEventTypes ? "?" : event_name(EventType(type)));
}

void outcome_text(sqlite3_context* context, int, sqlite3_value** values) {
  give(context, boost::describe::enum_to_string(model::Outcome(sqlite3_value_int(values[0])), "?"));
}

void seq_of(sqlite3_context* context, int, sqlite3_value** values) {
  const auto* bytes = static_cast<const char*>(sqlite3_value_blob(values[0]));
  if (bytes == nullptr) return;  // NULL
  sqlite3_result_int64(context, uuid_from({bytes, std::size_t(sqlite3_value_bytes(values[0]))}).seq());
}

void digest(sqlite3_context* context, int, sqlite3_value** values) {
  const auto* text = static_cast<const char*>(sqlite3_value_blob(values[0]));
  if (text == nullptr) return;
  const auto bytes = digest_bytes(std::string(text, std::size_t(sqlite3_value_bytes(values[0]))));
  sqlite3_result_blob(context, bytes.data(), int(bytes.size()), SQLITE_TRANSIENT);
}

void add_functions(Database& database) {
  const auto add = [&](const char* name, int arguments, auto* function) {
    const int code = sqlite3_create_function_v2(database.handle(), name, arguments, SQLITE_UTF8 | SQLITE_DETERMINISTIC,
                                                nullptr, function, nullptr, nullptr, nullptr);
    if (code != SQLITE_OK) throw_failed(database.handle(), code, "cannot prepare the audit");
  };
  add("job_id", 2, job_id);
  add("id_text", 1, id_text);
  add("seq_of", 1, seq_of);
  add("digest", 1, digest);
  add("state_text", 1, state_text);
  add("event_text", 1, event_text);
  add("outcome_text", 1, outcome_text);
}

// ---- asking

std::string with_numbers(std::string query, const AuditOptions& options) {
  const std::pair<std::string_view, std::int64_t> numbers[] = {{":losses", options.host_losses_max},
                                                               {":old", options.now - options.keep_key_min}};
  for (const auto& [name, number] : numbers)
    for (auto at = query.find(name); at != std::string::npos; at = query.find(name, at))
      query.replace(at, name.size(), std::to_string(number));
  return query;
}

void ask(Database& database, const Rule& rule, const AuditOptions& options, Audit& audit) {
  ++audit.rules;
  std::size_t found = 0;
  auto rows = database.prepare(with_numbers(rule.query, options));
  while (rows.step()) {
    if (found++ == options.max) {
      audit.more = true;
      return;
    }
    audit.violations.push_back(
        {rule.name, rule.invariant, rule.table, std::string(rows.view(0)), std::string(rows.view(1))});
  }
}

// What SQLite itself finds: pages, indexes that differ from their tables, constraints. False: no rule can be trusted.
bool file_is_sound(Database& database, const AuditOptions& options, Audit& audit) {
  ++audit.rules;
  const auto damaged = [&](std::string_view what) {
    audit.violations.push_back({"file-is-damaged", "file", "", "", std::string(what)});
  };
  try {
    auto rows = database.prepare("PRAGMA integrity_check(" + std::to_string(options.max) + ")");
    while (rows.step())
      if (rows.view(0) != "ok") damaged(rows.view(0));
  } catch (const StoreFailed& failed) {
    if (failed.failure != Failure::fatal) throw;
    damaged(failed.what());
  }
  return audit.violations.empty();
}

void count(Database& database, Audit& audit) {
  {
    auto rows = database.prepare(
        "SELECT CASE WHEN j.state = 2 AND l.seq IS NOT NULL THEN CASE WHEN l.started_at IS NULL THEN 3 ELSE 4 END"
        " ELSE j.state END AS state, count(*) FROM job j LEFT JOIN lease l ON l.seq = j.seq GROUP BY 1");
    while (rows.step())
      if (rows.integer(0) >= 0 && rows.integer(0) < 8) audit.jobs[std::size_t(rows.integer(0))] = rows.integer(1);
  }
  {
    auto rows = database.prepare("SELECT count(*), coalesce(min(no), 0), coalesce(max(no), 0) FROM event");
    rows.step();
    audit.events = rows.integer(0);
    audit.first_event = rows.integer(1);
    audit.last_event = rows.integer(2);
  }
  auto meta = database.prepare("SELECT tick, log, last_event FROM meta WHERE id = 1");
  if (!meta.step()) return;
  audit.tick = meta.integer(0);
  audit.log = std::string(meta.view(1));
  if (audit.events == 0) audit.last_event = meta.integer(2);
}

}  // namespace

Audit audit(Database& database, const AuditOptions& options) {
  add_functions(database);
  const ReadTransaction transaction(database);
  Audit audit;
  if (!file_is_sound(database, options, audit)) return audit;
  count(database, audit);
  for (const auto rules :
       {place_rules(), history_rules(), event_rules(), webhook_rules(), scaler_rules(), enrolment_rules()})
    for (const auto& rule : rules) ask(database, rule, options, audit);
  return audit;
}

}  // namespace geres::hub::store::sqlite
