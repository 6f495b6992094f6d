// SPDX-License-Identifier: Apache-2.0
#include "package/walk.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <locale.h>
#include <sys/stat.h>

#include <memory>
#include <system_error>

#include "base/duration.h"
#include "base/file.h"
#include "package/archive.h"
#include "package/names.h"
#include "package/zip_directory.h"

namespace geres::package {
namespace {

Error bad(std::string why) {
  return fail(Code::badPackage, std::move(why));
}

// libarchive turns names into the thread's character set, and loses those it has no room for: UTF-8 while it works.
class Utf8Thread {
 public:
  Utf8Thread() : utf8_(::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)) {
    if (utf8_ != nullptr) before_ = ::uselocale(utf8_);
  }
  ~Utf8Thread() {
    if (utf8_ == nullptr) return;
    ::uselocale(before_);
    ::freelocale(utf8_);
  }
  Utf8Thread(const Utf8Thread&) = delete;
  Utf8Thread& operator=(const Utf8Thread&) = delete;

 private:
  locale_t utf8_;
  locale_t before_ = nullptr;
};

struct CloseArchive {
  void operator()(::archive* reader) const { ::archive_read_free(reader); }
};
using Reader = std::unique_ptr<::archive, CloseArchive>;

std::string reason(::archive* reader) {
  const char* text = ::archive_error_string(reader);
  return text != nullptr ? text : "it cannot be read";
}

struct OpenFile {
  Fd fd;
  std::uint64_t size = 0;
};

Result<OpenFile> open_regular(const std::filesystem::path& zip) {
  OpenFile file{Fd(::open(zip.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK))};
  struct stat status {};
  if (!file.fd || ::fstat(file.fd.get(), &status) != 0)
    throw std::system_error(errno, std::generic_category(), "open " + zip.string());
  if (!S_ISREG(status.st_mode)) return bad("'" + zip.filename().string() + "' is not a regular file");
  file.size = std::uint64_t(status.st_size);
  return file;
}

class Walk {
 public:
  Walk(const Limits& limits, Visitor& visitor, std::uint64_t zip_size, std::uint64_t entries)
      : limits_(limits), visitor_(visitor), zip_size_(zip_size), announced_entries_(entries), names_(limits) {}

  Result<void> run(::archive* reader) {
    for (;;) {
      ::archive_entry* entry = nullptr;
      const int status = ::archive_read_next_header(reader, &entry);
      if (status == ARCHIVE_EOF) break;
      if (status != ARCHIVE_OK) return bad("the ZIP is broken: " + reason(reader));
      if (auto done = take(reader, entry); !done) return done.error();
    }
    if (seen_ != announced_entries_) return bad("the ZIP's directory lists other entries than can be read");
    return {};
  }

 private:
  Result<void> take(::archive* reader, ::archive_entry* entry) {
    if (++seen_ > limits_.entries)
      return bad("the package has more than " + std::to_string(limits_.entries) + " entries");
    const char* raw = ::archive_entry_pathname(entry);
    if (raw == nullptr) return bad("an entry has a name that is not UTF-8");
    auto name = checked_name(raw, limits_);
    if (!name) return name.error();
    const auto who = "the entry '" + shown(*name) + "' ";
    if (::archive_entry_is_encrypted(entry) != 0) return bad(who + "is encrypted");
    if (::archive_entry_symlink(entry) != nullptr || ::archive_entry_hardlink(entry) != nullptr)
      return bad(who + "is a link");
    const auto kind = ::archive_entry_filetype(entry);
    if (kind == AE_IFDIR) return take_directory(*name);
    if (kind != AE_IFREG) return bad(who + "is a link or a special file");
    if (name->empty() || std::string_view(raw).ends_with('/')) return bad(who + "is a file with a directory's name");
    if (auto added = names_.add_file(*name); !added) return added.error();
    visitor_.begin_file(*name, (::archive_entry_perm(entry) & 0111) != 0);
    if (auto read = take_data(reader, who); !read) return read.error();
    visitor_.end_file();
    return {};
  }

  Result<void> take_directory(const std::string& name) {
    if (name.empty()) return {};
    if (auto added = names_.add_directory(name); !added) return added.error();
    visitor_.directory(name);
    return {};
  }

  Result<void> take_data(::archive* reader, const std::string& who) {
    char buffer[65536];
    for (;;) {
      const auto got = ::archive_read_data(reader, buffer, sizeof buffer);
      if (got < 0) return bad(who + "is broken: " + reason(reader));
      if (got == 0) return {};
      bytes_ += std::uint64_t(got);
      if (bytes_ > limits_.bytes) return bad("the files take more than " + format_size(std::int64_t(limits_.bytes)));
      if (bytes_ > limits_.ratio_from && bytes_ / limits_.ratio > zip_size_)
        return bad("the files are more than " + std::to_string(limits_.ratio) + " times the size of the package");
      visitor_.data({buffer, std::size_t(got)});
    }
  }

  const Limits& limits_;
  Visitor& visitor_;
  const std::uint64_t zip_size_;
  const std::uint64_t announced_entries_;
  NameSet names_;
  std::uint64_t seen_ = 0;
  std::uint64_t bytes_ = 0;
};

}  // namespace

Result<void> walk(const std::filesystem::path& zip, const Limits& limits, Visitor& visitor) {
  auto file = open_regular(zip);
  if (!file) return file.error();
  auto directory = check_zip_directory(file->fd.get(), file->size, limits);
  if (!directory) return directory.error();
  if (directory->entries == 0) return {};

  const Utf8Thread utf8;
  const Reader reader(::archive_read_new());
  if (reader == nullptr) throw std::bad_alloc();
  // The seekable reader alone: the streaming one takes truncated files and loses the executable bits.
  ::archive_read_support_format_zip_seekable(reader.get());
  if (::archive_read_open_fd(reader.get(), file->fd.get(), 65536) != ARCHIVE_OK)
    return bad("the file is not a ZIP that can be read: " + reason(reader.get()));
  return Walk(limits, visitor, file->size, directory->entries).run(reader.get());
}

}  // namespace geres::package
