// SPDX-License-Identifier: Apache-2.0
// What a real server does too seldom for tests: answers that are lost or broken off, throttling, wrong regions, and an
// error that comes with 200.
#include "objects/s3_client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "objects/fake_server_test.h"
#include "objects/object_store_contract_test.h"
#include "objects/s3.h"

namespace geres::objects {

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(ObjectStoreContract);  // only its small functions are used here

namespace {

constexpr auto kSecret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

std::string error(const std::string& status, const std::string& code, const std::string& message = "No.",
                  const std::string& more = {}, const std::string& headers = {}) {
  return http(status,
              "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>" + code + "</Code><Message>" + message +
                  "</Message>" + more + "</Error>",
              headers);
}

// A store on a fake server, on a clock that only its pauses move.
struct Fake {
  explicit Fake(FakeServer::Reply reply) : server(std::move(reply)) { open(); }
  explicit Fake(std::vector<std::string> answers) : server(std::move(answers)) { open(); }

  void open() {
    options.clock = &clock;
    options.pause = [this](Millis pause) { clock.advance(pause), pauses.push_back(pause); };
    const auto url = read_store_url("s3:builds/geres?endpoint=" + server.address() + "&region=eu-west-1", s3_options());
    store = open_s3(
                *url,
                [this](const std::string& name) { return variables.contains(name) ? variables[name] : std::string(); },
                options)
                .value();
  }
  Heard heard(std::size_t i = 0) const { return server.heard().at(i); }
  std::size_t requests() const { return server.heard().size(); }
  // "PUT /builds/geres/a?partNumber=1", the query up to its first '&'
  std::vector<std::string> asked() const {
    std::vector<std::string> lines;
    for (const auto& one : server.heard())
      lines.push_back(one.method + " " + one.path + (one.query.empty() ? "" : "?") +
                      one.query.substr(0, one.query.find('&')));
    return lines;
  }

