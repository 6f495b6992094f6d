// SPDX-License-Identifier: Apache-2.0
// Blobs in an object store, with a real one (Azurite) and the hub's own store and engine: by the contract of all stores
// of blobs, and by what only a store elsewhere can do wrong.
#include "hub/packages/remote_blobs.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <atomic>

#include "base/sha256.h"
#include "hub/engine/ask_and_wait.h"
#include "hub/packages/blobs_contract_test.h"
#include "hub/store/sqlite/sqlite_store.h"
#include "hub/stored_blob_index.h"
#include "objects/azurite_test.h"
#include "objects/open.h"
#include "transport/listener_test.h"

namespace geres::hub {
namespace {

using packages::Blobs;
using packages::content_of;
using packages::put;
using store::BlobKey;
using store::BlobState;

class RemoteFixture {
 public:
  RemoteFixture() {
    engine_.load();
    thread_.start();
  }
  ~RemoteFixture() {
    engine_.stop_accepting();
    thread_.stop();
  }

  std::unique_ptr<objects::ObjectStore> objects() { return open_place(endpoint_); }
  // The fixture's container through another address of its server.
  std::unique_ptr<objects::ObjectStore> open_place(const std::string& endpoint,
                                                   const objects::Patience& patience = {}) {
    const auto key = [](const std::string& name) {
      return name == "AZURE_STORAGE_KEY" ? objects::Azurite::plain().key : std::string();
    };
    return objects::open_object_store(
               "azure:" + objects::Azurite::plain().account + "/" + container_ + "?endpoint=" + endpoint, key, patience)
        .value();
  }
  std::unique_ptr<Blobs> open(std::uint64_t cache_bytes = 1 << 20) {
    return packages::open_remote_blobs(
        objects(), index, clock,
        {.directory = home_.path() / "blobs", .reserve = 0, .cache_bytes = cache_bytes, .probe_every = 20, .fade = 0});
  }
  void name(const std::string& tenant, const std::string& sha256) {
    model::PackageVersion package;
    package.tenant = tenant;
    package.name = "p";
    package.sha256 = sha256;
    engine::ask_and_wait(engine_, engine::PutPackage{package}).value();
  }
  Millis now() { return clock.wall() + 1'000; }
  // The first marks, the second removes.
  std::size_t sweep(Blobs& blobs, Millis before, const std::function<void()>& meanwhile = {}) {
    const auto removed = blobs.sweep(before);
    if (meanwhile) meanwhile();
    ::usleep(5'000);  // what fades must have done so before "now"
    return removed + blobs.sweep(meanwhile ? 0 : before);
  }
  std::optional<BlobState> state(const std::string& sha256) {
    const BlobKey key{"acme", sha256};
    const auto row = index.find(std::span(&key, 1)).front();
    return row ? std::optional(row->state) : std::nullopt;
  }

 private:
  TemporaryDirectory home_;
  const std::string endpoint_ = objects::Azurite::plain().endpoint, container_ = objects::Azurite::plain().container();
  SystemRandom random_;

 public:
  SystemClock clock;

 private:
  std::unique_ptr<store::Store> store_ = store::open_sqlite(home_.path() / "geres.db");
  engine::Engine engine_{*store_, clock, random_, {}};
  engine::EngineThread thread_{engine_, [](const std::string& what) { ADD_FAILURE() << what; }};

 public:
  StoredBlobIndex index{engine_, store_->reads()};
};

}  // namespace

namespace packages {
INSTANTIATE_TYPED_TEST_SUITE_P(Remote, BlobsContract, RemoteFixture);
}

namespace {

// Passes bytes between a client and the server at `url` until either ends it or neither says anything for a while.
void relay(int client, const std::string& url) {
  const auto colon = url.find(':', 7);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(std::uint16_t(std::stoi(url.substr(colon + 1))));
  const Fd server(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (::connect(server.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return;
  pollfd both[] = {{client, POLLIN, 0}, {server.get(), POLLIN, 0}};
  char bytes[16'384];
  while (::poll(both, 2, 200) > 0)
    for (int i = 0; i < 2; ++i) {
      if (both[i].revents == 0) continue;
      const auto got = ::read(both[i].fd, bytes, sizeof bytes);
      if (got <= 0) return;
      write_all(both[1 - i].fd, {bytes, std::size_t(got)});
    }
}

Fd file_of(const std::string& bytes) {
  Fd file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  write_all(file.get(), bytes);
  return file;
}

class RemoteBlobs : public testing::Test {
 protected:
  RemoteFixture fixture;
};

TEST_F(RemoteBlobs, LieUnderTheirTenantAndDigest) {
  const auto blobs = fixture.open();
  const auto blob = put(*blobs, "acme", "hello").value();
  EXPECT_EQ(fixture.objects()->find("acme/" + blob.sha256).value().value().size, 5u);
  EXPECT_EQ(fixture.state(blob.sha256), BlobState::there);
}

TEST_F(RemoteBlobs, WhatWasSweptIsGoneFromTheStoreToo) {
  const auto blobs = fixture.open();
  const auto sha = put(*blobs, "acme", "hello").value().sha256;
  EXPECT_EQ(fixture.sweep(*blobs, fixture.now()), 1u);
  EXPECT_FALSE(fixture.objects()->find("acme/" + sha).value());
  EXPECT_FALSE(fixture.state(sha));
}

TEST_F(RemoteBlobs, AnUploadThatBreaksOffIsSweptLikeAnyOther) {
  const auto blobs = fixture.open();
  const auto sha = sha256_hex("half");
  ASSERT_FALSE(fixture.index.claim({"acme", sha}, 4).value());  // and the hub died then
  EXPECT_FALSE(blobs->has("acme", sha));
  EXPECT_EQ(blobs->open("acme", sha).error().code, Code::unknownFile);
  EXPECT_EQ(fixture.sweep(*blobs, fixture.now()), 1u);
  EXPECT_FALSE(fixture.state(sha));
  EXPECT_EQ(put(*blobs, "acme", "half").value().sha256, sha);
}

TEST_F(RemoteBlobs, AHubThatDiedWhileItRemovedGoesOnWithIt) {
  auto blobs = fixture.open();
  const auto sha = put(*blobs, "acme", "hello").value().sha256;
  blobs->sweep(fixture.now());
  ::usleep(5'000);
  ASSERT_EQ(fixture.index.sweep(BlobState::fading, fixture.now(), {}).value().remove.size(), 1u);  // and died then
  EXPECT_EQ(put(*blobs, "acme", "hello").error().code, Code::notDone);
  EXPECT_EQ(blobs->sweep(0), 1u);
  EXPECT_FALSE(fixture.state(sha));
  EXPECT_TRUE(put(*blobs, "acme", "hello"));
}

TEST_F(RemoteBlobs, WhatIsThereIsNotSentAgain) {
  const auto blobs = fixture.open();
  const auto sha = put(*blobs, "acme", "hello").value().sha256;
  const auto before = fixture.objects()->find("acme/" + sha).value().value();
  EXPECT_TRUE(put(*blobs, "acme", "hello"));
  EXPECT_EQ(fixture.objects()->find("acme/" + sha).value().value().etag, before.etag);
}

TEST_F(RemoteBlobs, AnObjectThatWasChangedLostOrCutIsNamed) {
  const auto blobs = fixture.open(0);
  const auto objects = fixture.objects();
  const auto sha = put(*blobs, "acme", "hello").value().sha256;
  ASSERT_TRUE(objects->put("acme/" + sha, file_of("hellO"), 5, sha256_hex("hellO")));
  auto refused = blobs->open("acme", sha);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::blobStoreAway);
  EXPECT_NE(refused.error().message.find(sha), std::string::npos);
  ASSERT_TRUE(objects->remove("acme/" + sha));
  refused = blobs->open("acme", sha);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::blobStoreAway);
  EXPECT_NE(refused.error().message.find("acme/" + sha), std::string::npos);
}

TEST_F(RemoteBlobs, WhatWasReadIsKeptForTheNextReader) {
  const auto blobs = fixture.open(10);
  const auto objects = fixture.objects();
  const auto first = put(*blobs, "acme", "123456").value().sha256,
             second = put(*blobs, "acme", "abcdef").value().sha256;
  const auto read = [&](const std::string& sha) {
    auto open = blobs->open("acme", sha);
    return open ? content_of(*open) : std::string(error_name(open.error().code));
  };
  EXPECT_EQ(read(first), "123456");
  ASSERT_TRUE(objects->remove("acme/" + first));
  EXPECT_EQ(read(first), "123456") << "from here";
  EXPECT_EQ(read(first), "123456") << "and from its beginning again";
  EXPECT_EQ(read(second), "abcdef");
  EXPECT_EQ(read(first), "blobStoreAway") << "there is room for one of them";
}

TEST_F(RemoteBlobs, AStoreThatIsAwayIsToldAndFoundAgain) {
  // In its place something that never answers, then something that says that it is overloaded, then the store itself.
  std::atomic<bool> back{false};
  transport::Listener front([&](int connection) {
    if (!back) return;
    relay(connection, objects::Azurite::plain().endpoint);
  });
  const TemporaryDirectory home;
  const auto blobs = packages::open_remote_blobs(fixture.open_place(front.url() + objects::Azurite::plain().account,
                                                                    {.connect = 500, .silence = 1'000, .try_for = 100}),
                                                 fixture.index, fixture.clock,
                                                 {.directory = home.path() / "blobs", .reserve = 0, .probe_every = 20});
  EXPECT_EQ(put(*blobs, "acme", "hello").error().code, Code::blobStoreAway);
  EXPECT_NE(blobs->trouble(), "");
  EXPECT_FALSE(blobs->has("acme", sha256_hex("hello")));
  back = true;
  for (int i = 0; i < 1'000 && !blobs->trouble().empty(); ++i) ::usleep(10'000);
  EXPECT_EQ(blobs->trouble(), "") << "found by asking";
  EXPECT_TRUE(put(*blobs, "acme", "hello"));
}

}  // namespace
}  // namespace geres::hub
