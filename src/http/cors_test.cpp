// SPDX-License-Identifier: Apache-2.0
// Cross-origin calls as browsers make them, byte by byte.
#include "http/cors.h"

#include "http/http_fixture.h"

namespace geres::http {
namespace {

using testing::AllOf;

constexpr std::string_view kPage = "Origin: https://app.example\r\n";
constexpr std::string_view kStranger = "Origin: https://app.example.evil.example\r\n";

std::string options(std::string_view target, std::string_view more_headers) {
  return "OPTIONS " + std::string(target) + " HTTP/1.1\r\nHost: x\r\n" + std::string(more_headers) + "\r\n";
}

class HttpCors : public Http {
 protected:
  // `/hello` requires a token, as a router's Around would.
  void start_sharing() {
    router_.around([this](Request& request, const Handler& next) { return guard(request, next); });
    Cors cors;
    cors.origins = {"http://localhost:5173", "https://app.example"};
    cors.methods = "GET, PUT";
    cors.headers = "Authorization, X-Requested-With";
    cors.exposed = "ETag";
    router_.around(share_with(cors));
    start();
  }
  awaitable<Response> guard(Request& request, const Handler& next) {
    diary_.write("asked");
    if (!request.headers.get("Authorization")) co_return text_response(401, "text/plain", "who?");
    co_return co_await next(request);
  }
};

TEST_F(HttpCors, AnswersAPreflightWithoutAskingWhoCalls) {
  start_sharing();
  Client client(*server_);
  const auto preflight =
      std::string(kPage) + "Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: authorization\r\n";
  EXPECT_THAT(client.ask(options("/hello", preflight)),
              AllOf(StartsWith("HTTP/1.1 204 "), HasSubstr("\r\nAccess-Control-Allow-Origin: https://app.example\r\n"),
                    HasSubstr("\r\nAccess-Control-Allow-Credentials: true\r\n"),
                    HasSubstr("\r\nAccess-Control-Allow-Methods: GET, PUT\r\n"),
                    HasSubstr("\r\nAccess-Control-Allow-Headers: Authorization, X-Requested-With\r\n"),
                    HasSubstr("\r\nAccess-Control-Max-Age: 7200\r\n"), HasSubstr("\r\nVary: Origin\r\n")));
  // The preflight did not reach the guard; this call is the first that does.
  EXPECT_THAT(client.ask(get("/hello")), StartsWith("HTTP/1.1 401 "));
  EXPECT_EQ(diary_.next(), "asked");
  EXPECT_THAT(client.ask(options("/hello", kPage)), StartsWith("HTTP/1.1 401 ")) << "no preflight, so not ours";
}

TEST_F(HttpCors, LetsPagesReadEveryAnswer) {
  start_sharing();
  Client client(*server_);
  const auto named = AllOf(HasSubstr("\r\nAccess-Control-Allow-Origin: https://app.example\r\n"),
                           HasSubstr("\r\nAccess-Control-Allow-Credentials: true\r\n"),
                           HasSubstr("\r\nAccess-Control-Expose-Headers: ETag\r\n"), HasSubstr("\r\nVary: Origin\r\n"));
  const auto with_token = std::string(kPage) + "Authorization: Bearer t\r\n";
  EXPECT_THAT(client.ask(get("/hello", with_token)), AllOf(StartsWith("HTTP/1.1 200 "), named));
  EXPECT_THAT(client.ask(get("/hello", kPage)), AllOf(StartsWith("HTTP/1.1 401 "), named));
  EXPECT_THAT(client.ask(get("/nowhere", with_token)), AllOf(StartsWith("HTTP/1.1 404 "), named));
  EXPECT_THAT(client.ask(get("/hello", "Origin: http://localhost:5173\r\n")),
              HasSubstr("\r\nAccess-Control-Allow-Origin: http://localhost:5173\r\n"));
}

TEST_F(HttpCors, TellsOthersNothing) {
  start_sharing();
  Client client(*server_);
  for (const std::string& origin :
       {std::string(kStranger), std::string("Origin: null\r\n"), std::string("Origin: http://app.example\r\n"),
        std::string("Origin: https://app.example:8443\r\n"), std::string()}) {
    const auto answer = client.ask(get("/hello", origin + "Authorization: Bearer t\r\n"));
    EXPECT_THAT(answer,
                AllOf(StartsWith("HTTP/1.1 200 "), Not(HasSubstr("Access-Control")), HasSubstr("\r\nVary: Origin\r\n")))
        << origin;
    EXPECT_THAT(client.ask(options("/hello", origin + "Access-Control-Request-Method: GET\r\n")),
                AllOf(StartsWith("HTTP/1.1 401 "), Not(HasSubstr("Access-Control"))))
        << origin;
  }
}

class NoBody final : public Body {
 public:
  std::optional<std::uint64_t> length() const override { return 0; }
  awaitable<Result<std::string>> read_all(std::uint64_t) override { co_return std::string(); }
  awaitable<Result<std::string>> read_some(std::uint64_t) override { co_return std::string(); }
};

TEST(ForeignPage, IsOneOfAnotherOriginThatNobodyHasAllowed) {
  const auto foreign = [](std::string_view host, std::string_view origin) {
    NoBody body;
    Cancellation cancellation;
    Request request(body, cancellation);
    if (!host.empty()) request.headers.add({"Host", host});
    if (!origin.empty()) request.headers.add({"Origin", origin});
    return foreign_page(request, {"https://app.example"});
  };
  EXPECT_FALSE(foreign("hub:8080", "")) << "no page";
  EXPECT_FALSE(foreign("hub:8080", "http://hub:8080"));
  EXPECT_FALSE(foreign("Hub", "https://hub")) << "TLS ends before the hub";
  EXPECT_FALSE(foreign("hub:8080", "https://app.example"));
  EXPECT_TRUE(foreign("hub:8080", "http://hub:8081"));
  EXPECT_TRUE(foreign("hub:8080", "http://evil.example"));
  EXPECT_TRUE(foreign("hub:8080", "http://hub:8080.evil.example"));
  EXPECT_TRUE(foreign("hub:8080", "null"));
  EXPECT_TRUE(foreign("", "http://evil.example"));
}

}  // namespace
}  // namespace geres::http
