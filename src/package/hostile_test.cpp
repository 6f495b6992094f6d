// SPDX-License-Identifier: Apache-2.0
// Packages that want to do harm: each is refused by inspect and by unpack, with a reason, and leaves nothing behind.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>

#include "base/file.h"
#include "package/archive.h"
#include "package/hostile_zip.h"

namespace geres::package {
namespace {

namespace fs = std::filesystem;
using testing::zip_of;
using testing::ZipEntry;

const std::string kManifest = R"({"jobs": {"Run": {"command": ["sh", "-c", "true"]}}})";

class Hostile : public ::testing::Test {
 protected:
  fs::path zip() const { return home_.path() / "package.zip"; }
  fs::path target() const { return home_.path() / "target"; }

  void write(const std::string& bytes) const { std::ofstream(zip(), std::ios::binary) << bytes; }

  // Refused by both, for the same reason, which has `part` in it; and nothing but the ZIP is there afterwards.
  void expect_refused(const std::string& bytes, const std::string& part, const Limits& limits = {}) {
    write(bytes);
    const auto inspected = inspect(zip(), limits);
    const auto unpacked = unpack(zip(), target(), limits);
    ASSERT_FALSE(inspected) << "inspect took it";
    ASSERT_FALSE(unpacked) << "unpack took it";
    EXPECT_EQ(inspected.error().code, Code::badPackage);
    EXPECT_EQ(unpacked.error().code, Code::badPackage);
    EXPECT_NE(unpacked.error().message.find(part), std::string::npos) << unpacked.error().message;
    EXPECT_EQ(inspected.error().message, unpacked.error().message);
    EXPECT_EQ(std::distance(fs::directory_iterator(home_.path()), fs::directory_iterator()), 1) << "something remained";
  }

  void expect_entry_refused(const ZipEntry& entry, const std::string& part) {
    SCOPED_TRACE(part);
    expect_refused(zip_of({{"geres.json", kManifest}, entry}), part);
  }

