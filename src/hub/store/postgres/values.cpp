// SPDX-License-Identifier: Apache-2.0
#include "hub/store/postgres/values.h"

#include <bit>
#include <stdexcept>

namespace geres::hub::store::postgres {
namespace {

struct KindOfColumn {
  Oid type, array;  // catalog/pg_type.dat
  std::string_view array_name;
};

const KindOfColumn& described(Kind kind) {
  static constexpr KindOfColumn kinds[] = {{20, 1016, "int8[]"},  {701, 1022, "float8[]"}, {25, 1009, "text[]"},
                                           {17, 1001, "bytea[]"}, {2950, 2951, "uuid[]"},  {16, 1000, "bool[]"}};
  return kinds[std::size_t(kind)];
}

// ndim, flags, type of the elements, and for the one dimension its length and first index.
std::string array_head(Kind kind, std::int32_t count, bool nulls) {
  std::string head;
  append_number(head, count == 0 ? 0 : 1, 4);
  append_number(head, nulls ? 1 : 0, 4);
  append_number(head, type_of(kind), 4);
  if (count == 0) return head;
  append_number(head, count, 4);
  append_number(head, 1, 4);
  return head;
}

}  // namespace

Oid type_of(Kind kind) {
  return described(kind).type;
}

Oid array_type_of(Kind kind) {
  return described(kind).array;
}

std::string_view array_name(Kind kind) {
  return described(kind).array_name;
}

void append_number(std::string& to, std::int64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) to += char(std::uint64_t(value) >> shift);
}

void Encoded::number(std::int64_t value) {
  if (kind_ == Kind::real) return real(double(value));
  if (kind_ != Kind::number && kind_ != Kind::flag) throw std::logic_error("a number in a column of another kind");
  append_number(data_, value, kind_ == Kind::flag ? 1 : 8);
}

void Encoded::real(double value) {
  append_number(data_, std::bit_cast<std::int64_t>(value), 8);
}

void Encoded::bytes(std::string_view value) {
  if (kind_ != Kind::text && kind_ != Kind::bytes) throw std::logic_error("a text in a column of another kind");
  data_ = value;
}

void Encoded::uuid(Uuid id) {
  data_ = uuid_bytes(id);
}

void Column::append(const Encoded& value) {
  ++count_;
  if (!value.there()) {
    append_number(elements_, -1, 4);
    return;
  }
  any_ = true;
  append_number(elements_, std::int64_t(value.data().size()), 4);
  elements_ += value.data();
}

std::optional<std::string> Column::array() const {
  if (!any_) return std::nullopt;
  return array_head(kind_, count_, true) + elements_;
}

void Values::put(Oid type, std::optional<std::string> data) {
  types_.push_back(type);
  data_.push_back(std::move(data));
}

void Values::add_empty(Kind kind) {
  put(array_type_of(kind), array_head(kind, 0, false));
}

}  // namespace geres::hub::store::postgres
