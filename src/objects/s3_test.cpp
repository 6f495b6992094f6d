// SPDX-License-Identifier: Apache-2.0
// The contract of object stores, and what is S3's own, against a real server: tests/servers/radosgw.py runs this
// program and says in GERES_S3_… where it is.
#include "objects/s3.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>

#include "base/uuid.h"
#include "objects/calls.h"
#include "objects/object_store_contract_test.h"
#include "objects/xml.h"

namespace geres::objects {
namespace {

std::string told(const std::string& name) {
  const char* value = std::getenv(("GERES_S3_" + name).c_str());
  if (value == nullptr)
    throw std::runtime_error("GERES_S3_" + name + " is not set: run it by tests/servers/radosgw.py");
  return value;
}

struct Server {
  std::string endpoint = told("ENDPOINT");
  std::string prefix = "run-" + random_hex(8);  // a place of each test's own
  std::map<std::string, std::string> variables{{"AWS_ACCESS_KEY_ID", told("ACCESS_KEY")},
                                               {"AWS_SECRET_ACCESS_KEY", told("SECRET_KEY")}};
  static constexpr bool kChecksUploads = true;
  // As small as parts can be.
  S3Options options{.single_bytes_max = 6 << 20, .part_bytes = 5 << 20};

  std::unique_ptr<ObjectStore> open(const std::string& bucket = told("BUCKET")) {
    const auto place = "s3:" + bucket + "/" + prefix + "?endpoint=" + endpoint + "&region=" + told("REGION");
    auto environment = [variables = variables](const std::string& name) {
      const auto found = variables.find(name);
      return found == variables.end() ? std::string() : found->second;
    };
    return open_s3(read_store_url(place, s3_options()).value(), environment, options).value();
  }
  std::unique_ptr<ObjectStore> open_wrong() {
    auto other = *this;
    other.variables["AWS_SECRET_ACCESS_KEY"] = "wrong/secret+of/nobody";
    return other.open();
  }
};

INSTANTIATE_TYPED_TEST_SUITE_P(S3, ObjectStoreContract, Server);

std::string why(const Result<void>& done) {
  return done ? "it went well" : done.error().message + " | " + done.error().hint;
}

void expect_words(const std::string& text, const std::string& words) {
  EXPECT_NE(text.find(words), std::string::npos) << text;
}

TEST(RealS3, WhatIsWrongIsSaidInWords) {
  Server server;
  auto secret = why(server.open_wrong()->check());
  expect_words(secret, "the secret access key is not the one of its access key id");
  EXPECT_EQ(secret.find("wrong/secret"), std::string::npos) << secret;
  server.variables["AWS_ACCESS_KEY_ID"] = "NOBODY";
  expect_words(why(server.open()->check()), "it does not know the access key id");
  server = {};
  expect_words(why(server.open("no-such-bucket")->check()), "there is no bucket no-such-bucket");
  ManualClock late(SystemClock().wall() - 3'600'000);
  server.options.clock = &late;
  expect_words(why(server.open()->check()), "this machine's clock is 60 minutes behind the server's");
  expect_words(why(server.open()->find("acme/one") ? Result<void>() : server.open()->find("acme/one").error()),
               "this machine's clock is 60 minutes behind");
}

TEST(RealS3, ALargeUploadOfOtherBytesLeavesNothing) {
  Server server;
  auto store = server.open();
  const auto bytes = some_bytes(12 << 20);
  const auto put = store->put("acme/large", file_of(bytes), bytes.size(), sha256_hex("other"));
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, Code::badValue) << put.error().message;
  EXPECT_FALSE(store->find("acme/large").value());
}

TEST(RealS3, ALargeObjectIsCopiedInParts) {
  Server server;
  server.options.copy_bytes_max = 5 << 20;
  auto store = server.open();
  const auto bytes = some_bytes((12 << 20) + 5);
  ASSERT_TRUE(put(*store, "acme/large", bytes));
  ASSERT_TRUE(store->copy("acme/large", "acme/copy"));
  EXPECT_EQ(get(*store, "acme/copy").value(), bytes);
}

TEST(RealS3, ARangeBeyondTheEndIsRefused) {
  Server server;
  auto store = server.open();
  ASSERT_TRUE(put(*store, "acme/one", "hello"));
  EXPECT_EQ(get(*store, "acme/one", {5, {}}).error().code, Code::badValue);
  EXPECT_EQ(get(*store, "acme/one", {3, 100}).value(), "lo");
}

TEST(RealS3, KeysOfAllAllowedCharacters) {
  Server server;
  auto store = server.open();
  const std::string key = "Acme-1_x.y/~a..b/0";
  ASSERT_TRUE(put(*store, key, "hello"));
  EXPECT_EQ(get(*store, key).value(), "hello");
  EXPECT_EQ(store->list("").value().objects.at(0).key, key);
  ASSERT_TRUE(store->copy(key, key + "-2"));
  EXPECT_EQ(store->list("Acme", key).value().objects.at(0).key, key + "-2");
}

// Temporary keys of the server's own STS.
std::map<std::string, std::string> temporary_keys() {
  AwsRequest request{.method = "POST", .payload = {}};
  const std::string body = "Action=GetSessionToken&DurationSeconds=900&Version=2011-06-15";
  request.payload = sha256_hex(body);
  request.headers = {{"host", told("STS_ENDPOINT").substr(7)},
                     {"content-type", "application/x-www-form-urlencoded"},
                     {"x-amz-content-sha256", request.payload}};
  sign(request, {told("ACCESS_KEY"), told("SECRET_KEY"), {}, {}}, {told("REGION"), "sts"}, SystemClock().wall());
  transport::Call call{.method = "POST", .other = told("STS_ENDPOINT") + "/", .body = body, .content_type = ""};
  for (const auto& [name, value] : request.headers) call.headers.emplace_back(name, value);
  const auto answer = Calls({}).make(std::move(call));
  if (!answer) throw std::runtime_error("STS: " + answer.error().body);
  const auto document = read_xml(answer->body);
  const auto* result = document->find("GetSessionTokenResult");
  const auto* keys = (result != nullptr ? result : &*document)->find("Credentials");
  if (keys == nullptr) throw std::runtime_error("STS: " + answer->body);
  return {{"AWS_ACCESS_KEY_ID", (*keys)["AccessKeyId"]},
          {"AWS_SECRET_ACCESS_KEY", (*keys)["SecretAccessKey"]},
          {"AWS_SESSION_TOKEN", (*keys)["SessionToken"]}};
}

TEST(RealS3, TemporaryKeysAndTheirTokenAreGoodForAll) {
  Server server;
  server.variables = temporary_keys();
  server.endpoint = told("STS_ENDPOINT");
  auto store = server.open();
  EXPECT_EQ(why(store->check()), "it went well");
  ASSERT_TRUE(put(*store, "acme/one", "hello"));
  const auto link = store->link("acme/one", {}).value();
  const auto answer = Calls({}).make({.other = link.url});
  ASSERT_TRUE(answer) << answer.error().body;
  EXPECT_EQ(answer->body, "hello");
  server.variables["AWS_SESSION_TOKEN"][40] ^= 1;
  EXPECT_FALSE(server.open()->check());
}

TEST(RealS3, HowFastItIs) {
  Server server;
  auto store = server.open();
  const auto bytes = some_bytes(48 << 20);
  const auto file = file_of(bytes);
  const auto digest = sha256_hex(bytes);
  const SystemClock clock;
  const auto begun = clock.monotonic();
  ASSERT_TRUE(store->put("acme/large", file, bytes.size(), digest));
  const auto put_ms = clock.monotonic() - begun;
  std::uint64_t size = 0;
  ASSERT_TRUE(store->get("acme/large", [&](std::string_view piece) { return size += piece.size(), Result<void>(); }));
  const auto get_ms = clock.monotonic() - begun - put_ms;
  EXPECT_EQ(size, bytes.size());
  std::printf("48 MiB: put in parts %ld ms, get %ld ms\n", long(put_ms), long(get_ms));
}

}  // namespace
}  // namespace geres::objects
