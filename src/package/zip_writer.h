// SPDX-License-Identifier: Apache-2.0
// Writes ZIP files whose bytes depend on nothing but names, modes and contents: no times, no extra fields, sizes in
// front of the data. Libraries write local times, so that the same tree packed elsewhere would get another digest.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace geres::package {

// One thread. All failures are exceptions.
class ZipWriter {
 public:
  // Gives the next piece of a file's content, empty at its end.
  using Source = std::function<std::string_view()>;

  explicit ZipWriter(int fd);  // at its beginning, seekable, not owned
  ~ZipWriter();
  ZipWriter(const ZipWriter&) = delete;
  ZipWriter& operator=(const ZipWriter&) = delete;
  void add(const std::string& name, bool executable, const Source& source);
  void add_directory(const std::string& name);  // one with nothing in it; the others need no entry
  void finish();
  std::uint64_t size() const { return at_; }

 private:
  struct Entry {
    std::string name;  // a directory's ends with "/"
    bool directory() const;
    bool executable = false;
    std::uint32_t crc = 0;
    std::uint32_t packed = 0;
    std::uint32_t size = 0;
    std::uint64_t local_at = 0;
  };
  void write_data(Entry& entry, const Source& source);
  static std::string local_header(const Entry& entry);
  static std::string central_header(const Entry& entry);
  void put(std::string_view bytes);

  class Deflate;

  int fd_;
  std::unique_ptr<Deflate> deflate_;  // one for all files: it is large
  std::uint64_t at_ = 0;
  std::vector<Entry> entries_;
};

}  // namespace geres::package
