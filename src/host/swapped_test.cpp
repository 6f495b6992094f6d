// SPDX-License-Identifier: Apache-2.0
// A job that swaps its directories for links, as fast as it can, while the agent works in them: ten thousand rounds of
// each thing that the agent does there. What the links lead to must stay unchanged.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <fstream>
#include <optional>
#include <thread>

#include "base/beneath.h"
#include "host/harvest.h"
#include "host/workspace.h"

namespace geres::host {
namespace {

constexpr int kRounds = 10'000;
constexpr int kKept = 20;

// Keeps exchanging job/PART of a workspace with a link to `target`, for as long as this lives.
class Swapper {
 public:
  Swapper(const std::filesystem::path& target, std::string part) : target_(target), part_(std::move(part)) {
    thread_ = std::thread([this] { run(); });
  }
  ~Swapper() {
    stopping_ = true;
    thread_.join();
  }
  // Works there from now on. The descriptor belongs to the caller and stays open.
  void at(int root) { root_ = root; }
  // After this returns nothing is swapped.
  void rest() {
    root_ = -1;
    const auto seen = rounds_.load();
    while (rounds_ < seen + 2) std::this_thread::yield();
  }
  std::int64_t swaps() const { return swaps_; }

 private:
  void run() {
    for (; !stopping_; ++rounds_) {
      const int root = root_;
      if (root < 0) {
        std::this_thread::yield();
        continue;
      }
      const Fd job(::openat(root, "job", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!job) continue;
      ::symlinkat(target_.c_str(), job.get(), "link");
      if (::renameat2(job.get(), "link", job.get(), part_.c_str(), RENAME_EXCHANGE) == 0) ++swaps_;
    }
  }

  const std::filesystem::path target_;
  const std::string part_;
  std::atomic<int> root_ = -1;
  std::atomic<bool> stopping_ = false;
  std::atomic<std::int64_t> rounds_ = 0, swaps_ = 0;
  std::thread thread_;
};

// Making ten thousand directories on a disk takes a minute.
class InMemory {
 protected:
  InMemory() {
    if (::access("/dev/shm", W_OK) == 0) ::setenv("TMPDIR", "/dev/shm", 1);
  }
  ~InMemory() {
    if (before_)
      ::setenv("TMPDIR", before_->c_str(), 1);
    else
      ::unsetenv("TMPDIR");
  }

 private:
  const std::optional<std::string> before_ =
      std::getenv("TMPDIR") ? std::optional(std::getenv("TMPDIR")) : std::nullopt;
};

class Swapped : private InMemory, public testing::Test {
 protected:
  Swapped() {
    std::filesystem::create_directories(victim());
    for (int i = 0; i < kKept; ++i) std::ofstream(victim() / std::to_string(i)) << "kept";
    ::chmod(victim().c_str(), 0755);
    std::ofstream(directory.path() / "input") << "input";
    workspaces.start();
  }

  std::filesystem::path victim() const { return directory.path() / "victim"; }

  void expect_untouched() const {
    int files = 0;
    for (const auto& item : std::filesystem::recursive_directory_iterator(victim())) {
      ++files;
      EXPECT_EQ(read_file(item.path()), "kept") << item.path();
    }
    EXPECT_EQ(files, kKept);
    struct stat facts {};
    ASSERT_EQ(::stat(victim().c_str(), &facts), 0);
    EXPECT_EQ(facts.st_mode & 07777, 0755U);
  }