  std::map<std::string, std::string> variables{{"AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"},
                                               {"AWS_SECRET_ACCESS_KEY", kSecret}};
  ManualClock clock;
  std::vector<Millis> pauses;
  S3Options options{.single_bytes_max = 5 << 20, .part_bytes = 5 << 20};
  FakeServer server;
  std::unique_ptr<ObjectStore> store;
};

void expect_words(const std::string& text, const std::string& words) {
  EXPECT_NE(text.find(words), std::string::npos) << text;
}

// ---- what is sent

TEST(S3, AnUploadSaysWhatItsBytesAre) {
  Fake fake({http("200 OK")});
  ASSERT_TRUE(put(*fake.store, "acme/one", "Welcome to Amazon S3."));
  const auto heard = fake.heard();
  EXPECT_EQ(heard.method + " " + heard.path, "PUT /builds/geres/acme/one");
  EXPECT_EQ(heard.body, "Welcome to Amazon S3.");
  EXPECT_EQ(heard.headers.at("x-amz-content-sha256"),
            "44ce7dd67c959e0d3524ffac1771dfbba87d2b6b4b4e99e42034a8b803f8b072");
  EXPECT_EQ(heard.headers.at("x-amz-checksum-sha256"), "RM591nyVng01JP+sF3Hfu6h9K2tLTpnkIDSouAP4sHI=");
  expect_words(heard.headers.at("authorization"),
               "SignedHeaders=host;x-amz-checksum-sha256;x-amz-content-sha256;x-amz-date, Signature=");
}

TEST(S3, AFileWithFewerBytesIsRefusedHere) {
  Fake fake({http("200 OK")});
  EXPECT_EQ(fake.store->put("acme/one", file_of("hello"), 6, sha256_hex("hello")).error().code, Code::badValue);
  EXPECT_EQ(fake.requests(), 0u);
}

// Whoever keeps connections answers many requests on one.
TEST(S3, ConnectionsAreKept) {
  std::atomic<int> requests{0};
  transport::Listener server([&](int connection) {
    while (!read_request(connection).method.empty()) {
      ++requests;
      transport::say(connection, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
    }
  });
  const auto url = read_store_url("s3:builds?endpoint=http://127.0.0.1:" + std::to_string(server.port), s3_options());
  const std::map<std::string, std::string> variables{{"AWS_ACCESS_KEY_ID", "ID"}, {"AWS_SECRET_ACCESS_KEY", "S"}};
  auto store = open_s3(*url, [&](const std::string& name) {
                 return variables.contains(name) ? variables.at(name) : std::string();
               }).value();
  for (int i = 0; i < 5; ++i) EXPECT_EQ(get(*store, "one").value(), "hi");
  EXPECT_EQ(requests, 5);
  EXPECT_EQ(server.connections, 1);
  store.reset();
}

// ---- what passes

TEST(S3, WhatPassesIsTriedAgainAsLateAsTheServerAsks) {
  Fake fake({error("503 No", "SlowDown", "Please reduce your request rate.", {}, "Retry-After: 3\r\n"),
             error("500 No", "InternalError"), error("400 No", "RequestTimeout"), "",
             error("429 No", "TooManyRequests"), http("200 OK")});
  ASSERT_TRUE(put(*fake.store, "acme/one", "hello"));
  EXPECT_EQ(fake.requests(), 6u);
  ASSERT_EQ(fake.pauses.size(), 5u);
  EXPECT_EQ(fake.pauses[0], 3'000);
  EXPECT_LE(fake.pauses[1], 400);
  for (const auto& heard : fake.server.heard()) EXPECT_EQ(heard.body, "hello");
  EXPECT_NE(fake.heard(0).headers.at("x-amz-date"), fake.heard(5).headers.at("x-amz-date")) << "each is signed anew";
}

TEST(S3, WhatLastsIsSaidWhenPatienceIsUsedUp) {
  Fake fake({error("503 No", "SlowDown", "Please reduce your request rate.")});
  const auto before = fake.clock.monotonic();
  const auto done = put(*fake.store, "acme/one", "hello");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::blobStoreAway);
  EXPECT_EQ(done.error().message,
            fake.store->name() +
                ": acme/one cannot be written: the store is busy or in trouble (SlowDown, HTTP 503: "
                "Please reduce your request rate.)");
  EXPECT_LE(fake.clock.monotonic() - before, fake.options.patience.try_for);
  EXPECT_GT(fake.clock.monotonic() - before, fake.options.patience.try_for - 5'000);
}

TEST(S3, NobodyThereIsSaid) {
  Fake fake({""});
  const auto found = fake.store->find("acme/one");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, Code::blobStoreAway);
  expect_words(found.error().message, "acme/one cannot be looked up: it cannot be reached: ");
  EXPECT_GT(fake.requests(), 3u);
}

// ---- what is refused

TEST(S3, ErrorsSayWhatIsWrongAndWhatWouldBeRightButNoSecret) {
  struct Case {
    std::string answer, message, hint;
  };
  // As AWS does, with what was signed, which is longer than what is kept.
  const std::string long_answer =
      "<AWSAccessKeyId>AKIAIOSFODNN7EXAMPLE</AWSAccessKeyId><StringToSign>AWS4-HMAC-SHA256" + std::string(9'000, 'x') +
      "</StringToSign>";
  const Case cases[] = {
      {error("403 No", "SignatureDoesNotMatch", "The request signature we calculated does not match.", long_answer),
       "the secret access key is not the one of its access key id; the keys come from AWS_ACCESS_KEY_ID",
       "correct the secret"},
      {error("403 No", "InvalidAccessKeyId"), "it does not know the access key id", "still active"},
      {error("400 No", "ExpiredToken"), "the temporary keys have run out", "fetch new ones"},
      {error("403 No", "AccessDenied", "User: arn:aws:iam::1:user/x is not authorized to perform: s3:PutObject"),
       "User: arn:aws:iam::1:user/x is not authorized", "allow s3:PutObject on arn:aws:s3:::builds/geres/*"},
      {error("404 No", "NoSuchBucket"), "there is no bucket builds", "make the bucket"},
      {error("301 No", "PermanentRedirect", "The bucket must be addressed elsewhere.", {},
             "x-amz-bucket-region: us-west-2\r\n"),
       "the bucket builds is in the region us-west-2, but eu-west-1 was asked", "region=us-west-2"},
      {error("400 No", "AuthorizationHeaderMalformed", "the region is wrong", "<Region>us-west-2</Region>"),
       "is in the region us-west-2", "region=us-west-2"},
      {error("403 No", "RequestTimeTooSkewed", "The difference is too large.", {},
             "Date: Tue, 14 Nov 2023 23:14:50 GMT\r\n"),
       "this machine's clock is 62 minutes behind the server's", "timedatectl"},
      {error("403 No", "RequestTimeTooSkewed", "The difference is too large.",
             "<ServerTime>2023-11-14T21:13:20Z</ServerTime>"),
       "this machine's clock is 60 minutes ahead of the server's", "timedatectl"},
      {http("404 No", "<!doctype html><html>nginx</html>"), "this is not how an S3 server would answer (HTTP 404)",
       "is the endpoint right"},
      {error("400 No", "EntityTooLarge", "Too large."), "the store refuses it (EntityTooLarge, HTTP 400: Too large.)",
       ""},
  };
  for (const auto& one : cases) {
    Fake fake({one.answer});
    const auto done = fake.store->check();
    ASSERT_FALSE(done);
    const auto& wrong = done.error();
    EXPECT_EQ(wrong.code, Code::blobStoreAway);
    EXPECT_EQ(wrong.message.find(fake.store->name() + ": nothing can be written: "), 0u) << wrong.message;
    expect_words(wrong.message, one.message);
    expect_words(wrong.hint, one.hint);
    EXPECT_EQ(fake.requests(), 1u) << wrong.message;
    for (const std::string& hidden : {std::string(kSecret), std::string("AKIAIOSFODNN7EXAMPLE"),
                                      fake.heard().headers.at("authorization").substr(100)})
      EXPECT_EQ((wrong.message + wrong.hint).find(hidden), std::string::npos) << wrong.message;
    EXPECT_LT(wrong.message.size(), 700u);
  }
}

TEST(S3, OtherBytesThanAnnouncedAreBadValues) {
  for (const auto* code : {"XAmzContentSHA256Mismatch", "BadDigest"}) {
    Fake fake({error("400 No", code)});
    EXPECT_EQ(put(*fake.store, "acme/one", "hello").error().code, Code::badValue);
  }
}

TEST(S3, ALookUpThatIsRefusedWithoutAWordIsAskedForOne) {
  Fake fake([](const Heard& heard) {
    return heard.method == "HEAD"
               ? std::string("HTTP/1.1 301 No\r\nConnection: close\r\nContent-Length: 100\r\n\r\n")
               : error("301 No", "PermanentRedirect", "No.", {}, "x-amz-bucket-region: us-west-2\r\n");
  });
  const auto found = fake.store->find("acme/one");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().hint, "region=us-west-2");
  Fake absent({"HTTP/1.1 404 No\r\nConnection: close\r\n\r\n"});
  EXPECT_FALSE(absent.store->find("acme/one").value());
  EXPECT_EQ(absent.requests(), 1u);
}

TEST(S3, WithoutTheRightToListWhatIsAbsentIsForbidden) {
  std::string written;
  Fake fake([&](const Heard& heard) {
    if (heard.method == "PUT") written = heard.body;
    if (heard.method == "DELETE") written.clear();
    if (heard.query.starts_with("encoding-type"))
      return http("200 OK", "<ListBucketResult><Contents><Key>" + heard.query.substr(heard.query.find("prefix=") + 7) +
                                "</Key></Contents></ListBucketResult>");
    if (heard.method == "GET" || heard.method == "HEAD")
      return written.empty() ? error("403 No", "AccessDenied") : http("200 OK", written);
    return http("200 OK");
  });
  const auto done = fake.store->check();
  ASSERT_FALSE(done);
  expect_words(done.error().hint,
               "allow s3:GetObject on arn:aws:s3:::builds/geres/*, and s3:ListBucket on "
               "arn:aws:s3:::builds;");
}

TEST(S3, KeysThatAreRefusedAreFetchedAnewOnce) {
  TemporaryDirectory home;
  std::filesystem::create_directories(home.path() / ".aws");
  const auto write = [&](const std::string& id) {
    replace_file(home.path() / ".aws" / "credentials",
                 "[default]\naws_access_key_id = " + id + "\naws_secret_access_key = S\naws_session_token = T\n");
  };
  Fake fake([&](const Heard& heard) {
    if (heard.headers.at("authorization").find("Credential=NEW/") != std::string::npos) return http("200 OK", "hello");
    write("NEW");
    return error("400 No", "ExpiredToken");
  });
  fake.variables = {{"HOME", home.path().string()}};
  write("OLD");
  EXPECT_EQ(get(*fake.store, "acme/one").value(), "hello");
  EXPECT_EQ(fake.requests(), 2u);
  EXPECT_EQ(fake.heard(0).headers.at("x-amz-security-token"), "T");
}

TEST(S3, WithoutKeysNothingIsAsked) {
  Fake fake({http("200 OK")});
  fake.variables = {{"AWS_EC2_METADATA_DISABLED", "true"}};
  const auto done = fake.store->check();
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, Code::blobStoreAway);
  expect_words(done.error().message, fake.store->name() + ": nothing can be written: there are no AWS keys");
  EXPECT_FALSE(fake.store->link("acme/one", {})) << "bytes then pass through the hub";
  EXPECT_EQ(fake.requests(), 0u);
}

// ---- downloads that break

std::string cut(const std::string& status, const std::string& body, std::size_t size, const std::string& headers = {}) {
  return "HTTP/1.1 " + status + "\r\nConnection: close\r\nETag: \"1\"\r\n" + headers +
         "Content-Length: " + std::to_string(size) + "\r\n\r\n" + body;
}

TEST(S3, ADownloadThatBreaksIsTakenUpWhereItBroke) {
  Fake fake({cut("200 OK", "0123", 10), cut("206 Part", "45", 6, "Content-Range: bytes 4-9/10\r\n"), "",
             cut("206 Part", "6789", 4, "Content-Range: bytes 6-9/10\r\n")});
  std::string bytes;
  const auto object =
      fake.store->get("acme/one", [&](std::string_view piece) { return bytes += piece, Result<void>(); });
  ASSERT_TRUE(object) << object.error().message;
  EXPECT_EQ(bytes, "0123456789");
  EXPECT_EQ(object->size, 10u);
  EXPECT_EQ(object->etag, "\"1\"");
  EXPECT_FALSE(fake.heard(0).headers.contains("range"));
  EXPECT_EQ(fake.heard(1).headers.at("range"), "bytes=4-");
  EXPECT_EQ(fake.heard(1).headers.at("if-match"), "\"1\"");
  EXPECT_EQ(fake.heard(3).headers.at("range"), "bytes=6-");
}

TEST(S3, ARangeThatBreaksGoesOnWithinIt) {
  Fake fake({cut("206 Part", "23", 4, "Content-Range: bytes 2-5/10\r\n"),
             cut("206 Part", "45", 2, "Content-Range: bytes 4-5/10\r\n")});
  EXPECT_EQ(get(*fake.store, "acme/one", {2, 5}).value(), "2345");
  EXPECT_EQ(fake.heard(0).headers.at("range"), "bytes=2-5");
  EXPECT_EQ(fake.heard(1).headers.at("range"), "bytes=4-5");
}

TEST(S3, AnObjectThatChangedMeanwhileIsNotPutTogether) {
  Fake fake({cut("200 OK", "0123", 10), error("412 No", "PreconditionFailed")});
  const auto got = get(*fake.store, "acme/one");
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::blobStoreAway);
  expect_words(got.error().message, "it was changed meanwhile");
}

TEST(S3, AServerThatForgetsTheRangeIsNotBelieved) {
  Fake fake({cut("200 OK", "0123", 10), cut("200 OK", "0123456789", 10)});
  std::string bytes;
  const auto got = fake.store->get("acme/one", [&](std::string_view piece) { return bytes += piece, Result<void>(); });
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Code::blobStoreAway);
  EXPECT_EQ(bytes, "0123") << "no byte twice";
}

