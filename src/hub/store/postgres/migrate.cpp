// SPDX-License-Identifier: Apache-2.0
#include "hub/store/postgres/migrate.h"

namespace geres::hub::store::postgres {
namespace {

constexpr std::int64_t kOldestServer = 140'000;

[[noreturn]] void refuse(const Connection& connection, const std::string& why) {
  throw StoreFailed(Failure::fatal, "cannot use the store at " + connection.server() + ": " + why);
}

std::string setting(Connection& connection, const std::string& name) {
  const auto rows = connection.ask("SELECT current_setting($1)", Values(name));
  return rows.empty() ? std::string() : std::string(rows[0].view(0));
}

// The schema's version, kept as its comment: 0: it is new.
std::size_t version_of(Connection& connection, const std::string& schema) {
  const auto rows = connection.ask(
      "SELECT coalesce(obj_description(oid, 'pg_namespace'), '') FROM pg_namespace WHERE nspname = $1", Values(schema));
  if (rows.empty()) return 0;
  const std::string comment(rows[0].view(0));
  constexpr std::string_view ours = "GeRes store, version ";
  if (!comment.starts_with(ours))
    refuse(connection, "its schema " + schema + " belongs to another program; name another database, or drop it");
  return std::size_t(std::atoll(comment.c_str() + ours.size()));
}

}  // namespace

void require_sound(Connection& connection, bool unsafe_allowed) {
  const auto version = std::atoll(setting(connection, "server_version_num").c_str());
  if (version < kOldestServer)
    refuse(connection, "PostgreSQL " + setting(connection, "server_version") + " is too old; 14 or newer is needed");
  if (setting(connection, "server_encoding") != "UTF8")
    refuse(connection,
           "the database's encoding is " + setting(connection, "server_encoding") + "; make one with ENCODING 'UTF8'");
  if (setting(connection, "transaction_read_only") == "on")
    refuse(connection, "it is a standby, or read-only; name the primary");
  // Behind a pooler in transaction mode each transaction may have another server process, without what was prepared.
  const auto first = connection.ask("SELECT pg_backend_pid()::int8")[0].integer(0);
  const auto second = connection.ask("SELECT pg_backend_pid()::int8")[0].integer(0);
  if (first != second || first != connection.process())
    refuse(connection, "it is behind a pooler in transaction mode; connect to PostgreSQL itself");
  if (unsafe_allowed) return;
  for (const char* name : {"fsync", "full_page_writes"})
    if (setting(connection, name) == "off")
      refuse(connection, std::string(name) + " is off there: a power cut would lose what was acknowledged; set it on");
  if (const auto commit = setting(connection, "synchronous_commit"); commit == "off" || commit == "local")
    refuse(connection, "synchronous_commit is " + commit +
                           " for this role: a crash would lose what was acknowledged;"
                           " ALTER ROLE … SET synchronous_commit = on");
}

void migrate(Connection& connection, const std::string& schema) {
  const auto steps = migrations();
  const auto version = version_of(connection, schema);
  if (version > steps.size())
    refuse(connection, "it was made by a newer version of GeRes (schema " + std::to_string(version) +
                           ", this one knows " + std::to_string(steps.size()) + "); use that version or a backup");
  for (auto next = version; next < steps.size(); ++next) {
    const std::string done =
        "COMMENT ON SCHEMA " + schema + " IS 'GeRes store, version " + std::to_string(next + 1) + "';";
    try {
      connection.script("BEGIN; SET LOCAL lock_timeout = '5s'; CREATE SCHEMA IF NOT EXISTS " + schema +
                        "; SET LOCAL search_path = " + schema + ";" + std::string(steps[next]) + done + "COMMIT");
    } catch (const StoreFailed& failed) {
      if (!connection.lost()) connection.script("ROLLBACK");
      refuse(connection, std::string("bringing its schema up to date failed: ") + failed.what());
    }
  }
}

}  // namespace geres::hub::store::postgres
