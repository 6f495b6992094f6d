// SPDX-License-Identifier: Apache-2.0
#include "hub/packages/layout.h"

#include <gtest/gtest.h>

#include "base/sha256.h"

namespace geres::hub::packages {
namespace {

TEST(Layout, SplitsThePlaceFromThePattern) {
  const auto placed = Layout::parse("azure:acc/jobprocessorfiles/old/{tenant}/{package}.zip?endpoint=http://x").value();
  EXPECT_EQ(placed.place, "azure:acc/jobprocessorfiles/old?endpoint=http://x");
  EXPECT_EQ(placed.layout.object_of({"acme", "pictures"}), "acme/pictures.zip");
}

TEST(Layout, MatchesWhatHasItsShapeAndNamesThatCanBe) {
  const auto layout = Layout::parse("s3:builds/t-{tenant}/jobs/{package}.zip").value().layout;
  EXPECT_EQ(layout.match("t-acme/jobs/pictures.zip"), (PackageName{"acme", "pictures"}));
  EXPECT_EQ(layout.object_of({"acme", "pictures"}), "t-acme/jobs/pictures.zip");
  for (const auto* other :
       {"acme/jobs/pictures.zip", "t-acme/pictures.zip", "t-acme/jobs/pictures.tar", "t-acme/jobs/.zip",
        "t-/jobs/pictures.zip", "t-acme/jobs/more/pictures.zip", "t-acme/jobs/pictures.zip/more",
        "t-acme/jobs/.hidden.zip", "t-acme/jobs/a b.zip", "t-../jobs/x.zip", ""})
    EXPECT_FALSE(layout.match(other)) << other;
}

TEST(Layout, BlobsInTheSamePlaceAreNoPackages) {
  const auto layout = Layout::parse("s3:builds/{tenant}/{package}").value().layout;
  EXPECT_TRUE(layout.match("acme/pictures"));
  EXPECT_FALSE(layout.match("acme/" + sha256_hex("x")));
}

TEST(Layout, WhatIsNoneIsSaidSo) {
  for (const auto* text :
       {"", "azure:acc/jobprocessorfiles", "azure:acc/c/{tenant}.zip", "azure:acc/c/{tenant}-{package}.zip",
        "azure:acc/c/{tenant}/{package}/{package}", "azure:acc/c/{tenant}/{name}.zip", "{tenant}/{package}",
        "azure:acc/c/{tenant}//{package}.zip"}) {
    const auto wrong = Layout::parse(text);
    ASSERT_FALSE(wrong) << text;
    EXPECT_EQ(wrong.error().code, Code::badValue);
    EXPECT_EQ(wrong.error().field, "--import-layout");
  }
  EXPECT_EQ(Layout::parse("azure:acc?secret=1").error().message.find("secret"), std::string::npos);
}

}  // namespace
}  // namespace geres::hub::packages
