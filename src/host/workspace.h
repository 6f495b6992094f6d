// SPDX-License-Identifier: Apache-2.0
// Each attempt's own directory, fresh and empty. What it held is gone by the time the attempt's end is reported. The
// bare directories are used again by attempts of the same user, because removing a directory costs some disks more than
// running a short job.
//
//   DATA/work/<n>/           ours: a job cannot write here
//     job.json               the job, readable by it
//     stdout, stderr         its output, written by the runner
//     progress               the FIFO, made by the runner
//     job/                   the job's own from here on
//       work/ out/ tmp/      working directory, GERES_OUTPUT_DIR, TMPDIR
//       result               GERES_RESULT, if the job makes it
//
// A workspace is open to its job only from open_to_job() until close_to_job(); while it is spare, and while inputs are
// put into it, only we can enter. What is below job/ was made by somebody we do not trust, whose other jobs may still
// run. So we hold the root's descriptor and reach everything from it (base/beneath.h); the paths are only for messages,
// for the job's environment and for the runner.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/beneath.h"
#include "base/error.h"
#include "base/file.h"

namespace geres::host {

// The owner of a job's files. 0: the agent's own user.
struct JobUser {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

struct Workspace {
  std::filesystem::path root;
  std::shared_ptr<const Fd> directory;  // the root's

  std::filesystem::path job() const { return root / "job"; }
  std::filesystem::path work() const { return root / "job/work"; }
  std::filesystem::path output() const { return root / "job/out"; }
  std::filesystem::path temporary() const { return root / "job/tmp"; }
  std::filesystem::path result() const { return root / "job/result"; }
  std::filesystem::path job_file() const { return root / "job.json"; }
  std::filesystem::path progress() const { return root / "progress"; }
  std::filesystem::path standard_output() const { return root / "stdout"; }
  std::filesystem::path standard_error() const { return root / "stderr"; }

  // "job/out", "stdout": opened below the root, through no link. Empty with errno.
  Fd open(const std::string& path, int flags) const { return open_beneath(directory->get(), path, flags); }
};

// Any thread; throws std::system_error when the disk fails.
class Workspaces {
 public:
  explicit Workspaces(std::filesystem::path directory, std::filesystem::path lock)
      : directory_(std::move(directory)), lock_(std::move(lock)) {}

  // Moves what earlier lives left out of the way and makes the directory anew. Returns where the leftovers are (to be
  // removed later); empty: there were none.
  std::filesystem::path start();

  // The workspace starts closed: no job can enter it yet. If somebody has removed the directory that holds all
  // workspaces (a cleaner of temporary files, say), it is made anew, unless `lock` has gone with it, because then
  // another host may use the place by now.
  Workspace make(const JobUser& user, std::string_view job_text);

  // Call it when nothing of the attempt runs any more. Empties the directories and keeps them, or removes them if they
  // are not as they were made. Never throws.
  void give_back(const Workspace& workspace, const JobUser& user) noexcept;

  // Removes it. Never throws.
  void discard(const Workspace& workspace) noexcept;

 private:
  Workspace make_here(const JobUser& user, std::string_view job_text);
  Workspace make_directories(const JobUser& user);
  bool make_anew();
  std::shared_ptr<const Fd> descriptor() const;
  bool take_spare(const JobUser& user, Workspace& workspace);

  bool is_in_place(const Workspace& workspace) const;

  const std::filesystem::path directory_, lock_;
  std::atomic<std::uint64_t> next_ = 1;
  mutable std::mutex mutex_;
  std::shared_ptr<const Fd> descriptor_;                   // of directory_, from start() on
  std::map<std::uint32_t, std::vector<Workspace>> spare_;  // by uid
};

// Puts a copy of `file` at `path` (relative) into the working directory, writable by the job. The workspace must be
// closed. badValue: the path leaves the directory, or is taken.
Result<void> place_input(const Workspace& workspace, const std::string& path, const std::filesystem::path& file,
                         const JobUser& user);

// Opens the workspace right before the job starts; close_to_job() closes it after the end. False with errno: the disk
// failed.
bool open_to_job(const Workspace& workspace, const JobUser& user);
bool close_to_job(const Workspace& workspace);

}  // namespace geres::host
