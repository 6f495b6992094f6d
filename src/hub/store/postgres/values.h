// SPDX-License-Identifier: Apache-2.0
// What goes to PostgreSQL, in its binary format: the parameters of one statement, and many rows at once as one array
// for each column, which `unnest` makes rows of again. What is handed over is copied.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "hub/store/columns.h"

namespace geres::hub::store::postgres {

using Oid = unsigned int;  // of a type, as libpq has it

// Kinds of columns. Texts that people or programs write freely are bytes: PostgreSQL's text has no NUL.
enum class Kind : std::uint8_t { number, real, text, bytes, uuid, flag };

Oid type_of(Kind kind);
Oid array_type_of(Kind kind);
std::string_view array_name(Kind kind);  // "int8[]"

void append_number(std::string& to, std::int64_t value, int bytes);  // big-endian

// One value as its column wants it. Empty optional: NULL.
class Encoded {
 public:
  explicit Encoded(Kind kind) : kind_(kind) {}
  void null() { there_ = false; }
  void number(std::int64_t value);
  void real(double value);
  void bytes(std::string_view value);
  void uuid(Uuid id);

  bool there() const { return there_; }
  std::string_view data() const { return data_; }

 private:
  Kind kind_;
  bool there_ = true;
  std::string data_;
};

template <class T>
void encode(Encoded& to, const T& value) {
  if constexpr (std::is_same_v<T, std::nullptr_t>) {
    to.null();
  } else if constexpr (std::is_same_v<T, OrNull>) {
    value.text.empty() ? to.null() : to.bytes(value.text);
  } else if constexpr (std::is_same_v<T, Unless>) {
    value.value == value.usual ? to.null() : to.number(value.value);
  } else if constexpr (std::is_same_v<T, Blob>) {
    to.bytes(value.bytes);
  } else if constexpr (std::is_same_v<T, Uuid>) {
    to.uuid(value);
  } else if constexpr (std::is_floating_point_v<T>) {
    to.real(value);
  } else if constexpr (std::is_integral_v<T> || std::is_enum_v<T>) {
    to.number(std::int64_t(value));
  } else {
    to.bytes(std::string_view(value));
  }
}

template <class T>
void encode(Encoded& to, const std::optional<T>& value) {
  value ? encode(to, *value) : to.null();
}

// The kind that a value has by itself, for parameters that are no rows.
template <class T>
constexpr Kind kind_of() {
  if constexpr (std::is_same_v<T, bool>)
    return Kind::flag;
  else if constexpr (std::is_same_v<T, Uuid>)
    return Kind::uuid;
  else if constexpr (std::is_same_v<T, Blob>)
    return Kind::bytes;
  else if constexpr (std::is_floating_point_v<T>)
    return Kind::real;
  else if constexpr (std::is_integral_v<T> || std::is_enum_v<T> || std::is_same_v<T, Unless>)
    return Kind::number;
  else
    return Kind::text;
}

// A column's values, one for each row.
class Column {
 public:
  explicit Column(Kind kind) : kind_(kind) {}
  template <class T>
  void add(const T& value) {
    Encoded one(kind_);
    encode(one, value);
    append(one);
  }
  void append(const Encoded& value);
  std::optional<std::string> array() const;  // nullopt: all are NULL, which an absent array says too
  Kind kind() const { return kind_; }

 private:
  Kind kind_;
  std::string elements_;
  std::int32_t count_ = 0;
  bool any_ = false;
};

// The parameters of a statement, $1 and on.
class Values {
 public:
  Values() = default;
  template <class... T>
  requires(sizeof...(T) > 0) explicit Values(const T&... values) { (add(values), ...); }

  template <class T>
  void add(const T& value) {
    if constexpr (requires { value.has_value(); }) {
      add_as(kind_of<typename T::value_type>(), value);
    } else {
      add_as(kind_of<T>(), value);
    }
  }
  template <class T>
  void add_as(Kind kind, const T& value) {
    Encoded one(kind);
    encode(one, value);
    put(type_of(kind), one.there() ? std::optional(std::string(one.data())) : std::nullopt);
  }
  void add(const Column& column) { put(array_type_of(column.kind()), column.array()); }
  template <class T>
  void add_list(const std::vector<T>& list) {
    Column column(kind_of<T>());
    for (const T& value : list) column.add(value);
    if (list.empty())
      add_empty(column.kind());
    else
      add(column);
  }

  void append(const Values& more) {
    types_.insert(types_.end(), more.types_.begin(), more.types_.end());
    data_.insert(data_.end(), more.data_.begin(), more.data_.end());
  }

  std::size_t size() const { return types_.size(); }
  const std::vector<Oid>& types() const { return types_; }
  const std::vector<std::optional<std::string>>& data() const { return data_; }

 private:
  void put(Oid type, std::optional<std::string> data);
  void add_empty(Kind kind);

  std::vector<Oid> types_;
  std::vector<std::optional<std::string>> data_;
};

}  // namespace geres::hub::store::postgres
