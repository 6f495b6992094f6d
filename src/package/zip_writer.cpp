// SPDX-License-Identifier: Apache-2.0
#include "package/zip_writer.h"

#include <unistd.h>
#include <zlib.h>

#include <cerrno>
#include <stdexcept>
#include <system_error>

#include "base/file.h"

namespace geres::package {
namespace {

constexpr std::uint64_t kFourGiB = std::uint64_t(1) << 32;
constexpr std::uint64_t kFirstDay = 0x0021;  // 1980-01-01, the earliest date of a ZIP
constexpr std::uint64_t kUtf8Names = 0x0800;

void number(std::string& to, std::uint64_t value, int width) {
  for (int i = 0; i < width; ++i) to += char(value >> (8 * i));
}

void write_at(int fd, std::uint64_t offset, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd, bytes.data(), bytes.size(), off_t(offset));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) throw std::system_error(errno, std::generic_category(), "write a package");
    offset += std::uint64_t(put);
    bytes.remove_prefix(std::size_t(put));
  }
}

}  // namespace

// zlib's raw deflate, piece by piece.
class ZipWriter::Deflate {
 public:
  Deflate() {
    if (::deflateInit2(&stream_, 6, Z_DEFLATED, -MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK) throw std::bad_alloc();
  }
  void begin() { ::deflateReset(&stream_); }
  ~Deflate() { ::deflateEnd(&stream_); }
  Deflate(const Deflate&) = delete;
  Deflate& operator=(const Deflate&) = delete;

  template <class Put>
  void feed(std::string_view bytes, bool last, const Put& put) {
    stream_.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
    stream_.avail_in = uInt(bytes.size());
    char buffer[65536];
    do {
      stream_.next_out = reinterpret_cast<Bytef*>(buffer);
      stream_.avail_out = sizeof buffer;
      ::deflate(&stream_, last ? Z_FINISH : Z_NO_FLUSH);
      put(std::string_view(buffer, sizeof buffer - stream_.avail_out));
    } while (stream_.avail_out == 0);
  }

 private:
  z_stream stream_{};
};

ZipWriter::ZipWriter(int fd) : fd_(fd), deflate_(std::make_unique<Deflate>()) {}
ZipWriter::~ZipWriter() = default;

void ZipWriter::put(std::string_view bytes) {
  write_at(fd_, at_, bytes);
  at_ += bytes.size();
}

void ZipWriter::write_data(Entry& entry, const Source& source) {
  const auto data_at = at_;
  std::uint64_t size = 0;
  auto crc = ::crc32(0, nullptr, 0);
  deflate_->begin();
  const auto put_packed = [this](std::string_view bytes) { put(bytes); };
  for (;;) {
    const auto piece = source();
    size += piece.size();
    // For crc32() a null pointer means "begin anew".
    if (!piece.empty()) crc = ::crc32(crc, reinterpret_cast<const Bytef*>(piece.data()), uInt(piece.size()));
    deflate_->feed(piece, piece.empty(), put_packed);
    if (piece.empty()) break;
  }
  if (size >= kFourGiB || at_ - data_at >= kFourGiB) throw std::length_error("a file of a package must be below 4 GiB");
  entry.size = std::uint32_t(size);
  entry.packed = std::uint32_t(at_ - data_at);
  entry.crc = std::uint32_t(crc);
}

void ZipWriter::add(const std::string& name, bool executable, const Source& source) {
  Entry entry;
  entry.name = name;
  entry.executable = executable;
  entry.local_at = at_;
  put(local_header(entry));
  write_data(entry, source);
  if (entry.local_at >= kFourGiB || at_ >= kFourGiB) throw std::length_error("a package must be below 4 GiB");
  write_at(fd_, entry.local_at, local_header(entry));
  entries_.push_back(std::move(entry));
}

void ZipWriter::add_directory(const std::string& name) {
  Entry entry;
  entry.name = name + "/";
  entry.local_at = at_;
  put(local_header(entry));
  if (at_ >= kFourGiB) throw std::length_error("a package must be below 4 GiB");
  entries_.push_back(std::move(entry));
}

bool ZipWriter::Entry::directory() const {
  return name.ends_with('/');
}

std::string ZipWriter::local_header(const Entry& entry) {
  std::string header = "PK\3\4";
  number(header, 20, 2);  // version needed: deflate
  number(header, kUtf8Names, 2);
  number(header, entry.directory() ? 0 : 8, 2);  // deflate
  number(header, 0, 2);
  number(header, kFirstDay, 2);
  number(header, entry.crc, 4);
  number(header, entry.packed, 4);
  number(header, entry.size, 4);
  number(header, entry.name.size(), 2);
  number(header, 0, 2);
  return header + entry.name;
}

std::string ZipWriter::central_header(const Entry& entry) {
  std::string header = "PK\1\2";
  number(header, 3 << 8 | 30, 2);  // made on Unix, version 3.0
  header += local_header(entry).substr(4, 26);
  number(header, 0, 2);  // comment
  number(header, 0, 2);  // disk
  number(header, 0, 2);
  const std::uint64_t mode = entry.directory() ? 040755 : entry.executable ? 0100755 : 0100644;
  number(header, mode << 16, 4);
  number(header, entry.local_at, 4);
  return header + entry.name;
}

void ZipWriter::finish() {
  const auto directory_at = at_;
  for (const auto& entry : entries_) put(central_header(entry));
  const auto directory_size = at_ - directory_at;
  if (at_ >= kFourGiB) throw std::length_error("a package must be below 4 GiB");
  const auto count = std::uint64_t(entries_.size());
  std::string end;
  if (count > 0xfffe) {
    const auto record_at = at_;
    end += "PK\6\6";
    number(end, 44, 8);
    number(end, 3 << 8 | 45, 2);
    number(end, 45, 2);
    number(end, 0, 8);  // disks
    for (const auto value : {count, count, directory_size, directory_at}) number(end, value, 8);
    end += "PK\6\7";
    number(end, 0, 4);
    number(end, record_at, 8);
    number(end, 1, 4);
  }
  end += "PK\5\6";
  number(end, 0, 4);
  for (int i = 0; i < 2; ++i) number(end, count > 0xfffe ? 0xffff : count, 2);
  number(end, directory_size, 4);
  number(end, directory_at, 4);
  number(end, 0, 2);
  put(end);
}

}  // namespace geres::package
