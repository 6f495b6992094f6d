// SPDX-License-Identifier: Apache-2.0
#include "hub/api/event_filter.h"

#include <fmt/format.h>

#include "base/bytes.h"
#include "hub/api/filter.h"
#include "hub/api/query.h"

namespace geres::hub::api {
namespace {

constexpr std::size_t kNamedMax = 100;

std::string shown(std::string_view text) {
  return replace_bad_utf8(utf8_prefix(text, 80));
}

Result<std::vector<std::string>> words(const http::Query& query, std::string_view name) {
  auto found = words_parameter(query, name);
  if (found.size() > kNamedMax)
    return fail(Code::tooMany, fmt::format("{} values of '{}'", found.size(), name), std::string(name),
                fmt::format("at most {}; a batch or a tag can stand for many jobs", kNamedMax));
  return found;
}

}  // namespace

events::Filter events_visible_to(const Identity& who) {
  events::Filter filter;
  filter.tenants = who.tenants;
  filter.hosts = who.all_tenants();
  return filter;
}

Result<events::Filter> event_filter_of_query(Api& api, const Identity& who, const http::Query& query) {
  auto filter = events_visible_to(who);
  const auto tenants = words(query, "tenant");
  if (!tenants) return tenants.error();
  if (!tenants->empty()) {
    filter.tenants.clear();
    filter.hosts = false;
    for (const auto& tenant : *tenants)
      if (who.sees(tenant)) filter.tenants.push_back(tenant);
    // A tenant that the caller may not see looks like one that never has an event.
    if (filter.tenants.empty()) filter.types = 0;
  }
  const auto jobs = words(query, "job");
  if (!jobs) return jobs.error();
  for (const auto& text : *jobs) {
    const auto id = parse_uuid(text);
    const auto job = id ? find_job(api, *id) : std::nullopt;
    if (!job || !who.sees(job->tenant)) return about(no_such_job(shown(text)), "job");
    filter.jobs.push_back(*id);
  }
  const auto batches = words(query, "batch");
  if (!batches) return batches.error();
  for (const auto& text : *batches) {
    const auto stored = find_batch(api, who, text, tenants->size() == 1 ? tenants->front() : std::string(), "batch");
    if (!stored) return stored.error();
    filter.batches.push_back(stored->batch.id);
  }
  const auto types = event_types_of(words_parameter(query, "type"), "type");
  if (!types) return types.error();
  filter.types &= *types;
  return filter;
}

Result<EventPosition> event_position(const Api& api, std::optional<std::string_view> id, std::string_view field) {
  const auto last = api.tail.last();
  if (!id || id->empty()) return EventPosition{last};
  if (*id == "start") return EventPosition{0};
  const auto parsed = events::parse_event_id(*id);
  if (!parsed)
    return fail(Code::badValue, fmt::format("'{}' is not an event id", shown(*id)), std::string(field),
                fmt::format("such as {}", events::event_id(api.teller->log(), last)));
  if (parsed->log != api.teller->log()) return EventPosition{0, true};
  if (parsed->no > last)
    return fail(Code::badValue, fmt::format("no event has had the id '{}' yet", shown(*id)), std::string(field),
                fmt::format("the newest is {}", events::event_id(api.teller->log(), last)));
  return EventPosition{parsed->no};
}

}  // namespace geres::hub::api