TEST(S3, AServerThatForgetsTheConditionIsNotBelieved) {
  Fake fake({cut("200 OK", "0123", 10), http("206 Part", "456789", "ETag: \"2\"\r\nContent-Range: bytes 4-9/10\r\n")});
  std::string bytes;
  EXPECT_FALSE(fake.store->get("acme/one", [&](std::string_view piece) { return bytes += piece, Result<void>(); }));
  EXPECT_EQ(bytes, "0123") << "no byte of another object";
}

TEST(S3, ADownloadThatComesForwardHasPatience) {
  int served = 0;
  Fake fake([&](const Heard&) {
    const auto from = std::to_string(served++);
    return cut(served == 1 ? "200 OK" : "206 Part", "x", std::size_t(201 - served),
               "Content-Range: bytes " + from + "-199/200\r\n");
  });
  EXPECT_EQ(get(*fake.store, "acme/one").value(), std::string(200, 'x'));
  EXPECT_GT(fake.clock.monotonic(), fake.options.patience.try_for) << "longer than patience with no progress would be";
}

TEST(S3, WhatATakerThrowsComesThrough) {
  Fake fake({http("200 OK", "hello")});
  EXPECT_THROW(
      (void)fake.store->get("acme/one", [](std::string_view) -> Result<void> { throw std::runtime_error("disk"); }),
      std::runtime_error);
  EXPECT_EQ(get(*fake.store, "acme/one").value(), "hello") << "and the store is still good";
}

