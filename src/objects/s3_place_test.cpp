// SPDX-License-Identifier: Apache-2.0
// What people write to say where a bucket is, and what it becomes.
#include "objects/s3_place.h"

#include <gtest/gtest.h>

#include "base/file.h"
#include "objects/s3.h"

namespace geres::objects {
namespace {

Result<S3Place> place(const std::string& text, std::map<std::string, std::string> variables = {}) {
  const auto url = read_store_url(text, s3_options());
  if (!url) return url.error();
  return read_s3_place(*url, [=](const std::string& name) mutable { return variables[name]; });
}

std::string address(const std::string& text, std::map<std::string, std::string> variables = {}) {
  const auto read = place(text, std::move(variables));
  if (!read) return read.error().message;
  return read->endpoint.scheme + "://" + read->authority() + read->path(read->prefix + "a b/c");
}

TEST(S3Place, OfAmazonByItsRegion) {
  EXPECT_EQ(address("s3:builds"), "https://builds.s3.us-east-1.amazonaws.com/a%20b/c");
  EXPECT_EQ(address("s3:builds/geres/x?region=eu-central-1"),
            "https://builds.s3.eu-central-1.amazonaws.com/geres/x/a%20b/c");
  EXPECT_EQ(address("s3:builds?style=path"), "https://s3.us-east-1.amazonaws.com/builds/a%20b/c");
  EXPECT_EQ(address("s3:my.builds"), "https://s3.us-east-1.amazonaws.com/my.builds/a%20b/c")
      << "no certificate is for a name with a further dot";
  EXPECT_EQ(address("s3:builds?region=cn-north-1"), "https://builds.s3.cn-north-1.amazonaws.com.cn/a%20b/c");
  EXPECT_EQ(place("s3:builds/geres")->name(), "s3:builds/geres at https://s3.us-east-1.amazonaws.com");
  EXPECT_EQ(place("s3:builds")->path(""), "/");
  EXPECT_EQ(place("s3:builds?style=path")->path(""), "/builds");
}

TEST(S3Place, OfAnotherServer) {
  EXPECT_EQ(address("s3:Builds_1?endpoint=https://Minio.Example:443/"), "https://minio.example/Builds_1/a%20b/c");
  EXPECT_EQ(address("s3:builds?endpoint=https%3A%2F%2Fr2.example%3A8443&style=virtual"),
            "https://builds.r2.example:8443/a%20b/c");
  for (const auto* here : {"http://127.0.0.1:9000", "http://localhost:9000", "http://[::1]:9000"})
    EXPECT_EQ(address(std::string("s3:builds?endpoint=") + here), std::string(here) + "/builds/a%20b/c");
  EXPECT_EQ(address("s3:builds?endpoint=http://minio:9000&plaintext=yes"), "http://minio:9000/builds/a%20b/c");
}

TEST(S3Place, RegionsComeFromWhereAmazonsToolsLook) {
  const auto region = [](const std::string& text, std::map<std::string, std::string> variables) {
    return place(text, std::move(variables))->region;
  };
  TemporaryDirectory home;
  std::filesystem::create_directories(home.path() / ".aws");
  replace_file(home.path() / ".aws" / "config", "[default]\nregion = eu-north-1\n[profile p]\nregion = eu-south-1\n");
  const std::pair<const std::string, std::string> at_home{"HOME", home.path()};
  EXPECT_EQ(region("s3:builds", {at_home}), "eu-north-1");
  EXPECT_EQ(region("s3:builds", {at_home, {"AWS_PROFILE", "p"}}), "eu-south-1");
  EXPECT_EQ(region("s3:builds?profile=p", {at_home}), "eu-south-1");
  EXPECT_EQ(region("s3:builds", {at_home, {"AWS_DEFAULT_REGION", "ap-1"}}), "ap-1");
  EXPECT_EQ(region("s3:builds", {{"AWS_REGION", "sa-1"}, {"AWS_DEFAULT_REGION", "ap-1"}}), "sa-1");
  EXPECT_EQ(region("s3:builds?region=me-1", {{"AWS_REGION", "sa-1"}}), "me-1");
}

TEST(S3Place, WhatCannotBeRightIsSaid) {
  const auto refused = [](const std::string& text, const std::string& part) {
    const auto read = place(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, Code::badValue);
    EXPECT_EQ(read.error().field, "--blobs");
    EXPECT_NE(read.error().message.find(part), std::string::npos) << read.error().message;
  };
  refused("s3:builds?endpoint=http://minio:9000", "in plain text");
  refused("s3:builds?endpoint=http://127.0.0.1.example:9000", "in plain text");
  refused("s3:builds?endpoint=http://127.evil.example", "in plain text");
  refused("s3:builds?endpoint=minio:9000", "neither https:// nor http://");
  refused("s3:builds?endpoint=https://minio/s3", "beside host and port");
  refused("s3:builds?endpoint=https://minio:99999", "host or port");
  refused("s3:builds?endpoint=ftp://minio", "host or port");
  refused("s3:Builds", "cannot be a bucket");
  refused("s3:builds?style=other", "style is 'other'");
  refused("s3:builds?endpoint=http://127.0.0.1:9000&style=virtual", "cannot be part of the host's name");
  refused("s3:builds?plaintext=maybe", "plaintext is 'maybe'");
  refused("s3:builds?region=a/b", "not a region");
  refused("s3:builds?secret_key=x", "no option 'secret_key'");
}

}  // namespace
}  // namespace geres::objects
