// SPDX-License-Identifier: Apache-2.0
// A host on which every job would fail does not start, and says what failed.
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include "host/host_fixture_test.h"

namespace geres::host {
namespace {

using test::HostTest;

class Trial : public HostTest {
 protected:
  std::string refusal() {
    const auto prepared = JobHost::prepare(options);
    return prepared ? "" : prepared.error().message;
  }
};

TEST_F(Trial, IsPassedAndLeavesNothing) {
  EXPECT_EQ(refusal(), "");
  for (const auto& item : std::filesystem::directory_iterator(options.data))
    EXPECT_FALSE(item.path().filename().native().starts_with("trial")) << item.path();
}

TEST_F(Trial, FailsWhereLimitsLeaveNoRoom) {
  options.run_limits.fileBytes = 2;
  EXPECT_NE(refusal().find("trial"), std::string::npos);
  options.run_limits.fileBytes.reset();
  options.run_limits.openFiles = 3;
  EXPECT_NE(refusal().find("trial"), std::string::npos);
}

TEST_F(Trial, FailsOnAFullDisk) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can mount a small one";
  std::filesystem::create_directory(options.data);
  if (::mount("tmpfs", options.data.c_str(), "tmpfs", 0, "size=60k") != 0) GTEST_SKIP() << "nothing can be mounted";
  const auto why = refusal();
  ::umount2(options.data.c_str(), MNT_DETACH);
  EXPECT_NE(why.find("No space left on device"), std::string::npos) << why;
}

TEST_F(Trial, FailsWithoutTheProgramThatRunsLibraries) {
  options.loader_path = directory.path() / "absent";
  EXPECT_NE(refusal().find("absent"), std::string::npos);
}

}  // namespace
}  // namespace geres::host