// ---- uploads in parts

// A server that knows uploads in parts; `odd` may answer instead.
struct Parts {
  std::function<std::optional<std::string>(const Heard&)> odd = [](const Heard&) { return std::nullopt; };
  Fake fake{[this](const Heard& heard) { return answer(heard); }};

  std::string answer(const Heard& heard) {
    if (auto other = odd(heard)) return *other;
    if (heard.query == "uploads=")
      return http("200 OK",
                  "<InitiateMultipartUploadResult><UploadId>up+/=</UploadId></InitiateMultipartUploadResult>");
    if (heard.method == "POST")
      return http("200 OK", "\n <CompleteMultipartUploadResult><ETag>\"w-3\"</ETag></CompleteMultipartUploadResult>");
    if (heard.method == "PUT") return http("200 OK", "", "ETag: \"e" + heard.query.substr(11, 1) + "\"\r\n");
    if (heard.method == "DELETE") return http("204 OK");
    return "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + std::to_string(bytes.size()) + "\r\n\r\n";
  }
  Result<void> put() { return objects::put(*fake.store, "a", bytes); }
  int asked(const std::string& line) const {
    int times = 0;
    for (const auto& one : fake.asked()) times += one == line;
    return times;
  }
  const std::string bytes = some_bytes((11 << 20) + 7);
};