  TemporaryDirectory directory;
  Workspaces workspaces{directory.path() / "work", directory.path() / "lock"};
  JobUser user;
};

TEST_F(Swapped, InputsAreLaidIntoTheWorkspaceOrNowhere) {
  Swapper swapper(victim(), "work");
  const auto workspace = workspaces.make(user, "{}");
  swapper.at(workspace.directory->get());
  int placed = 0;
  for (int round = 0; round < kRounds; ++round) {
    try {
      const auto path = "d" + std::to_string(round % 100) + "/" + std::to_string(round);
      placed += place_input(workspace, path, directory.path() / "input", user) ? 1 : 0;
    } catch (const std::system_error&) {  // it may take the link for trouble with the disk
    }
  }
  swapper.rest();
  EXPECT_GT(placed, 0);
  EXPECT_LT(placed, kRounds) << "nothing was swapped while it was at work";
  expect_untouched();
}

TEST_F(Swapped, EmptyingTakesNothingElse) {
  for (const char* part : {"work", "out"}) {
    Workspace before;  // open as long as its parts may be swapped
    Swapper swapper(victim(), part);
    for (int round = 0; round < kRounds / 2; ++round) {
      const auto workspace = workspaces.make(user, "{}");
      swapper.at(workspace.directory->get());
      workspaces.give_back(workspace, user);
      before = workspace;
    }
    swapper.rest();
    EXPECT_GT(swapper.swaps(), kRounds / 20);
    expect_untouched();
  }
}

TEST_F(Swapped, TreesAreRemovedWithoutWhatTheyLinkTo) {
  std::filesystem::create_directories(directory.path() / "top/job");
  const Fd root(::open((directory.path() / "top").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const Fd job = open_beneath(root.get(), "job", O_RDONLY | O_DIRECTORY);
  Swapper swapper(victim(), "d");
  swapper.at(root.get());
  for (int round = 0; round < kRounds; ++round) {
    ::mkdirat(job.get(), "d", 0700);
    open_beneath(job.get(), "d/file", O_WRONLY | O_CREAT, 0600);
    remove_tree_at(job.get(), "d");
  }
  swapper.rest();
  EXPECT_GT(swapper.swaps(), kRounds / 20);
  expect_untouched();
}

TEST_F(Swapped, ResultsAndFilesAreTheJobsOwn) {
  Swapper swapper(victim(), "out");
  const auto workspace = workspaces.make(user, "{}");
  swapper.at(workspace.directory->get());
  for (int round = 0; round < kRounds; ++round) {
    const auto harvest = gather_output(workspace, user, {100, 1 << 20});
    EXPECT_TRUE(harvest.files.empty()) << harvest.files.front().path;
    EXPECT_FALSE(open_output(workspace, user, OutputFile{.path = "0"}));
  }
  EXPECT_GT(swapper.swaps(), kRounds / 20);
  expect_untouched();
}

TEST_F(Swapped, NothingIsOpenedThroughALink) {
  Swapper swapper(victim(), "work");
  const auto workspace = workspaces.make(user, "{}");
  const int root = workspace.directory->get();
  std::ofstream(workspace.work() / "own") << "own";
  swapper.at(root);
  int opened = 0;
  for (int round = 0; round < kRounds; ++round) {
    EXPECT_FALSE(open_beneath(root, "job/work/0", O_RDONLY));
    EXPECT_FALSE(open_beneath_by_parts(root, "job/work/0", O_RDONLY));
    EXPECT_FALSE(open_beneath_by_parts(root, "job/work/made", O_WRONLY | O_CREAT | O_EXCL, 0600) &&
                 std::filesystem::exists(victim() / "made"));
    opened += open_beneath(root, "job/work/own", O_RDONLY) ? 1 : 0;
    opened += open_beneath_by_parts(root, "job/work/own", O_RDONLY) ? 1 : 0;
  }
  swapper.rest();
  EXPECT_GT(opened, 0);
  expect_untouched();
}

TEST(Beneath, TakesPlainNamesOnly) {
  TemporaryDirectory directory;
  std::filesystem::create_directories(directory.path() / "a/b");
  std::ofstream(directory.path() / "a/b/file") << "text";
  std::filesystem::create_symlink("b", directory.path() / "a/link");
  const Fd top(::open((directory.path() / "a").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (const auto open : {open_beneath, open_beneath_by_parts}) {
    EXPECT_TRUE(open(top.get(), "b/file", O_RDONLY, 0));
    for (const char* path : {"", "/", "/etc/passwd", "..", "../a/b/file", "b/../b/file", "./b", "b/", "b/."}) {
      EXPECT_FALSE(open(top.get(), path, O_RDONLY, 0)) << path;
      EXPECT_EQ(errno, EINVAL) << path;
    }
    EXPECT_FALSE(open(top.get(), "link/file", O_RDONLY, 0));
    EXPECT_TRUE(errno == ELOOP || errno == ENOTDIR);
    EXPECT_FALSE(open(top.get(), "link", O_RDONLY, 0));
    EXPECT_EQ(errno, ELOOP);
  }
}

// Only we can enter spare workspaces, and one whose inputs are being put in.
TEST_F(Swapped, AWorkspaceIsOpenOnlyWhileItsJobRuns) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can run jobs as other users";
  const JobUser other{60'000, 60'001};
  const auto mode = [](const Workspace& workspace) {
    struct stat facts {};
    EXPECT_EQ(::stat(workspace.root.c_str(), &facts), 0);
    EXPECT_EQ(facts.st_uid, 0U);
    return facts.st_mode & 07777;
  };
  const auto workspace = workspaces.make(other, "{}");
  EXPECT_EQ(mode(workspace), 0700U);
  EXPECT_TRUE(open_to_job(workspace, other));
  EXPECT_EQ(mode(workspace), 0710U);
  EXPECT_TRUE(close_to_job(workspace));
  EXPECT_EQ(mode(workspace), 0700U);
  open_to_job(workspace, other);
  workspaces.give_back(workspace, other);
  EXPECT_EQ(mode(workspace), 0700U) << "spare";
  const auto again = workspaces.make(other, "{}");
  EXPECT_EQ(again.root, workspace.root);
  EXPECT_EQ(mode(again), 0700U);
}

}  // namespace
}  // namespace geres::host
