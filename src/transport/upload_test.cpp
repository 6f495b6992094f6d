// SPDX-License-Identifier: Apache-2.0
// Files whose size is not what the system says.
#include "transport/upload.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "base/file.h"

namespace geres::transport {
namespace {

struct Place {
  TemporaryDirectory directory;
  std::filesystem::path file = directory.path() / "file";
};

std::string all_of(Upload& upload, std::size_t at_once = 1'000) {
  std::string all, piece(at_once, '\0');
  ssize_t got;
  while ((got = upload.read(piece)) > 0) all.append(piece, 0, std::size_t(got));
  EXPECT_EQ(got, 0);
  return all;
}

TEST(Upload, AnnouncesWhatItSends) {
  Place place;
  for (const std::size_t size : {0u, 1u, 262'143u, 262'144u, 262'145u, 1'000'000u}) {
    replace_file(place.file, std::string(size, 'x'));
    Upload upload(place.file);
    EXPECT_EQ(upload.size(), std::int64_t(size));
    EXPECT_EQ(all_of(upload), std::string(size, 'x'));
    ASSERT_TRUE(upload.seek(0));
    EXPECT_EQ(all_of(upload, 300'000).size(), size);
    EXPECT_FALSE(upload.changed());
  }
}

TEST(Upload, ReadsToItsEndWhatSaysThatItIsEmpty) {
  ASSERT_EQ(std::filesystem::file_size("/proc/version"), 0u);
  Upload upload("/proc/version");
  const std::string version = read_file("/proc/version");
  EXPECT_EQ(upload.size(), std::int64_t(version.size()));
  EXPECT_EQ(all_of(upload), version);
}

TEST(Upload, OfWhatGrowsSendsWhatWasAnnounced) {
  Place place;
  replace_file(place.file, std::string(500'000, 'a'));
  Upload upload(place.file);
  std::ofstream(place.file, std::ios::app) << std::string(500'000, 'b');
  EXPECT_EQ(all_of(upload), std::string(500'000, 'a'));
}

TEST(Upload, SendsAPieceOfAFileThatIsOpen) {
  Place place;
  std::string bytes;
  for (int i = 0; i < 100'000; ++i) bytes += std::to_string(i) + ' ';
  replace_file(place.file, bytes);
  const auto fd = std::make_shared<const Fd>(::open(place.file.c_str(), O_RDONLY | O_CLOEXEC));
  Upload piece(fd, 5'000, 12'345);
  EXPECT_EQ(piece.size(), 5'000);
  EXPECT_EQ(all_of(piece), bytes.substr(12'345, 5'000));
  ASSERT_TRUE(piece.seek(0));
  EXPECT_EQ(all_of(piece), bytes.substr(12'345, 5'000)) << "and again";
  EXPECT_FALSE(piece.seek(5'001));
  Upload beyond(fd, 100, std::int64_t(bytes.size()) - 50);
  std::string all(200, '\0');
  EXPECT_EQ(beyond.read(all), 50);
  EXPECT_EQ(beyond.read(all), -1);
  EXPECT_TRUE(beyond.changed());
}

TEST(Upload, OfWhatShrinksSaysSo) {
  Place place;
  replace_file(place.file, std::string(500'000, 'a'));
  Upload upload(place.file);
  std::filesystem::resize_file(place.file, 400'000);
  std::string piece(400'000, '\0');
  ssize_t got;
  while ((got = upload.read(piece)) > 0) continue;
  EXPECT_EQ(got, -1);
  EXPECT_TRUE(upload.changed());
}

}  // namespace
}  // namespace geres::transport