const std::string kComplete = "POST /builds/geres/a?uploadId=up%2B%2F%3D";
const std::string kAbort = "DELETE /builds/geres/a?uploadId=up%2B%2F%3D";

TEST(S3, EachPartHasItsOwnDigest) {
  Parts parts;
  ASSERT_TRUE(parts.put());
  EXPECT_EQ(
      parts.fake.asked(),
      (std::vector<std::string>{"POST /builds/geres/a?uploads=", "PUT /builds/geres/a?partNumber=1",
                                "PUT /builds/geres/a?partNumber=2", "PUT /builds/geres/a?partNumber=3", kComplete}));
  const auto heard = parts.fake.server.heard();
  EXPECT_EQ(heard[0].headers.at("x-amz-checksum-algorithm"), "SHA256");
  std::string sent;
  for (int i = 1; i <= 3; ++i) {
    EXPECT_EQ(heard[i].headers.at("x-amz-content-sha256"), sha256_hex(heard[i].body));
    sent += heard[i].body;
  }
  EXPECT_TRUE(sent == parts.bytes);
  expect_words(heard[4].body, "<Part><PartNumber>3</PartNumber><ETag>&quot;e3&quot;</ETag><ChecksumSHA256>" +
                                  heard[3].headers.at("x-amz-checksum-sha256") + "</ChecksumSHA256></Part></Complete");
}

