// SPDX-License-Identifier: Apache-2.0
// The store of blobs in a directory, by the contract of all such stores and by its own rules.
#include "hub/packages/directory_blobs.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <functional>
#include <limits>
#include <set>
#include <utility>

#include "hub/packages/blobs_contract_test.h"

namespace geres::hub::packages {
namespace {

namespace fs = std::filesystem;

bool nobody(std::string_view, std::string_view) {
  return false;
}

struct DirectoryFixture {
  TemporaryDirectory home;
  std::set<std::pair<std::string, std::string>> names;
  std::function<void()> meanwhile;

  std::unique_ptr<Blobs> open() {
    return open_directory_blobs(
        home.path() / "blobs",
        [this](std::string_view tenant, std::string_view sha256) {
          if (meanwhile) std::exchange(meanwhile, {})();
          return names.contains({std::string(tenant), std::string(sha256)});
        },
        0);
  }
  void name(const std::string& tenant, const std::string& sha256) { names.emplace(tenant, sha256); }
  std::size_t sweep(Blobs& blobs, Millis before, const std::function<void()>& what = {}) {
    meanwhile = what;
    return blobs.sweep(before);
  }

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
  { const auto blobs = open_directory_blobs(home.path(), nobody, 0); }
  std::ofstream(home.path() / "tmp" / "left") << "half";
  const auto blobs = open_directory_blobs(home.path(), nobody, 0);
  EXPECT_TRUE(fs::is_empty(home.path() / "tmp"));
}

TEST(DirectoryBlobs, OneHubAtATime) {
  const TemporaryDirectory home;
  auto blobs = open_directory_blobs(home.path(), nobody, 0);
  EXPECT_THROW(open_directory_blobs(home.path(), nobody, 0), std::system_error);
  blobs.reset();
  EXPECT_NO_THROW(open_directory_blobs(home.path(), nobody, 0));
}

TEST(DirectoryBlobs, NobodyElseMayLook) {
  const TemporaryDirectory home;
  const auto blobs = open_directory_blobs(home.path() / "b", nobody, 0);
  const auto sha = put(*blobs, "acme", "secret").value().sha256;
  for (const auto& entry : fs::recursive_directory_iterator(home.path() / "b"))
    EXPECT_EQ(fs::status(entry).permissions() & (fs::perms::group_all | fs::perms::others_all), fs::perms::none)
        << entry;
}

TEST(DirectoryBlobs, TheReserveIsNotTouched) {
  const TemporaryDirectory home;
  const auto free = open_directory_blobs(home.path(), nobody, 0)->space().free_bytes;
  const auto blobs = open_directory_blobs(home.path(), nobody, free / 2);
  EXPECT_TRUE(blobs->begin("acme", free / 8));
  EXPECT_EQ(blobs->begin("acme", free).error().code, Code::storageFull);
  EXPECT_EQ(blobs->begin("acme", std::numeric_limits<std::uint64_t>::max()).error().code, Code::storageFull);
  const TemporaryDirectory other;
  EXPECT_EQ(open_directory_blobs(other.path(), nobody, std::uint64_t(1) << 60)->begin("acme").error().code,
            Code::storageFull);
}

TEST(DirectoryBlobs, AStrangeFileIsLeftAlone) {
  const TemporaryDirectory home;
  const auto blobs = open_directory_blobs(home.path(), nobody, 0);
  put(*blobs, "acme", "x").value();
  const auto shelf = home.path() / "tenants" / "acme" / sha256_hex("x").substr(0, 2);
  std::ofstream(shelf / "note.txt") << "mine";
  std::ofstream(home.path() / "tenants" / "lost") << "mine";
  EXPECT_EQ(blobs->sweep(SystemClock().wall() + 3'600'000), 1u);
  EXPECT_TRUE(fs::exists(shelf / "note.txt"));
}

}  // namespace
}  // namespace geres::hub::packages
