// SPDX-License-Identifier: Apache-2.0
#include "hub/store/sqlite/memory_vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <optional>
#include <set>
#include <utility>
#include <vector>

namespace geres::hub::store::sqlite {
namespace {

constexpr std::size_t kSector = 512;

std::string unique_name() {
  static std::atomic<int> count{0};
  return "geres-memory-" + std::to_string(++count);
}

}  // namespace

// What readers see is `bytes`; what is safe is that, with the operations since the last sync undone.
struct MemoryDisk::File {
  // Bytes in [at, at + bytes.size()) were replaced; before, they were `bytes` (shorter where the file ended there).
  struct Change {
    std::size_t at = 0;
    std::size_t length = 0;  // bytes written; 0: a truncation to `at`
    std::size_t old_size = 0;
    std::string bytes;  // the old ones; after undo() the new ones
  };
  std::string bytes;
  std::vector<Change> unsynced;
  bool durable = false;  // its name has reached the disk
  // After a failed sync its changes count as written and are not (as Linux has it): what the platter holds then, and
  // which of its sectors are to be written by the next sync. A sync writes what was changed since, and no more.
  std::optional<std::string> platter;
  std::set<std::size_t> dirty;

  void write(std::size_t at, std::string_view added) {
    Change change{at, added.size(), bytes.size(), {}};
    if (at < bytes.size()) change.bytes = bytes.substr(at, added.size());
    put(at, added);
    if (platter) return touch(change.old_size, at + added.size()), touch(at, at + added.size());
    unsynced.push_back(std::move(change));
  }
  void touch(std::size_t from, std::size_t to) {
    for (auto sector = from / kSector; sector * kSector < to; ++sector) dirty.insert(sector);
  }
  // The size counts as synced with the data; a sector that is not dirty keeps what the platter has.
  void sync() {
    unsynced.clear();
    if (!platter) return;
    platter->resize(bytes.size());
    for (const auto sector : dirty) write_out(sector);
    dirty.clear();
  }
  void write_out(std::size_t sector) {
    const auto at = sector * kSector;
    if (at >= bytes.size()) return;
    if (platter->size() < bytes.size()) platter->resize(bytes.size());
    platter->replace(at, std::min(kSector, bytes.size() - at), bytes, at, kSector);
  }
  void fail_sync() {
    if (platter) return dirty.clear();
    std::string now = bytes;
    for (auto change = unsynced.rbegin(); change != unsynced.rend(); ++change) undo(*change);
    unsynced.clear();
    platter = std::exchange(bytes, std::move(now));
  }
  void truncate(std::size_t size) {
    if (size >= bytes.size()) return;
    if (platter) return bytes.resize(size);
    unsynced.push_back({size, 0, bytes.size(), bytes.substr(size)});
    bytes.resize(size);
  }
  void put(std::size_t at, std::string_view added) {
    if (bytes.size() < at + added.size()) bytes.resize(at + added.size());
    std::copy(added.begin(), added.end(), bytes.begin() + std::ptrdiff_t(at));
  }
  // The last one first; the change then holds what it had written.
  void undo(Change& change) {
    if (change.length == 0) {
      bytes.append(change.bytes);
      return;
    }
    std::string written = bytes.substr(change.at, change.length);
    put(change.at, change.bytes);
    bytes.resize(change.old_size);
    change.bytes = std::move(written);
  }
  void redo(const Change& change, Random& random, bool torn) {
    if (change.length == 0) {
      if (change.at < bytes.size()) bytes.resize(change.at);
      return;
    }
    if (!torn) return put(change.at, change.bytes);
    for (std::size_t from = 0; from < change.length;) {
      const std::size_t to = std::min(change.length, (change.at + from) / kSector * kSector + kSector - change.at);
      if (random.next() % 2 == 0) put(change.at + from, std::string_view(change.bytes).substr(from, to - from));
      from = to;
    }
  }
  // Which of the unsynced changes got through: all, none, those up to some moment, or any, in whole or torn.
  void lose_power(Random& random) {
    if (platter) {
      for (const auto sector : dirty)
        if (random.next() % 2 == 0) write_out(sector);
      dirty.clear();
      bytes = std::move(*platter);
      platter.reset();
      return;
    }
    for (auto change = unsynced.rbegin(); change != unsynced.rend(); ++change) undo(*change);
    const auto kind = random.next() % 8;
    const std::size_t until = unsynced.empty() ? 0 : random.next() % (unsynced.size() + 1);
    for (std::size_t i = 0; i < unsynced.size(); ++i) {
      const bool kept = kind == 0 || (kind == 2 && i < until) || (kind > 2 && random.next() % 2 == 0);
      const bool torn = (kind == 2 && i + 1 == until) || (kind > 4 && random.next() % 4 == 0);
      if (kept) redo(unsynced[i], random, torn);
    }
    unsynced.clear();
  }
};

struct MemoryDisk::Handle {
  sqlite3_file base;
  MemoryDisk* disk;
  std::shared_ptr<File>* file;
  std::string* name;
  std::int64_t generation;
  bool delete_on_close;
};

// ---- the functions that SQLite calls --------------------------------------------------------------------------------

struct MemoryDisk::Door {
  sqlite3_vfs vfs{};

