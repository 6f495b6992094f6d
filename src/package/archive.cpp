// SPDX-License-Identifier: Apache-2.0
#include "package/archive.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "package/names.h"
#include "package/walk.h"

namespace geres::package {
namespace {

[[noreturn]] void throw_errno(const std::string& what) {
  throw std::system_error(errno, std::generic_category(), what);
}

// Notes what decides about the job types, and drops the rest.
class Look final : public Visitor {
 public:
  void directory(const std::string&) override {}
  void begin_file(const std::string& name, bool executable) override {
    ++files;
    names.push_back(name);
    in_manifest_ = name == kManifestName;
    if (in_manifest_) manifest.emplace();
    if (name.find('/') == name.npos) root.push_back({name, executable});
  }
  void data(std::string_view piece) override {
    bytes += piece.size();
    if (in_manifest_ && manifest->size() <= kManifestBytesMax) manifest->append(piece);
  }
  void end_file() override { in_manifest_ = false; }

  std::vector<RootFile> root;
  std::vector<std::string> names;
  std::optional<std::string> manifest;
  std::uint64_t files = 0;
  std::uint64_t bytes = 0;

 private:
  bool in_manifest_ = false;
};

// Writes below a directory's descriptor, one segment after the other, following no link and overwriting nothing.
class Unpack final : public Visitor {
 public:
  explicit Unpack(Fd root) : root_(std::move(root)) {}

  void directory(const std::string& name) override { enter(name); }

  void begin_file(const std::string& name, bool executable) override {
    const auto slash = name.rfind('/');
    enter(slash == name.npos ? std::string() : name.substr(0, slash));
    const auto leaf = slash == name.npos ? name : name.substr(slash + 1);
    file_ = Fd(::openat(here(), leaf.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!file_) throw_errno("create " + name);
    executable_ = executable;
  }

  void data(std::string_view bytes) override { write_all(file_.get(), bytes); }

  void end_file() override {
    if (::fchmod(file_.get(), executable_ ? 0755 : 0644) != 0) throw_errno("set the mode of a file");
    file_.reset();
  }

  // Programs that the manifest names are executable even if the ZIP was made where there is no such bit.
  void mark_executable(const std::string& name) {
    const auto slash = name.rfind('/');
    enter(slash == name.npos ? std::string() : name.substr(0, slash));
    const auto leaf = slash == name.npos ? name : name.substr(slash + 1);
    const Fd file(::openat(here(), leaf.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
    if (!file || ::fchmod(file.get(), 0755) != 0) throw_errno("make " + name + " executable");
  }

 private:
  int here() const { return current_ ? current_.get() : root_.get(); }

  // Makes what is missing of `name`. Entries of one directory mostly come together, so the last one stays open.
  void enter(const std::string& name) {
    if (name == current_name_) return;
    Fd at;
    for (const auto segment : segments_of(name)) {
      const std::string part(segment);
      const int parent = at ? at.get() : root_.get();
      const bool made = ::mkdirat(parent, part.c_str(), 0755) == 0;
      if (!made && errno != EEXIST) throw_errno("make directory " + name);
      Fd next(::openat(parent, part.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!next || (made && ::fchmod(next.get(), 0755) != 0)) throw_errno("enter directory " + name);
      at = std::move(next);
    }
    current_ = std::move(at);
    current_name_ = name;
  }

  Fd root_;
  Fd current_;  // empty: the root
  std::string current_name_;
  Fd file_;
  bool executable_ = false;
};

// Removed again unless kept.
class NewDirectory {
 public:
  explicit NewDirectory(std::filesystem::path path) : path_(std::move(path)) {
    if (::mkdir(path_.c_str(), 0755) != 0) throw_errno("make directory " + path_.string());
  }
  ~NewDirectory() {
    std::error_code ignored;
    if (!kept_) std::filesystem::remove_all(path_, ignored);
  }
  NewDirectory(const NewDirectory&) = delete;
  NewDirectory& operator=(const NewDirectory&) = delete;
  Fd open() const {
    Fd fd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd || ::fchmod(fd.get(), 0755) != 0) throw_errno("open directory " + path_.string());
    return fd;
  }
  void keep() { kept_ = true; }

 private:
  std::filesystem::path path_;
  bool kept_ = false;
};

// The files of the package that the manifest's commands and libraries name, each with its JSON pointer.
std::vector<std::pair<std::string, std::string>> files_named_by(const Manifest& manifest, bool libraries_too) {
  std::vector<std::pair<std::string, std::string>> named;
  for (const auto& [type, entry] : manifest.jobs) {
    const auto field = "/jobs" + json::pointer_token(type);
    if (entry.library && libraries_too) named.emplace_back(*entry.library, field + "/library");
    if (!entry.command || entry.command->front().find('/') == std::string::npos) continue;
    if (entry.command->front().front() == '/') continue;
    named.emplace_back(entry.command->front(), field + "/command/0");
  }
  for (auto& [name, field] : named)
    if (name.starts_with("./")) name.erase(0, 2);
  return named;
}

Result<Contents> contents_seen(Look& look) {
  std::optional<Manifest> manifest;
  if (look.manifest) {
    auto parsed = parse_manifest(*look.manifest);
    if (!parsed) return parsed.error();
    manifest = std::move(*parsed);
    std::sort(look.names.begin(), look.names.end());
    for (const auto& [name, field] : files_named_by(*manifest, true))
      if (!std::binary_search(look.names.begin(), look.names.end(), name))
        return fail(Code::badPackage, "geres.json: the file '" + shown(name) + "' is not in the package", field);
  }
  auto contents = contents_of(manifest, look.root);
  if (!contents) return contents.error();
  contents->files = look.files;
  contents->bytes = look.bytes;
  return contents;
}

}  // namespace

Result<Contents> inspect(const std::filesystem::path& zip, const Limits& limits) {
  Look look;
  if (auto walked = walk(zip, limits, look); !walked) return walked.error();
  if (look.files == 0) return fail(Code::badPackage, "the package is empty");
  return contents_seen(look);
}

Result<void> unpack(const std::filesystem::path& zip, const std::filesystem::path& directory, const Limits& limits) {
  NewDirectory made(directory);
  Unpack files(made.open());
  if (auto walked = walk(zip, limits, files); !walked) return walked.error();
  struct stat status {};
  const auto manifest_path = directory / kManifestName;
  if (::lstat(manifest_path.c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
    // A broken manifest is no matter for unpacking: whoever starts a job is told.
    if (auto manifest = parse_manifest(read_file(manifest_path)))
      for (const auto& [name, field] : files_named_by(*manifest, false))
        if (::lstat((directory / name).c_str(), &status) == 0 && S_ISREG(status.st_mode)) files.mark_executable(name);
  }
  made.keep();
  return {};
}

}  // namespace geres::package