TEST(S3, APartIsSentAgainByItself) {
  Parts parts;
  int times = 0;
  parts.odd = [&](const Heard& heard) -> std::optional<std::string> {
    if (heard.query.starts_with("partNumber=2") && ++times < 3) return times == 1 ? "" : error("503 No", "SlowDown");
    return std::nullopt;
  };
  ASSERT_TRUE(parts.put());
  EXPECT_EQ(parts.asked("PUT /builds/geres/a?partNumber=1"), 1);
  EXPECT_EQ(parts.asked("PUT /builds/geres/a?partNumber=2"), 3);
  EXPECT_EQ(parts.asked(kAbort), 0);
}

TEST(S3, WhatFailsInPartsIsTakenBack) {
  Parts parts;
  parts.odd = [&](const Heard& heard) -> std::optional<std::string> {
    if (heard.query.starts_with("partNumber=2")) return error("403 No", "AccessDenied");
    return std::nullopt;
  };
  EXPECT_EQ(parts.put().error().code, Code::blobStoreAway);
  EXPECT_EQ(parts.asked(kAbort), 1);
  EXPECT_EQ(parts.asked(kComplete), 0);
}

TEST(S3, TheWholeOfTheWrongBytesIsTakenBack) {
  Parts parts;
  const auto put = parts.fake.store->put("a", file_of(parts.bytes), parts.bytes.size(), sha256_hex("other"));
  EXPECT_EQ(put.error().code, Code::badValue);
  EXPECT_EQ(parts.asked(kAbort), 1);
  EXPECT_EQ(parts.asked(kComplete), 0);
}

TEST(S3, ACompletionWhoseAnswerIsLostIsKnownByTheObject) {
  Parts parts;
  int times = 0;
  std::size_t size = parts.bytes.size();
  parts.odd = [&](const Heard& heard) -> std::optional<std::string> {
    if (heard.method == "HEAD")
      return "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n";
    if (heard.method != "POST" || heard.query == "uploads=") return std::nullopt;
    return ++times % 2 == 1 ? "" : error("404 No", "NoSuchUpload");
  };
  ASSERT_TRUE(parts.put());
  EXPECT_EQ(parts.asked(kComplete), 2);
  size = 5;
  EXPECT_FALSE(parts.put()) << "an older object of that name";
  parts.odd = [&](const Heard& heard) -> std::optional<std::string> {
    if (heard.method == "POST" && heard.query != "uploads=") return error("404 No", "NoSuchUpload");
    return std::nullopt;
  };
  EXPECT_FALSE(parts.put()) << "somebody has taken it back; nothing was lost";
}

TEST(S3, AnErrorThatComesWithASuccessIsOne) {
  Parts parts;
  int times = 0;
  parts.odd = [&](const Heard& heard) -> std::optional<std::string> {
    if (heard.method != "POST" || heard.query == "uploads=") return std::nullopt;
    if (++times == 1) return error("200 OK", "InternalError");
    return times == 2 ? std::nullopt : std::optional(error("200 OK", "InvalidPart", "A part is missing."));
  };
  ASSERT_TRUE(parts.put());
  EXPECT_EQ(parts.asked(kComplete), 2);
  const auto put = parts.put();
  ASSERT_FALSE(put);
  expect_words(put.error().message, "InvalidPart, HTTP 200: A part is missing.");
  EXPECT_EQ(parts.asked(kAbort), 1);
  Fake copied({http("200 OK", "", "ETag: \"1\"\r\n"), error("200 OK", "AccessDenied")});
  EXPECT_FALSE(copied.store->copy("a", "b"));
}