  TemporaryDirectory home_;
};

TEST_F(Hostile, AGoodOneOfTheSameMakingIsTaken) {
  write(zip_of({{"geres.json", kManifest},
                {"bin/", "", 040755},
                {"bin/x", "hello", 0100755},
                {"y", std::string(9999, 'y'), 0100600, true}}));
  ASSERT_TRUE(inspect(zip())) << inspect(zip()).error().message;
  ASSERT_TRUE(unpack(zip(), target()));
  EXPECT_EQ(read_file(target() / "bin/x"), "hello");
  EXPECT_EQ(read_file(target() / "y"), std::string(9999, 'y'));
}

TEST_F(Hostile, NamesThatLeaveTheDirectory) {
  expect_entry_refused({"../x", "out"}, "would leave");
  expect_entry_refused({"a/../../x", "out"}, "would leave");
  expect_entry_refused({"a/..", "out"}, "would leave");
  expect_entry_refused({"/etc/x", "out"}, "absolute");
  expect_entry_refused({"..\\x", "out"}, "backslash");
  expect_entry_refused({"C:\\x", "out"}, "backslash");
  expect_entry_refused({"a//b", "out"}, "empty part");
  expect_entry_refused({"a/./b", "out"}, "empty part");
}

TEST_F(Hostile, NamesThatUpsetOthers) {
  expect_entry_refused({std::string("a\0b", 3), "x"}, "");
  expect_entry_refused({"a\nb", "x"}, "control character");
  expect_entry_refused({"a\x1b[2Jb", "x"}, "control character");
  expect_entry_refused({"a\xff", "x"}, "UTF-8");
  expect_entry_refused({std::string(256, 'n'), "x"}, "too long");
  std::string deep;
  for (int i = 0; i < 33; ++i) deep += "d/";
  expect_entry_refused({deep + "x", "x"}, "levels deep");
  expect_entry_refused({"", "x"}, "");
}

TEST_F(Hostile, LinksAndSpecialFiles) {
  expect_entry_refused({"etc", "/etc", 0120777}, "symbolic link");
  expect_refused(zip_of({{"geres.json", kManifest}, {"d", "/tmp", 0120777}, {"d/x", "out"}}), "symbolic link");
  expect_entry_refused({"fifo", "", 0010644}, "special file");
  expect_entry_refused({"device", "", 0020644}, "special file");
  expect_entry_refused({"socket", "", 0140644}, "special file");
}

TEST_F(Hostile, ModesAreOnlyPlainOrExecutable) {
  write(zip_of(
      {{"geres.json", kManifest}, {"root", "x", 0106755}, {"open", "x", 0100666}, {"d/", "", 0041777}, {"d/x", "x"}}));
  ASSERT_TRUE(unpack(zip(), target()));
  const auto mode = [&](const char* name) {
    struct stat status {};
    EXPECT_EQ(::lstat((target() / name).c_str(), &status), 0);
    return status.st_mode & 07777;
  };
  EXPECT_EQ(mode("root"), 0755u);
  EXPECT_EQ(mode("open"), 0644u);
  EXPECT_EQ(mode("d"), 0755u);
}

TEST_F(Hostile, OneNameTwice) {
  expect_refused(zip_of({{"geres.json", kManifest}, {"x", "1"}, {"x", "2"}}), "is there twice");
  expect_refused(zip_of({{"geres.json", kManifest}, {"x", "1"}, {"./x", "2"}}), "is there twice");
  expect_refused(zip_of({{"geres.json", kManifest}, {"x", "1"}, {"X", "2"}}), "only in case");
  expect_refused(zip_of({{"geres.json", kManifest}, {"Ä", "1"}, {"ä", "2"}}), "only in case");
  expect_refused(zip_of({{"geres.json", kManifest}, {"Dir/x", "1"}, {"dir/y", "2"}}), "only in case");
  expect_refused(zip_of({{"geres.json", kManifest}, {"x", "1"}, {"x/y", "2"}}), "which is a file");
  expect_refused(zip_of({{"geres.json", kManifest}, {"x/y", "1"}, {"x", "2"}}), "is there twice");
}

TEST_F(Hostile, OddButGoodOnes) {
  const auto good = zip_of({{"geres.json", kManifest}, {"x", "content"}});
  const std::string comment = "made by hand: PK\5\6 is not an end";
  for (auto bytes : {good + comment, good + std::string(9'000, '\0')}) {
    if (bytes.substr(good.size()).starts_with("made")) bytes[good.size() - 2] = char(comment.size());
    write(bytes);
    const auto done = unpack(zip(), target());
    ASSERT_TRUE(done) << done.error().message << " of " << bytes.size() - good.size() << " more";
    EXPECT_EQ(read_file(target() / "x"), "content");
    fs::remove_all(target());
  }
}

TEST_F(Hostile, BrokenOnes) {
  const auto good = zip_of({{"geres.json", kManifest}, {"x", std::string(5000, 'x'), 0100644, true}});
  for (const std::size_t length : {std::size_t(0), std::size_t(3), std::size_t(40), good.size() / 2, good.size() - 1})
    expect_refused(good.substr(0, length), "");
  expect_refused("This is not a ZIP, but long enough to be one.", "not a ZIP");
  expect_refused("#!/bin/sh\nexit 0\n" + good, "not a ZIP");
  expect_refused(good + "trailing", "end");
  expect_refused(good + std::string(70'000, '\0'), "no end");
  auto commented = [&](const std::string& comment) {
    auto bytes = good + comment;
    bytes[good.size() - 2] = char(comment.size());
    return bytes;
  };
  expect_refused(commented("PK\5\6" + std::string(30, 'x')), "comment has an end record in it");
  expect_refused(commented(good.substr(good.size() - 22)), "comment has an end record in it");
  expect_refused(good.substr(0, 40) + "PK" + good.substr(40), "");
  expect_entry_refused({.name = "x", .content = "content", .crc = 1}, "broken");
  expect_entry_refused({.name = "x", .content = "content", .deflated = true, .crc = 1}, "broken");
  expect_entry_refused({.name = "x", .content = "content", .method = 12}, "compressed by method 12");
  expect_entry_refused({.name = "x", .content = "content", .flags = 1}, "encrypted");
  expect_entry_refused({.name = "good", .content = "content", .local_name = "evil"}, "another name");
  expect_entry_refused({.name = "good", .content = "content", .local_name = "../evil"}, "another name");
}

TEST_F(Hostile, AnEmptyOneUnpacksToNothingAndIsNoPackage) {
  write(zip_of({}));
  EXPECT_EQ(inspect(zip()).error().message, "the package is empty");
  EXPECT_TRUE(unpack(zip(), target()));
  EXPECT_TRUE(fs::is_empty(target()));
}

TEST_F(Hostile, Bombs) {
  const std::string zeros(50 << 20, '\0');
  const auto bomb = zip_of({{"geres.json", kManifest}, {"zeros", zeros, 0100644, true}});
  ASSERT_LT(bomb.size(), 60'000u);
  expect_refused(bomb, "times the size");
  Limits small;
  small.bytes = 10 << 20;
  small.ratio = 1 << 20;
  expect_refused(bomb, "more than 10 MiB", small);
  expect_entry_refused({.name = "huge", .content = "x", .announced = std::uint64_t(100) << 30}, "more than 4 GiB");
}

// Announces little, and much comes out: stopped by what is counted, not at the end of it all.
TEST_F(Hostile, ABombThatLiesAboutItsSize) {
  const std::string zeros(50 << 20, '\0');
  const auto bomb =
      zip_of({{"geres.json", kManifest}, {.name = "zeros", .content = zeros, .deflated = true, .announced = 100}});
  expect_refused(bomb, "are more than 200 times");
  Limits small;
  small.bytes = 1 << 20;
  expect_refused(bomb, "take more than 1 MiB", small);
}

TEST_F(Hostile, TooManyEntries) {
  std::vector<ZipEntry> many(1001);
  for (std::size_t i = 0; i < many.size(); ++i) many[i].name = "f" + std::to_string(i);
  Limits limits;
  limits.entries = 1000;
  expect_refused(zip_of(many), "more than 1000 entries", limits);
  limits.entries = 100'000;
  limits.names_bytes = 3000;
  expect_refused(zip_of(many), "names of the entries", limits);
}

TEST_F(Hostile, EntriesThatShareTheirData) {
  auto bytes = zip_of({{"a", "1"}, {"a", "1"}});
  // The second directory record points to the first local header.
  bytes[bytes.size() - 22 - 1 - 4] = 0;
  expect_refused(bytes, "overlap");
}

TEST_F(Hostile, UnpackNeverTouchesWhatIsThere) {
  write(zip_of({{"x", "1"}}));
  fs::create_directory(target());
  std::ofstream(target() / "mine") << "keep";
  EXPECT_THROW((void)unpack(zip(), target()), std::system_error);
  EXPECT_EQ(read_file(target() / "mine"), "keep");
}

// Whatever byte is changed, it is refused or unpacked inside of the directory; it never crashes.
TEST_F(Hostile, EveryByteChanged) {
  const auto good = zip_of({{"geres.json", kManifest}, {"d/x", std::string(300, 'x'), 0100755, true}, {"y", "yyy"}});
  for (std::size_t at = 0; at < good.size(); ++at) {
    for (const char flip : {char(1), char(0xff)}) {
      auto bytes = good;
      bytes[at] = char(bytes[at] ^ flip);
      write(bytes);
      const bool taken = bool(unpack(zip(), target()));
      ASSERT_EQ(fs::exists(target()), taken);
      for (const auto& entry : fs::directory_iterator(home_.path()))
        ASSERT_TRUE(entry.path() == zip() || entry.path() == target());
      fs::remove_all(target());
    }
  }
}

}  // namespace
}  // namespace geres::package
