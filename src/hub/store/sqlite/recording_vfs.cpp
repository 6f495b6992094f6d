// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/recording_vfs.h"

#include <sqlite3.h>

#include <new>
#include <string_view>

namespace geres::hub::store::sqlite {
namespace {

using Act = RecordingVfs::Act;

RecordingVfs* recorder = nullptr;
sqlite3_vfs* real_vfs = nullptr;

// SQLite allots the room: this, then the real file.
struct File {
  sqlite3_file base;
  std::string* name;
  sqlite3_file* real() { return reinterpret_cast<sqlite3_file*>(this + 1); }
};

File& of(sqlite3_file* file) {
  return *reinterpret_cast<File*>(file);
}

int close(sqlite3_file* file) {
  auto* real = of(file).real();
  const int code = real->pMethods == nullptr ? SQLITE_OK : real->pMethods->xClose(real);
  delete of(file).name;
  return code;
}

int noted(sqlite3_file* file, Act act) {
  return recorder == nullptr ? SQLITE_OK : recorder->note(act, *of(file).name);
}

int write(sqlite3_file* file, const void* bytes, int size, sqlite3_int64 at) {
  if (const int code = noted(file, Act::write); code != SQLITE_OK) return code;
  auto* real = of(file).real();
  return real->pMethods->xWrite(real, bytes, size, at);
}

int sync(sqlite3_file* file, int flags) {
  if (const int code = noted(file, Act::sync); code != SQLITE_OK) return code;
  auto* real = of(file).real();
  return real->pMethods->xSync(real, flags);
}

int truncate(sqlite3_file* file, sqlite3_int64 size) {
  if (const int code = noted(file, Act::truncate); code != SQLITE_OK) return code;
  auto* real = of(file).real();
  return real->pMethods->xTruncate(real, size);
}

template <auto Member, class... T>
auto pass_on(sqlite3_file* file, T... arguments) {
  auto* real = of(file).real();
  return (real->pMethods->*Member)(real, arguments...);
}

template <auto Member>
struct Forward;
template <class R, class... T, R (*sqlite3_io_methods::*Member)(sqlite3_file*, T...)>
struct Forward<Member> {
  static R call(sqlite3_file* file, T... arguments) { return pass_on<Member>(file, arguments...); }
};

sqlite3_io_methods methods() {
  sqlite3_io_methods m{};
  m.iVersion = 2;  // without memory-mapped reads
  m.xClose = close;
  m.xWrite = write;
  m.xTruncate = truncate;
  m.xSync = sync;
  m.xRead = Forward<&sqlite3_io_methods::xRead>::call;
  m.xFileSize = Forward<&sqlite3_io_methods::xFileSize>::call;
  m.xLock = Forward<&sqlite3_io_methods::xLock>::call;
  m.xUnlock = Forward<&sqlite3_io_methods::xUnlock>::call;
  m.xCheckReservedLock = Forward<&sqlite3_io_methods::xCheckReservedLock>::call;
  m.xFileControl = Forward<&sqlite3_io_methods::xFileControl>::call;
  m.xSectorSize = Forward<&sqlite3_io_methods::xSectorSize>::call;
  m.xDeviceCharacteristics = Forward<&sqlite3_io_methods::xDeviceCharacteristics>::call;
  m.xShmMap = Forward<&sqlite3_io_methods::xShmMap>::call;
  m.xShmLock = Forward<&sqlite3_io_methods::xShmLock>::call;
  m.xShmBarrier = Forward<&sqlite3_io_methods::xShmBarrier>::call;
  m.xShmUnmap = Forward<&sqlite3_io_methods::xShmUnmap>::call;
  return m;
}

int open(sqlite3_vfs*, const char* path, sqlite3_file* file, int flags, int* out) {
  static const sqlite3_io_methods kMethods = methods();
  auto& mine = *new (file) File{};
  const int code = real_vfs->xOpen(real_vfs, path, mine.real(), flags, out);
  if (code != SQLITE_OK) return code;
  const std::string_view whole = path == nullptr ? "" : path;
  const auto end = whole.find_last_of("-.");
  mine.name = new std::string(end == std::string_view::npos ? whole : whole.substr(end + 1));
  mine.base.pMethods = &kMethods;
  return code;
}

sqlite3_vfs& vfs() {
  static sqlite3_vfs mine = [] {
    real_vfs = sqlite3_vfs_find(nullptr);
    sqlite3_vfs copy = *real_vfs;
    copy.zName = RecordingVfs::name();
    copy.szOsFile = int(sizeof(File)) + real_vfs->szOsFile;
    copy.xOpen = open;
    copy.pNext = nullptr;
    return copy;
  }();
  return mine;
}

}  // namespace

RecordingVfs::RecordingVfs() {
  recorder = this;
  sqlite3_vfs_register(&vfs(), 0);
}

RecordingVfs::~RecordingVfs() {
  sqlite3_vfs_unregister(&vfs());
  recorder = nullptr;
}

std::vector<RecordingVfs::Entry> RecordingVfs::entries() const {
  const std::lock_guard lock(mutex_);
  return entries_;
}

void RecordingVfs::forget() {
  const std::lock_guard lock(mutex_);
  entries_.clear();
}

void RecordingVfs::set_fault(std::function<int(Act, const std::string&)> fault) {
  const std::lock_guard lock(mutex_);
  fault_ = std::move(fault);
}

int RecordingVfs::note(Act act, const std::string& file) {
  const std::lock_guard lock(mutex_);
  entries_.push_back({act, file, std::this_thread::get_id()});
  return fault_ ? fault_(act, file) : SQLITE_OK;
}

}  // namespace geres::hub::store::sqlite
