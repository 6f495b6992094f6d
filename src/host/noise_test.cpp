// SPDX-License-Identifier: Apache-2.0
// Jobs that behave badly towards their machine: each ends in a recognizable way, and harms nobody else.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/uuid.h"
#include "host/disk_watch.h"
#include "host/workspace.h"
#include "host_fixture_test.h"

namespace geres::host {
namespace {

using model::Outcome;
using test::HostTest;

class Noise : public HostTest {
 protected:
  // True: nothing is left below the host's data except the empty directories that are used again.
  bool swept() {
    std::error_code gone;
    for (std::filesystem::recursive_directory_iterator it(options.data / "work", gone), end; !gone && it != end;
         it.increment(gone)) {
      const auto name = it->path().filename().native();
      if (it.depth() > 0 && name != "job" && name != "job.json" && name != "work" && name != "out" && name != "tmp" &&
          name != "progress")
        return false;
    }
    return !gone;
  }
  bool soon_swept() {
    for (int tries = 0; tries < 1'000; ++tries, ::usleep(20'000))
      if (swept()) return true;
    return false;
  }
};

TEST_F(Noise, WhoFillsTheDiskIsKilled) {
  options.scratch.bytes = 8 << 20;
  const auto one = run("exec head -c 100000000 /dev/zero > big");
  EXPECT_EQ(one.outcome, Outcome::failed);
  EXPECT_EQ(one.error, "killed: one of its files grew beyond the limit (--scratch-limit)");
  const auto many = run("i=0; while :; do head -c 100000 /dev/zero > $TMPDIR/$i; i=$((i+1)); done 2>/dev/null");
  EXPECT_EQ(many.outcome, Outcome::failed);
  EXPECT_EQ(many.error, "killed: its files took up more than 8 MiB (--scratch-limit)");
  EXPECT_TRUE(soon_swept());
  const auto fits = run("head -c 4000000 /dev/zero > a; rm a; head -c 4000000 /dev/zero > a; sleep 1.5");
  EXPECT_EQ(fits.outcome, Outcome::finished) << fits.error;
}

TEST_F(Noise, WhoMakesFilesWithoutEndIsKilled) {
  options.scratch.files = 500;
  const auto after = run("i=0; while :; do mkdir d$i; : > d$i/f; i=$((i+1)); done");
  EXPECT_EQ(after.outcome, Outcome::failed);
  EXPECT_EQ(after.error, "killed: it made more than 500 files");
  EXPECT_TRUE(soon_swept());
}

TEST_F(Noise, WhoNestsDirectoriesWithoutEndIsKilledAndCleanedUp) {
  const auto after = run("while mkdir d && cd d; do :; done 2>/dev/null; sleep 100");
  EXPECT_EQ(after.outcome, Outcome::failed);
  EXPECT_EQ(after.error, "killed: its directories lie more than 128 deep");
  EXPECT_TRUE(soon_swept());
}

TEST_F(Noise, WhoHoldsDeletedFilesWithoutEndIsKilled) {
  options.scratch.bytes = 20 << 20;
  const auto after =
      run("for i in 3 4; do eval \"exec $i>gone\"; rm gone; head -c 15000000 /dev/zero >&$i; done; sleep 100");
  EXPECT_EQ(after.outcome, Outcome::failed);
  EXPECT_EQ(after.error, "killed: its files took up more than 20 MiB (--scratch-limit)");
}

TEST_F(Noise, WhoForksWithoutEndIsKilled) {
  options.processes_max = 40;
  const auto after = run("while :; do sleep 1000 & done 2>/dev/null");
  EXPECT_EQ(after.outcome, Outcome::failed);
  // Either the host's look finds it, or it first meets the kernel's limit.
  EXPECT_TRUE(after.error == "killed: it had more than 40 processes (--process-limit)" ||
              after.error.find("it came to 1104 processes and threads, the most for --process-limit 40") !=
                  std::string::npos)
      << after.error;
  EXPECT_EQ(run("true").outcome, Outcome::finished);
}

TEST_F(Noise, WhoUsesMoreMemoryThanItAskedForIsKilled) {
  const auto asks = [](wire::LeaseGrant& grant) {
    grant.job.as_object()["requires"] = {{"slots", 1}, {"memory", 64 << 20}, {"labels", boost::json::object()}};
  };
  // A shell variable that doubles in size.
  const auto after = run("x=0123456789abcdef; while :; do x=$x$x; [ ${#x} -gt 100000000 ] && sleep 1000; done", asks);
  EXPECT_EQ(after.outcome, Outcome::failed);
  EXPECT_TRUE(after.error.starts_with("killed: out of memory, limit 64 MiB, peak ")) << after.error;
  EXPECT_EQ(after.cause, model::Cause::outOfMemory);
  EXPECT_EQ(run("true", asks).outcome, Outcome::finished);
}

// In memory where there is room, because the speed of a disk is not what is tested.
TEST_F(Noise, ManyFilesAreSweptAndHoldUpNobody) {
  std::error_code absent;
  const std::filesystem::path shm = "/dev/shm";
  const bool in_memory = std::filesystem::space(shm, absent).available > (1U << 30) && !absent;
  if (in_memory) options.data = shm / ("geres-noise-" + random_hex(6));
  start();
  const auto after = run("mkdir d && cd d && seq 20000 | xargs touch");
  EXPECT_EQ(after.outcome, Outcome::finished) << after.error;
  EXPECT_EQ(run("true").outcome, Outcome::finished);
  EXPECT_TRUE(soon_swept());
  if (!in_memory) return;
  host->stop(0);
  remove_tree(options.data);
}

TEST_F(Noise, MoreArtifactsThanAllowedAreCountedOffTheLoop) {
  options.artifacts_max = 100;
  const auto after = run("cd $GERES_OUTPUT_DIR && seq 1000 | xargs touch");
  EXPECT_EQ(after.outcome, Outcome::finished);
  EXPECT_EQ(after.files.size(), 100u);
  ASSERT_TRUE(after.filesLeftOut);
  EXPECT_EQ(after.filesLeftOut->count, 900);
  EXPECT_EQ(after.filesLeftOut->named.size(), 100u);
}

TEST_F(Noise, AFullDiskTakesNoJobsAndLosesNone) {
  options.scratch.reserve = 1LL << 62;  // more than is ever free
  const auto waiting = hub.add_script("true");
  start();
  ASSERT_TRUE(hub.await([&] { return !hub.fetches.empty(); }));
  EXPECT_EQ(hub.locked([&] { return hub.fetches.front().slots; }), 0);
  EXPECT_FALSE(hub.locked([&] { return hub.current.contains(waiting); }));
  EXPECT_TRUE(hub.await([&] { return !hub.reports.empty() && hub.reports.back().health; })) << "its hub is told";
  EXPECT_EQ(hub.locked([&] { return hub.reports.back().health->state; }), model::Health::resting);
}

// ---- how attempts end -----------------------------------------------------------------------------------------------

TEST_F(Noise, EveryExitCodeIsTold) {
  options.slots = 4;
  start();
  std::map<int, std::string> leases;
  for (int code = 0; code < 256; ++code) leases[code] = hub.add_script("exit " + std::to_string(code));
  for (const auto& [code, name] : leases) {
    ASSERT_TRUE(hub.await_finished(name)) << code;
    const auto item = hub.finished(name);
    EXPECT_EQ(item.outcome, code == 0 ? Outcome::finished : code == 60 ? Outcome::aborted : Outcome::failed) << code;
    EXPECT_EQ(item.exit->code, code);
    EXPECT_FALSE(item.exit->signal);
    if (code != 0) {
      EXPECT_EQ(item.error, "exit " + std::to_string(code));
    }
  }
}

TEST_F(Noise, EverySignalIsTold) {
  options.slots = 4;
  start();
  std::map<int, std::string> leases;
  const std::set<int> harmless = {SIGCHLD, SIGCONT, SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU, SIGURG, SIGWINCH};
  for (int number = 1; number <= 31; ++number)
    if (!harmless.contains(number)) leases[number] = hub.add_script("kill -" + std::to_string(number) + " $$; sleep 9");
  for (const auto& [number, name] : leases) {
    ASSERT_TRUE(hub.await_finished(name)) << number;
    const auto item = hub.finished(name);
    EXPECT_EQ(item.outcome, Outcome::failed) << number;
    EXPECT_EQ(item.exit->signal, number);
    EXPECT_FALSE(item.exit->code);
    if (number != SIGXFSZ) {
      EXPECT_TRUE(item.error.starts_with("killed by signal " + std::to_string(number) + " (SIG")) << item.error;
    }
  }
  for (const int number : harmless) {
    if (number == SIGSTOP || number == SIGTSTP || number == SIGTTIN || number == SIGTTOU) continue;
    EXPECT_EQ(run("kill -" + std::to_string(number) + " $$").outcome, Outcome::finished) << number;
  }
}

TEST_F(Noise, WhatIsClosedOrBrokenDoesNotMatter) {
  EXPECT_EQ(run("exec >&- 2>&- <&-; exit 3").error, "exit 3");
  EXPECT_EQ(run("rm -f $GERES_PROGRESS; echo 5 > $GERES_PROGRESS || true; exit 0").outcome, Outcome::finished);
  EXPECT_EQ(run("exec 7>$GERES_PROGRESS; exec 7>&-; echo 9 half >> $GERES_PROGRESS").outcome, Outcome::finished);
  const auto no_newline = run("printf 'all on one line'; printf 'no end' >&2; exit 4");
  EXPECT_EQ(no_newline.error, "exit 4: no end");
  EXPECT_EQ(*no_newline.result, "all on one line");
}

TEST_F(Noise, WhatIsNoTextIsRawInTheLogAndMendedElsewhere) {
  const auto after =
      run("printf 'a\\377\\000b'; printf 'c\\200\\033[31m\\n' >&2; printf '5 d\\376\\n' > $GERES_PROGRESS; exit 9");
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(told(lease).log.at("stdout"), std::string("a\377\0b", 4));
  EXPECT_EQ(*after.result, "a" + bad + "b");
  EXPECT_EQ(after.error, "exit 9: c" + bad);
  ASSERT_FALSE(told(lease).progress.empty());
  EXPECT_EQ(told(lease).progress.back().message, "d" + bad);
}

// ---- the parts ------------------------------------------------------------------------------------------------------

TEST(RemoveTree, TakesWhatIsDeepUnreadableAndMany) {
  TemporaryDirectory outside;
  std::ofstream(outside.path() / "kept") << "kept";
  TemporaryDirectory directory;
  const auto top = directory.path() / "top";
  std::filesystem::create_directory(top);
  const int deep = 3'000;
  Fd at(::open(top.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  for (int i = 0; i < deep; ++i) {
    ASSERT_EQ(::mkdirat(at.get(), "d", 0700), 0);
    ::close(::openat(at.get(), "file", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    at = Fd(::openat(at.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  at.reset();
  std::filesystem::create_directories(top / "closed/below");
  std::ofstream(top / "closed/below/file") << "x";
  std::filesystem::permissions(top / "closed/below", std::filesystem::perms::none);
  std::filesystem::permissions(top / "closed", std::filesystem::perms::none);
  std::filesystem::create_symlink(outside.path(), top / "link");
  std::filesystem::create_directory(top / "many");
  for (int i = 0; i < 25'000; ++i)
    ::close(::open((top / "many" / std::to_string(i)).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
  EXPECT_TRUE(remove_tree(top));
  EXPECT_FALSE(std::filesystem::exists(top));
  EXPECT_TRUE(std::filesystem::exists(outside.path() / "kept"));
  EXPECT_TRUE(remove_tree(top)) << "what is not there is removed";
}

TEST(MeasureScratch, CountsWhatLiesOnDisk) {
  TemporaryDirectory directory;
  const auto measured = [&] { return measure_scratch(directory.path(), {}); };
  std::ofstream(directory.path() / "full") << std::string(1'000'000, 'x');
  std::filesystem::create_directory_symlink("/usr", directory.path() / "link");
  EXPECT_GE(measured().bytes, 1'000'000);
  EXPECT_LT(measured().bytes, 1'200'000);
  EXPECT_EQ(measured().files, 2);
  std::ofstream(directory.path() / "holes");
  std::filesystem::resize_file(directory.path() / "holes", 1 << 30);
  EXPECT_LT(measured().bytes, 1'200'000) << "holes take up nothing";
  ScratchLimits limits;
  EXPECT_EQ(over_scratch(measured(), limits), "");
  limits.bytes = 500'000;
  EXPECT_NE(over_scratch(measured(), limits), "");
  EXPECT_EQ(measure_scratch(directory.path() / "absent", {}).files, 0);
}

}  // namespace
}  // namespace geres::host
