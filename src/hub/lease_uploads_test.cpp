// SPDX-License-Identifier: Apache-2.0
// How a host brings artifacts to where they are kept: by links to a container of Azurite, or to the hub.
#include <stdlib.h>

#include "hub/hub_fixture.h"
#include "objects/azurite_test.h"
#include "transport/loop.h"

namespace geres::hub {
namespace {

using api::Reply;

class LeaseUploadsTest : public HubTest {
 protected:
  // Grants one job to a host.
  void grant() {
    ASSERT_EQ(upload_package().status, 201);
    const auto made = ours.post("/v1/jobs", R"({"type":"Hello","package":"hello"})");
    ASSERT_EQ(made.status, 201) << made;
    id = made.text("id");
    host.emplace(machine, "h", "");
    lease = str(host->fetch(1).at("leases").at(0).at("lease"));
    path = "/v1/hosts/" + host->id + "/leases/" + lease + "/";
  }
  Reply begin(const std::string& sha256, std::size_t size) {
    return host->client().post(path + "uploads",
                               R"({"sha256":")" + sha256 + R"(","size":)" + std::to_string(size) + "}");
  }
  Reply arrived(const std::string& sha256, const std::string& body) {
    return host->client().post(path + "uploads/" + sha256 + "/arrived", body);
  }
  Reply finish(const std::string& sha256, std::size_t size) {
    return host->report(R"("running":[],"finished":[{"lease":")" + lease + R"(","outcome":"finished","files":[)" +
                        R"({"path":"out","size":)" + std::to_string(size) + R"(,"sha256":")" + sha256 + R"("}]}])");
  }
  std::optional<FakeHost> host;
  std::string id, lease, path;
};

class DirectUploadsTest : public LeaseUploadsTest {
 protected:
  DirectUploadsTest() {
    auto& server = objects::Azurite::plain();
    ::setenv("AZURE_STORAGE_KEY", server.key.c_str(), 1);
    options.blobs = "azure:" + server.account + "/" + server.container() + "?endpoint=" + server.endpoint;
  }
  ~DirectUploadsTest() override { ::unsetenv("AZURE_STORAGE_KEY"); }

  static bool put(const json::value& link, const std::string& body) {
    transport::Loop loop({.patience = 0, .proxies = false});
    transport::Call call{.method = "PUT", .other = str(link.at("url")), .body = body};
    call.content_type = "application/octet-stream";
    for (const auto& header : link.at("headers").as_object())
      call.headers.emplace_back(header.key(), str(header.value()));
    std::optional<bool> good;
    loop.start(std::move(call), [&](const auto& answer) { good = bool(answer); });
    while (!good) loop.turn(100);
    return *good;
  }
};

TEST_F(DirectUploadsTest, ALinkTakesAllOfAFile) {
  grant();
  const std::string bytes(2'000'000, 'a');
  const auto sha = sha_of(bytes);
  const auto plan = begin(sha, bytes.size());
  ASSERT_EQ(plan.status, 200) << plan;
  EXPECT_EQ(plan.headers.at("cache-control"), "no-store");
  EXPECT_EQ(arrived(sha, R"({"size":2000000})").code(), "badValue") << "it is not there yet";
  EXPECT_EQ(str(finish(sha, bytes.size()).json().at("refused").at(0).at("code")), "filesMissing");
  ASSERT_TRUE(put(plan.json().at("link"), bytes));
  EXPECT_EQ(arrived(sha, R"({"size":1999999})").field(), "/size");
  EXPECT_EQ(arrived(sha, R"({"size":2000000})").status, 201);
  EXPECT_EQ(arrived(sha, R"({"size":2000000})").status, 201) << "whose answer was lost";
  EXPECT_TRUE(begin(sha, bytes.size()).json().at("there").as_bool());
  EXPECT_EQ(str(finish(sha, bytes.size()).json().at("accepted").at(0)), lease);
  EXPECT_EQ(ours.get("/v1/jobs/" + id + "/files/out").body, bytes);
  EXPECT_EQ(begin(sha, 1).code(), "stale") << "the lease is over";
  EXPECT_EQ(arrived(sha, R"({"size":2000000})").code(), "stale");
}

TEST_F(DirectUploadsTest, PartsEachHaveALink) {
  grant();
  std::string bytes(std::size_t(64) << 20, 'a');
  bytes += "the rest";
  const auto sha = sha_of(bytes);
  const auto plan = begin(sha, bytes.size()).json();
  const auto part_bytes = plan.at("partBytes").to_number<std::size_t>();
  ASSERT_EQ(part_bytes, std::size_t(64) << 20);
  const auto upload = str(plan.at("upload"));
  std::string parts;
  for (int number = 1; number <= 2; ++number) {
    const auto part = bytes.substr(std::size_t(number - 1) * part_bytes, part_bytes);
    const auto wish = R"({"upload":")" + upload + R"(","number":)" + std::to_string(number) + R"(,"sha256":")" +
                      sha_of(part) + R"("})";
    const auto link = host->client().post(path + "uploads/" + sha + "/parts", wish);
    ASSERT_EQ(link.status, 200) << link;
    ASSERT_TRUE(put(link.json(), part));
    parts += std::string(parts.empty() ? "" : ",") + R"({"sha256":")" + sha_of(part) + R"("})";
  }
  const auto body = R"({"size":)" + std::to_string(bytes.size()) + R"(,"upload":")" + upload + R"(","parts":[)";
  EXPECT_EQ(arrived(sha, body + parts + "," + R"({"sha256":")" + sha + R"("}]})").code(), "badValue")
      << "one is not there";
  EXPECT_EQ(arrived(sha, body + parts + "]}").status, 201);
  EXPECT_EQ(arrived(sha, body + parts + "]}").status, 201);
  EXPECT_EQ(str(finish(sha, bytes.size()).json().at("accepted").at(0)), lease);
  EXPECT_EQ(sha_of(ours.get("/v1/jobs/" + id + "/files/out").body), sha);
}

