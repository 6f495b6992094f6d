// SPDX-License-Identifier: Apache-2.0
#include "store.h"

#include <system_error>

#include "base/file.h"
#include "base/sha256.h"
#include "base/uuid.h"
#include "cli/trouble.h"
#include "hub/backup.h"
#include "hub/blob_place.h"
#include "hub/copy_blobs.h"
#include "hub/store/sqlite/store_file.h"
#include "hub/store/store.h"
#include "model/job_transitions.h"

namespace geres::apps {
namespace {

std::filesystem::path store_file(const cli::StoreSettings& settings) {
  if (settings.store.empty()) return settings.data / "geres.db";
  return std::filesystem::absolute(settings.store.substr(std::string_view("sqlite:").size())).lexically_normal();
}

// Empty: in an object store.
std::filesystem::path blob_directory(const cli::StoreSettings& settings) {
  const auto place = settings.blobs.empty() ? hub::last_blob_place(settings.data) : settings.blobs;
  if (place.empty()) return settings.data / "blobs";
  if (!place.starts_with("dir:")) return {};
  return std::filesystem::absolute(place.substr(std::string_view("dir:").size())).lexically_normal();
}

// Runs a verb of the store; what fails is told as it says.
template <class F>
auto told(const std::string& next, F&& verb) {
  try {
    return verb();
  } catch (const hub::store::StoreFailed& failed) {
    throw cli::Trouble{cli::kFailed, failed.what(), {}, next};
  } catch (const std::system_error& failed) {
    throw cli::Trouble{cli::kFailed, failed.what(), {}, next};
  }
}

// The secret an admin of the restored store has: what lies there already, as after every first start of a hub.
std::string admin_secret(const std::filesystem::path& data) {
  const auto file = data / "admin.token";
  std::string secret;
  if (const auto left = read_file_if(file)) secret = left->substr(0, left->find_first_of("\r\n"));
  if (secret.size() < 32) {
    secret = random_hex(32);
    replace_file(file, secret + "\n", 0600);
  }
  return secret;
}

hub::store::AuditOptions audit_options() {
  hub::store::AuditOptions options;
  options.now = SystemClock().wall();
  return options;
}

json::object as_json(const hub::store::Audit& audit, const std::filesystem::path& file) {
  json::object jobs;
  for (std::size_t i = 0; i < audit.jobs.size(); ++i) jobs[model::state_name(model::JobState(i))] = audit.jobs[i];
  json::array violations;
  for (const auto& v : audit.violations)
    violations.push_back(json::object{
        {"rule", v.rule}, {"invariant", v.invariant}, {"table", v.table}, {"row", v.row}, {"sentence", v.sentence}});
  json::object found;
  found["store"] = file.string();
  found["ok"] = audit.violations.empty();
  found["jobs"] = std::move(jobs);
  found["events"] = json::object{{"kept", audit.events}, {"first", audit.first_event}, {"last", audit.last_event}};
  found["log"] = audit.log;
  found["tick"] = audit.tick;
  found["rules"] = audit.rules;
  found["violations"] = std::move(violations);
  found["more"] = audit.more;
  return found;
}

json::object as_json(const hub::Pile& pile) {
  return {{"files", pile.files}, {"bytes", pile.bytes}};
}

json::object as_json(const hub::BackupFound& all, const std::filesystem::path& file) {
  auto found = as_json(all.audit, file);
  found["blobs"] = as_json(all.blobs);
  found["logs"] = as_json(all.logs);
  found["adminToken"] = all.admin_token;
  found["lostCount"] = all.lost_count;
  found["lost"] = json::array(all.lost.begin(), all.lost.end());
  return found;
}

}  // namespace

json::object check_store(const cli::StoreSettings& settings) {
  const auto file = store_file(settings);
  return told("--data DIR, the data directory of a hub",
              [&] { return as_json(hub::store::audit_sqlite(file, audit_options()), file); });
}

json::object backup_store(const cli::StoreSettings& settings, const std::filesystem::path& to) {
  const auto file = store_file(settings);
  return told("another name, and --data DIR, the data directory of a hub", [&] {
    auto found = as_json(hub::store::backup_sqlite(file, to, audit_options()), to);
    found["source"] = file.string();
    return found;
  });
}

json::object backup_all(const cli::StoreSettings& settings, const std::filesystem::path& to) {
  const hub::HubPlaces places{settings.data, store_file(settings), blob_directory(settings)};
  return told("a new directory, and --data DIR, the data directory of a hub", [&] {
    auto found = as_json(hub::backup_hub(places, to, audit_options()), to);
    found["source"] = places.store.string();
    if (places.blobs.empty()) found["blobsElsewhere"] = hub::last_blob_place(settings.data);
    return found;
  });
}

json::object copy_blobs(const cli::StoreSettings& settings, const std::string& from, const std::string& to,
                        const std::function<void(std::int64_t, std::int64_t)>& progress) {
  return told("--data DIR, the data directory of a hub", [&] {
    const auto last = hub::last_blob_place(settings.data);
    const auto source = !from.empty() ? from : !last.empty() ? last : "dir:" + (settings.data / "blobs").string();
    const auto done = hub::copy_blobs(settings.data, store_file(settings), source, to, [&](const auto& so_far) {
      progress(so_far.copied + so_far.there + so_far.lost_count, so_far.named);
    });
    if (!done) throw cli::Trouble{cli::kFailed, done.error().message, {}, done.error().hint, done.error().field};
    json::array lost;
    for (const auto& one : done->lost) lost.emplace_back(one);
    return json::object{{"from", source},          {"to", to},
                        {"named", done->named},    {"copied", done->copied},
                        {"bytes", done->bytes},    {"there", done->there},
                        {"lost", std::move(lost)}, {"lostCount", done->lost_count},
                        {"logs", done->logs}};
  });
}

json::object restore_all(const cli::StoreSettings& settings, const std::filesystem::path& from) {
  return told("--data DIR, a directory that is empty or not there yet", [&] {
    auto found = as_json(hub::restore_hub(from, settings.data, audit_options()), settings.data);
    found["source"] = from.string();
    return found;
  });
}

json::object restore_store(const cli::StoreSettings& settings, const std::filesystem::path& from, bool replace) {
  const auto file = store_file(settings);
  return told("--data DIR without a store; or --replace, which keeps the one that is there under another name", [&] {
    make_private_directory(settings.data);
    make_private_directory(file.parent_path());
    hub::store::RestoreOptions options{audit_options(), replace, {}};
    options.admin_sha256 = sha256_hex(admin_secret(settings.data));
    const auto restored = hub::store::restore_sqlite(from, file, options);
    auto found = as_json(restored.audit, file);
    if (!restored.kept.empty()) found["kept"] = restored.kept.string();
    return found;
  });
}

}  // namespace geres::apps
