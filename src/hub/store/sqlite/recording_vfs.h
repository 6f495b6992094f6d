// SPDX-License-Identifier: Apache-2.0
// For tests: an SQLite VFS over the default one that notes who writes, syncs and truncates which file, and can make
// these fail. One at a time; it is in use under its name while it lives.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace geres::hub::store::sqlite {

class RecordingVfs {
 public:
  enum class Act { write, sync, truncate };
  struct Entry {
    Act act;
    std::string file;  // the end of its name: "db", "wal" or another
    std::thread::id thread;
  };

  RecordingVfs();
  ~RecordingVfs();
  static const char* name() { return "geres-recording"; }

  std::vector<Entry> entries() const;
  void forget();
  // Asked before each act; what is not 0 is returned to SQLite instead of doing it.
  void set_fault(std::function<int(Act, const std::string& file)> fault);

  int note(Act act, const std::string& file);  // for the files

 private:
  mutable std::mutex mutex_;
  std::vector<Entry> entries_;
  std::function<int(Act, const std::string&)> fault_;
};

}  // namespace geres::hub::store::sqlite
