// SPDX-License-Identifier: Apache-2.0
#include "scaler/policies.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <optional>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/duration.h"
#include "calendar/cron.h"
#include "calendar/time_zone.h"
#include "scaler/settings.h"

namespace geres::scaler {
namespace {

using policy::Demand;
using policy::Load;
using policy::Policy;
using policy::usual_seconds;
using policy::Wanted;

// Up to the next whole number, without surprises for what is no number or larger than any pool.
std::int64_t whole_hosts(double hosts) {
  if (!(hosts > 0)) return 0;
  return hosts >= double(kHostsMax) ? kHostsMax : std::int64_t(std::ceil(hosts - 1e-9));
}

double slots_of(const Load& load) {
  return double(std::max<std::int64_t>(1, load.pool.slots));
}

// More than these would have nothing to do.
std::int64_t useful_hosts(const Load& load) {
  return whole_hosts(double(load.demand.running.slots + load.demand.runnable.slots) / slots_of(load));
}

// Whole seconds in the two largest units: "3m39s".
std::string rounded(Millis duration) {
  constexpr std::array<Millis, 4> kUnits{86'400'000, 3'600'000, 60'000, 1'000};
  for (std::size_t i = 0; i + 1 < kUnits.size(); ++i) {
    if (duration < kUnits[i]) continue;
    const Millis rest = duration % kUnits[i] / kUnits[i + 1] * kUnits[i + 1];
    return format_duration(duration - duration % kUnits[i]) + (rest == 0 ? "" : format_duration(rest));
  }
  return format_duration(duration / 1'000 * 1'000);
}

std::string assumed(const Demand& demand) {
  return demand.seconds_per_job_of < policy::kSecondsCount ? ", 60 s a job assumed" : "";
}

class MessageCount final : public Policy {
 public:
  explicit MessageCount(std::int64_t jobs_per_host) : jobs_per_host_(jobs_per_host) {}

  Wanted decide(const Load& load) override {
    const auto slots = load.demand.running.slots + load.demand.runnable.slots;
    const double each = jobs_per_host_ > 0 ? double(jobs_per_host_) : slots_of(load);
    return {
        whole_hosts(double(slots) / each),
        fmt::format("{} slots run, {} wait, {:g} a host", load.demand.running.slots, load.demand.runnable.slots, each)};
  }

 private:
  std::int64_t jobs_per_host_;  // 0: as many as it has slots
};

class MessageWaitingTime final : public Policy {
 public:
  explicit MessageWaitingTime(Millis wait) : wait_(wait) {}

  Wanted decide(const Load& load) override {
    const auto& demand = load.demand;
    const double target = double(wait_) / 1000, boot = double(load.pool.boot) / 1000;
    const double slots = slots_of(load), ready = double(load.hosts.ready);
    // Slot seconds that are taken or asked for in the time that a job may wait.
    const double taken = double(demand.running.slots) * std::clamp(demand.running.rest_mean_seconds, 0.0, target);
    const double work = double(demand.runnable.slots) * usual_seconds(demand) + taken;
    double hosts = work / (slots * target);
    // Those beyond the ready ones work only once they are up. The quarter keeps a boot time just below the target from
    // asking for all there is.
    if (hosts > ready && boot < target)
      hosts = ready + (work - ready * slots * target) / (slots * std::max(target - boot, target / 4));
    auto wanted = std::min(whole_hosts(hosts), useful_hosts(load));
    wanted = std::max(wanted, whole_hosts(double(demand.running.slots) / slots));
    const bool late = demand.oldest_wait > wait_ && demand.runnable.jobs > 0;
    if (late) wanted = std::max(wanted, load.hosts.ready + 1);
    return {wanted, fmt::format("{} {}, the oldest {} of {}{}", demand.runnable.jobs,
                                demand.runnable.jobs == 1 ? "job waits" : "jobs wait", rounded(demand.oldest_wait),
                                rounded(wait_), assumed(demand))};
  }

 private:
  Millis wait_;
};

class Deadline final : public Policy {
 public:
  explicit Deadline(Millis within) : within_(within) {}

  Wanted decide(const Load& load) override {
    const auto& demand = load.demand;
    const double slots = slots_of(load);
    const double work = double(demand.runnable.slots) * usual_seconds(demand) +
                        double(demand.running.slots) * std::max(0.0, demand.running.rest_mean_seconds);
    if (work <= 0) return {0, "nothing to do"};
    const Millis left = within_ - demand.oldest_wait - load.pool.boot;
    const auto useful = useful_hosts(load);
    // What runs keeps its hosts, and what keeps arriving is served as it comes: a fleet that follows the queue alone
    // would let it grow until it is nearly too late, over and over.
    const double flow = demand.arrivals_per_second_10m * usual_seconds(demand);
    const auto steady = whole_hosts(std::max(flow, double(demand.running.slots)) / slots);
    const auto wanted =
        std::max(steady, left > 0 ? std::min(whole_hosts(work / (double(left) / 1000) / slots), useful) : useful);
    if (left > 0 && wanted <= load.pool.maximum)
      return {wanted, fmt::format("{:.0f} slot seconds of work in {}{}", work, rounded(left), assumed(demand))};
    const auto most = std::min(wanted, load.pool.maximum);
    const double seconds = work / (double(std::max<std::int64_t>(1, most)) * slots);
    const Millis end = load.now + load.pool.boot + Millis(std::min(seconds, 1e9) * 1000);
    return {most, fmt::format("cannot be met: would end at {} UTC{}", format_time(end).substr(11, 5), assumed(demand))};
  }

