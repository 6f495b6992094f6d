// SPDX-License-Identifier: Apache-2.0
#include "scaler/book.h"

#include "scaler/provider.h"

namespace geres::scaler {
namespace {

template <class T>
std::optional<Error> read_member(const json::object& from, std::string_view name, std::vector<T>& to) {
  const auto* member = from.if_contains(name);
  if (member == nullptr) return std::nullopt;
  auto list = json::read<std::vector<T>>(*member, json::Unknown::ignored);
  if (!list) return json::inside(name, list.error());
  to = std::move(*list);
  return std::nullopt;
}

}  // namespace

Result<Book> read_book(const json::value& from) {
  if (!from.is_object()) return json::wrong_kind("an object", from);
  const auto& members = from.get_object();
  Book book;
  const auto* pool = members.if_contains("pool");
  if (pool == nullptr) return fail(Code::missingField, "'pool' is missing", "/pool");
  auto settings = read_pool(*pool);
  if (!settings) return json::inside("pool", settings.error());
  book.pool = std::move(*settings);
  if (auto error = read_member(members, "machines", book.machines)) return *error;
  if (auto error = read_member(members, "intents", book.intents)) return *error;
  if (auto error = read_member(members, "decisions", book.decisions)) return *error;
  return book;
}

}  // namespace geres::scaler