TEST_F(LeaseUploadsTest, WithoutAStoreElsewhereTheHubTakesThem) {
  grant();
  const auto sha = sha_of("bytes");
  const auto plan = begin(sha, 5).json();
  EXPECT_FALSE(plan.at("there").as_bool());
  EXPECT_FALSE(plan.as_object().contains("link"));
  EXPECT_EQ(plan.at("received"), 0);
  const auto put = [&](const std::string& query, const std::string& body) {
    return host->client().call("PUT", path + "files/out?" + query, body);
  };
  EXPECT_EQ(put("sha256=" + sha + "&from=3", "es").code(), "notDone") << "nothing has been received";
  EXPECT_EQ(put("sha256=" + sha + "&from=x", "es").code(), "badValue");
  EXPECT_EQ(put("sha256=" + sha, "bytes").status, 201);
}

TEST_F(LeaseUploadsTest, BadInputNamesItsField) {
  grant();
  const auto sha = sha_of("bytes");
  const auto field = [](const Reply& reply) { return reply.code() + " " + reply.field(); };
  EXPECT_EQ(field(begin("abc", 5)), "badValue /sha256");
  EXPECT_EQ(field(host->client().post(path + "uploads", R"({"sha256":")" + sha + R"("})")), "missingField /size");
  EXPECT_EQ(field(host->client().post(path + "uploads", R"({"sha256":")" + sha + R"(","size":-1})")), "badValue /size");
  EXPECT_EQ(field(begin(sha, std::size_t(1) << 40)), "tooLarge /size");
  const auto parts = path + "uploads/" + sha + "/parts";
  const auto part = [&](const std::string& upload, const std::string& number, const std::string& digest) {
    return field(host->client().post(
        parts, R"({"upload":")" + upload + R"(","number":)" + number + R"(,"sha256":")" + digest + R"("})"));
  };
  EXPECT_EQ(part("u", "0", sha), "badValue /number");
  EXPECT_EQ(part("u", "10001", sha), "badValue /number");
  EXPECT_EQ(part("", "1", sha), "badValue /upload");
  EXPECT_EQ(part(std::string(1'001, 'u'), "1", sha), "badValue /upload");
  EXPECT_EQ(part("u", "1", "abc"), "badValue /sha256");
  EXPECT_EQ(part("u", "1", sha), "badValue /upload") << "this hub's store takes no parts";
  EXPECT_EQ(field(arrived(sha, R"({"size":5,"parts":[{"sha256":"abc"}]})")), "badValue /parts/0/sha256");
  EXPECT_EQ(arrived(sha, R"({"size":5})").code(), "badValue");
  // Of another host, and of none.
  FakeHost other(machine, "other");
  EXPECT_EQ(
      other.client()
          .post("/v1/hosts/" + other.id + "/leases/" + lease + "/uploads", R"({"sha256":")" + sha + R"(","size":5})")
          .code(),
      "stale");
  EXPECT_EQ(ours.post(path + "uploads", R"({"sha256":")" + sha + R"(","size":5})").status, 403);
}

}  // namespace
}  // namespace geres::hub
