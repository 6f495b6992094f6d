// SPDX-License-Identifier: Apache-2.0
// Compressed and validated answers, byte by byte.
#include "http/encoding.h"

#include "http/http_fixture.h"

namespace geres::http {
namespace {

using testing::AllOf;

Coding chosen(std::string_view accepted) {
  return choose_coding(accepted, {Coding::brotli, Coding::gzip});
}

TEST(ChooseCoding, TakesWhatTheCallerLikesBest) {
  EXPECT_EQ(choose_coding(std::nullopt, {Coding::gzip}), Coding::identity);
  EXPECT_EQ(chosen(""), Coding::identity);
  EXPECT_EQ(chosen("gzip"), Coding::gzip);
  EXPECT_EQ(chosen("GZip;q=0.5"), Coding::gzip);
  EXPECT_EQ(chosen("x-gzip"), Coding::gzip);
  EXPECT_EQ(chosen("gzip, deflate, br, zstd"), Coding::brotli);
  EXPECT_EQ(chosen("br;q=0.2, gzip;q=0.9"), Coding::gzip);
  EXPECT_EQ(chosen("gzip ; q=0.001"), Coding::gzip);
  EXPECT_EQ(chosen("*"), Coding::brotli);
  EXPECT_EQ(chosen("br;q=0, *"), Coding::gzip);
}

TEST(ChooseCoding, LeavesOutWhatTheCallerDoesNotWant) {
  for (const auto* none : {"gzip;q=0", "gzip;q=0.000, br;q=0", "*;q=0", "deflate", "identity", "gzip;q=0.4, identity",
                           "identity;q=1, gzip;q=0.5, br;q=0.5", "gzip;q=two", "gzip;q=1.5", "gzip;q=0.x",
                           "gzip;q=0.0001", ",,;;", "gzipped", ";q=1"})
    EXPECT_EQ(chosen(none), Coding::identity) << none;
}

TEST(Etags, AreComparedWithoutTheirStrength) {
  EXPECT_TRUE(matches_etag("W/\"a\"", "W/\"a\""));
  EXPECT_TRUE(matches_etag("\"a\"", "W/\"a\""));
  EXPECT_TRUE(matches_etag("\"b\", W/\"a\"", "\"a\""));
  EXPECT_TRUE(matches_etag("*", "\"a\""));
  EXPECT_FALSE(matches_etag("", "\"a\""));
  EXPECT_FALSE(matches_etag("a", "\"a\""));
  EXPECT_FALSE(matches_etag("\"ab\"", "\"a\""));
}

TEST(Gzip, IsReadBackAndBounded) {
  const std::string text(100'000, 'x');
  EXPECT_EQ(gunzip(gzip(text, 5), 200'000).value(), text);
  EXPECT_EQ(gunzip(gzip("", 5), 10).value(), "");
  EXPECT_FALSE(gunzip(gzip(text, 5), 1'000)) << "more than may be";
  EXPECT_FALSE(gunzip(gzip(text, 5).substr(0, 50), 200'000)) << "cut short";
  EXPECT_FALSE(gunzip("no gzip", 100));
}

class HttpEncoding : public Http {
 protected:
  void serve(std::string target, Response response) {
    router_.add(Method::get, std::move(target), [response](Request&) -> awaitable<Response> { co_return response; });
  }
  static Response json(std::string body) { return text_response(200, "application/json", std::move(body)); }

  void start_encoding() {
    const auto leave = [](const Request& request) { return request.route == "/left"; };
    router_.around(validate_answers(pool_, leave));
    router_.around(compress_answers(pool_, leave));
    serve("/small", json("{}"));
    serve("/large", json(large_));
    serve("/huge", json(huge_));
    serve("/left", json(large_));
    auto secret = json(large_);
    secret.headers.emplace_back("Cache-Control", "no-store");
    serve("/secret", secret);
    serve("/picture", text_response(200, "image/png", large_));
    auto encoded = json(large_);
    encoded.headers.emplace_back("Content-Encoding", "br");
    serve("/encoded", encoded);
    router_.add(Method::get, "/stream", [this](Request&) -> awaitable<Response> {
      Response response;
      response.headers.emplace_back("Content-Type", "text/plain");
      response.stream = [this](StreamWriter& out) -> awaitable<void> { co_await out.write(large_); };
      co_return response;
    });
    start();
  }
  std::string ask(std::string_view target, std::string_view headers = "Accept-Encoding: gzip, br\r\n") {
    Client client(*server_);
    return client.ask(get(target, headers));
  }
  static std::string body_of(const std::string& response) { return response.substr(response.find("\r\n\r\n") + 4); }

  const std::string large_ = "{\"text\":\"" + std::string(4'000, 'x') + "\"}";
  const std::string huge_ = "{\"text\":\"" + std::string(1'000'000, 'x') + "\"}";
  WorkerPool pool_{1};
};

constexpr const char* kEncoded = "\r\nContent-Encoding: gzip\r\n";

TEST_F(HttpEncoding, CompressesForThoseWhoAsk) {
  start_encoding();
  for (const auto& [target, whole] : {std::pair("/large", large_), std::pair("/huge", huge_)}) {
    const auto small = ask(target);
    EXPECT_THAT(small, AllOf(HasSubstr(kEncoded), HasSubstr("\r\nVary: Accept-Encoding\r\n")));
    EXPECT_EQ(gunzip(body_of(small), 2'000'000).value(), whole);
    const auto plain = ask(target, "");
    EXPECT_THAT(plain, AllOf(Not(HasSubstr(kEncoded)), HasSubstr("\r\nVary: Accept-Encoding\r\n")));
    EXPECT_EQ(body_of(plain), whole);
    EXPECT_EQ(body_of(ask(target, "Accept-Encoding: gzip;q=0\r\n")), whole);
  }
}

TEST_F(HttpEncoding, LeavesTheRestAsItIs) {
  start_encoding();
  EXPECT_EQ(body_of(ask("/small")), "{}");
  for (const auto* target : {"/left", "/secret", "/picture", "/encoded"}) {
    EXPECT_THAT(ask(target), Not(HasSubstr(kEncoded))) << target;
    EXPECT_EQ(body_of(ask(target)), large_) << target;
  }
  Client client(*server_);
  client.send(get("/stream", "Accept-Encoding: gzip\r\nConnection: close\r\n"));
  EXPECT_THAT(client.read_all(), AllOf(Not(HasSubstr(kEncoded)), HasSubstr(large_)));
}

TEST_F(HttpEncoding, TellsWhoHasItAlready) {
  start_encoding();
  for (const std::string target : {"/small", "/large", "/huge"}) {
    const auto first = ask(target);
    const auto at = first.find("\r\nETag: ") + 8;
    ASSERT_NE(at, std::string::npos + 8) << first;
    const auto etag = first.substr(at, first.find("\r\n", at) - at);
    EXPECT_THAT(first, HasSubstr("\r\nCache-Control: private, no-cache\r\n"));
    EXPECT_THAT(ask(target, "If-None-Match: " + etag + "\r\n"),
                AllOf(StartsWith("HTTP/1.1 304 "), HasSubstr("\r\nETag: " + etag), Not(HasSubstr("Content-Type"))));
    EXPECT_THAT(ask(target, "If-None-Match: \"other\"\r\n"), StartsWith("HTTP/1.1 200 "));
  }
  for (const auto* target : {"/secret", "/left", "/picture"})
    EXPECT_THAT(ask(target), Not(HasSubstr("ETag"))) << target;
}

}  // namespace
}  // namespace geres::http
