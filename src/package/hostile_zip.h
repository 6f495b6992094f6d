// SPDX-License-Identifier: Apache-2.0
// For tests: ZIP files put together field by field, so that any of them can lie.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace geres::package::testing {

struct ZipEntry {
  std::string name;
  std::string content;
  std::uint32_t mode = 0100644;  // Unix mode; the high half of the external attributes
  bool deflated = false;
  std::uint16_t flags = 0;
  std::optional<std::string> local_name;   // if another than in the directory
  std::optional<std::uint32_t> crc;        // if a wrong one
  std::optional<std::uint64_t> announced;  // if another size; above 4 GiB by a zip64 field
  std::optional<std::uint16_t> method;
  std::string extra;  // in the directory
};

inline void put_number(std::string& to, std::uint64_t value, int width) {
  for (int i = 0; i < width; ++i) to += char(value >> (8 * i));
}

inline std::string raw_deflate(const std::string& content) {
  z_stream stream{};
  deflateInit2(&stream, 9, Z_DEFLATED, -MAX_WBITS, 9, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&stream, uLong(content.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  stream.avail_in = uInt(content.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = uInt(packed.size());
  deflate(&stream, Z_FINISH);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

// The 26 bytes that both headers share: version, flags, method, time, date, crc, sizes, lengths of name and extra.
inline std::string shared_fields(const ZipEntry& entry, const std::string& packed, std::size_t name_size,
                                 std::size_t extra_size) {
  std::string fields;
  put_number(fields, 20, 2);
  put_number(fields, entry.flags, 2);
  put_number(fields, entry.method.value_or(entry.deflated ? 8 : 0), 2);
  put_number(fields, 0x00210000, 4);
  const auto* bytes = reinterpret_cast<const Bytef*>(entry.content.data());
  put_number(fields, entry.crc.value_or(std::uint32_t(crc32(0, bytes, uInt(entry.content.size())))), 4);
  put_number(fields, packed.size(), 4);
  const auto size = entry.announced.value_or(entry.content.size());
  put_number(fields, size > 0xfffffffe ? 0xffffffff : size, 4);
  put_number(fields, name_size, 2);
  put_number(fields, extra_size, 2);
  return fields;
}

inline std::string zip_of(const std::vector<ZipEntry>& entries) {
  std::string zip, directory;
  for (const auto& entry : entries) {
    const auto packed = entry.deflated ? raw_deflate(entry.content) : entry.content;
    const auto local_at = zip.size();
    const auto local_name = entry.local_name.value_or(entry.name);
    std::string extra = entry.extra;
    if (entry.announced.value_or(0) > 0xfffffffe) {
      put_number(extra, 1, 2);
      put_number(extra, 8, 2);
      put_number(extra, *entry.announced, 8);
    }
    zip += "PK\3\4" + shared_fields(entry, packed, local_name.size(), 0) + local_name + packed;
    directory += "PK\1\2";
    put_number(directory, 3 << 8 | 30, 2);
    directory += shared_fields(entry, packed, entry.name.size(), extra.size());
    put_number(directory, 0, 6);
    put_number(directory, std::uint64_t(entry.mode) << 16, 4);
    put_number(directory, local_at, 4);
    directory += entry.name + extra;
  }
  std::string end = "PK\5\6";
  put_number(end, 0, 4);
  put_number(end, entries.size(), 2);
  put_number(end, entries.size(), 2);
  put_number(end, directory.size(), 4);
  put_number(end, zip.size(), 4);
  put_number(end, 0, 2);
  return zip + directory + end;
}

}  // namespace geres::package::testing