 private:
  Millis within_;
};

struct Window {
  std::string text;
  calendar::Cron cron;
  Millis length;
  std::int64_t hosts;
  calendar::TimeZone zone;

  // Whether one of its starts lies in (now - length, now].
  bool open(Millis now) const {
    using std::chrono::days, std::chrono::sys_days;
    const auto first = std::chrono::floor<days>(zone.local(now - length)) - days(1);
    const auto last = std::chrono::floor<days>(zone.local(now)) + days(1);
    for (sys_days day = last; day >= first; day -= days(1))
      if (cron.has_date(day) && open_on(day, now)) return true;
    return false;
  }

 private:
  bool open_on(std::chrono::sys_days day, Millis now) const {
    for (unsigned hour = 0; hour < 24; ++hour) {
      if (!cron.hours()[hour]) continue;
      for (unsigned minute = 0; minute < 60; ++minute) {
        if (!cron.minutes()[minute]) continue;
        const auto start = zone.moment(day + std::chrono::hours(hour) + std::chrono::minutes(minute));
        if (start <= now && now < start + length) return true;
      }
    }
    return false;
  }
};

class Fixed final : public Policy {
 public:
  Fixed(std::vector<Window> windows, std::int64_t otherwise) : windows_(std::move(windows)), otherwise_(otherwise) {}

  Wanted decide(const Load& load) override {
    const Window* largest = nullptr;
    for (const auto& window : windows_)
      if ((largest == nullptr || window.hosts > largest->hosts) && window.open(load.now)) largest = &window;
    if (largest == nullptr) return {otherwise_, "outside of all windows"};
    return {largest->hosts, fmt::format("window '{}' for {}", largest->text, rounded(largest->length))};
  }

 private:
  std::vector<Window> windows_;
  std::int64_t otherwise_;
};

constexpr Millis kWindowMax = 31LL * 24 * 3'600'000;

void read_window(const Settings& from, const std::string& zone_name, std::vector<Window>& windows) {
  const auto text = from.text("cron");
  const auto cron = calendar::Cron::parse(text);
  if (!cron) return from.wrong("cron", cron.error().message, cron.error().hint);
  Millis length = 0;
  from.duration("for", length, 60'000);
  if (length == 0 || length > kWindowMax)
    return from.wrong("for", "how long the window is open", "a duration of 1m to 31d, \"10h\"");
  std::int64_t hosts = -1;
  from.integer("hosts", hosts, 0, kHostsMax);
  if (hosts < 0) return from.wrong("hosts", "how many hosts the window wants");
  const auto own = from.text("timeZone");
  const auto zone = calendar::TimeZone::find(own.empty() ? zone_name : own);
  if (!zone) return from.wrong("timeZone", zone.error().message, zone.error().hint);
  windows.push_back({text, *cron, length, hosts, *zone});
}

std::unique_ptr<Policy> make_fixed(const Settings& from, std::optional<Error>& error) {
  std::vector<Window> windows;
  std::int64_t otherwise = 0;
  from.integer("otherwise", otherwise, 0, kHostsMax);
  from.integer("hosts", otherwise, 0, kHostsMax);  // without windows: always so many
  const auto zone = from.text("timeZone");
  if (const auto* list = from.find("windows")) {
    if (!list->is_array()) {
      from.wrong("windows", "a list is wanted here");
      return nullptr;
    }
    for (std::size_t i = 0; i < list->get_array().size(); ++i)
      read_window(Settings(list->get_array()[i], from.place() + "/windows/" + std::to_string(i), error),
                  zone.empty() ? "UTC" : zone, windows);
  }
  return std::make_unique<Fixed>(std::move(windows), otherwise);
}

}  // namespace

Result<std::unique_ptr<Policy>> make_policy(std::string_view name, const json::object& settings) {
  const json::value all(settings);
  std::optional<Error> error;
  const Settings from(all, "", error);
  std::unique_ptr<Policy> made;
  if (name == "messageCount") {
    std::int64_t jobs_per_host = 0;
    from.integer("jobsPerHost", jobs_per_host, 1, 1'000'000);
    made = std::make_unique<MessageCount>(jobs_per_host);
  } else if (name == "messageWaitingTime") {
    Millis wait = 30'000;
    from.duration("wait", wait, 1'000);
    made = std::make_unique<MessageWaitingTime>(wait);
  } else if (name == "deadline") {
    Millis within = 0;
    from.duration("finishWithin", within, 1'000);
    if (within == 0 && !error) from.wrong("finishWithin", "'finishWithin' is missing", "\"1h\"");
    made = std::make_unique<Deadline>(within);
  } else if (name == "fixed") {
    made = make_fixed(from, error);
  } else {
    from.wrong("name", "'" + std::string(name) + "' is no policy",
               "messageCount, messageWaitingTime, deadline, fixed, library or command");
  }
  if (error) return *error;
  return made;
}

bool follows_work(std::string_view name) {
  return name == "messageCount" || name == "messageWaitingTime" || name == "deadline";
}

}  // namespace geres::scaler
