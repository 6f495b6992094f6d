// SPDX-License-Identifier: Apache-2.0
#include "rehearse.h"

#include <algorithm>

#include "base/log.h"
#include "cli/trouble.h"
#include "rehearsal/rehearsal.h"
#include "scaler/policy_helper.h"
#include "scaler/settings.h"

namespace geres::apps {
namespace {

[[noreturn]] void refuse(const Error& error, const std::string& place) {
  throw cli::Trouble{cli::kUsage,        place + error.field + ": " + error.message, {}, error.hint, "usage",
                     place + error.field};
}

json::object waits_json(const rehearsal::Waits& waits) {
  const auto seconds = [](Millis time) { return double(time) / 1'000; };
  json::object to{{"jobs", waits.jobs},
                  {"p50", seconds(waits.p50)},
                  {"p95", seconds(waits.p95)},
                  {"p99", seconds(waits.p99)},
                  {"most", seconds(waits.most)}};
  if (!waits.tenant.empty()) to["tenant"] = waits.tenant;
  return to;
}

json::object report_json(const rehearsal::Report& report, bool deadline) {
  json::array waits;
  for (const auto& of : report.waits) waits.push_back(waits_json(of));
  const auto hours = [](double seconds) { return seconds / 3'600; };
  json::object to{{"jobs", report.jobs},
                  {"ended", report.ended},
                  {"from", format_time(report.from)},
                  {"to", format_time(report.to)},
                  {"waits", std::move(waits)},
                  {"hostHours",
                   {{"ready", hours(report.ready_seconds)},
                    {"booting", hours(report.booting_seconds)},
                    {"idle", hours(report.idle_seconds)},
                    {"wasted", hours(report.wasted_seconds)}}},
                  {"cost", report.cost},
                  {"decisions", report.decisions},
                  {"changes", report.changes},
                  {"hostsMost", report.hosts_most},
                  {"ordered", report.ordered},
                  {"refused", report.refused}};
  if (deadline) to["late"] = report.late;
  return to;
}

}  // namespace

cli::Rehearsed rehearse(const cli::RehearsalSettings& from) {
  auto pool = scaler::read_pool(json::value(from.pool));
  if (!pool) refuse(pool.error(), "");
  rehearsal::Settings settings;
  settings.pool = std::move(*pool);
  static const SystemClock clock;
  const auto programs = std::filesystem::read_symlink("/proc/self/exe").parent_path();
  settings.make_decider = [&](const scaler::Pool& of) {
    return scaler::make_decider(of, programs / "geres-policy", clock);
  };
  // Said once, and not as a failure of each decision.
  if (const auto tried = settings.make_decider(settings.pool); !tried) refuse(tried.error(), "/policy");
  settings.jobs.reserve(from.jobs.size());
  for (const auto& job : from.jobs) settings.jobs.push_back({job.ready, job.length, job.slots, job.tenant, job.type});
  std::stable_sort(settings.jobs.begin(), settings.jobs.end(),
                   [](const auto& a, const auto& b) { return a.ready < b.ready; });
  settings.boots = from.boots;
  settings.boot = from.boot, settings.boot_spread = from.boot_spread;
  settings.provider_fails = from.provider_fails;
  settings.quota = from.quota;
  settings.price = from.price;
  settings.other_slots = from.other_slots;
  settings.seed = from.seed;
  if (settings.pool.policy == "deadline") {
    std::optional<Error> error;
    const json::value all(settings.pool.policy_settings);
    Millis within = 0;
    scaler::Settings(all, "/policy", error).duration("finishWithin", within, 1);
    if (within > 0) settings.within = within;
  }
  const auto report = rehearsal::rehearse(settings);
  return {report_json(report, settings.within.has_value()), rehearsal::chart(report, from.title)};
}

}  // namespace geres::apps
