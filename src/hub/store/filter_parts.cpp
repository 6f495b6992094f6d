// SPDX-License-Identifier: Apache-2.0
#include "hub/store/filter_parts.h"

#include <algorithm>

#include "base/bytes.h"
#include "hub/store/columns.h"

namespace geres::hub::store {

bool only_open(const std::vector<model::JobState>& states) {
  return !states.empty() && std::none_of(states.begin(), states.end(), model::ended);
}

std::optional<std::vector<std::string>> tables_of(const std::vector<model::JobState>& states,
                                                  const std::function<bool()>& any_blocked) {
  std::vector<std::string> tables;
  const auto need = [&](const char* table) {
    if (std::find(tables.begin(), tables.end(), table) == tables.end()) tables.emplace_back(table);
  };
  for (const auto state : states) {
    if (state == model::JobState::ready) need("ready");
    if (state == model::JobState::scheduled) need("scheduled");
    if (state == model::JobState::leased || state == model::JobState::running) need("lease");
    if (state == model::JobState::blocked && any_blocked()) return std::nullopt;
  }
  return tables;
}

void Span::add(Seq from, Seq to) {
  if (to == 0) return;
  first = first == 0 ? from : std::min(first, from);
  last = std::max(last, to);
}

std::string bound(const char* function, const std::vector<std::string>& bounds) {
  if (bounds.size() == 1) return bounds.front();
  std::string all;
  for (const auto& one : bounds) all += (all.empty() ? "" : ", ") + one;
  return std::string(function) + "(" + all + ")";
}

bool in_ids(Millis time) {
  return time > 0 && time < (std::int64_t(1) << 47);
}

std::string states_list(const std::vector<model::JobState>& states) {
  std::string list;
  for (const auto state : states) list += (list.empty() ? "" : ",") + std::to_string(int(state));
  return "(" + list + ")";
}

std::optional<std::string> id_digits(const std::string& hex) {
  std::string digits;
  for (const char c : hex) {
    if (hex_digit(c) < 0) return std::nullopt;
    digits += "0123456789abcdef"[hex_digit(c)];
  }
  if (digits.size() > 32) return std::nullopt;
  return digits;
}

std::uint64_t digits_value(const std::string& hex, std::size_t from, std::size_t count) {
  std::uint64_t number = 0;
  for (std::size_t i = from; i < from + count; ++i) number = number << 4 | std::uint64_t(hex_digit(hex[i]));
  return number;
}

void keep_matching(std::vector<Uuid>& ids, const std::string& digits, std::size_t max) {
  std::erase_if(ids, [&](Uuid id) {
    const std::string text = to_hex(uuid_bytes(id));
    return !text.starts_with(digits) && !text.ends_with(digits);
  });
  std::sort(ids.begin(), ids.end(), std::greater<>());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  if (ids.size() > max) ids.resize(max);
}

model::Batch usual_default_batch() {
  model::Batch usual;
  usual.name = model::batch_text(model::kDefaultBatch);
  usual.priority = model::kDefaultBatchPriority;
  return usual;
}

bool fits(const BatchFilter& filter, const model::Batch& batch) {
  const auto& tenants = filter.tenants;
  const bool seen = batch.tenant.empty() || tenants.empty() ||
                    std::find(tenants.begin(), tenants.end(), batch.tenant) != tenants.end();
  return seen && (filter.name.empty() || filter.name == batch.name) && (!filter.state || *filter.state == batch.state);
}

}  // namespace geres::hub::store