// ---- lists

TEST(S3, ListsAreReadAsTheyAreEscaped) {
  Fake fake(
      {http("200 OK",
            "<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>geres/acme/a%2Bb+c%26d</Key><LastModified>"
            "2023-11-14T22:13:20.000Z</LastModified><ETag>&quot;1&quot;</ETag><Size>5</Size></Contents>"
            "</ListBucketResult>"),
       http("200 OK", "<html/>")});
  const auto page = fake.store->list("acme/", "acme/9", 1).value();
  ASSERT_EQ(page.objects.size(), 1u);
  EXPECT_EQ(page.objects[0].key, "acme/a+b c&d");
  EXPECT_EQ(page.objects[0].etag, "\"1\"");
  EXPECT_EQ(page.objects[0].modified_at, 1'700'000'000'000);
  EXPECT_EQ(page.next, page.objects[0].key);
  EXPECT_EQ(fake.heard().path, "/builds");
  EXPECT_EQ(fake.heard().query,
            "encoding-type=url&list-type=2&max-keys=1&prefix=geres%2Facme%2F&start-after=geres%2Facme%2F9");
  EXPECT_FALSE(fake.store->list("acme/")) << "no list";
}

// ---- links

TEST(S3, ALinkSaysHowTheFileIsCalled) {
  Fake fake({http("200 OK")});
  const auto link = fake.store->link("acme/one", {.file_name = "é.txt"}).value();
  expect_words(link.url, fake.server.address() + "/builds/geres/acme/one?X-Amz-Algorithm=AWS4-HMAC-SHA256&");
  expect_words(link.url, "&X-Amz-Expires=300&");
  expect_words(link.url, "&response-content-type=application%2Foctet-stream&");
  expect_words(link.url,
               "&response-content-disposition=attachment%3B%20filename%3D%22__.txt%22%3B%20filename%2A%3DUTF-8"
               "%27%27%25C3%25A9.txt&");
  const auto upload = fake.store->link("acme/one", {.use = LinkWish::Use::upload, .lasts = 30ll * 86'400'000}).value();
  EXPECT_EQ(upload.url.find("response-"), std::string::npos);
  expect_words(upload.url, "&X-Amz-Expires=604800&");
}

TEST(S3, ALinkDoesNotOutliveTheKeysThatSignedIt) {
  ManualClock* clock = nullptr;
  FakeServer sts([&](const Heard&) {
    return http("200 OK",
                "<R><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>ID</AccessKeyId><SecretAccessKey>S"
                "</SecretAccessKey><SessionToken>T</SessionToken><Expiration>" +
                    format_time(clock->wall() + 900'000) +
                    "</Expiration></Credentials></AssumeRoleWithWebIdentityResult></R>");
  });
  Fake fake({http("200 OK")});
  clock = &fake.clock;
  fake.variables = {{"AWS_WEB_IDENTITY_TOKEN_FILE", "/proc/self/comm"},
                    {"AWS_ROLE_ARN", "arn:aws:iam::1:role/geres"},
                    {"AWS_ENDPOINT_URL_STS", sts.address()}};
  expect_words(fake.store->link("acme/one", {.lasts = 3'600'000}).value().url, "&X-Amz-Expires=900&");
  expect_words(fake.store->link("acme/one", {.lasts = 60'000}).value().url, "&X-Amz-Expires=60&");
  expect_words(fake.store->link("acme/one", {}).value().url, "&X-Amz-Security-Token=T&");
}

}  // namespace
}  // namespace geres::objects
