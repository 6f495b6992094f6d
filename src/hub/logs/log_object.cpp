// SPDX-License-Identifier: Apache-2.0
#include "hub/logs/log_object.h"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <boost/describe.hpp>
#include <new>

#include "base/json.h"

namespace geres::hub::logs {

// The index as JSON. Public names, because they are described.
struct LogShape {
  int attempt = 0;
  std::string stream;
  std::vector<std::vector<std::int64_t>> chunks;  // of four each: at, bytes, content, lines
};
BOOST_DESCRIBE_STRUCT(LogShape, (), (attempt, stream, chunks))
struct IndexShape {
  std::vector<LogShape> logs;
};
BOOST_DESCRIBE_STRUCT(IndexShape, (), (logs))

namespace {

constexpr int kGzip = 15 + 16;            // zlib's way to ask for gzip: window bits, and 16
constexpr std::size_t kPointer = 8;       // bytes of the offset in the last member, lowest first
constexpr std::int64_t kLastMember = 34;  // header 10, extra 2 + 4 + 8, an empty block 2, trailer 8
constexpr std::int64_t kFirstLook = 64 * 1024;
constexpr std::int64_t kIndexMax = 64 << 20;

Error damaged() {
  return fail(Code::badValue, "the logs' object is damaged");
}

// One gzip member.
std::string member(std::string_view content, gz_header header) {
  z_stream zip{};
  if (::deflateInit2(&zip, Z_DEFAULT_COMPRESSION, Z_DEFLATED, kGzip, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw std::bad_alloc();
  header.os = 255;  // unknown, so that the same logs make the same bytes everywhere
  ::deflateSetHeader(&zip, &header);
  std::string bytes(::deflateBound(&zip, content.size()) + (header.comment ? header.comm_max : 0), '\0');
  zip.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(content.data()));
  zip.avail_in = uInt(content.size());
  zip.next_out = reinterpret_cast<Bytef*>(bytes.data());
  zip.avail_out = uInt(bytes.size());
  const int done = ::deflate(&zip, Z_FINISH);
  bytes.resize(zip.total_out);
  ::deflateEnd(&zip);
  if (done != Z_STREAM_END) throw std::bad_alloc();
  return bytes;
}

std::string chunk_member(std::string_view content, std::string name) {
  gz_header header{};
  header.name = reinterpret_cast<Bytef*>(name.data());
  return member(content, header);
}

std::string index_member(std::string json) {
  gz_header header{};
  header.comment = reinterpret_cast<Bytef*>(json.data());
  header.comm_max = uInt(json.size() + 1);
  return member({}, header);
}

// "GI", the length of what follows, and where the index begins.
std::string last_member(std::int64_t index_at) {
  std::string extra{'G', 'I', char(kPointer), 0};
  for (std::size_t i = 0; i < kPointer; ++i) extra.push_back(char(std::uint64_t(index_at) >> (8 * i)));
  gz_header header{};
  header.extra = reinterpret_cast<Bytef*>(extra.data());
  header.extra_len = uInt(extra.size());
  return member({}, header);
}

struct Unzipped {
  std::string content, comment, extra;
};

// The member at the beginning of `bytes`, of at most so much content and comment.
std::optional<Unzipped> unzip(std::string_view bytes, std::size_t content_max, std::size_t comment_max) {
  Unzipped out{std::string(content_max + 1, '\0'), std::string(comment_max + 1, '\0'), std::string(64, '\0')};
  gz_header header{};
  header.comment = reinterpret_cast<Bytef*>(out.comment.data());
  header.comm_max = uInt(out.comment.size());
  header.extra = reinterpret_cast<Bytef*>(out.extra.data());
  header.extra_max = uInt(out.extra.size());
  z_stream zip{};
  if (::inflateInit2(&zip, kGzip) != Z_OK) throw std::bad_alloc();
  ::inflateGetHeader(&zip, &header);
  zip.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  zip.avail_in = uInt(bytes.size());
  zip.next_out = reinterpret_cast<Bytef*>(out.content.data());
  zip.avail_out = uInt(out.content.size());
  const int done = ::inflate(&zip, Z_FINISH);
  out.content.resize(zip.total_out);
  ::inflateEnd(&zip);
  if (done != Z_STREAM_END || out.content.size() > content_max) return std::nullopt;
  out.comment.resize(header.comment ? std::min(out.comment.find('\0'), out.comment.size()) : 0);
  out.extra.resize(header.extra ? std::min<std::size_t>(header.extra_len, out.extra.size()) : 0);
  return out;
}

std::optional<std::int64_t> index_place(std::string_view tail) {
  const auto last = unzip(tail.substr(tail.size() - std::size_t(kLastMember)), 0, 0);
  if (!last || last->extra.size() != 4 + kPointer || !last->extra.starts_with("GI")) return std::nullopt;
  std::uint64_t at = 0;
  for (std::size_t i = 0; i < kPointer; ++i) at |= std::uint64_t(std::uint8_t(last->extra[4 + i])) << (8 * i);
  return std::int64_t(at);
}

Result<LogIndex> read_index(const std::string& json, std::int64_t end) {
  const auto shape = json::read_text<IndexShape>(json);
  if (!shape) return damaged();
  LogIndex index;
  for (const auto& log : shape->logs) {
    const auto stream = parse_stream(log.stream);
    if (!stream || log.attempt < 1) return damaged();
    IndexedLog indexed{log.attempt, *stream, {}};
    for (const auto& chunk : log.chunks) {
      if (chunk.size() != 4) return damaged();
      const auto at = chunk[0], bytes = chunk[1], content = chunk[2], lines = chunk[3];
      if (at < 0 || bytes <= 0 || at > end - bytes || content <= 0 || content > std::int64_t(kChunk) || lines < 0 ||
          lines > content)
        return damaged();
      indexed.chunks.push_back({at, bytes, indexed.size(), content, lines});
    }
    index.add(std::move(indexed));
  }
  return index;
}

}  // namespace

const LogChunk* IndexedLog::at(std::int64_t offset) const {
  const auto after = std::upper_bound(chunks.begin(), chunks.end(), offset,
                                      [](std::int64_t o, const LogChunk& chunk) { return o < chunk.offset; });
  if (after == chunks.begin() || offset >= size()) return nullptr;
  return &*std::prev(after);
}

const IndexedLog* LogIndex::find(int attempt, Stream stream) const {
  for (const auto& log : logs_)
    if (log.attempt == attempt && log.stream == stream) return &log;
  return nullptr;
}

std::size_t LogIndex::memory() const {
  std::size_t bytes = sizeof *this;
  for (const auto& log : logs_) bytes += sizeof log + log.chunks.size() * sizeof(LogChunk);
  return bytes;
}

Result<void> write_log_object(LogStore& source, const std::vector<LogName>& logs, const Write& write) {
  IndexShape index;
  std::int64_t at = 0;
  const auto put = [&](const std::string& bytes) {
    at += std::int64_t(bytes.size());
    return write(bytes);
  };
  for (const auto& log : logs) {
    LogShape shape{log.attempt, std::string(stream_name(log.stream)), {}};
    for (std::int64_t offset = 0;;) {
      const auto content = source.read(log, offset, kChunk);
      if (!content) return content.error();
      if (content->empty()) break;
      const auto bytes = chunk_member(*content, fmt::format("{}.{}", log.attempt, shape.stream));
      shape.chunks.push_back({at, std::int64_t(bytes.size()), std::int64_t(content->size()),
                              std::count(content->begin(), content->end(), '\n')});
      if (auto ok = put(bytes); !ok) return ok;
      offset += std::int64_t(content->size());
    }
    index.logs.push_back(std::move(shape));
  }
  const auto index_at = at;
  if (auto ok = put(index_member(json::write_text(index))); !ok) return ok;
  return put(last_member(index_at));
}

Result<LogIndex> read_log_index(std::int64_t size, const ReadRange& read) {
  if (size < kLastMember) return damaged();
  const auto from = std::max<std::int64_t>(0, size - kFirstLook);
  auto tail = read(from, size - from);
  if (!tail) return tail.error();
  if (std::int64_t(tail->size()) != size - from) return damaged();
  const auto at = index_place(*tail);
  const auto end = size - kLastMember;
  if (!at || *at < 0 || *at >= end || end - *at > kIndexMax) return damaged();
  auto bytes = *at >= from ? Result<std::string>(tail->substr(std::size_t(*at - from))) : read(*at, end - *at);
  if (!bytes) return bytes.error();
  const auto member = unzip(*bytes, 0, bytes->size());
  if (!member) return damaged();
  return read_index(member->comment, *at);
}

Result<std::string> read_log_chunk(const LogChunk& chunk, std::string_view bytes) {
  auto member = unzip(bytes, std::size_t(chunk.content), 0);
  if (!member || std::int64_t(member->content.size()) != chunk.content) return damaged();
  return std::move(member->content);
}

}  // namespace geres::hub::logs
