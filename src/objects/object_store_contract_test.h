// SPDX-License-Identifier: Apache-2.0
// What every ObjectStore must do, written once, against a real server. A store's test file includes this and provides
// a struct with
//     std::unique_ptr<ObjectStore> open();        on an empty place of its own; on further calls the same place
//     std::unique_ptr<ObjectStore> open_wrong();  the same place with credentials that are wrong
//     void trust(transport::Options&);            if it must be told about the server's certificate
//     static constexpr bool kChecksUploads;       whether it holds what comes by a link against the digest
// and instantiates INSTANTIATE_TYPED_TEST_SUITE_P(S3, ObjectStoreContract, S3Fixture);
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <random>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/sha256.h"
#include "objects/object_store.h"
#include "transport/loop.h"

namespace geres::objects {

inline Fd file_of(std::string_view bytes) {
  Fd file(::open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file) throw std::system_error(errno, std::generic_category(), "a file for a test");
  for (std::size_t done = 0; done < bytes.size();) {
    const auto wrote = ::write(file.get(), bytes.data() + done, bytes.size() - done);
    if (wrote <= 0) throw std::system_error(errno, std::generic_category(), "a file for a test");
    done += std::size_t(wrote);
  }
  ::lseek(file.get(), 0, SEEK_SET);
  return file;
}

inline Result<void> put(ObjectStore& store, const std::string& key, std::string_view bytes) {
  return store.put(key, file_of(bytes), bytes.size(), sha256_hex(bytes));
}

inline Result<std::string> get(ObjectStore& store, const std::string& key, Range range = {}) {
  std::string bytes;
  const auto got = store.get(
      key, [&](std::string_view piece) { return bytes += piece, Result<void>(); }, range);
  if (!got) return got.error();
  return bytes;
}

inline std::string some_bytes(std::size_t size, unsigned seed = 1) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (auto& byte : bytes) byte = char(random());
  return bytes;
}

template <class Fixture>
class ObjectStoreContract : public ::testing::Test {
 protected:
  Fixture fixture_;
  std::unique_ptr<ObjectStore> store_ = fixture_.open();

  // Follows a link as a stranger would: with nothing but what it carries.
  transport::Answer<transport::Reply> follow(const Link& link, std::optional<std::string> body = {}) {
    transport::Options options{.patience = 0, .proxies = false};
    if constexpr (requires { fixture_.trust(options); }) fixture_.trust(options);
    transport::Loop loop(options);
    transport::Call call{.method = body ? "PUT" : "GET", .other = link.url, .body = body, .headers = link.headers};
    call.content_type.clear();
    std::optional<transport::Answer<transport::Reply>> answer;
    loop.start(std::move(call), [&](auto got) { answer.emplace(std::move(got)); });
    while (!answer) loop.turn(100);
    return std::move(*answer);
  }
};
TYPED_TEST_SUITE_P(ObjectStoreContract);

