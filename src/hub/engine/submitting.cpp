// SPDX-License-Identifier: Apache-2.0
// Submit: resolve what a job names, check it all, then insert; a list is all or nothing. A key that exists answers with
// the job it made.
#include "hub/engine/submitting.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/duration.h"
#include "base/similar.h"
#include "hub/engine/with_jobs.h"

namespace geres::hub::engine {

// A job of the list on its way in: either a repeat of one that exists, or all that insert() needs.
struct Submitting::Prepared {
  std::optional<Uuid> existing;
  std::optional<std::size_t> same_as;  // an earlier item of the list with the same key
  model::JobSpec spec;
  BatchState* batch = nullptr;
};

namespace {

Error at_item(const Submit& submit, std::size_t index, Error error) {
  if (submit.list) error.field = "/" + std::to_string(index) + error.field;
  return error;
}

Error no_package(const model::JobSpec& spec, const State& state) {
  std::vector<std::string> names;
  for (const auto& [key, versions] : state.packages)
    if (key.first == spec.tenant) names.push_back(key.second);
  const auto close = nearest(spec.package, names);
  return fail(Code::unknownPackage, fmt::format("tenant {} has no package '{}'", spec.tenant, spec.package), "/package",
              close.empty() ? "push it first: geres package push" : fmt::format("did you mean '{}'?", close));
}

Error no_type(const model::JobSpec& spec, const model::PackageVersion& package) {
  const auto close = nearest(spec.type, package.types);
  std::string has;
  for (const auto& type : package.types) has += (has.empty() ? "" : ", ") + type;
  return fail(Code::unknownType,
              fmt::format("type '{}' is not in {}/{} (version {}): the package has {}", spec.type, spec.tenant,
                          spec.package, package.version, has.empty() ? "none" : has),
              "/type", close.empty() ? "one of: " + has : fmt::format("did you mean '{}'?", close));
}

// Fixes the version at submit: the newest, or the one that is named by digest.
Result<void> resolve_package(const NewJob& job, model::JobSpec& spec, const State& state) {
  if (spec.package.empty()) return {};
  const auto found = state.packages.find({spec.tenant, spec.package});
  if (found == state.packages.end() || found->second.empty()) return no_package(spec, state);
  const auto& versions = found->second;
  auto version = versions.end() - 1;
  if (!job.package_sha256.empty()) {
    version =
        std::find_if(versions.begin(), versions.end(), [&](const auto& v) { return v.sha256 == job.package_sha256; });
    if (version == versions.end())
      return fail(
          Code::unknownPackage,
          fmt::format("package {}/{} has no version with sha256 {}", spec.tenant, spec.package, job.package_sha256),
          "/package", "geres package list shows the versions");
  }
  spec.package_sha256 = version->sha256;
  const bool has = std::find(version->types.begin(), version->types.end(), spec.type) != version->types.end();
  if (!has && !version->open) return no_type(spec, *version);
  return {};
}

Result<void> check_memory(const model::JobSpec& spec, const State& state) {
  const auto tenant = state.tenants.find(spec.tenant);
  const auto most = tenant == state.tenants.end() ? 0 : tenant->second.row.max_memory_per_job;
  if (most == 0 || spec.requirements.memory <= most) return {};
  return fail(Code::badValue,
              fmt::format("a job of tenant {} may ask for {} of memory at most, not {}", spec.tenant, format_size(most),
                          format_size(spec.requirements.memory)),
              "/requires/memory", "less, or have the tenant's maxMemoryPerJob raised");
}

}  // namespace

Result<void> Submitting::prepare(const Submit& submit, std::size_t index, Prepared& prepared) {
  const auto& job = submit.jobs[index];
  prepared.spec = job.spec;
  auto& spec = prepared.spec;
  spec.submitted_by = submit.caller.name;
  if (auto ok = check_memory(spec, state_); !ok) return ok;
  prepared.batch = state_.find_batch(spec.tenant, job.batch);
  if (prepared.batch == nullptr)
    return fail(Code::unknownBatch, fmt::format("tenant {} has no batch '{}'", spec.tenant, job.batch), "/batch",
                "create it first: geres batch create");
  if (prepared.batch->row.state != model::BatchState::open)
    return fail(Code::batchClosed,
                fmt::format("batch '{}' is {} and takes no new jobs", prepared.batch->row.name,
                            prepared.batch->row.state == model::BatchState::closed ? "closed" : "cancelled"),
                "/batch", "an open batch, or none for batch0");
  spec.batch = prepared.batch->row.id;
  if (!spec.webhook.url.empty() && !state_.job_webhooks.contains(spec.tenant))
    return fail(Code::conflict,
                fmt::format("tenant {} has no secret yet with which its jobs' webhooks are signed", spec.tenant),
                "/webhook", "make it once: geres webhook create --for-jobs");
  return resolve_package(job, spec, state_);
}

Result<void> Submitting::check_queue_limits(const std::vector<Prepared>& prepared, const Submit& submit) {
  std::map<std::string, std::int64_t> added;
  for (std::size_t i = 0; i < prepared.size(); ++i) {
    if (prepared[i].existing || prepared[i].same_as) continue;
    const auto& name = prepared[i].spec.tenant;
    if (auto ok = book_.has_room(name, ++added[name]); !ok) return at_item(submit, i, ok.error());
  }
  return {};
}

// All lanes that the list needs, before the first is made.
Result<void> Submitting::check_lanes(const std::vector<Prepared>& prepared, const Submit& submit) {
  struct Wanted {
    std::set<store::LaneKey> lanes;
    std::size_t last = 0;  // item that needs one
  };
  std::map<std::string, Wanted> tenants;
  const model::JobSpec* same = nullptr;
  for (std::size_t i = 0; i < prepared.size(); ++i) {
    if (prepared[i].existing || prepared[i].same_as) continue;
    const auto& spec = prepared[i].spec;
    if (same != nullptr && store::lane_key(*same) == store::lane_key(spec)) continue;
    same = &spec;
    auto& wanted = tenants[spec.tenant];
    if (wanted.lanes.insert(store::lane_key(spec)).second) wanted.last = i;
  }
  for (const auto& [tenant, wanted] : tenants)
    if (auto room = lanes_.has_room(tenant, wanted.lanes); !room) return at_item(submit, wanted.last, room.error());
  return {};
}

std::string scope_of_list(const Caller& caller) {
  return caller.tenants.size() == 1 ? caller.tenants.front() : "token:" + caller.name;
}

Result<Submitted> Submitting::submit(const Submit& submit) {
  Submitted answer;
  std::string scope;
  if (!submit.list_key.empty()) {
    scope = scope_of_list(submit.caller);
    if (auto known = store_.list_key(scope, submit.list_key)) {
      if (known->digest != submit.list_digest)
        return fail(Code::keyReused, fmt::format("the key '{}' was used for another list", submit.list_key),
                    "Idempotency-Key", "a key of its own for each list");
      answer.ids = std::move(known->ids);
      answer.replayed = true;
      return answer;
    }
  }

  std::vector<Prepared> prepared(submit.jobs.size());
  std::vector<store::KeyRef> asked;
  std::vector<std::size_t> askers;
  std::map<std::pair<std::string, std::string>, std::size_t> in_list;
  const auto reused = [&](std::size_t index, const std::string& key) {
    return at_item(submit, index,
                   fail(Code::keyReused, fmt::format("the key '{}' was used for another job", key), "/key",
                        "a key of its own for each job"));
  };
  for (std::size_t i = 0; i < submit.jobs.size(); ++i) {
    const auto& spec = submit.jobs[i].spec;
    if (spec.key.empty()) continue;
    if (const auto [same, first] = in_list.try_emplace({spec.tenant, spec.key}, i); !first) {
      if (submit.jobs[same->second].spec.key_digest != spec.key_digest) return reused(i, spec.key);
      prepared[i].same_as = same->second;
    } else {
      asked.push_back({spec.tenant, spec.key});
      askers.push_back(i);
    }
  }
  if (!asked.empty()) {
    const auto found = store_.jobs_by_key(asked);
    for (std::size_t k = 0; k < found.size(); ++k) {
      if (!found[k]) continue;
      if (found[k]->digest != submit.jobs[askers[k]].spec.key_digest) return reused(askers[k], asked[k].key);
      prepared[askers[k]].existing = found[k]->id;
    }
  }
  for (std::size_t i = 0; i < prepared.size(); ++i) {
    if (prepared[i].existing || prepared[i].same_as) continue;
    if (auto ok = prepare(submit, i, prepared[i]); !ok) return at_item(submit, i, ok.error());
  }
  if (auto ok = check_queue_limits(prepared, submit); !ok) return ok.error();

  if (auto ok = check_lanes(prepared, submit); !ok) return ok.error();
  std::vector<LaneState*> lanes(prepared.size(), nullptr);
  store::LaneKey last_key;
  LaneState* last = nullptr;
  for (std::size_t i = 0; i < prepared.size(); ++i) {
    if (prepared[i].existing || prepared[i].same_as) continue;
    auto key = store::lane_key(prepared[i].spec);
    if (last == nullptr || !(key == last_key)) {
      last = *lanes_.lane(key);
      last_key = std::move(key);
    }
    lanes[i] = last;
  }

  answer.replayed = true;
  answer.ids.reserve(prepared.size());
  for (std::size_t i = 0; i < prepared.size(); ++i) {
    if (prepared[i].existing) {
      answer.ids.push_back(*prepared[i].existing);
      continue;
    }
    if (prepared[i].same_as) {
      answer.ids.push_back(answer.ids[*prepared[i].same_as]);
      continue;
    }
    answer.replayed = false;
    auto job = book_.insert(prepared[i].spec, *lanes[i], std::nullopt);
    answer.ids.push_back(job.id);
    if (!submit.list) answer.jobs.push_back(std::move(job));
  }
  if (!submit.list && answer.jobs.empty()) {
    if (auto job = store_.job(answer.ids.front())) answer.jobs.push_back(std::move(*job));
  }
  if (!submit.list_key.empty())
    store_.changes().list_keys.push_back({scope, submit.list_key, submit.list_digest, answer.ids, now_.wall});
  return answer;
}

}  // namespace geres::hub::engine
