// SPDX-License-Identifier: Apache-2.0
#include "hub/api/filter.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/bytes.h"
#include "base/similar.h"
#include "hub/api/query.h"
#include "wire/api/text_checks.h"

namespace geres::hub::api {
namespace {

constexpr std::size_t kIdsMax = 1'000;
constexpr std::size_t kNamesakesMax = 100'000;  // batches of the same name, one per tenant

template <class E>
Result<E> word_as(const std::string& word, std::string_view what, std::string_view field) {
  auto e = json::read<E>(json::value(std::string_view(word)));
  if (e) return e;
  Error error = about(e.error(), field);
  error.message = fmt::format("'{}' is not a {}", utf8_prefix(replace_bad_utf8(word), 80), what);
  return error;
}

// True if the caller can see anything of the tenant.
bool narrow_tenants(const Identity& who, const std::optional<std::string>& tenant, store::JobFilter& filter) {
  if (!tenant) {
    filter.tenants = who.tenants;
    return true;
  }
  filter.tenants = {*tenant};
  return who.sees(*tenant);
}

// Takes full ids, or hex digits at the start or end of one.
Result<bool> take_short_id(Api& api, const Identity& who, std::string text, store::JobFilter& filter) {
  std::erase(text, '-');
  const bool hex = std::all_of(text.begin(), text.end(), [](char c) { return hex_digit(c) >= 0; });
  if (!hex || text.size() < 4 || text.size() > 32)
    return fail(Code::badValue, "this is not a part of a job id", "id",
                "4 to 32 hexadecimal digits, from its start or its end");
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'F' ? char(c + 32) : c; });
  filter.ids = api.reads.ids_like(text, who.tenants, 10);
  return !filter.ids.empty();
}

Result<void> take_states(const std::vector<std::string>& words, std::string_view field, store::JobFilter& filter) {
  for (const auto& word : words) {
    auto state = word_as<model::JobState>(word, "state", field);
    if (!state) return state.error();
    filter.states.push_back(*state);
  }
  return {};
}

Result<std::vector<std::string>> words_of(const json::value& from, const char* field) {
  auto words = from.is_array() ? json::read<std::vector<std::string>>(from) : Result<std::vector<std::string>>();
  if (!from.is_array()) {
    auto word = json::read<std::string>(from);
    if (!word) return json::inside(field, word.error());
    return std::vector<std::string>{*word};
  }
  if (!words) return json::inside(field, words.error());
  return words;
}

Result<void> take_ids(const std::vector<std::string>& ids, store::JobFilter& filter) {
  if (ids.empty())
    return fail(Code::badValue, "the list of ids is empty", "/ids", "leave it out, or name at least one");
  if (ids.size() > kIdsMax)
    return fail(Code::tooMany, fmt::format("{} ids", ids.size()), "/ids", fmt::format("at most {}", kIdsMax));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const auto id = parse_uuid(ids[i]);
    if (!id) return fail(Code::badValue, "this is not a job id", fmt::format("/ids/{}", i), "a UUID");
    filter.ids.push_back(*id);
  }
  return {};
}

}  // namespace

bool sees_batch(const Identity& who, const model::Batch& batch) {
  return batch.tenant.empty() || who.sees(batch.tenant);
}

Result<store::StoredBatch> find_batch(Api& api, const Identity& who, const std::string& batch,
                                      const std::string& tenant, const std::string& field) {
  const auto id = batch == "batch0" ? std::optional(model::kDefaultBatch) : parse_uuid(batch);
  const auto unknown = [&] {
    return fail(Code::unknownBatch, fmt::format("there is no batch '{}'", utf8_prefix(replace_bad_utf8(batch), 80)),
                field);
  };
  if (id) {
    auto stored = api.reads.batch(*id);
    if (!stored || !sees_batch(who, stored->batch)) return unknown();
    return std::move(*stored);
  }
  auto found = api.reads.batches({.tenants = who.tenants, .name = batch}, {}, kNamesakesMax);
  if (!tenant.empty())
    std::erase_if(found, [&](const auto& b) { return !b.batch.tenant.empty() && b.batch.tenant != tenant; });
  if (found.empty()) return unknown();
  if (found.size() > 1) {
    // A tenant's own batch takes precedence over a shared one of the same name.
    std::erase_if(found, [](const store::StoredBatch& stored) { return stored.batch.tenant.empty(); });
    if (found.size() != 1)
      return fail(Code::badValue, fmt::format("several tenants have a batch '{}'", batch), field,
                  "name the tenant as well, or give the batch's id");
  }
  return std::move(found.front());
}

Result<Narrowed> filter_of_query(Api& api, const Identity& who, const http::Query& query) {
  store::JobFilter filter;
  const auto tenant = query.get("tenant");
  if (!narrow_tenants(who, tenant ? std::optional<std::string>(*tenant) : std::nullopt, filter)) return Narrowed();
  if (auto ok = take_states(words_parameter(query, "state"), "state", filter); !ok) return ok.error();
  filter.type = text_parameter(query, "type");
  filter.name = text_parameter(query, "name");
  filter.host = text_parameter(query, "host");
  for (const auto& [name, value] : query.items)
    if (name.starts_with("tag.")) filter.tags[name.substr(4)] = value;
  const auto after = time_parameter(query, "submittedAfter");
  if (!after) return after.error();
  filter.submitted_after = *after;
  const auto before = time_parameter(query, "submittedBefore");
  if (!before) return before.error();
  filter.submitted_before = *before;
  const auto open = flag_parameter(query, "open");
  if (!open) return open.error();
  filter.open = *open;
  if (const auto reason = query.get("reason")) {
    auto word = word_as<model::Reason>(std::string(*reason), "reason", "reason");
    if (!word) return word.error();
    filter.reason = *word;
  }
  if (const auto batch = query.get("batch")) {
    auto stored = find_batch(api, who, std::string(*batch), text_parameter(query, "tenant"), "batch");
    if (!stored) return stored.error();
    filter.batch = stored->batch.id;
  }
  if (const auto id = query.get("id")) {
    auto some = take_short_id(api, who, std::string(*id), filter);
    if (!some) return some.error();
    if (!*some) return Narrowed();
  }
  return Narrowed(std::move(filter));
}

Result<Narrowed> filter_of_body(Api& api, const Identity& who, const wire::FilterShape& shape) {
  store::JobFilter filter;
  if (!narrow_tenants(who, shape.tenant, filter)) return Narrowed();
  if (shape.state) {
    auto words = words_of(*shape.state, "state");
    if (!words) return words.error();
    if (auto ok = take_states(*words, "/state", filter); !ok) return ok.error();
  }
  filter.type = shape.type.value_or("");
  filter.name = shape.name.value_or("");
  filter.host = shape.host.value_or("");
  if (shape.tags) {
    if (auto ok = wire::check_tags(*shape.tags, "/tags"); !ok) return ok.error();
    filter.tags = *shape.tags;
  }
  if (shape.submittedAfter) filter.submitted_after = shape.submittedAfter->at;
  if (shape.submittedBefore) filter.submitted_before = shape.submittedBefore->at;
  if (shape.ids)
    if (auto ok = take_ids(*shape.ids, filter); !ok) return ok.error();
  if (shape.batch) {
    auto stored = find_batch(api, who, *shape.batch, shape.tenant.value_or(""), "/batch");
    if (!stored) return stored.error();
    filter.batch = stored->batch.id;
  }
  return Narrowed(std::move(filter));
}

}  // namespace geres::hub::api
