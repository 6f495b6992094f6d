// SPDX-License-Identifier: Apache-2.0
// Described structs with the members' names and order as they have been stored since 0.1.0; no other place knows them.
#include "hub/store/event_row.h"

#include <fmt/format.h>

#include <array>
#include <boost/json/parse.hpp>
#include <vector>

#include "base/bytes.h"
#include "base/json.h"
#include "base/similar.h"

namespace geres::hub::store {
namespace {

constexpr std::array<std::string_view, kEventTypes> kEventNames{
    "geres.job.submitted",   "geres.job.ready",      "geres.job.leased",    "geres.job.started",
    "geres.job.progressed",  "geres.job.retrying",   "geres.job.finished",  "geres.job.failed",
    "geres.job.cancelled",   "geres.batch.created",  "geres.batch.closed",  "geres.batch.cancelled",
    "geres.batch.completed", "geres.host.joined",    "geres.host.draining", "geres.host.left",
    "geres.host.lost",       "geres.scaler.decided", "geres.scaler.failed", "geres.scaler.recovered"};

const std::vector<std::string>& type_names() {
  static const std::vector<std::string> kNames(kEventNames.begin(), kEventNames.end());
  return kNames;
}

// ---- the members ----------------------------------------------------------------------------------------------------

struct ProgressMembers {
  std::optional<std::optional<int>> percent;  // null, where it is not known
  std::string message;
};
BOOST_DESCRIBE_STRUCT(ProgressMembers, (), (percent, message))

struct JobMembers {
  static constexpr std::string_view kRequired[] = {"state", "version", "attempt"};
  model::JobState state = model::JobState::ready;
  std::int64_t version = 0;
  int attempt = 0;
  std::optional<std::string> host;
  std::optional<ProgressMembers> progress;
  std::optional<model::Reason> reason;
  std::optional<json::Time> dueAt;
  std::optional<int> failures;
  std::optional<int> hostLosses;
  std::optional<std::string> error;
  std::optional<std::int64_t> memory;
};
BOOST_DESCRIBE_STRUCT(JobMembers, (),
                      (state, version, attempt, host, progress, reason, dueAt, failures, hostLosses, error, memory))

struct BatchMembers {
  static constexpr std::string_view kRequired[] = {"name"};
  std::string name;
  std::optional<model::BatchState> state;
  std::optional<std::int64_t> priority;
  std::optional<bool> paused;
};
BOOST_DESCRIBE_STRUCT(BatchMembers, (), (name, state, priority, paused))

struct HostMembers {
  static constexpr std::string_view kRequired[] = {"name"};
  std::string name;
  int slots = 0;
};
BOOST_DESCRIBE_STRUCT(HostMembers, (), (name, slots))

struct ScalerMembers {
  static constexpr std::string_view kRequired[] = {"pool"};
  std::string pool;
  std::int64_t wanted = 0, actual = 0;
  std::string reason, outcome;
};
BOOST_DESCRIBE_STRUCT(ScalerMembers, (), (pool, wanted, actual, reason, outcome))

ProgressMembers members_of(const model::Progress& progress) {
  const auto& [percent, message] = progress;
  return {percent, message};
}

struct AddNews {
  JobMembers& to;
  void operator()(const std::monostate&) const {}
  void operator()(const AtHost& news) const { to.host = news.host; }
  void operator()(const Progressed& news) const { to.progress = members_of(news.progress); }
  void operator()(const Retrying& news) const {
    to.dueAt = json::Time{news.due_at};
    (*this)(news.last);
    if (news.memory > 0) to.memory = news.memory;
  }
  void operator()(const FailedForGood& news) const {
    to.reason = news.reason;
    if (news.last) (*this)(*news.last);
  }
  void operator()(const LastFailure& last) const {
    to.failures = last.failures, to.hostLosses = last.host_losses, to.error = last.error;
  }
};

JobMembers members_of(const JobEvent& event) {
  const auto& [state, version, attempt, news] = event;
  JobMembers members;
  members.state = state, members.version = version, members.attempt = attempt;
  std::visit(AddNews{members}, news);
  return members;
}

BatchMembers members_of(const BatchEvent& event) {
  const auto& [name, state, priority, paused] = event;
  return {name, state, priority, paused};
}

BatchMembers members_of(const BatchCompleted& event) {
  return {event.name, {}, {}, {}};
}

HostMembers members_of(const HostEvent& event) {
  const auto& [name, slots] = event;
  return {name, slots};
}

ScalerMembers members_of(const ScalerEvent& event) {
  const auto& [pool, wanted, actual, reason, outcome] = event;
  return {pool, wanted, actual, reason, outcome};
}

// ---- read back ------------------------------------------------------------------------------------------------------

LastFailure last_failure(JobMembers& members) {
  return {members.failures.value_or(0), members.hostLosses.value_or(0), std::move(members.error).value_or("")};
}

JobNews news_of(JobMembers& members) {
  if (members.dueAt) return Retrying{members.dueAt->at, last_failure(members), members.memory.value_or(0)};
  if (members.reason) {
    FailedForGood failed{*members.reason, {}};
    if (members.failures) failed.last = last_failure(members);
    return failed;
  }
  if (members.progress)
    return Progressed{{members.progress->percent.value_or(std::nullopt), std::move(members.progress->message)}};
  if (members.host) return AtHost{std::move(*members.host)};
  return {};
}

EventData event_of(EventType, JobMembers members) {
  return JobEvent{members.state, members.version, members.attempt, news_of(members)};
}

EventData event_of(EventType type, BatchMembers members) {
  if (type == EventType::batch_completed) return BatchCompleted{std::move(members.name)};
  return BatchEvent{std::move(members.name), members.state.value_or(model::BatchState::open),
                    members.priority.value_or(0), members.paused.value_or(false)};
}

EventData event_of(EventType, HostMembers members) {
  return HostEvent{std::move(members.name), members.slots};
}

EventData event_of(EventType, ScalerMembers members) {
  return ScalerEvent{std::move(members.pool), members.wanted, members.actual, std::move(members.reason),
                     std::move(members.outcome)};
}

template <class T>
EventData read(EventType type, const json::value& from) {
  auto members = json::read<T>(from, json::Unknown::ignored);
  return members ? event_of(type, std::move(*members)) : EventData();
}

}  // namespace

std::string_view event_name(EventType type) {
  return kEventNames[std::size_t(type)];
}

Result<std::uint32_t> event_types_of(std::span<const std::string> names, std::string_view field) {
  if (names.empty()) return ~std::uint32_t(0);
  std::uint32_t types = 0;
  for (const auto& name : names) {
    std::uint32_t fitting = 0;
    const bool prefix = name.ends_with('*');
    const auto wanted = std::string_view(name).substr(0, name.size() - (prefix ? 1 : 0));
    for (std::size_t i = 0; i < type_names().size(); ++i)
      if (prefix ? type_names()[i].starts_with(wanted) : type_names()[i] == wanted) fitting |= std::uint32_t(1) << i;
    if (fitting == 0) {
      const auto near = nearest(wanted, type_names());
      return fail(Code::badValue, fmt::format("there is no event type '{}'", replace_bad_utf8(utf8_prefix(name, 80))),
                  std::string(field),
                  near.empty() ? "such as geres.job.finished or geres.job.*" : fmt::format("did you mean {}?", near));
    }
    types |= fitting;
  }
  return types;
}

json::object event_json(const EventData& data) {
  return std::visit(
      [](const auto& event) -> json::object {
        if constexpr (std::is_same_v<decltype(event), const std::monostate&>)
          return {};
        else
          return std::move(json::write(members_of(event)).get_object());
      },
      data);
}

std::string event_text(const EventData& data) {
  return std::visit(
      [](const auto& event) -> std::string {
        if constexpr (std::is_same_v<decltype(event), const std::monostate&>)
          return {};
        else
          return json::write_text(members_of(event));
      },
      data);
}

EventData event_data(EventType type, std::string_view text) {
  // A reader more lenient than ours, since the log may hold what hubs of earlier versions took in.
  json::Arena arena;
  boost::json::error_code ec;
  const auto document = boost::json::parse(text, ec, arena.storage());
  if (ec) return {};
  if (about_job(type)) return read<JobMembers>(type, document);
  if (about_pool(type)) return read<ScalerMembers>(type, document);
  return type <= EventType::batch_completed ? read<BatchMembers>(type, document) : read<HostMembers>(type, document);
}

std::string subject_of(const EventRow& event) {
  if (!about_pool(event.type)) return event.subject.str();
  const auto* told = std::get_if<ScalerEvent>(&event.data);
  return told == nullptr ? std::string() : told->pool;
}

json::value progress_json(const model::Progress& progress) {
  return json::write(members_of(progress));
}

}  // namespace geres::hub::store