TYPED_TEST_P(ObjectStoreContract, WhatIsPutIsThere) {
  auto& store = *this->store_;
  const auto bytes = some_bytes(100'000);
  ASSERT_TRUE(put(store, "acme/one", bytes));
  EXPECT_EQ(get(store, "acme/one").value(), bytes);
  const auto object = store.find("acme/one").value();
  ASSERT_TRUE(object);
  EXPECT_EQ(object->key, "acme/one");
  EXPECT_EQ(object->size, bytes.size());
  EXPECT_GT(object->modified_at, 1'600'000'000'000);
  EXPECT_EQ(get(*this->fixture_.open(), "acme/one").value(), bytes) << "by another process too";
}

TYPED_TEST_P(ObjectStoreContract, AnEmptyObjectIsOne) {
  ASSERT_TRUE(put(*this->store_, "acme/empty", ""));
  EXPECT_EQ(get(*this->store_, "acme/empty").value(), "");
  EXPECT_EQ(this->store_->find("acme/empty").value().value().size, 0u);
}

TYPED_TEST_P(ObjectStoreContract, WhatIsAbsentIsSaidSo) {
  EXPECT_FALSE(this->store_->find("acme/absent").value());
  EXPECT_EQ(get(*this->store_, "acme/absent").error().code, Code::unknownFile);
  EXPECT_TRUE(this->store_->remove("acme/absent"));
  EXPECT_EQ(this->store_->copy("acme/absent", "acme/other").error().code, Code::unknownFile);
}

TYPED_TEST_P(ObjectStoreContract, OtherBytesThanAnnouncedAreRefusedAndLeaveNothing) {
  auto& store = *this->store_;
  EXPECT_EQ(store.put("acme/bad", file_of("hello"), 5, sha256_hex("other")).error().code, Code::badValue);
  EXPECT_FALSE(store.find("acme/bad").value());
}

TYPED_TEST_P(ObjectStoreContract, ARangeIsThatRange) {
  const auto bytes = some_bytes(10'000);
  ASSERT_TRUE(put(*this->store_, "acme/range", bytes));
  EXPECT_EQ(get(*this->store_, "acme/range", {100, 199}).value(), bytes.substr(100, 100));
  EXPECT_EQ(get(*this->store_, "acme/range", {9'990, {}}).value(), bytes.substr(9'990));
}

TYPED_TEST_P(ObjectStoreContract, ReplacedRemovedCopied) {
  auto& store = *this->store_;
  ASSERT_TRUE(put(store, "acme/a", "first"));
  ASSERT_TRUE(put(store, "acme/a", "second"));
  EXPECT_EQ(get(store, "acme/a").value(), "second");
  ASSERT_TRUE(store.copy("acme/a", "acme/sub/b"));
  EXPECT_EQ(get(store, "acme/sub/b").value(), "second");
  ASSERT_TRUE(store.remove("acme/a"));
  EXPECT_FALSE(store.find("acme/a").value());
  EXPECT_EQ(get(store, "acme/sub/b").value(), "second");
}

TYPED_TEST_P(ObjectStoreContract, ListsByPrefixPageByPage) {
  auto& store = *this->store_;
  for (const auto* key : {"acme/1", "acme/2", "acme/3", "acme2/1", "other/1"}) ASSERT_TRUE(put(store, key, key));
  std::vector<std::string> seen;
  std::string after;
  int pages = 0;
  do {
    const auto page = store.list("acme/", after, 2).value();
    EXPECT_LE(page.objects.size(), 2u);
    for (const auto& object : page.objects) {
      seen.push_back(object.key);
      EXPECT_EQ(object.size, 6u);
    }
    after = page.next;
    ASSERT_LT(++pages, 10);
  } while (!after.empty());
  EXPECT_EQ(seen, (std::vector<std::string>{"acme/1", "acme/2", "acme/3"}));
  EXPECT_TRUE(store.list("nobody/").value().objects.empty());
}

TYPED_TEST_P(ObjectStoreContract, ManyPartsAreOneObject) {
  const auto bytes = some_bytes((20 << 20) + 12'345);
  ASSERT_TRUE(put(*this->store_, "acme/large", bytes));
  EXPECT_EQ(get(*this->store_, "acme/large").value(), bytes);
  EXPECT_EQ(get(*this->store_, "acme/large", {(10 << 20) - 3, (10 << 20) + 2}).value(),
            bytes.substr((10 << 20) - 3, 6));
}

TYPED_TEST_P(ObjectStoreContract, ALinkGivesOneObjectForAWhile) {
  auto& store = *this->store_;
  ASSERT_TRUE(put(store, "acme/one", "hello"));
  ASSERT_TRUE(put(store, "other/one", "theirs"));
  const auto link = store.link("acme/one", {.file_name = "a \"name\" é.txt", .content_type = "text/plain"}).value();
  const auto reply = this->follow(link);
  ASSERT_TRUE(reply) << reply.error().error.message;
  EXPECT_EQ(reply->body, "hello");
  EXPECT_EQ(reply->headers.at("content-type"), "text/plain");
  EXPECT_NE(reply->headers.at("content-disposition").find("filename*=UTF-8''a%20%22name%22%20%C3%A9.txt"),
            std::string::npos)
      << reply->headers.at("content-disposition");
  auto forged = link;
  forged.url.replace(forged.url.find("acme/one"), 8, "other/one");
  EXPECT_FALSE(this->follow(forged)) << "it is of no use for another object";
  const auto late = store.link("acme/one", {.lasts = -1'000});
  if (late) {
    EXPECT_FALSE(this->follow(*late)) << "it has run out";
  }
  EXPECT_FALSE(this->follow(link, "changed")) << "nor for writing";
}

TYPED_TEST_P(ObjectStoreContract, ALinkTakesOneUpload) {
  auto& store = *this->store_;
  const auto wish = [](std::string_view bytes) {
    return LinkWish{.use = LinkWish::Use::upload, .sha256 = sha256_hex(bytes)};
  };
  const auto link = store.link("acme/up", wish("uploaded")).value();
  ASSERT_TRUE(this->follow(link, "uploaded"));
  EXPECT_EQ(get(store, "acme/up").value(), "uploaded");
  EXPECT_FALSE(this->follow(link)) << "nor for reading";
  EXPECT_FALSE(this->follow(store.link("acme/up", wish("replaced")).value(), "replaced"));
  EXPECT_EQ(get(store, "acme/up").value(), "uploaded") << "what is there stays";
  auto forged = store.link("acme/new", wish("forged")).value();
  forged.url.replace(forged.url.find("acme/new"), 8, "other/on");
  EXPECT_FALSE(this->follow(forged, "forged")) << "it is of no use for another object";
  if (TypeParam::kChecksUploads) {
    EXPECT_FALSE(this->follow(store.link("acme/other", wish("announced")).value(), "not that"));
    EXPECT_FALSE(store.find("acme/other").value());
  }
}

TYPED_TEST_P(ObjectStoreContract, LinksTakeAnUploadInParts) {
  auto& store = *this->store_;
  const auto whole = some_bytes((10 << 20) + 77);
  const std::vector<std::string> bytes{whole.substr(0, 5 << 20), whole.substr(5 << 20, 5 << 20),
                                       whole.substr(10 << 20)};
  const auto upload = store.begin_parts("acme/large").value();
  EXPECT_LE(upload.size(), 1'000u);
  std::vector<UploadedPart> parts;
  const auto send = [&](int number, const std::string& part, const std::string& announced) {
    const auto link = store.link_part("acme/large", upload, number, {.sha256 = sha256_hex(announced)}).value();
    return this->follow(link, part);
  };
  for (int number = 1; number <= 3; ++number) {
    const auto& part = bytes[std::size_t(number - 1)];
    if (TypeParam::kChecksUploads) {
      EXPECT_FALSE(send(number, "not that", part));
    }
    const auto reply = send(number, part, part);
    ASSERT_TRUE(reply) << reply.error().error.message;
    parts.push_back({reply->headers.contains("etag") ? reply->headers.at("etag") : "", sha256_hex(part)});
  }
  EXPECT_FALSE(store.find("acme/large").value()) << "not before it has ended";
  auto more = parts;
  more.push_back({"\"0123456789abcdef0123456789abcdef\"", sha256_hex("absent")});
  EXPECT_FALSE(store.end_parts("acme/large", upload, more));
  ASSERT_TRUE(send(2, bytes[1], bytes[1])) << "a part may come again";
  const auto ended = store.end_parts("acme/large", upload, parts);
  ASSERT_TRUE(ended) << ended.error().message;
  EXPECT_EQ(get(store, "acme/large").value(), whole);
}

TYPED_TEST_P(ObjectStoreContract, AnErrorOfTheTakerEndsADownload) {
  ASSERT_TRUE(put(*this->store_, "acme/long", some_bytes(3 << 20)));
  std::size_t took = 0;
  const auto got = this->store_->get("acme/long", [&](std::string_view piece) -> Result<void> {
    took += piece.size();
    return fail(Code::storageFull, "no room here");
  });
  EXPECT_EQ(got.error().code, Code::storageFull);
  EXPECT_LT(took, std::size_t(3 << 20));
}

TYPED_TEST_P(ObjectStoreContract, WrongCredentialsAreSaidWithoutShowingThem) {
  EXPECT_TRUE(this->store_->check());
  EXPECT_TRUE(this->store_->list("").value().objects.empty()) << "a check leaves nothing";
  auto wrong = this->fixture_.open_wrong();
  const auto refused = wrong->check();
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message.find(wrong->name()), std::string::npos) << refused.error().message;
  EXPECT_EQ(put(*wrong, "acme/no", "x").error().code, Code::blobStoreAway);
  EXPECT_FALSE(this->store_->find("acme/no").value());
}

TYPED_TEST_P(ObjectStoreContract, ManyThreadsAtOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([this, t] {
      for (int i = 0; i < 10; ++i) {
        const auto key = "acme/" + std::to_string(t) + "-" + std::to_string(i);
        EXPECT_TRUE(put(*this->store_, key, key));
        EXPECT_EQ(get(*this->store_, key).value(), key);
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(this->store_->list("acme/").value().objects.size(), 40u);
}

REGISTER_TYPED_TEST_SUITE_P(ObjectStoreContract, WhatIsPutIsThere, AnEmptyObjectIsOne, WhatIsAbsentIsSaidSo,
                            OtherBytesThanAnnouncedAreRefusedAndLeaveNothing, ARangeIsThatRange, ReplacedRemovedCopied,
                            ListsByPrefixPageByPage, ManyPartsAreOneObject, ALinkGivesOneObjectForAWhile,
                            ALinkTakesOneUpload, LinksTakeAnUploadInParts, AnErrorOfTheTakerEndsADownload,
                            WrongCredentialsAreSaidWithoutShowingThem, ManyThreadsAtOnce);

}  // namespace geres::objects
