// SPDX-License-Identifier: Apache-2.0
#include "hub/events/teller.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <charconv>
#include <map>

#include "base/duration.h"
#include "model/job.h"
#include "model/job_transitions.h"
#include "wire/api/job_json.h"
#include "wire/api/job_view.h"

namespace geres::hub::events {
namespace {

constexpr std::size_t kKeptMax = 4'096;  // bytes of a text that is kept for whoever else reads on

}  // namespace

std::string event_id(std::string_view log, EventNo no) {
  return fmt::format("{}-{}", log, no);
}

std::string Gap::data() const {
  return after.empty() ? fmt::format(R"({{"until":"{}"}})", until)
                       : fmt::format(R"({{"after":"{}","until":"{}"}})", after, until);
}

std::string Gap::event(Millis at) const {
  return fmt::format(R"({{"specversion":"1.0","id":"{}","source":"/v1","type":"{}","time":"{}",)"
                     R"("datacontenttype":"application/json","data":{}}})",
                     id(), kType, format_time(at), data());
}

std::optional<EventId> parse_event_id(std::string_view text) {
  const auto dash = text.rfind('-');
  if (dash == std::string_view::npos || dash == 0) return std::nullopt;
  EventId id;
  id.log = text.substr(0, dash);
  const char* end = text.data() + text.size();
  const auto [stop, trouble] = std::from_chars(text.data() + dash + 1, end, id.no);
  if (trouble != std::errc() || stop != end || id.no < 0) return std::nullopt;
  return id;
}

json::object Teller::job_json(const model::Job& job) const {
  auto data = wire::job_json(job, batch_name_(job.spec.batch).value_or(std::string()));
  data.erase("parameters");
  data.erase("inputs");
  return data;
}

json::object Teller::data_json(const EventRow& event, const model::Job* job) const {
  json::object data;
  if (job != nullptr) {
    data = job_json(*job);
    const bool at_its_end = event.type >= store::EventType::job_finished && model::ended(job->status.state);
    if (!at_its_end)  // it tells what it changed itself
      for (const auto& name : wire::job_status_fields()) data.erase(name);
    data.erase("redrivenAs");
    data.erase("settledAt");
    if (event.type == store::EventType::job_started) data["startedAt"] = std::string_view(format_time(event.at));
  }
  for (auto& member : store::event_json(event.data)) data[member.key()] = std::move(member.value());
  if (!store::about_pool(event.type)) data["id"] = std::string_view(event.subject.str());
  return data;
}

json::object Teller::head_json(const EventRow& event) const {
  json::object head{{"specversion", "1.0"},
                    {"id", std::string_view(event_id(log_, event.no))},
                    {"source", "/v1"},
                    {"type", store::event_name(event.type)},
                    {"subject", std::string_view(store::subject_of(event))},
                    {"time", std::string_view(format_time(event.at))},
                    {"datacontenttype", "application/json"}};
  if (!event.tenant.empty()) head.emplace("tenant", std::string_view(event.tenant));
  return head;
}

json::object Teller::event_json(const EventRow& event, const model::Job* job) const {
  auto to = head_json(event);
  to.emplace("data", data_json(event, job));
  return to;
}

std::vector<TextPtr> Teller::made_texts(std::span<const Told> events, std::size_t bytes_max) {
  std::vector<TextPtr> texts;
  std::size_t bytes = 0;
  for (const auto& event : events) {
    auto text = made_text(event);
    if (!text) break;
    bytes += text->event.size();
    texts.push_back(std::move(text));
    if (bytes >= bytes_max) break;
  }
  return texts;
}

TextPtr Teller::made_text(const Told& event) {
  const std::lock_guard lock(event.chunk->mutex);
  const auto& texts = event.chunk->texts;
  if (texts.empty()) return nullptr;
  const auto& slot = texts[event.at];
  return slot.kept ? slot.kept : slot.lent.lock();
}

std::vector<TextPtr> Teller::texts(std::span<const Told> events, std::size_t bytes_max) {
  std::vector<TextPtr> texts;
  std::size_t bytes = 0;
  std::map<Uuid, std::optional<model::Job>> jobs;
  for (const auto& event : events) {
    auto text = made_text(event);
    if (!text) {
      const model::Job* job = nullptr;
      if (store::about_job(event.row().type)) {
        auto [found, fresh] = jobs.try_emplace(event.row().subject);
        if (fresh && (found->second = reads_.job(event.row().subject))) found->second->spec.parameters = {};
        if (found->second) job = &*found->second;
      }
      text = make_text(event, job);
    }
    bytes += text->event.size();
    texts.push_back(std::move(text));
    if (bytes >= bytes_max) break;
  }
  return texts;
}

TextPtr Teller::make_text(const Told& event, const model::Job* job) const {
  const auto& row = event.row();
  auto made = std::make_shared<Text>();
  made->event = boost::json::serialize(head_json(row));
  made->event.back() = ',';
  made->event += "\"data\":";
  made->data_at = made->event.size();
  made->event += boost::json::serialize(data_json(row, job));
  made->event += '}';
  made->event.shrink_to_fit();
  const std::lock_guard lock(event.chunk->mutex);
  auto& texts = event.chunk->texts;
  if (texts.empty()) texts.resize(event.chunk->events.size());
  auto& slot = texts[event.at];
  slot.lent = made;
  if (made->event.size() <= kKeptMax) slot.kept = made;
  return made;
}

}  // namespace geres::hub::events
