// SPDX-License-Identifier: Apache-2.0
// JSON in and out of described structs (Boost.Describe), with errors that name the field.
//
// Reading is strict: an unknown member is `unknownField` (with the nearest known name), a wrong kind `wrongType`, both
// with a JSON pointer. Programs of different versions that read each other's messages ask for Unknown::ignored. An
// absent member keeps its default, unless the struct lists it in
//     static constexpr std::string_view kRequired[] = {"name"};
// One trailing underscore of a member's name is dropped, so `requires_` (a C++ keyword without it) is `requires` in
// JSON. Writing leaves out empty optionals. Any thread.
#pragma once

#include <boost/describe/class.hpp>
#include <boost/describe/enum.hpp>
#include <boost/describe/enum_from_string.hpp>
#include <boost/describe/enum_to_string.hpp>
#include <boost/describe/enumerators.hpp>
#include <boost/describe/members.hpp>
#include <boost/json/monotonic_resource.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <boost/mp11/algorithm.hpp>
#include <charconv>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/duration.h"
#include "base/error.h"

namespace geres::json {

using boost::json::array;
using boost::json::object;
using boost::json::value;

// Reads a whole document. Refuses what databases and other readers cannot hold: duplicate names, NUL in strings,
// numbers outside of 64 bits or double, more than 32 levels. The error's message has line and column. All of the
// document is allocated from `storage`.
Result<value> parse(std::string_view text, boost::json::storage_ptr storage = {});

// Memory for a document that is read and thrown away: allocated piece by piece, freed as one.
class Arena {
 public:
  boost::json::storage_ptr storage() { return &resource_; }

