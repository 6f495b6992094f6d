// SPDX-License-Identifier: Apache-2.0
#include "wire/api/job_view.h"

namespace geres::wire {
namespace {

void take(std::string& to, const json::value& from) {
  if (const auto* text = from.if_string()) to.assign(text->data(), text->size());
}

void take(bool& to, const json::value& from) {
  if (from.is_bool()) to = from.get_bool();
}

void take(std::int64_t& to, const json::value& from) {
  if (from.is_int64()) to = from.get_int64();
  if (from.is_uint64()) to = std::int64_t(from.get_uint64());
  if (from.is_double()) to = std::int64_t(from.get_double());
}

void take(int& to, const json::value& from) {
  std::int64_t whole = to;
  take(whole, from);
  to = int(whole);
}

void take(double& to, const json::value& from) {
  if (from.is_number()) to = from.to_number<double>();
}

void take(json::Duration& to, const json::value& from) {
  if (const auto duration = json::read<json::Duration>(from)) to = *duration;
}

void take(std::map<std::string, std::string>& to, const json::value& from) {
  const auto* members = from.if_object();
  if (members == nullptr) return;
  for (const auto& [name, value] : *members)
    if (value.is_string()) take(to[name], value);
}

void take(std::optional<json::value>& to, const json::value& from) {
  to = json::value(from, boost::json::storage_ptr());  // it may outlive the document's memory
}

void take(std::optional<json::Time>& to, const json::value& from) {
  if (const auto time = json::read<json::Time>(from)) to = *time;
}

void take(std::optional<int>& to, const json::value& from) {
  if (from.is_number()) take(to.emplace(), from);
}

template <json::Described T>
void take(T& to, const json::value& from);
template <json::Described T>
void take(std::optional<T>& to, const json::value& from) {
  if (from.is_object()) take(to.emplace(), from);
}

void take(std::vector<std::string>& to, const json::value& from) {
  const auto* items = from.if_array();
  if (items == nullptr) return;
  for (const auto& item : *items)
    if (item.is_string()) take(to.emplace_back(), item);
}

template <json::Described T>
void take(std::vector<T>& to, const json::value& from) {
  const auto* items = from.if_array();
  if (items == nullptr) return;
  for (const auto& item : *items) take(to.emplace_back(), item);
}

template <json::Described T>
void take(T& to, const json::value& from) {
  const auto* members = from.if_object();
  if (members == nullptr) return;
  boost::mp11::mp_for_each<json::Members<T>>([&](auto d) {
    if (const auto* member = members->if_contains(json::member_name(d.name))) take(to.*d.pointer, *member);
  });
}

template <class View>
std::vector<std::string> names_of() {
  std::vector<std::string> names;
  boost::mp11::mp_for_each<json::Members<View>>([&](auto d) { names.emplace_back(json::member_name(d.name)); });
  return names;
}

}  // namespace

JobView job_view(const json::value& from) {
  JobView view;
  take(view, from);
  return view;
}

AttemptView attempt_view(const json::value& from) {
  AttemptView view;
  take(view, from);
  return view;
}

std::span<const std::string> job_fields() {
  static const auto kFields = names_of<JobView>();
  return kFields;
}

std::span<const std::string> job_status_fields() {
  static const auto kFields = names_of<JobStatusView>();
  return kFields;
}

}  // namespace geres::wire