  static MemoryDisk& disk_of(sqlite3_vfs* vfs) { return *static_cast<MemoryDisk*>(vfs->pAppData); }
  static Handle& handle(sqlite3_file* file) { return *reinterpret_cast<Handle*>(file); }

  // What becomes of an operation: `code` for EIO, SQLITE_FULL or `code` for ENOSPC, as a real file system has it.
  static Fault ask(Handle& handle, Act act) {
    auto& disk = *handle.disk;
    if (handle.generation != disk.generation_) {
      disk.last_error_ = EIO;
      return Fault::cut;
    }
    return disk.next_fault(act, *handle.name);
  }
  static bool out_of_space(Fault fault) { return fault == Fault::no_space || fault == Fault::short_write; }

  static int close(sqlite3_file* file) {
    auto& self = handle(file);
    if (self.delete_on_close && self.generation == self.disk->generation_) self.disk->files_.erase(*self.name);
    delete self.file;
    delete self.name;
    return SQLITE_OK;
  }

  static int read(sqlite3_file* file, void* to, int size, sqlite3_int64 at) {
    auto& self = handle(file);
    if (ask(self, Act::read) != Fault::none) return SQLITE_IOERR_READ;
    const auto& bytes = (*self.file)->bytes;
    const auto from = std::min(std::size_t(at), bytes.size());
    const auto there = std::min(std::size_t(size), bytes.size() - from);
    std::memcpy(to, bytes.data() + from, there);
    if (there == std::size_t(size)) return SQLITE_OK;
    std::memset(static_cast<char*>(to) + there, 0, std::size_t(size) - there);
    return SQLITE_IOERR_SHORT_READ;
  }

  static int write(sqlite3_file* file, const void* from, int size, sqlite3_int64 at) {
    auto& self = handle(file);
    auto& disk = *self.disk;
    std::string_view bytes(static_cast<const char*>(from), std::size_t(size));
    auto fault = ask(self, Act::write);
    auto& target = **self.file;
    if (fault == Fault::none && disk.capacity_ > 0) {
      const auto growth = std::int64_t(at) + size - std::int64_t(target.bytes.size());
      if (growth > 0 && disk.used() + growth > disk.capacity_) fault = Fault::no_space;
    }
    if (fault == Fault::none || fault == Fault::short_write) {
      if (fault == Fault::short_write) bytes = bytes.substr(0, bytes.size() / 2);
      target.write(std::size_t(at), bytes);
    }
    if (fault == Fault::none) return SQLITE_OK;
    if (!out_of_space(fault)) return SQLITE_IOERR_WRITE;
    disk.last_error_ = ENOSPC;
    return SQLITE_FULL;
  }

  static int truncate(sqlite3_file* file, sqlite3_int64 size) {
    auto& self = handle(file);
    if (ask(self, Act::truncate) != Fault::none) return SQLITE_IOERR_TRUNCATE;
    (*self.file)->truncate(std::size_t(size));
    return SQLITE_OK;
  }

  static int sync(sqlite3_file* file, int) {
    auto& self = handle(file);
    const auto fault = ask(self, Act::sync);
    auto& target = **self.file;
    if (fault != Fault::none && fault != Fault::cut) target.fail_sync();
    if (fault != Fault::none) return SQLITE_IOERR_FSYNC;
    target.sync();
    // As SQLite does for a log or journal: with a new file's first sync the directory is synced too.
    if (!std::exchange(target.durable, true)) self.disk->removed_.clear();
    return SQLITE_OK;
  }

  static int size(sqlite3_file* file, sqlite3_int64* bytes) {
    *bytes = sqlite3_int64((*handle(file).file)->bytes.size());
    return SQLITE_OK;
  }

