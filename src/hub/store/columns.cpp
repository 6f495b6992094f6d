// SPDX-License-Identifier: Apache-2.0
#include "hub/store/columns.h"

namespace geres::hub::store {

std::string uuid_bytes(Uuid id) {
  std::string bytes(16, '\0');
  for (int i = 0; i < 8; ++i) {
    bytes[std::size_t(i)] = char(id.high >> (56 - 8 * i));
    bytes[std::size_t(8 + i)] = char(id.low >> (56 - 8 * i));
  }
  return bytes;
}

Uuid uuid_from(std::string_view bytes) {
  Uuid id;
  if (bytes.size() != 16) return id;
  for (std::size_t i = 0; i < 8; ++i) {
    id.high = id.high << 8 | std::uint8_t(bytes[i]);
    id.low = id.low << 8 | std::uint8_t(bytes[8 + i]);
  }
  return id;
}

std::vector<Uuid> uuids_from(std::string_view bytes) {
  std::vector<Uuid> ids;
  for (std::size_t at = 0; at + 16 <= bytes.size(); at += 16) ids.push_back(uuid_from(bytes.substr(at, 16)));
  return ids;
}

}  // namespace geres::hub::store
