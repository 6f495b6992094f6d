// SPDX-License-Identifier: Apache-2.0
// The users that jobs run as: blocks of ids that nothing else uses, a user for each slot, a group for each tenant.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <set>

#include "base/uuid.h"
#include "host/host_fixture_test.h"
#include "host/job_users.h"
#include "host/leftovers.h"
#include "host/uid_block.h"

namespace geres::host {
namespace {

namespace fs = std::filesystem;
using model::Outcome;
using test::HostTest;

class Blocks : public testing::Test {
 protected:
  Blocks() {
    sources.delegated = {directory.path() / "subuid", directory.path() / "absent"};
    sources.locks = directory.path() / "locks";
    sources.machine = "m1";
    sources.is_known = [this](std::uint32_t id) { return known.contains(id); };
  }
  Result<UidBlock> claim(const char* data, std::optional<std::uint32_t> recorded = {},
                         std::optional<std::uint32_t> insisted = {}) const {
    return claim_uid_block(data, recorded, insisted, sources);
  }

  TemporaryDirectory directory;
  UidSources sources;
  std::set<std::uint32_t> known;
};

TEST_F(Blocks, AreAlignedAndTheSameEachTime) {
  const auto first = claim("/a")->first;
  EXPECT_EQ(first % kUidBlockSize, 0u);
  EXPECT_GE(first, kUidBlocksFrom);
  EXPECT_LE(first, kUidBlocksTo - kUidBlockSize + 1);
  EXPECT_EQ(claim("/a")->first, first) << "nobody holds it any more";
  EXPECT_NE(claim("/b")->first, first);
}

TEST_F(Blocks, AreHeldByOneHostAlone) {
  const auto held = claim("/a");
  const auto other = claim("/a");
  ASSERT_TRUE(held && other);
  EXPECT_NE(held->first, other->first);
  EXPECT_FALSE(claim("/c", {}, held->first)) << "insisted on";
  EXPECT_NE(claim("/c", held->first)->first, held->first) << "recorded, but taken since";
}

TEST_F(Blocks, LeaveOutWhatTheMachineGaveToOthers) {
  const auto first = claim("/a")->first;
  std::ofstream(directory.path() / "subuid") << "someone:100000:65536\nother:" << first + 5 << ":1\nbroken\n:::\n";
  EXPECT_NE(claim("/a")->first, first);
  EXPECT_NE(claim("/a", first)->first, first);
  const auto insisted = claim("/a", {}, first);
  ASSERT_FALSE(insisted);
  EXPECT_NE(insisted.error().message.find("other:"), std::string::npos) << insisted.error().message;
  EXPECT_EQ(insisted.error().field, "uid-block");
  const auto next = claim("/b")->first;
  known = {next + kUidBlockSize - 1};
  EXPECT_NE(claim("/b")->first, next);
}

TEST_F(Blocks, AreRefusedWhereNoneCanBegin) {
  for (const std::uint32_t first : {0u, 1u, 65'536u, 524'289u, 1'879'048'192u, 4'294'901'760u})
    EXPECT_EQ(claim("/a", {}, first).error().code, Code::badValue) << first;
  EXPECT_EQ(claim("/a", {}, kUidBlocksFrom)->first, kUidBlocksFrom);
  sources.is_known = [](std::uint32_t) { return true; };
  EXPECT_EQ(claim("/a").error().code, Code::tooMany);
}

class JobUsersTest : public testing::Test {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root may take blocks of the machine";
  }
  TemporaryDirectory directory;
};

TEST_F(JobUsersTest, SlotsHaveUsersAndTenantsGroupsThatStay) {
  std::uint32_t first = 0;
  {
    auto users = JobUsers::claim(directory.path(), 3, {});
    ASSERT_TRUE(users) << users.error().message;
    first = users->first();
    const auto a0 = *users->user_of(0, "a");
    const auto a2 = *users->user_of(2, "a");
    const auto b2 = *users->user_of(2, "b");
    EXPECT_EQ(a0.uid, first);
    EXPECT_EQ(a2.uid, first + 4);
    EXPECT_EQ(b2.uid, a2.uid);
    EXPECT_EQ(a0.gid, first + 32'768);
    EXPECT_EQ(a2.gid, a0.gid);
    EXPECT_EQ(b2.gid, first + 32'769);
    EXPECT_NE(read_file(users->names_of_users()).find("\ngeres-2:x:" + std::to_string(first + 4) + ":"),
              std::string::npos);
    EXPECT_NE(read_file(users->names_of_groups()).find(":x:" + std::to_string(b2.gid) + ":"), std::string::npos);
    EXPECT_NE(JobUsers::claim(directory.path(), 3, {})->first(), first) << "two hosts at a time";
  }
  replace_file(directory.path() / "uids.json",
               R"({"first": )" + std::to_string(first) + R"(, "tenants": {"a": 0, "b": 1}})");
  auto again = JobUsers::claim(directory.path(), 3, {});
  EXPECT_EQ(again->first(), first);
  EXPECT_EQ(*again->group_of("b"), first + 32'769);
  EXPECT_EQ(*again->group_of("c"), first + 32'770);
}

TEST_F(JobUsersTest, TheFileOfTheFirstVersionIsTakenAndABrokenOneRefused) {
  replace_file(directory.path() / "uids.json", R"({"a": 210000, "b": 210001})");
  auto users = JobUsers::claim(directory.path(), 1, {});
  ASSERT_TRUE(users) << users.error().message;
  EXPECT_EQ(*users->group_of("b"), users->first() + 32'768);
  replace_file(directory.path() / "uids.json", "{");
  EXPECT_THROW((void)JobUsers::claim(directory.path(), 1, {}), std::runtime_error);
}

// ---- with a real host
// ------------------------------------------------------------------------------------------------

class JobsAsUsers : public HostTest {
 protected:
  void SetUp() override {
    if (::geteuid() != 0) GTEST_SKIP() << "only root can start jobs as other users";
  }
  std::function<void(wire::LeaseGrant&)> of(const std::string& tenant) {
    return [tenant](wire::LeaseGrant& grant) { grant.job.get_object()["tenant"] = tenant; };
  }
};

TEST_F(JobsAsUsers, AreNobodyElseAndSeeNothingOfOthers) {
  options.slots = 1;
  const std::string script =
      "id -u; id -g; id -G; echo mine > $GERES_OUTPUT_DIR/f; echo note > $GERES_PROGRESS; echo x > w";
  const auto a = run(script, of("a"));
  EXPECT_EQ(a.outcome, Outcome::finished) << a.error;
  EXPECT_EQ(a.files.size(), 1u);
  std::istringstream ids(*a.result);
  std::uint32_t uid = 0, gid = 0, groups = 0;
  ids >> uid >> gid >> groups;
  EXPECT_EQ(uid % kUidBlockSize, 0u);
  EXPECT_EQ(gid, uid + 32'768);
  EXPECT_EQ(groups, gid);
  const std::string packages = (options.data / "packages").string();
  const auto b = run("id -g; ls " + packages + " && exit 9; ls " + packages + "/a && exit 8; ls " +
                         options.data.string() + "/work && exit 7; touch $GERES_PACKAGE_DIR/x && exit 6; true",
                     of("b"));
  EXPECT_EQ(b.outcome, Outcome::finished) << b.error;
  EXPECT_EQ(b.result, std::to_string(gid + 1) + "\n");
  start();
  EXPECT_EQ(run("id -g", of("b")).result, std::to_string(gid + 1) + "\n");
}

// A directory above the data lets nobody in, as home and temporary directories do.
TEST_F(JobsAsUsers, RunWhereNobodyElseMayEnter) {
  ::chmod(directory.path().c_str(), 0700);
  std::ofstream(directory.path() / "secret") << "secret";
  const auto top = directory.path().string();
  const auto item = run("cat job 2>/dev/null; echo x > w && cat w; ls " + top + " && exit 9; cat " + top +
                        "/secret && exit 8; touch " + top + "/new && exit 7; true");
  EXPECT_EQ(item.outcome, Outcome::finished) << item.error;
  EXPECT_EQ(item.result, "x\n");
  EXPECT_EQ(read_file(directory.path() / "secret"), "secret") << "for us it is as it was";
}

TEST_F(JobsAsUsers, HaveNamesAndNoRights) {
  const auto item =
      run("id -un; getent passwd \"$(id -u)\" | cut -d: -f6; echo \"$USER $LOGNAME\"; "
          "grep -c -e 'Cap[A-Z][a-z]*:.0000000000000000$' /proc/self/status; "
          "grep NoNewPrivs /proc/self/status; pwd > p; cmp -s p - <<EOF && echo home\n$HOME\nEOF\n");
  EXPECT_EQ(item.outcome, Outcome::finished) << item.error;
  const std::string name = item.result->substr(0, item.result->find('\n'));
  EXPECT_TRUE(name.starts_with("geres-")) << *item.result;
  EXPECT_EQ(*item.result, name + "\n/proc/self/cwd\n" + name + " " + name + "\n5\nNoNewPrivs:\t1\nhome\n");
}

// What a job leaves in the machine's shared places, the slot's next job would find, as the same user.
TEST_F(JobsAsUsers, LeaveNothingOutsideTheirWorkspace) {
  options.slots = 1;
  const auto name = "geres-left-" + random_hex(6);
  const auto left = run("mkdir -p /tmp/" + name + "/below /var/tmp/" + name + "; chmod 0 /tmp/" + name +
                        "; for i in 1 2; do echo x > /dev/shm/" + name +
                        "; done; ipcmk -M 100 -Q -S 1 >/dev/null; ipcs -mqs | grep -c \"$USER\"");
  EXPECT_EQ(left.outcome, Outcome::finished) << left.error;
  EXPECT_EQ(left.result, "3\n");
  EXPECT_EQ(run("ls -d /tmp/" + name + " /var/tmp/" + name + " /dev/shm/" + name +
                " 2>/dev/null; ipcs -mqs | grep \"$USER\"; echo done")
                .result,
            "done\n");
}

// With the kernel naming what appears in a place, or by reading it.
class Leftovers : public testing::TestWithParam<bool> {
 protected:
  static constexpr std::uint32_t kFirst = 1'900'000'000;
  Leftovers() {
    for (const char* place : {"/tmp", "/dev/shm", "/dev/mqueue"})
      if (fs::is_directory(place)) places.push_back(place);
  }
  ~Leftovers() override {
    for (const auto& path : made) fs::remove_all(path);
  }
  fs::path make(const fs::path& place, std::uint32_t uid, const char* as = "") {
    const auto path = place / (word + std::to_string(made.size()));
    made.push_back(path);
    if (std::string_view(as) == "directory") {
      fs::create_directory(path);
      std::ofstream(path / "in") << "it";
    } else {
      std::ofstream(path) << "left";
    }
    EXPECT_EQ(::chown(path.c_str(), uid, 0), 0);
    return path;
  }
  const std::string word = "geres-left-" + random_hex(4) + "-";
  std::vector<fs::path> places, made;
};

TEST_P(Leftovers, GoWithTheirUserAndNobodyElses) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can make files of others";
  SharedPlaces shared(kFirst, 4, GetParam());
  shared.remove_all();
  for (const auto& place : places) {
    SCOPED_TRACE(place);
    for (int round = 0; round < 2; ++round) {  // the second round reads nothing
      const auto own = make(place, kFirst), running = make(place, kFirst + 2), foreign = make(place, 0);
      shared.remove_left_by(kFirst);
      EXPECT_FALSE(fs::exists(own));
      EXPECT_TRUE(fs::exists(running));
      EXPECT_TRUE(fs::exists(foreign));
      shared.remove_left_by(kFirst);
      shared.remove_left_by(kFirst + 2);
      EXPECT_FALSE(fs::exists(running));
      EXPECT_TRUE(fs::exists(foreign));
    }
    if (place == "/dev/mqueue") continue;
    const auto whole = make(place, kFirst, "directory"), moved = make(whole, kFirst), to = make(place, kFirst);
    fs::remove(to);
    fs::rename(moved, to);
    const auto foreign = make(place, 0);
    shared.remove_left_by(kFirst + 2);
    EXPECT_TRUE(fs::exists(to));
    shared.remove_left_by(kFirst);
    EXPECT_FALSE(fs::exists(to));
    EXPECT_FALSE(fs::exists(whole));
    fs::rename(make(place, kFirst), foreign);  // replaces what was known to belong to another user
    shared.remove_left_by(kFirst);
    EXPECT_FALSE(fs::exists(foreign));
  }
}

TEST_P(Leftovers, OfWhoWasThereBeforeGoAtTheStart) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can make files of others";
  const auto own = make("/tmp", kFirst + 3, "directory"), foreign = make("/tmp", kFirst + 4);
  SharedPlaces(kFirst, 4, GetParam()).remove_all();
  EXPECT_FALSE(fs::exists(own));
  EXPECT_TRUE(fs::exists(foreign));
}

// More changes than the kernel queues.
TEST_P(Leftovers, GoBehindMoreThanCanBeTold) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can make files of others";
  std::ifstream limit("/proc/sys/fs/inotify/max_queued_events");
  int most = 0;
  limit >> most;
  if (most > 20'000 || !fs::is_directory("/dev/shm")) GTEST_SKIP() << "it remembers very much here";
  SharedPlaces shared(kFirst, 4, GetParam());
  shared.remove_all();
  const auto busy = make("/dev/shm", 0);
  for (int i = 0; i <= most; ++i) {
    const auto other = busy.string() + (i % 2 == 0 ? "a" : "b");
    std::ofstream(other) << "x";
    fs::remove(other);
  }
  const auto own = make("/dev/shm", kFirst);
  shared.remove_left_by(kFirst);
  EXPECT_FALSE(fs::exists(own));
}

INSTANTIATE_TEST_SUITE_P(Each, Leftovers, testing::Bool());

TEST_F(JobsAsUsers, AreGoneWhereNothingContainsThem) {
  options.slots = 1;
  options.containment = wire::Containment::bestEffort;
  options.own_pid_namespace = false;
  std::filesystem::permissions(directory.path(), std::filesystem::perms(0711));
  EXPECT_EQ(run("setsid env -i sleep 7654 >/dev/null 2>&1 </dev/null & sleep 0.1").outcome, Outcome::finished);
  EXPECT_EQ(run("pgrep -u \"$(id -u)\" sleep; echo done").result, "done\n");
}

TEST_F(JobsAsUsers, NeverAsRootUnlessThatWasSaid) {
  options.isolation = Isolation::none;
  const auto refused = JobHost::prepare(options);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().field, "isolation");
  EXPECT_NE(refused.error().hint.find("--allow-root"), std::string::npos);
  options.allow_root = true;
  EXPECT_EQ(run("id -u; grep CapBnd /proc/self/status").result, "0\nCapBnd:\t0000000000000000\n");
}

}  // namespace
}  // namespace geres::host
