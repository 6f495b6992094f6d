// SPDX-License-Identifier: Apache-2.0
// The store of blobs in a directory, by the contract of all such stores and by its own rules.
#include "hub/packages/directory_blobs.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <limits>

#include "hub/packages/blobs_contract_test.h"

namespace geres::hub::packages {
namespace {

namespace fs = std::filesystem;

struct DirectoryFixture {
  TemporaryDirectory home;
  std::unique_ptr<Blobs> open() { return open_directory_blobs(home.path() / "blobs", 0); }

  // Makes everything committed so far an hour old, so that no test has to wait.
  Millis now() {
    for (const auto& entry : fs::recursive_directory_iterator(home.path() / "blobs" / "tenants"))
      if (entry.is_regular_file())
        fs::last_write_time(entry.path(), fs::file_time_type::clock::now() - std::chrono::minutes(10));
    return SystemClock().wall() - 60'000;
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(Directory, BlobsContract, DirectoryFixture);

TEST(DirectoryBlobs, WhatACrashLeftIsClearedAtStart) {
  const TemporaryDirectory home;
  { const auto blobs = open_directory_blobs(home.path(), 0); }
  std::ofstream(home.path() / "tmp" / "left") << "half";
  const auto blobs = open_directory_blobs(home.path(), 0);
  EXPECT_TRUE(fs::is_empty(home.path() / "tmp"));
}

TEST(DirectoryBlobs, OneHubAtATime) {
  const TemporaryDirectory home;
  auto blobs = open_directory_blobs(home.path(), 0);
  EXPECT_THROW(open_directory_blobs(home.path(), 0), std::system_error);
  blobs.reset();
  EXPECT_NO_THROW(open_directory_blobs(home.path(), 0));
}

TEST(DirectoryBlobs, NobodyElseMayLook) {
  const TemporaryDirectory home;
  const auto blobs = open_directory_blobs(home.path() / "b", 0);
  const auto sha = put(*blobs, "acme", "secret").value().sha256;
  for (const auto& entry : fs::recursive_directory_iterator(home.path() / "b"))
    EXPECT_EQ(fs::status(entry).permissions() & (fs::perms::group_all | fs::perms::others_all), fs::perms::none)
        << entry;
}

TEST(DirectoryBlobs, TheReserveIsNotTouched) {
  const TemporaryDirectory home;
  const auto free = open_directory_blobs(home.path(), 0)->space().free_bytes;
  const auto blobs = open_directory_blobs(home.path(), free / 2);
  EXPECT_TRUE(blobs->begin("acme", free / 8));
  EXPECT_EQ(blobs->begin("acme", free).error().code, Code::storageFull);
  EXPECT_EQ(blobs->begin("acme", std::numeric_limits<std::uint64_t>::max()).error().code, Code::storageFull);
  const TemporaryDirectory other;
  EXPECT_EQ(open_directory_blobs(other.path(), std::uint64_t(1) << 60)->begin("acme").error().code, Code::storageFull);
}

TEST(DirectoryBlobs, AStrangeFileIsLeftAlone) {
  const TemporaryDirectory home;
  const auto blobs = open_directory_blobs(home.path(), 0);
  put(*blobs, "acme", "x").value();
  const auto shelf = home.path() / "tenants" / "acme" / sha256_hex("x").substr(0, 2);
  std::ofstream(shelf / "note.txt") << "mine";
  std::ofstream(home.path() / "tenants" / "lost") << "mine";
  EXPECT_EQ(blobs->sweep(SystemClock().wall() + 3'600'000, [](auto, auto) { return false; }), 1u);
  EXPECT_TRUE(fs::exists(shelf / "note.txt"));
}

}  // namespace
}  // namespace geres::hub::packages
