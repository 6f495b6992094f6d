// SPDX-License-Identifier: Apache-2.0
#include "hub/store/json_columns.h"

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/bytes.h"
#include "hub/store/store.h"
#include "model/job.h"

namespace geres::hub::store {
namespace {

using boost::json::array;
using boost::json::object;
using boost::json::value;

value parse(std::string_view text) {
  boost::system::error_code error;
  value document = boost::json::parse(text, error);
  if (error) throw StoreFailed(Failure::fatal, "the store holds a JSON column that cannot be read");
  return document;
}

std::string string_in(const object& from, std::string_view name) {
  const value* member = from.if_contains(name);
  return member == nullptr ? std::string() : std::string(member->as_string());
}

std::int64_t number_in(const object& from, std::string_view name, std::int64_t usual) {
  const value* member = from.if_contains(name);
  return member == nullptr ? usual : member->to_number<std::int64_t>();
}

object map_value(const std::map<std::string, std::string>& map) {
  object members;
  for (const auto& [name, text] : map) members.emplace(name, text);
  return members;
}

std::map<std::string, std::string> map_from(const value& from) {
  std::map<std::string, std::string> map;
  for (const auto& [name, text] : from.as_object()) map.emplace(std::string(name), std::string(text.as_string()));
  return map;
}

array strings_value(const std::vector<std::string>& strings) {
  array list;
  for (const auto& text : strings) list.emplace_back(text);
  return list;
}

std::vector<std::string> strings_from(const value& from) {
  std::vector<std::string> strings;
  for (const value& text : from.as_array()) strings.emplace_back(text.as_string());
  return strings;
}

// What is written names every member, so that a new one does not compile until it is kept.
object requirements_value(const model::Requirements& requirements) {
  const auto& [slots, memory, labels] = requirements;
  object members;
  if (slots != 1) members.emplace("slots", slots);
  if (memory != 0) members.emplace("memory", memory);
  if (!labels.empty()) members.emplace("labels", map_value(labels));
  return members;
}

model::Requirements requirements_from_object(const object& from) {
  model::Requirements requirements;
  requirements.slots = int(number_in(from, "slots", 1));
  requirements.memory = number_in(from, "memory", 0);
  if (const value* labels = from.if_contains("labels")) requirements.labels = map_from(*labels);
  return requirements;
}

object backoff_value(const model::Backoff& backoff) {
  const auto& [initial, factor, max] = backoff;
  return {{"initial", initial}, {"factor", factor}, {"max", max}};
}

model::Backoff backoff_from(const object& from) {
  const model::Backoff usual;
  return {number_in(from, "initial", usual.initial), from.at("factor").to_number<double>(),
          number_in(from, "max", usual.max)};
}

object input_value(const model::Input& input) {
  const auto& [path, sha256, job, file] = input;
  object members{{"path", path}};
  if (!sha256.empty()) members.emplace("sha256", sha256);
  if (job) members.emplace("job", job.str());
  if (!file.empty()) members.emplace("file", file);
  return members;
}

model::Input input_from(const object& from) {
  return {string_in(from, "path"), string_in(from, "sha256"), parse_uuid(string_in(from, "job")).value_or(Uuid{}),
          string_in(from, "file")};
}

}  // namespace

std::string tags_text(const std::map<std::string, std::string>& tags) {
  return tags.empty() ? std::string() : boost::json::serialize(map_value(tags));
}

std::map<std::string, std::string> tags_from(std::string_view text) {
  if (text.empty()) return {};
  return map_from(parse(text));
}

std::string extras_text(const model::JobSpec& spec) {
  const bool usual = spec.inputs.empty() && spec.ref.empty() && spec.backoff == model::Backoff{} &&
                     spec.requirements == model::Requirements{} && spec.webhook.url.empty();
  if (usual) return {};
  object extras;
  if (!spec.inputs.empty()) {
    array inputs;
    for (const auto& input : spec.inputs) inputs.push_back(input_value(input));
    extras.emplace("inputs", std::move(inputs));
  }
  if (!spec.ref.empty()) extras.emplace("ref", spec.ref);
  if (spec.backoff != model::Backoff{}) extras.emplace("backoff", backoff_value(spec.backoff));
  if (spec.requirements != model::Requirements{}) extras.emplace("requires", requirements_value(spec.requirements));
  if (const auto& [url, types] = spec.webhook; !url.empty()) {
    object webhook{{"url", url}};
    if (!types.empty()) webhook.emplace("types", strings_value(types));
    extras.emplace("webhook", std::move(webhook));
  }
  return boost::json::serialize(extras);
}

void read_extras(std::string_view text, model::JobSpec& spec) {
  if (text.empty()) return;
  const value document = parse(text);
  const object& extras = document.as_object();
  if (const value* inputs = extras.if_contains("inputs"))
    for (const value& input : inputs->as_array()) spec.inputs.push_back(input_from(input.as_object()));
  spec.ref = string_in(extras, "ref");
  if (const value* backoff = extras.if_contains("backoff")) spec.backoff = backoff_from(backoff->as_object());
  if (const value* needs = extras.if_contains("requires"))
    spec.requirements = requirements_from_object(needs->as_object());
  if (const value* webhook = extras.if_contains("webhook")) {
    spec.webhook.url = string_in(webhook->as_object(), "url");
    if (const value* types = webhook->as_object().if_contains("types")) spec.webhook.types = strings_from(*types);
  }
}

std::string requirements_text(const model::Requirements& requirements) {
  if (requirements == model::Requirements{}) return {};
  return boost::json::serialize(requirements_value(requirements));
}

model::Requirements requirements_from(std::string_view text) {
  if (text.empty()) return {};
  return requirements_from_object(parse(text).as_object());
}

std::string files_left_out_text(const model::FilesLeftOut& left_out) {
  const auto& [files, count] = left_out;
  if (count == 0) return {};
  array named;
  for (const auto& [path, why] : files) named.push_back(object{{"path", path}, {"why", why}});
  return boost::json::serialize(object{{"count", count}, {"named", std::move(named)}});
}

model::FilesLeftOut files_left_out_from(std::string_view text) {
  model::FilesLeftOut left_out;
  if (text.empty()) return left_out;
  const value document = parse(text);
  const object& members = document.as_object();
  for (const value& file : members.at("named").as_array())
    left_out.add({string_in(file.as_object(), "path"), string_in(file.as_object(), "why")});
  left_out.count = number_in(members, "count", 0);
  return left_out;
}

std::string trouble_text(const model::HostTrouble& trouble) {
  if (trouble == model::HostTrouble{}) return {};
  const auto& [avoid, unstarted, since, reasons, lost_on] = trouble;
  object members;
  if (!avoid.empty()) members.emplace("avoid", avoid);
  if (unstarted > 0) {
    members.emplace("unstarted", unstarted);
    members.emplace("since", since);
    members.emplace("reasons", map_value(reasons));
  }
  if (!lost_on.empty()) members.emplace("lostOn", strings_value(lost_on));
  return boost::json::serialize(members);
}

void read_trouble(std::string_view text, model::HostTrouble& trouble) {
  if (text.empty()) return;
  const value document = parse(text);
  const object& members = document.as_object();
  trouble.avoid = string_in(members, "avoid");
  trouble.unstarted = int(number_in(members, "unstarted", 0));
  trouble.since = number_in(members, "since", 0);
  if (const value* reasons = members.if_contains("reasons")) trouble.reasons = map_from(*reasons);
  if (const value* hosts = members.if_contains("lostOn")) trouble.lost_on = strings_from(*hosts);
}

std::string names_text(const std::vector<std::string>& names) {
  return boost::json::serialize(strings_value(names));
}

std::vector<std::string> names_from(std::string_view text) {
  return strings_from(parse(text));
}

std::string roles_text(const std::vector<model::Role>& roles) {
  array list;
  for (const auto role : roles) list.emplace_back(std::int64_t(role));
  return boost::json::serialize(list);
}

std::vector<model::Role> roles_from(std::string_view text) {
  std::vector<model::Role> roles;
  const value document = parse(text);
  for (const value& role : document.as_array()) roles.push_back(model::Role(role.to_number<std::int64_t>()));
  return roles;
}

std::string numbers_text(const std::vector<std::int64_t>& numbers) {
  std::string text = "[";
  for (const auto number : numbers) {
    if (text.size() > 1) text += ',';
    text += std::to_string(number);
  }
  return text + ']';
}

std::string filter_text(const JobFilter& filter) {
  object members;
  if (!filter.tenants.empty()) members.emplace("tenants", strings_value(filter.tenants));
  if (filter.batch) members.emplace("batch", filter.batch->str());
  if (!filter.states.empty()) {
    array states;
    for (const auto state : filter.states) states.emplace_back(std::int64_t(state));
    members.emplace("states", std::move(states));
  }
  if (!filter.type.empty()) members.emplace("type", filter.type);
  if (!filter.name.empty()) members.emplace("name", filter.name);
  if (!filter.host.empty()) members.emplace("host", filter.host);
  if (!filter.tags.empty()) members.emplace("tags", map_value(filter.tags));
  if (filter.submitted_after) members.emplace("after", *filter.submitted_after);
  if (filter.submitted_before) members.emplace("before", *filter.submitted_before);
  if (!filter.ids.empty()) {
    array ids;
    for (const auto id : filter.ids) ids.emplace_back(id.str());
    members.emplace("ids", std::move(ids));
  }
  if (filter.reason) members.emplace("reason", std::int64_t(*filter.reason));
  return boost::json::serialize(members);
}

JobFilter filter_from(std::string_view text) {
  const value document = parse(text);
  const object& members = document.as_object();
  JobFilter filter;
  if (const value* tenants = members.if_contains("tenants")) filter.tenants = strings_from(*tenants);
  if (members.contains("batch")) filter.batch = parse_uuid(string_in(members, "batch"));
  if (const value* states = members.if_contains("states"))
    for (const value& state : states->as_array())
      filter.states.push_back(model::JobState(state.to_number<std::int64_t>()));
  filter.type = string_in(members, "type");
  filter.name = string_in(members, "name");
  filter.host = string_in(members, "host");
  if (const value* tags = members.if_contains("tags")) filter.tags = map_from(*tags);
  if (members.contains("after")) filter.submitted_after = number_in(members, "after", 0);
  if (members.contains("before")) filter.submitted_before = number_in(members, "before", 0);
  if (const value* ids = members.if_contains("ids"))
    for (const value& id : ids->as_array())
      filter.ids.push_back(parse_uuid(std::string_view(id.as_string())).value_or(Uuid{}));
  if (members.contains("reason")) filter.reason = model::Reason(number_in(members, "reason", 0));
  return filter;
}

std::string digest_bytes(const std::string& hex) {
  if (hex.size() != 64) return hex;
  std::string bytes(32, '\0');
  for (std::size_t i = 0; i < 32; ++i) {
    const int high = hex_digit(hex[2 * i]), low = hex_digit(hex[2 * i + 1]);
    // Upper case would come back as lower case: not ours to change.
    if (high < 0 || low < 0 || hex[2 * i] < '0' || (hex[2 * i] >= 'A' && hex[2 * i] <= 'F') ||
        (hex[2 * i + 1] >= 'A' && hex[2 * i + 1] <= 'F'))
      return hex;
    bytes[i] = char(high << 4 | low);
  }
  return bytes;
}

std::string digest_hex(std::string_view bytes) {
  return bytes.size() == 32 ? to_hex(bytes) : std::string(bytes);
}

}  // namespace geres::hub::store
