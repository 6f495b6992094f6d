// SPDX-License-Identifier: Apache-2.0
// Packages under readable names in a container of Azurite, and the packages of a real hub.
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "hub/hub_fixture.h"
#include "objects/azurite_test.h"
#include "objects/open.h"

namespace geres::hub {
namespace {

class PackageImportTest : public HubTest {
 protected:
  PackageImportTest() {
    auto& server = objects::Azurite::plain();
    ::setenv("AZURE_STORAGE_KEY", server.key.c_str(), 1);
    place_ = "azure:" + server.account + "/" + server.container();
    options.import_layout = place_ + "/{tenant}/{package}.zip?endpoint=" + server.endpoint;
    options.import_every = 3'600'000;  // only when it is asked to
    objects_ =
        objects::open_object_store(place_ + "?endpoint=" + server.endpoint, objects::process_environment).value();
  }
  ~PackageImportTest() override { ::unsetenv("AZURE_STORAGE_KEY"); }

  void put(const std::string& object, const std::string& bytes) {
    Fd file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
    write_all(file.get(), bytes);
    ASSERT_TRUE(objects_->put(object, file, bytes.size(), sha256_hex(bytes)));
  }
  std::string get(const std::string& object) {
    std::string bytes;
    const auto got = objects_->get(object, [&](std::string_view piece) { return bytes += piece, Result<void>(); });
    return got ? bytes : std::string(error_name(got.error().code));
  }
  json::value sync() {
    const auto reply = admin.post("/v1/packages/sync", "");
    EXPECT_EQ(reply.status, 200) << reply;
    return reply.json();
  }
  static std::size_t many(const json::value& round, const char* member) { return round.at(member).as_array().size(); }
  std::string place_;
  std::unique_ptr<objects::ObjectStore> objects_;
};

TEST_F(PackageImportTest, AZipThatSomebodyPutsThereIsAPackage) {
  put("ours/pictures.zip", small_package());
  put("ours/readme.txt", "not asked about");
  put("ours/broken.zip", "PK but no archive");
  const auto first = sync();
  EXPECT_EQ(first.at("seen"), 2);
  ASSERT_EQ(many(first, "taken"), 1u);
  EXPECT_EQ(str(first.at("taken").at(0).at("name")), "pictures");
  ASSERT_EQ(many(first, "refused"), 1u);
  EXPECT_EQ(str(first.at("refused").at(0).at("object")), "ours/broken.zip");
  EXPECT_FALSE(str(first.at("refused").at(0).at("why")).empty());
  EXPECT_EQ(ours.get("/v1/packages/ours/pictures").body, small_package());
  const auto again = sync();
  EXPECT_EQ(many(again, "taken") + many(again, "given"), 0u);
  EXPECT_EQ(many(again, "refused"), 1u) << "still there";
  ASSERT_TRUE(objects_->remove("ours/broken.zip"));
  EXPECT_EQ(many(sync(), "refused"), 0u);
  EXPECT_EQ(ours.post("/v1/jobs", R"({"type":"Hello","package":"pictures"})").status, 201);
}

TEST_F(PackageImportTest, NamesThatDifferInCaseAreTwoPackages) {
  put("ours/Pictures.zip", small_package());
  put("ours/pictures.zip", small_package());
  EXPECT_EQ(many(sync(), "taken"), 2u);
  EXPECT_EQ(ours.get("/v1/packages/ours/Pictures").status, 200);
  EXPECT_EQ(ours.get("/v1/packages/ours/pictures").status, 200);
  put("OURS/pictures.zip", small_package());
  const auto other = sync();
  EXPECT_EQ(many(other, "taken") + many(other, "refused"), 1u) << "of another tenant, or of none";
  EXPECT_EQ(ours.get("/v1/packages/OURS/pictures").status, 404) << "and not of this one";
}

TEST_F(PackageImportTest, WhatIsPushedLiesThereUnderItsName) {
  ASSERT_EQ(upload_package("hello").status, 201);
  const auto round = sync();
  ASSERT_EQ(many(round, "given"), 1u);
  EXPECT_EQ(get("ours/hello.zip"), small_package());
  const auto again = sync();
  EXPECT_EQ(many(again, "taken") + many(again, "given"), 0u) << "what we put there is not news";
  ASSERT_TRUE(objects_->remove("ours/hello.zip"));
  EXPECT_EQ(many(sync(), "given"), 0u) << "removed by somebody: not before there is a new version";
}

TEST_F(PackageImportTest, TheNewerOneCounts) {
  ASSERT_EQ(upload_package("hello").status, 201);
  sync();
  auto changed = small_package();
  changed.replace(changed.find("hello\"]"), 5, "howdy");  // the manifest's checksum is wrong now
  put("ours/hello.zip", changed);
  const auto refused = sync();
  EXPECT_EQ(many(refused, "taken"), 0u);
  EXPECT_EQ(many(refused, "refused"), 1u);
  EXPECT_EQ(get("ours/hello.zip"), changed) << "left alone";
  // A hub that starts anew does not take for news what it has a newer version of.
  put("ours/hello.zip", small_package());
  hub->stop();
  hub = std::make_unique<Hub>(options);
  admin = admin.at(hub->start());
  EXPECT_EQ(many(sync(), "taken"), 0u);
}

TEST_F(PackageImportTest, OnlyOperatorsOfAllLook) {
  EXPECT_EQ(ours.post("/v1/packages/sync", "").status, 403);
  EXPECT_EQ(theirs.post("/v1/packages/sync", "").status, 403);
  EXPECT_EQ(admin.post("/v1/packages/sync?x=1", "").status, 400);
}

TEST_F(HubTest, WithoutALayoutThereIsNothingToSync) {
  const auto reply = admin.post("/v1/packages/sync", "");
  EXPECT_EQ(reply.text("code"), "notSupported") << reply;
}

TEST_F(PackageImportTest, ALayoutThatCannotBeKeepsAHubFromStarting) {
  const auto refused = [&](const std::string& layout) {
    HubOptions other = options;
    other.data_dir = directory.path() / "other";
    other.import_layout = layout;
    try {
      Hub(other).start();
    } catch (const CannotStart& why) {
      return why.option;
    }
    return std::string("started");
  };
  EXPECT_EQ(refused(place_ + "/{tenant}.zip"), "import_layout");
  EXPECT_EQ(refused("gopher:x/{tenant}/{package}"), "import_layout");
  EXPECT_EQ(refused("azure:" + objects::Azurite::plain().account +
                    "/nosuch/{tenant}/{package}.zip?endpoint=" + objects::Azurite::plain().endpoint),
            "import_layout");
}

}  // namespace
}  // namespace geres::hub
