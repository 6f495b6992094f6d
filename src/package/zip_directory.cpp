// SPDX-License-Identifier: Apache-2.0
#include "package/zip_directory.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <string>
#include <system_error>

#include "base/duration.h"
#include "package/archive.h"
#include "package/names.h"

namespace geres::package {
namespace {

constexpr std::size_t kEndSize = 22, kLocalSize = 30, kCentralSize = 46, kLocatorSize = 20, kEnd64Size = 56;
constexpr std::uint64_t kCentralBytesMax = std::uint64_t(256) << 20;

Error bad(std::string why) {
  return fail(Code::badPackage, std::move(why));
}

std::uint64_t number(std::string_view bytes, std::size_t at, int width) {
  std::uint64_t value = 0;
  for (int i = width; i-- > 0;) value = value << 8 | static_cast<unsigned char>(bytes[at + std::size_t(i)]);
  return value;
}

std::string read_at(int fd, std::uint64_t offset, std::size_t length) {
  std::string bytes(length, '\0');
  std::size_t done = 0;
  while (done < length) {
    const ssize_t got = ::pread(fd, bytes.data() + done, length - done, off_t(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw std::system_error(errno, std::generic_category(), "read a package");
    if (got == 0) throw std::system_error(EIO, std::generic_category(), "a package shrank while it was read");
    done += std::size_t(got);
  }
  return bytes;
}

struct End {
  std::uint64_t directory_offset = 0;
  std::uint64_t directory_size = 0;
  std::uint64_t entries = 0;
  std::uint64_t directory_end = 0;  // where the next record begins
};

// The zip64 records before the end record, if a field of that says "look there".
Result<void> read_end64(int fd, std::uint64_t end_at, End& end) {
  if (end_at < kLocatorSize + kEnd64Size) return bad("the ZIP's end records are incomplete");
  const auto locator = read_at(fd, end_at - kLocatorSize, kLocatorSize);
  if (!locator.starts_with("PK\6\7")) return bad("the ZIP's end records are incomplete");
  const auto at = number(locator, 8, 8);
  if (at != end_at - kLocatorSize - kEnd64Size) return bad("the ZIP's end records lie apart");
  const auto record = read_at(fd, at, kEnd64Size);
  if (!record.starts_with("PK\6\6") || number(record, 4, 8) != kEnd64Size - 12)
    return bad("the ZIP's end records are incomplete");
  end = {number(record, 48, 8), number(record, 40, 8), number(record, 32, 8), at};
  return {};
}

// Where the end record begins. It reaches to the end of the file with its comment; in that must stand nothing that
// readers could take for the record. Behind it may be what fills a tape's last block (bsdtar into a pipe).
Result<std::size_t> end_record(std::string_view tail) {
  const auto size = tail.find_last_not_of('\0') + 1;
  std::size_t seen = 0;
  std::optional<std::size_t> record;
  for (auto found = tail.rfind("PK\5\6"); found != tail.npos; found = tail.substr(0, found).rfind("PK\5\6")) {
    if (tail.size() - found < kEndSize) continue;
    ++seen;
    const auto end = found + kEndSize + number(tail, found + 20, 2);
    if (end > tail.size() || (end < tail.size() && end < size)) continue;
    if (seen > 1) return bad("the ZIP's comment has an end record in it: pack it without a comment");
    record = found;
  }
  if (record) return *record;
  if (seen > 0) return bad("the ZIP's end is not the end of the file");
  return bad("the ZIP has no end: it is cut short or no ZIP at all");
}

Result<End> find_end(int fd, std::uint64_t file_size) {
  const auto tail_size = std::size_t(std::min<std::uint64_t>(file_size, kEndSize + 65535));
  const auto tail = read_at(fd, file_size - tail_size, tail_size);
  const auto found = end_record(tail);
  if (!found) return found.error();
  if (number(tail, *found + 4, 4) != 0) return bad("the ZIP is one part of several");
  const auto end_at = file_size - tail_size + *found;
  End end{number(tail, *found + 16, 4), number(tail, *found + 12, 4), number(tail, *found + 10, 2), end_at};
  if (end.directory_offset == 0xffffffff || end.directory_size == 0xffffffff || end.entries == 0xffff) {
    const bool plain = end.entries == 0xffff && end.directory_offset != 0xffffffff &&
                       end.directory_size != 0xffffffff && end.directory_offset + end.directory_size == end_at;
    if (!plain)
      if (auto read = read_end64(fd, end_at, end); !read) return read.error();
  }
  if (end.directory_size > end.directory_end || end.directory_offset != end.directory_end - end.directory_size)
    return bad("the ZIP has bytes that belong to nothing (before its first entry or its end)");
  return end;
}

struct Central {
  std::string_view record;  // with name, extra and comment
  std::string_view name;
  std::string_view extra;
  std::uint64_t flags, method, packed, size, local_at;
};

// The zip64 extra field has, in this order, those of size, packed and offset that are all ones above.
Result<void> read_extra64(Central& entry) {
  for (auto extra = entry.extra; extra.size() >= 4;) {
    const auto length = std::size_t(number(extra, 2, 2));
    if (4 + length > extra.size()) return bad("the entry '" + shown(entry.name) + "' has broken extra fields");
    auto field = extra.substr(4, length);
    if (number(extra, 0, 2) == 1) {
      for (auto* value : {&entry.size, &entry.packed, &entry.local_at}) {
        if (*value != 0xffffffff) continue;
        if (field.size() < 8) return bad("the entry '" + shown(entry.name) + "' has broken extra fields");
        *value = number(field, 0, 8);
        field.remove_prefix(8);
      }
      return {};
    }
    extra.remove_prefix(4 + length);
  }
  return {};
}

Result<Central> read_central(std::string_view rest) {
  if (rest.size() < kCentralSize || !rest.starts_with("PK\1\2")) return bad("the ZIP's directory is broken");
  const auto name = std::size_t(number(rest, 28, 2)), extra = std::size_t(number(rest, 30, 2));
  const auto whole = kCentralSize + name + extra + std::size_t(number(rest, 32, 2));
  if (whole > rest.size()) return bad("the ZIP's directory is broken");
  Central entry{rest.substr(0, whole),
                rest.substr(kCentralSize, name),
                rest.substr(kCentralSize + name, extra),
                number(rest, 8, 2),
                number(rest, 10, 2),
                number(rest, 20, 4),
                number(rest, 24, 4),
                number(rest, 42, 4)};
  if (auto extra64 = read_extra64(entry); !extra64) return extra64.error();
  return entry;
}

// The kind of a file as Unix and its imitators note it; 0 where the maker was another system.
unsigned unix_kind(const Central& entry) {
  const auto maker = number(entry.record, 5, 1);
  return maker == 3 || maker == 19 ? unsigned(number(entry.record, 40, 2)) & 0170000 : 0;
}

Result<void> check_central(const Central& entry, const Limits& limits) {
  // As it stands in the file: libarchive ends it at a NUL and turns backslashes around.
  if (auto name = checked_name(entry.name, limits); !name) return name.error();
  const auto who = "the entry '" + shown(entry.name) + "' ";
  if ((entry.flags & 0x2041) != 0) return bad(who + "is encrypted");
  if (entry.method != 0 && entry.method != 8)
    return bad(who + "is compressed by method " + std::to_string(entry.method) + "; only deflate is read");
  const auto kind = unix_kind(entry);
  if (kind == 0120000) return fail(Code::badPackage, who + "is a symbolic link", {}, std::string(kNoLinksHint));
  if (kind != 0 && kind != 0100000 && kind != 0040000) return bad(who + "is a special file");
  if (entry.name.ends_with('/') && entry.size != 0) return bad(who + "is a directory with content");
  return {};
}

// Returns the first offset after the entry's data.
Result<std::uint64_t> check_local(int fd, const Central& entry, std::uint64_t data_end) {
  const auto who = "the entry '" + shown(entry.name) + "' ";
  const auto header_size = kLocalSize + entry.name.size();
  if (entry.local_at > data_end || data_end - entry.local_at < header_size)
    return bad(who + "lies outside of the file");
  const auto header = read_at(fd, entry.local_at, header_size);
  if (!header.starts_with("PK\3\4")) return bad(who + "is not where the ZIP's directory says");
  if (number(header, 26, 2) != entry.name.size() || header.substr(kLocalSize) != entry.name)
    return bad(who + "has another name in front of its data");
  if (number(header, 8, 2) != entry.method || ((number(header, 6, 2) ^ entry.flags) & 0x2041) != 0)
    return bad(who + "is described in two ways that differ");
  const auto data_at = entry.local_at + header_size + number(header, 28, 2);
  if (data_at > data_end || entry.packed > data_end - data_at) return bad(who + "lies outside of the file");
  return data_at + entry.packed;
}

Result<void> check_totals(const Directory& total, const std::string& largest, std::uint64_t file_size,
                          const Limits& limits) {
  const auto most_of_it = [&] { return " (the largest: '" + shown(largest) + "')"; };
  if (total.bytes > limits.bytes)
    return bad("the files would take more than " + format_size(std::int64_t(limits.bytes)) + most_of_it());
  if (total.bytes > limits.ratio_from && total.bytes / limits.ratio > file_size)
    return bad("the files would be more than " + std::to_string(limits.ratio) + " times the size of the package" +
               most_of_it());
  return {};
}

}  // namespace

Result<Directory> check_zip_directory(int fd, std::uint64_t file_size, const Limits& limits) {
  if (file_size < kEndSize) return bad("the file is too short to be a ZIP");
  const auto magic = read_at(fd, 0, 4);
  if (magic != "PK\3\4" && magic != "PK\5\6") return bad("the file is not a ZIP (it begins otherwise)");
  auto end = find_end(fd, file_size);
  if (!end) return end.error();
  const auto too_many = [&] { return bad("the package has more than " + std::to_string(limits.entries) + " entries"); };
  if (end->entries > limits.entries && end->entries != 0xffff) return too_many();
  if (end->directory_size > kCentralBytesMax) return bad("the ZIP's directory is too large");

  const auto directory = read_at(fd, end->directory_offset, std::size_t(end->directory_size));
  Directory total;
  std::string largest;
  std::uint64_t largest_size = 0;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> spans;  // from local header to end of data
  for (std::string_view rest = directory; !rest.empty();) {
    if (++total.entries > limits.entries) return too_many();
    auto entry = read_central(rest);
    if (!entry) return entry.error();
    if (auto checked = check_central(*entry, limits); !checked) return checked.error();
    auto data_end = check_local(fd, *entry, end->directory_offset);
    if (!data_end) return data_end.error();
    spans.emplace_back(entry->local_at, *data_end);
    if (entry->size >= largest_size) largest = entry->name, largest_size = entry->size;
    if (entry->size > limits.bytes) total.bytes = limits.bytes + 1;
    total.bytes += std::min(entry->size, limits.bytes + 1 - std::min(total.bytes, limits.bytes + 1));
    rest.remove_prefix(entry->record.size());
  }
  if (total.entries != end->entries) return bad("the ZIP's end counts other entries than there are");
  std::sort(spans.begin(), spans.end());
  if (!spans.empty() && spans.front().first != 0)
    return bad("the ZIP has bytes that belong to nothing (before its first entry)");
  for (std::size_t i = 1; i < spans.size(); ++i)
    if (spans[i].first < spans[i - 1].second) return bad("entries of the ZIP overlap");
  if (auto checked = check_totals(total, largest, file_size, limits); !checked) return checked.error();
  return total;
}

}  // namespace geres::package