 private:
  unsigned char first_[2048];
  boost::json::monotonic_resource resource_{first_, sizeof first_};
};

// Kinds that have their own form in JSON.
struct Duration {
  Millis ms = 0;
  auto operator<=>(const Duration&) const = default;
};
struct Size {
  std::int64_t bytes = 0;
  auto operator<=>(const Size&) const = default;
};
struct Time {
  Millis at = 0;
  auto operator<=>(const Time&) const = default;
};
struct Raw {  // any JSON, kept as its text
  std::string text;
  auto operator<=>(const Raw&) const = default;
};

enum class Unknown { refused, ignored };  // of members that the struct does not have, at any depth

template <class T>
Result<T> read(const value& from, Unknown unknown = Unknown::refused);  // Error::field is relative to `from`

template <class T>
value write(const T& from);

template <class T>
Result<T> read_text(std::string_view text, Unknown unknown = Unknown::refused) {
  Arena arena;
  auto document = parse(text, arena.storage());
  if (!document) return document.error();
  return read<T>(*document, unknown);
}

// The text of write(from), without building the document.
template <class T>
std::string write_text(const T& from);

void put_text(std::string& to, std::string_view text);  // quoted
void put_json(std::string& to, const value& v);

// ---- how it is done -------------------------------------------------------------------------------------------------

std::string_view kind_name(const value& v);                   // "a string", "null", …
Error wrong_kind(std::string_view wanted, const value& got);  // wrongType
Error unknown_member(std::string_view name, const std::vector<std::string>& known);
std::string pointer_token(std::string_view name);  // "/" and the name, escaped as in RFC 6901

inline Error inside(std::string_view name, Error error) {
  error.field = pointer_token(name) + error.field;
  return error;
}

template <class T>
struct Form;  // one per kind: static Result<T> read(const value&), value write(const T&), void put(std::string&, const
              // T&). Kinds that hold others: read(const value&, Unknown)

template <class T>
concept Described = boost::describe::has_describe_members<T>::value && !std::is_union_v<T>;
template <class T>
concept DescribedEnum = boost::describe::has_describe_enumerators<T>::value;

constexpr std::string_view member_name(std::string_view cpp_name) {
  if (cpp_name.ends_with('_')) cpp_name.remove_suffix(1);
  return cpp_name;
}

template <class T>
using Members = boost::describe::describe_members<T, boost::describe::mod_public | boost::describe::mod_inherited>;

template <>
struct Form<bool> {
  static Result<bool> read(const value& v) {
    if (!v.is_bool()) return wrong_kind("true or false", v);
    return v.get_bool();
  }
  static value write(bool b) { return b; }
  static void put(std::string& to, bool b) { to += b ? "true" : "false"; }
};

template <class T>
requires(std::is_integral_v<T> && !std::is_same_v<T, bool>) struct Form<T> {
  static Result<T> read(const value& v) {
    if (v.is_int64() && std::in_range<T>(v.get_int64())) return T(v.get_int64());
    if (v.is_uint64() && std::in_range<T>(v.get_uint64())) return T(v.get_uint64());
    if (v.is_number() && !v.is_double())
      return fail(Code::badValue, "the number is out of range", {},
                  "a whole number from " + std::to_string(std::numeric_limits<T>::min()) + " to " +
                      std::to_string(std::numeric_limits<T>::max()));
    return wrong_kind("a whole number", v);
  }
  static value write(T n) { return n; }
  static void put(std::string& to, T n) {
    char digits[24];
    to.append(digits, std::to_chars(digits, digits + sizeof digits, n).ptr);
  }
};

template <>
struct Form<double> {
  static Result<double> read(const value& v) {
    if (!v.is_number()) return wrong_kind("a number", v);
    return v.to_number<double>();
  }
  static value write(double n) { return n; }
  static void put(std::string& to, double n) { put_json(to, n); }
};

template <>
struct Form<std::string> {
  static Result<std::string> read(const value& v) {
    if (!v.is_string()) return wrong_kind("a string", v);
    return std::string(v.get_string());
  }
  static value write(const std::string& s) { return boost::json::value(std::string_view(s)); }
  static void put(std::string& to, const std::string& s) { put_text(to, s); }
};

template <>
struct Form<Duration> {
  static Result<Duration> read(const value& v) {
    if (!v.is_string()) return wrong_kind("a duration such as \"30s\"", v);
    auto ms = parse_duration(std::string_view(v.get_string()));
    if (!ms) return ms.error();
    return Duration{*ms};
  }
  static value write(const Duration& d) { return value(std::string_view(format_duration(d.ms))); }
  static void put(std::string& to, const Duration& d) { put_text(to, format_duration(d.ms)); }
};

template <>
struct Form<Size> {
  static Result<Size> read(const value& v) {
    if (v.is_int64() && v.get_int64() >= 0) return Size{v.get_int64()};
    if (!v.is_string()) return wrong_kind("a size in bytes, or such as \"512MiB\"", v);
    auto bytes = parse_size(std::string_view(v.get_string()));
    if (!bytes) return bytes.error();
    return Size{*bytes};
  }
  static value write(const Size& s) { return s.bytes; }
  static void put(std::string& to, const Size& s) { Form<std::int64_t>::put(to, s.bytes); }
};

template <>
struct Form<Time> {
  static Result<Time> read(const value& v) {
    if (!v.is_string()) return wrong_kind("a time such as \"2026-11-24T22:30:00Z\"", v);
    auto at = parse_time(std::string_view(v.get_string()));
    if (!at) return at.error();
    return Time{*at};
  }
  static value write(const Time& t) { return value(std::string_view(format_time(t.at))); }
  static void put(std::string& to, const Time& t) { put_text(to, format_time(t.at)); }
};

template <>
struct Form<Raw> {
  static Result<Raw> read(const value& v) { return Raw{boost::json::serialize(v)}; }
  static value write(const Raw& raw);
  static void put(std::string& to, const Raw& raw) { to += raw.text.empty() ? std::string_view("null") : raw.text; }
};

template <>
struct Form<value> {
  static Result<value> read(const value& v) { return value(v, boost::json::storage_ptr()); }  // it may outlive v's
  static value write(const value& v) { return v; }
  static void put(std::string& to, const value& v) { put_json(to, v); }
};

template <DescribedEnum T>
struct Form<T> {
  static Result<T> read(const value& v) {
    if (!v.is_string()) return wrong_kind("a string", v);
    const std::string word(v.get_string());
    T result{};
    std::vector<std::string> known;
    bool found = false;
    boost::mp11::mp_for_each<boost::describe::describe_enumerators<T>>([&](auto d) {
      known.emplace_back(member_name(d.name));
      if (known.back() == word) result = d.value, found = true;
    });
    if (found) return result;
    std::string hint = "one of";
    for (const auto& name : known) hint += (&name == &known.front() ? " " : ", ") + name;
    return fail(Code::badValue, "'" + word + "' is not known here", {}, hint);
  }
  static value write(T e) { return value(member_name(boost::describe::enum_to_string(e, "?"))); }
  static void put(std::string& to, T e) { put_text(to, member_name(boost::describe::enum_to_string(e, "?"))); }
};

template <class T>
struct Form<std::optional<T>> {
  static Result<std::optional<T>> read(const value& v, Unknown unknown) {
    if (v.is_null()) return std::optional<T>();
    auto inner = json::read<T>(v, unknown);
    if (!inner) return inner.error();
    return std::optional<T>(std::move(*inner));
  }
  static value write(const std::optional<T>& o) { return o ? Form<T>::write(*o) : value(nullptr); }
  static void put(std::string& to, const std::optional<T>& o) {
    if (o)
      Form<T>::put(to, *o);
    else
      to += "null";
  }
};

// Absent, null and a value are three different things: the outer optional says whether the member was there.
template <class T>
struct Form<std::optional<std::optional<T>>> {
  using Type = std::optional<std::optional<T>>;
  static Result<Type> read(const value& v, Unknown unknown) {
    auto inner = json::read<std::optional<T>>(v, unknown);
    if (!inner) return inner.error();
    return Type(std::in_place, std::move(*inner));
  }
  static value write(const Type& o) { return o ? Form<std::optional<T>>::write(*o) : value(nullptr); }
  static void put(std::string& to, const Type& o) { Form<std::optional<T>>::put(to, o.value_or(std::nullopt)); }
};

template <class T>
struct Form<std::vector<T>> {
  static Result<std::vector<T>> read(const value& v, Unknown unknown) {
    if (!v.is_array()) return wrong_kind("a list", v);
    std::vector<T> list;
    list.reserve(v.get_array().size());
    for (std::size_t i = 0; i < v.get_array().size(); ++i) {
      auto item = json::read<T>(v.get_array()[i], unknown);
      if (!item) return inside(std::to_string(i), item.error());
      list.push_back(std::move(*item));
    }
    return list;
  }
  static value write(const std::vector<T>& list) {
    array items;
    items.reserve(list.size());
    for (const auto& item : list) items.push_back(Form<T>::write(item));
    return items;
  }
  static void put(std::string& to, const std::vector<T>& list) {
    to += '[';
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (i > 0) to += ',';
      Form<T>::put(to, list[i]);
    }
    to += ']';
  }
};