  static int lock(sqlite3_file*, int) { return SQLITE_OK; }
  static int reserved(sqlite3_file*, int* out) {
    *out = 0;
    return SQLITE_OK;
  }
  static int control(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
  static int sector_size(sqlite3_file*) { return 4096; }
  // As SQLite assumes of every disk: a write damages nothing beside it.
  static int characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

  static const sqlite3_io_methods* methods() {
    static const sqlite3_io_methods kMethods = [] {
      sqlite3_io_methods m{};
      m.iVersion = 1;  // no shared memory
      m.xClose = close, m.xRead = read, m.xWrite = write, m.xTruncate = truncate, m.xSync = sync, m.xFileSize = size;
      m.xLock = lock, m.xUnlock = lock, m.xCheckReservedLock = reserved, m.xFileControl = control;
      m.xSectorSize = sector_size, m.xDeviceCharacteristics = characteristics;
      return m;
    }();
    return &kMethods;
  }

  static int open(sqlite3_vfs* vfs, const char* path, sqlite3_file* file, int flags, int* out) {
    auto& disk = disk_of(vfs);
    auto& self = handle(file);
    self.base.pMethods = nullptr;
    const std::string name = path == nullptr ? unique_name() : path;
    const auto fault = disk.next_fault(Act::open, name);
    if (fault != Fault::none) {
      disk.last_error_ = out_of_space(fault) ? ENOSPC : EIO;
      return SQLITE_CANTOPEN;
    }
    auto found = disk.files_.find(name);
    if (found == disk.files_.end()) {
      if ((flags & SQLITE_OPEN_CREATE) == 0 && path != nullptr) return SQLITE_CANTOPEN;
      found = disk.files_.emplace(name, std::make_shared<File>()).first;
    }
    self.disk = &disk;
    self.file = new std::shared_ptr<File>(found->second);
    self.name = new std::string(name);
    self.generation = disk.generation_;
    self.delete_on_close = path == nullptr || (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
    self.base.pMethods = methods();
    if (out != nullptr) *out = flags;
    return SQLITE_OK;
  }

  static int remove(sqlite3_vfs* vfs, const char* path, int sync_directory) {
    auto& disk = disk_of(vfs);
    if (disk.next_fault(Act::remove, path) != Fault::none) return SQLITE_IOERR_DELETE;
    const auto found = disk.files_.find(path);
    if (found == disk.files_.end()) return SQLITE_IOERR_DELETE_NOENT;
    if (sync_directory == 0 && found->second->durable) disk.removed_[path] = found->second;
    if (sync_directory != 0) disk.removed_.clear();
    disk.files_.erase(found);
    return SQLITE_OK;
  }

  static int access(sqlite3_vfs* vfs, const char* path, int, int* there) {
    *there = disk_of(vfs).files_.contains(path) ? 1 : 0;
    return SQLITE_OK;
  }

  static int full_path(sqlite3_vfs*, const char* path, int room, char* out) {
    sqlite3_snprintf(room, out, "%s", path);
    return SQLITE_OK;
  }

  static int randomness(sqlite3_vfs*, int size, char* out) {
    std::memset(out, 0, std::size_t(size));
    return size;
  }
  static int sleep(sqlite3_vfs*, int microseconds) { return microseconds; }
  static int current_time(sqlite3_vfs*, double* days) {
    *days = 2460000.5;
    return SQLITE_OK;
  }
  static int last_error(sqlite3_vfs* vfs, int, char*) { return disk_of(vfs).last_error_; }
};

// ---- the disk -------------------------------------------------------------------------------------------------------

MemoryDisk::MemoryDisk() : MemoryDisk(Files{}) {}

MemoryDisk::MemoryDisk(Files files) : name_(unique_name()), door_(std::make_unique<Door>()) {
  for (auto& [name, bytes] : files) {
    auto file = std::make_shared<File>();
    file->bytes = std::move(bytes);
    file->durable = true;
    files_.emplace(name, std::move(file));
  }
  auto& vfs = door_->vfs;
  vfs.iVersion = 1;
  vfs.szOsFile = int(sizeof(Handle));
  vfs.mxPathname = 512;
  vfs.zName = name_.c_str();
  vfs.pAppData = this;
  vfs.xOpen = Door::open, vfs.xDelete = Door::remove, vfs.xAccess = Door::access, vfs.xFullPathname = Door::full_path;
  vfs.xRandomness = Door::randomness, vfs.xSleep = Door::sleep, vfs.xCurrentTime = Door::current_time;
  vfs.xGetLastError = Door::last_error;
  sqlite3_vfs_register(&vfs, 0);
}

MemoryDisk::~MemoryDisk() {
  sqlite3_vfs_unregister(&door_->vfs);
}

MemoryDisk::Fault MemoryDisk::next_fault(Act act, std::string_view file) {
  if (act != Act::read) ++operations_;
  auto fault = cut_ ? Fault::cut : Fault::none;
  if (fault == Fault::none && act != Act::read && operations_ == nth_) fault = nth_fault_;
  if (fault == Fault::none && plan_) fault = plan_(act, file);
  cut_ = cut_ || fault == Fault::cut;
  if (fault != Fault::none) last_error_ = fault == Fault::no_space || fault == Fault::short_write ? ENOSPC : EIO;
  return fault;
}

std::int64_t MemoryDisk::used() const {
  std::int64_t sum = 0;
  for (const auto& [name, file] : files_) sum += std::int64_t(file->bytes.size());
  return sum;
}

MemoryDisk::Files MemoryDisk::files() const {
  Files all;
  for (const auto& [name, file] : files_) all.emplace(name, file->bytes);
  return all;
}

// Handles of an older generation fail in whatever they do; closing them is all that is left.
void MemoryDisk::kill() {
  ++generation_;
  cut_ = false;
  fail_none();
}

void MemoryDisk::power_loss(Random& random) {
  kill();
  for (auto& [name, file] : removed_)
    if (!files_.contains(name) && random.next() % 2 == 0) files_.emplace(name, file);
  removed_.clear();
  for (auto& [name, file] : files_) file->lose_power(random);
  // A file whose name was never synced may be gone whole.
  std::erase_if(files_, [&](const auto& entry) { return !entry.second->durable && random.next() % 2 == 0; });
  for (auto& [name, file] : files_) file->durable = true;
}

}  // namespace geres::hub::store::sqlite
