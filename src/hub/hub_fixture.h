// SPDX-License-Identifier: Apache-2.0
// A real hub on loopback for tests: its own data directory, a port that the kernel picks, and tokens for two tenants.
#pragma once

#include <gtest/gtest.h>
#include <sys/statvfs.h>

#include <functional>
#include <optional>

#include "base/base64.h"
#include "base/file.h"
#include "base/sha256.h"
#include "hub/api/test_client.h"
#include "hub/hub.h"

namespace geres::hub {

inline std::string str(const json::value& text) {
  return std::string(text.get_string());
}

inline std::string sha_of(const std::string& bytes) {
  return sha256_hex(bytes);
}

// {"jobs":{"Hello":{"command":["/bin/echo","hello"]}}} as a ZIP with one stored entry.
inline std::string small_package() {
  static const std::string zip = [] {
    const std::string content = R"({"jobs":{"Hello":{"command":["/bin/echo","hello"]}}})";
    const std::string name = "geres.json";
    std::uint32_t crc = 0xFFFFFFFFu;
    for (const unsigned char c : content) {
      crc ^= c;
      for (int k = 0; k < 8; ++k) crc = crc & 1 ? crc >> 1 ^ 0xEDB88320u : crc >> 1;
    }
    crc = ~crc;
    std::string to;
    const auto put = [&to](std::uint64_t n, int bytes) {
      for (int i = 0; i < bytes; ++i) to += char(n >> (8 * i));
    };
    put(0x04034b50, 4), put(20, 2), put(0, 2), put(0, 2), put(0, 2), put(0x21, 2), put(crc, 4), put(content.size(), 4),
        put(content.size(), 4), put(name.size(), 2), put(0, 2);
    to += name + content;
    const auto directory = to.size();
    put(0x02014b50, 4), put(0x0314, 2), put(20, 2), put(0, 2), put(0, 2), put(0, 2), put(0x21, 2), put(crc, 4),
        put(content.size(), 4), put(content.size(), 4), put(name.size(), 2), put(0, 2), put(0, 2), put(0, 2), put(0, 2),
        put(0x81A40000, 4), put(0, 4);
    to += name;
    const auto size = to.size() - directory;
    put(0x06054b50, 4), put(0, 2), put(0, 2), put(1, 2), put(1, 2), put(size, 4), put(directory, 4), put(0, 2);
    return to;
  }();
  return zip;
}

// In memory where there is room. A hub syncs its store some twenty times before and in a test, and a disk that others
// keep busy may take a second for each; what a sync is good for is tried elsewhere (engine/durability_test.cpp).
class HubDirectory {
 public:
  HubDirectory() {
    struct statvfs shm {};
    const bool roomy = ::statvfs("/dev/shm", &shm) == 0 && shm.f_bavail * shm.f_frsize > kRoom;
    std::string pattern = "/dev/shm/geres-XXXXXX";
    if (roomy && ::mkdtemp(pattern.data()) != nullptr)
      path_ = pattern;
    else
      path_ = on_disk_.emplace().path();
  }
  ~HubDirectory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  HubDirectory(const HubDirectory&) = delete;
  HubDirectory& operator=(const HubDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  static constexpr std::uint64_t kRoom = 1 << 30;  // a hub refuses uploads when little is free
  std::optional<TemporaryDirectory> on_disk_;
  std::filesystem::path path_;
};

class HubTest : public testing::Test {
 protected:
  HubTest() {
    options.data_dir = directory.path() / "data", options.serving.http.listen.front().port = 0,
    options.serving.http.threads = 2;
  }

  void SetUp() override {
    hub = std::make_unique<Hub>(options);
    url = hub->start();
    auto secret = read_file(hub->admin_token_file());
    secret.pop_back();
    admin = api::TestClient(url, secret);
    ours = admin.as(make_token("ours", R"(["submitter"])", R"(["ours"])"));
    theirs = admin.as(make_token("theirs", R"(["admin"])", R"(["theirs"])"));
    viewer = admin.as(make_token("viewer", R"(["viewer"])", R"(["ours"])"));
    machine = admin.as(make_token("machine", R"(["host"])", "null"));
  }

  std::string make_token(const std::string& name, const std::string& roles, const std::string& tenants) {
    const auto reply =
        admin.post("/v1/tokens", R"({"name":")" + name + R"(","roles":)" + roles + R"(,"tenants":)" + tenants + "}");
    EXPECT_EQ(reply.status, 201) << reply;
    return reply.text("token");
  }

  // A job of no package, for a handler of an application's own worker.
  static std::string spec(const std::string& more = "") { return R"({"type":"Work")" + more + "}"; }
  std::string submit(const std::string& more = "") {
    const auto reply = ours.post("/v1/jobs", spec(more));
    EXPECT_EQ(reply.status, 201) << reply;
    return reply.text("id");
  }

  api::Reply upload_package(const std::string& name = "hello") {
    return ours.call("PUT", "/v1/packages/ours/" + name, small_package(), {{"Content-Type", "application/zip"}});
  }

  HubDirectory directory;
  HubOptions options;
  std::unique_ptr<Hub> hub;
  std::string url;
  api::TestClient admin{"", ""}, ours{"", ""}, theirs{"", ""}, viewer{"", ""}, machine{"", ""};
};

// A host as far as the hub can tell.
class FakeHost {
 public:
  FakeHost(const api::TestClient& registrar, const std::string& name, const std::string& more = R"(,"types":["Work"])",
           const api::TestClient::Headers& headers = {})
      : client_(registrar) {
    const auto reply = registrar.post("/v1/hosts", R"({"name":")" + name + R"(","slots":4)" + more + "}", headers);
    EXPECT_EQ(reply.status, 201) << reply;
    id = reply.text("id");
    client_ = registrar.as(reply.text("secret"));
  }

  json::value fetch(int slots, const std::string& wait = "10s") {
    fetched = "f" + std::to_string(++fetches_);
    const auto reply =
        client_.post("/v1/hosts/" + id + "/fetch", R"({"fetchId":")" + fetched + R"(","slots":)" +
                                                       std::to_string(slots) + R"(,"wait":")" + wait + R"("})");
    EXPECT_EQ(reply.status, 200) << reply;
    return reply.json();
  }
  // The one lease of a fetch that brings one.
  std::string one_lease() {
    const auto answer = fetch(1);
    const auto& leases = answer.at("leases").get_array();
    EXPECT_EQ(leases.size(), 1u);
    return leases.empty() ? std::string() : std::string(leases[0].at("lease").get_string());
  }
  api::Reply report(const std::string& more) {
    return client_.post("/v1/hosts/" + id + "/report",
                        R"({"seq":)" + std::to_string(++reports_) + R"(,"fetched":")" + fetched + R"(",)" + more + "}");
  }
  const api::TestClient& client() const { return client_; }
  void move_to(const std::string& url) { client_ = client_.at(url); }  // the hub's next life

  std::string id;
  std::string fetched;

 private:
  api::TestClient client_;
  int fetches_ = 0;
  int reports_ = 0;
};

}  // namespace geres::hub