template <class T>
struct Form<std::map<std::string, T>> {
  using Type = std::map<std::string, T>;
  static Result<Type> read(const value& v, Unknown unknown) {
    if (!v.is_object()) return wrong_kind("an object", v);
    Type map;
    for (const auto& [name, member] : v.get_object()) {
      auto item = json::read<T>(member, unknown);
      if (!item) return inside(name, item.error());
      map.emplace(std::string(name), std::move(*item));
    }
    return map;
  }
  static value write(const Type& map) {
    object members;
    for (const auto& [name, item] : map) members.emplace(name, Form<T>::write(item));
    return members;
  }
  static void put(std::string& to, const Type& map) {
    char before = '{';
    for (const auto& [name, item] : map) {
      to += std::exchange(before, ',');
      put_text(to, name);
      to += ':';
      Form<T>::put(to, item);
    }
    if (map.empty()) to += '{';
    to += '}';
  }
};

template <class T>
struct IsOptional : std::false_type {};
template <class T>
struct IsOptional<std::optional<T>> : std::true_type {};

template <Described T>
struct Form<T> {
  static Result<T> read(const value& v, Unknown unknown) {
    if (!v.is_object()) return wrong_kind("an object", v);
    const auto& members = v.get_object();
    T result{};
    std::optional<Error> error;
    std::size_t found = 0;
    boost::mp11::mp_for_each<Members<T>>([&](auto d) {
      if (error) return;
      const auto name = member_name(d.name);
      const auto* member = members.if_contains(name);
      if (member == nullptr) return;
      ++found;
      using Type = std::remove_cvref_t<decltype(result.*d.pointer)>;
      auto item = json::read<Type>(*member, unknown);
      if (item)
        result.*d.pointer = std::move(*item);
      else
        error = inside(name, item.error());
    });
    if (error) return *error;
    if (found != members.size() && unknown == Unknown::refused) return unknown_in(members);
    if constexpr (requires { T::kRequired; }) {
      for (const std::string_view name : T::kRequired)
        if (!members.contains(name))
          return fail(Code::missingField, "'" + std::string(name) + "' is missing", pointer_token(name));
    }
    return result;
  }
  static value write(const T& from) {
    object members;
    boost::mp11::mp_for_each<Members<T>>([&](auto d) {
      const auto& member = from.*d.pointer;
      using Type = std::remove_cvref_t<decltype(member)>;
      if constexpr (IsOptional<Type>::value) {
        if (!member) return;
      }
      members.emplace(member_name(d.name), Form<Type>::write(member));
    });
    return members;
  }
  static void put(std::string& to, const T& from) {
    to += '{';
    const auto start = to.size();
    boost::mp11::mp_for_each<Members<T>>([&](auto d) {
      const auto& member = from.*d.pointer;
      using Type = std::remove_cvref_t<decltype(member)>;
      if constexpr (IsOptional<Type>::value) {
        if (!member) return;
      }
      if (to.size() > start) to += ',';
      to += '"';
      to += member_name(d.name);
      to += "\":";
      Form<Type>::put(to, member);
    });
    to += '}';
  }

 private:
  static Error unknown_in(const object& members) {
    std::vector<std::string> known;
    boost::mp11::mp_for_each<Members<T>>([&](auto d) { known.emplace_back(member_name(d.name)); });
    for (const auto& [name, member] : members)
      if (std::find(known.begin(), known.end(), std::string_view(name)) == known.end())
        return unknown_member(name, known);
    return fail(Code::internal, "json::read lost count");
  }
};

template <class T>
Result<T> read(const value& from, Unknown unknown) {
  if constexpr (requires { Form<T>::read(from, unknown); })
    return Form<T>::read(from, unknown);
  else
    return Form<T>::read(from);
}

template <class T>
value write(const T& from) {
  return Form<T>::write(from);
}

template <class T>
std::string write_text(const T& from) {
  std::string text;
  Form<T>::put(text, from);
  return text;
}

}  // namespace geres::json
