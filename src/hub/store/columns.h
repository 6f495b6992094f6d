// SPDX-License-Identifier: Apache-2.0
// What stores in SQL databases have in common: the kinds of values in columns, and reading a row from left to right.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "base/uuid.h"

namespace geres::hub::store {

struct Blob {
  std::string_view bytes;
};

// Written as NULL when empty; reading NULL as text gives the empty string back.
struct OrNull {
  std::string_view text;
};

// A number written as NULL when it is `usual`, to keep rows small.
struct Unless {
  std::int64_t usual;
  std::int64_t value;
};

std::string uuid_bytes(Uuid id);  // 16 bytes, big-endian, so that they sort like the id
Uuid uuid_from(std::string_view bytes);
std::vector<Uuid> uuids_from(std::string_view bytes);  // one after the other

// Reads a row of a database from left to right. A Row tells of a column whether it is NULL, and gives it as an integer,
// a floating-point number or bytes.
template <class Row>
class RowReader {
 public:
  explicit RowReader(const Row& row, int first = 0) : row_(row), at_(first) {}
  std::int64_t integer() { return row_.integer(at_++); }
  std::int64_t integer_or(std::int64_t usual) {
    const int at = at_++;
    return row_.is_null(at) ? usual : row_.integer(at);
  }
  bool flag() { return integer() != 0; }
  double real() { return row_.real(at_++); }
  std::string text() { return std::string(row_.view(at_++)); }
  Uuid uuid() { return row_.uuid(at_++); }
  template <class E>
  E as() {
    return E(integer());
  }
  template <class T>
  std::optional<T> maybe() {
    const int at = at_++;
    if (row_.is_null(at)) return std::nullopt;
    if constexpr (std::is_same_v<T, std::string>)
      return std::string(row_.view(at));
    else if constexpr (std::is_same_v<T, Uuid>)
      return row_.uuid(at);
    else if constexpr (std::is_same_v<T, double>)
      return row_.real(at);
    else
      return T(row_.integer(at));
  }

 private:
  const Row& row_;
  int at_;
};

}  // namespace geres::hub::store
