// SPDX-License-Identifier: Apache-2.0
// Calls to a real listener: which are repeated, when, and what is known of one that failed.
#include "transport/loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <future>
#include <optional>

#include "base/sha256.h"
#include "transport/listener_test.h"

namespace geres::transport {
namespace {

std::string answer(const std::string& status, const std::string& body = {}, const std::string& headers = {}) {
  return "HTTP/1.1 " + status + "\r\nConnection: close\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string problem(const std::string& code) {
  return R"({"code":")" + code + R"(","title":"no"})";
}

// Serves one request per connection and gives the next of these answers, the last one again and again. An empty answer:
// the connection is closed without a word.
struct Script {
  explicit Script(std::vector<std::string> answers) : answers(std::move(answers)) {}
  void serve(int connection) {
    auto request = hear(connection);
    const auto head = request.find("\r\n\r\n");
    const auto length = request.find("Content-Length: ");
    if (length != std::string::npos)
      for (std::string more = "?";
           !more.empty() && request.size() < head + 4 + std::stoull(request.substr(length + 16));)
        request += more = hear(connection);
    requests.push_back(request);
    const auto& next = answers[std::min(requests.size(), answers.size()) - 1];
    if (next.empty()) return;
    say(connection, next);
    finish(connection);
  }
  std::vector<std::string> answers;
  std::vector<std::string> requests;
  Listener listener{[this](int connection) { serve(connection); }};
};

Options of(const Listener& listener) {
  Options options;
  options.hub = listener.url();
  return options;
}

Call call_of(std::string method, bool repeatable = false) {
  Call call;
  call.method = std::move(method);
  call.path = "/v1/x";
  if (call.method != "GET") call.body = "{}";
  call.repeatable = repeatable;
  return call;
}

// Does not wait for pauses.
Answer<Reply> made(Loop& loop, Call call) {
  std::optional<Answer<Reply>> answer;
  loop.start(std::move(call), [&](Answer<Reply> got) { answer = std::move(got); });
  while (!answer) loop.turn(20), loop.hurry();
  return *answer;
}

Answer<Reply> made(Options options, Call call) {
  Loop loop(std::move(options));
  return made(loop, std::move(call));
}

TEST(Transport, OneTableSaysWhatIsWorthTheSameCallAgain) {
  for (const unsigned status : {200u, 201u, 204u, 299u}) EXPECT_EQ(verdict(status), Verdict::good) << status;
  for (const unsigned status : {408u, 429u, 502u, 503u, 504u}) EXPECT_EQ(verdict(status), Verdict::passing) << status;
  for (const unsigned status : {500u, 501u, 505u, 507u}) EXPECT_EQ(verdict(status), Verdict::broken) << status;
  for (const unsigned status : {0u, 101u, 301u, 400u, 401u, 404u, 409u, 413u})
    EXPECT_EQ(verdict(status), Verdict::refused) << status;
}

TEST(Transport, ACallIsMadeAgainWhileTheHubIsAway) {
  Script hub(
      {"", answer("503 No", problem("unavailable")), answer("429 No"), answer("502 No"), answer("200 OK", "hi")});
  auto options = of(hub.listener);
  std::vector<std::string> told;
  options.on_retry = [&](const std::string& why) { told.push_back(why); };
  const auto got = made(options, call_of("GET"));
  ASSERT_TRUE(got) << got.error().error.message;
  EXPECT_EQ(got->body, "hi");
  EXPECT_EQ(hub.requests.size(), 5u);
  ASSERT_EQ(told.size(), 5u);
  EXPECT_EQ(told[1], "no");
  EXPECT_EQ(told[4], "") << "it is back";
}

TEST(Transport, WhatIsRefusedOrBrokenIsToldAtOnce) {
  for (const std::string status : {"400 No", "404 No", "500 No", "507 No"}) {
    Script hub({answer(status)});
    const auto got = made(of(hub.listener), call_of("GET"));
    ASSERT_FALSE(got);
    EXPECT_EQ(got.error().kind, Failure::Kind::foreign);
    EXPECT_EQ(std::to_string(got.error().status), status.substr(0, 3));
    EXPECT_EQ(hub.requests.size(), 1u) << status;
  }
}

TEST(Transport, AWriteIsMadeAgainWhereItCannotHaveHappenedOrMayTwice) {
  const auto proxy = answer("502 No"), refusal = answer("503 No", problem("unavailable")), good = answer("200 OK");
  Script unknown({proxy, good}), refused({refusal, good}), harmless({proxy, good}), put({"", good});
  const auto lost = made(of(unknown.listener), call_of("POST"));
  ASSERT_FALSE(lost);
  EXPECT_TRUE(lost.error().maybe_done);
  EXPECT_EQ(unknown.requests.size(), 1u);
  EXPECT_TRUE(made(of(refused.listener), call_of("POST"))) << "the hub itself has said no";
  EXPECT_TRUE(made(of(harmless.listener), call_of("POST", true)));
  EXPECT_TRUE(made(of(put.listener), call_of("PUT")));
}

TEST(Transport, AnOutageThatLastsIsToldWhenPatienceIsUsedUp) {
  Script hub({answer("503 No", problem("unavailable"))});
  auto call = call_of("GET");
  call.patience = 0;
  EXPECT_FALSE(made(of(hub.listener), call));
  EXPECT_EQ(hub.requests.size(), 1u);
}

TEST(Transport, TimesAreReadAsHttpWritesThem) {
  EXPECT_EQ(http_time("Sun, 06 Nov 1994 08:49:37 GMT"), 784'111'777'000);
  EXPECT_FALSE(http_time("yesterday"));
}

// ---- Retry-After

TEST(Transport, RetryAfterIsSecondsOrADateUpToTheBoundOfWhoAsks) {
  const auto asked = [](const std::string& value, Millis bound) {
    Script hub({answer("429 No", problem("tooManyRequests"), "Retry-After: " + value + "\r\n")});
    auto options = of(hub.listener);
    options.patience = 0;
    options.retry_after_max = bound;
    return made(options, call_of("GET")).error().retry_after;
  };
  EXPECT_EQ(asked("7", 10'000), 7'000);
  EXPECT_EQ(asked("11", 10'000), 10'000);
  EXPECT_EQ(asked("11", 300'000), 11'000);
  EXPECT_EQ(asked("999999999999", 300'000), 300'000);
  EXPECT_EQ(asked("Fri, 31 Dec 9999 23:59:59 GMT", 300'000), 300'000);
  EXPECT_EQ(asked("Fri, 31 Dec 1999 23:59:59 GMT", 300'000), 0);
  EXPECT_EQ(asked("soon", 300'000), 0);
  EXPECT_EQ(asked("-5", 300'000), 0);
}

TEST(Transport, RetryAfterIsWaitedForAndCountsAgainstPatience) {
  Script hub({answer("503 No", problem("unavailable"), "Retry-After: 5\r\n"), answer("200 OK")});
  auto options = of(hub.listener);
  options.patience = 4'000;
  EXPECT_FALSE(made(options, call_of("GET"))) << "it would have to wait for longer";
  EXPECT_EQ(hub.requests.size(), 1u);
  options.patience = 30'000;
  EXPECT_TRUE(made(options, call_of("GET")));
  EXPECT_EQ(hub.requests.size(), 2u);
}

// ---- bounds

TEST(Transport, TooLargeAnAnswerIsATroubleAndTooLargeARefusalIsCut) {
  Script hub({answer("200 OK", std::string(3'000, 'x'))}), exact({answer("200 OK", std::string(2'048, 'x'))}),
      refusal({answer("403 No", std::string(3'000, 'x'))});
  const auto bounded = [](const Script& script) {
    auto options = of(script.listener);
    options.answer_bytes_max = 2'048;
    return options;
  };
  const auto got = made(bounded(hub), call_of("GET"));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().error.code, Code::tooLarge);
  EXPECT_EQ(got.error().error.message, "the answer is larger than 2 KiB");
  EXPECT_EQ(hub.requests.size(), 1u);
  EXPECT_TRUE(made(bounded(exact), call_of("GET")));
  EXPECT_EQ(made(bounded(refusal), call_of("GET")).error().status, 403u);
  auto call = call_of("GET");
  call.status_only = true;
  const auto status = made(bounded(hub), call);
  ASSERT_TRUE(status);
  EXPECT_EQ(status->body, "");
}

TEST(Transport, AHeaderWithoutEndIsCut) {
  Listener hub([](int connection) {
    hear(connection);
    say(connection, "HTTP/1.1 200 OK\r\n");
    while (say(connection, "X-More: " + std::string(4'096, 'x') + "\r\n")) {
    }
  });
  const auto got = made(of(hub), call_of("GET"));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().error.code, Code::tooLarge);
  EXPECT_EQ(got.error().status_line, 200u);
}

TEST(Transport, ASilentServerIsATimeout) {
  Listener hub([](int connection) { hear(connection), hear(connection); });
  auto options = of(hub);
  options.patience = 0;
  options.answer_time_max = 50;
  const auto late = made(options, call_of("POST"));
  ASSERT_FALSE(late);
  EXPECT_TRUE(late.error().late);
  EXPECT_TRUE(late.error().maybe_done);
  auto call = call_of("GET");
  call.sink = [](std::string_view) { return Take::more; };
  call.silence_max = 30;
  EXPECT_TRUE(made(options, call).error().late);
}

// ---- what the hub can have seen

TEST(Transport, NobodyListening) {
  Listener gone([](int) {});
  const auto options = of(gone);
  gone.stop();
  auto call = call_of("POST");
  call.patience = 0;
  const auto got = made(options, call);
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().kind, Failure::Kind::unreachable);
  EXPECT_TRUE(got.error().unseen);
  EXPECT_FALSE(got.error().maybe_done);
  EXPECT_NE(got.error().network, "");
  auto never = options;
  never.wait_for_first = false;
  EXPECT_FALSE(made(never, call_of("GET"))) << "told at once";
}

TEST(Transport, AServerThatDiesWithTheRequestMayHaveActed) {
  Script hub({""});
  const auto got = made(of(hub.listener), call_of("POST"));
  ASSERT_FALSE(got);
  EXPECT_FALSE(got.error().unseen);
  EXPECT_TRUE(got.error().maybe_done);
  EXPECT_EQ(hub.requests.size(), 1u);
}

// libcurl by itself repeats a call that met a dying connection, and then cannot connect. So "could not connect" does
// not mean that nobody saw the call.
TEST(Transport, AServerThatDiesWithARequestOnAKeptConnectionMayHaveActed) {
  std::promise<void> refusing;
  std::promise<void> heard;
  Listener hub([&](int connection) {
    hear(connection);
    say(connection, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    EXPECT_TRUE(hear(connection).starts_with("POST "));
    heard.set_value();
    refusing.get_future().wait();
  });
  Loop loop(of(hub));
  ASSERT_TRUE(made(loop, call_of("GET")));
  std::optional<Answer<Reply>> got;
  auto call = call_of("POST", true);
  call.patience = 0;
  loop.start(call, [&](Answer<Reply> answer) { got = std::move(answer); });
  const auto seen = heard.get_future();
  while (seen.wait_for(std::chrono::seconds(0)) != std::future_status::ready) loop.turn(5);
  hub.deafen();
  refusing.set_value();
  while (!got) loop.turn(20);
  ASSERT_FALSE(*got);
  EXPECT_EQ(got->error().error.message, "Couldn't connect to server");
  EXPECT_FALSE(got->error().unseen);
  EXPECT_TRUE(got->error().maybe_done);
}

// ---- the network

TEST(Transport, ConnectsToNothingThatIsRefusedFollowsNothingAndTakesNoProxyHere) {
  Script hub({answer("302 Found", "", "Location: /elsewhere\r\n")}), proxy({answer("204 No")});
  auto call = call_of("GET");
  call.refuse = [](const sockaddr* to) { return to->sa_family == AF_INET ? "it is an old one" : ""; };
  const auto refused = made(of(hub.listener), call);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().error.message, "it is an old one");
  EXPECT_EQ(refused.error().error.code, Code::forbidden);
  EXPECT_TRUE(refused.error().unseen);
  EXPECT_EQ(hub.listener.connections, 0) << "and not again";
  ::setenv("http_proxy", proxy.listener.url().c_str(), 1);
  call.refuse = [](const sockaddr*) { return ""; };
  EXPECT_EQ(made(of(hub.listener), call).error().status, 302u);
  ::unsetenv("http_proxy");
  EXPECT_EQ(hub.requests.size(), 1u);
  EXPECT_EQ(proxy.listener.connections, 0);
}

// ---- bodies

TEST(Transport, ASinkTakesA2xxOnlyAndBeginsAnewWhereItMay) {
  const std::string cut = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhal";
  Script hub({answer("503 No", problem("unavailable")), cut, answer("200 OK", "the whole")});
  std::string taken;
  auto call = call_of("GET");
  call.sink = [&](std::string_view piece) { return taken += piece, Take::more; };
  call.restart = [&] { taken.clear(); };
  const auto got = made(of(hub.listener), call);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->body, "");
  EXPECT_EQ(taken, "the whole");
  Script other({cut, answer("200 OK", "the whole")});
  taken.clear();
  call.restart = {};
  EXPECT_FALSE(made(of(other.listener), call));
  EXPECT_EQ(taken, "hal");
  call.sink = [](std::string_view) { return Take::enough; };
  EXPECT_TRUE(made(of(other.listener), call)) << "counts as answered";
}

// ---- links to bytes that lie elsewhere

class Linked : public testing::Test {
 protected:
  static std::string link_to(const std::string& url, const std::string& content = "the bytes") {
    return answer("307 Elsewhere", "", "Location: " + url + "\r\nETag: \"" + sha256_hex(content) + "\"\r\n");
  }
  Answer<Reply> download(const Script& hub, Options options = {}) {
    options.hub = hub.listener.url();
    auto call = call_of("GET");
    call.token = "secret";
    call.headers = {{"X-Mine", "yes"}};
    call.query = {{"lease", "1"}};
    call.follow = true;
    call.sink = [this](std::string_view piece) { return taken += piece, Take::more; };
    if (restarts) call.restart = [this] { taken.clear(); };
    return made(options, call);
  }
  std::string taken;
  bool restarts = true;
};

TEST_F(Linked, TheBytesComeFromThereAndNothingOfTheCallGoesThere) {
  Script store({answer("200 OK", "the bytes")});
  Script hub({link_to(store.listener.url() + "a/b?sig=1")});
  ASSERT_TRUE(download(hub));
  EXPECT_EQ(taken, "the bytes");
  ASSERT_EQ(store.requests.size(), 1u);
  EXPECT_EQ(store.requests[0].substr(0, store.requests[0].find('\r')), "GET /a/b?sig=1 HTTP/1.1");
  for (const auto* mine : {"secret", "Authorization", "X-Mine", "lease", kLinksHeader})
    EXPECT_EQ(store.requests[0].find(mine), std::string::npos) << mine;
  EXPECT_NE(hub.requests.at(0).find("Geres-Links: follow"), std::string::npos);
}

TEST_F(Linked, WhereTheStoreCannotBeReachedTheHubIsAskedForTheBytes) {
  Script gone({""});
  const auto url = gone.listener.url();
  gone.listener.deafen();
  Script hub({link_to(url), answer("200 OK", "the bytes")});
  ASSERT_TRUE(download(hub));
  EXPECT_EQ(taken, "the bytes");
  ASSERT_EQ(hub.requests.size(), 2u);
  EXPECT_EQ(hub.requests[1].find(kLinksHeader), std::string::npos);
  EXPECT_NE(hub.requests[1].find("secret"), std::string::npos);
}

TEST_F(Linked, SoItIsWhereTheStoreRefusesOrBreaksOffOrGivesOtherBytes) {
  for (const auto& bad : {answer("403 No", "<Error/>"), answer("200 OK", "other bytes"),
                          std::string("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nthe")}) {
    Script store({bad});
    Script hub({link_to(store.listener.url()), answer("200 OK", "the bytes")});
    taken.clear();
    ASSERT_TRUE(download(hub)) << bad;
    EXPECT_EQ(taken, "the bytes") << bad;
  }
}

TEST_F(Linked, BytesThatWereTakenAreNotTakenTwice) {
  restarts = false;
  Script store({answer("200 OK", "other bytes")});
  Script hub({link_to(store.listener.url()), answer("200 OK", "the bytes")});
  EXPECT_FALSE(download(hub));
  EXPECT_EQ(hub.requests.size(), 1u);
}

TEST_F(Linked, ALinkToALinkIsNotFollowed) {
  Script far({answer("200 OK", "the bytes")});
  Script store({link_to(far.listener.url())});
  Script hub({link_to(store.listener.url()), answer("200 OK", "the bytes")});
  ASSERT_TRUE(download(hub));
  EXPECT_EQ(far.requests.size(), 0u);
  EXPECT_EQ(hub.requests.size(), 2u);
}

TEST_F(Linked, OnlyWhoSaysSoFollows) {
  Script store({answer("200 OK", "the bytes")});
  Script hub({link_to(store.listener.url())});
  auto call = call_of("GET");
  EXPECT_EQ(made(of(hub.listener), call).error().status, 307u);
  EXPECT_EQ(store.requests.size(), 0u);
}

TEST(Transport, WhoTakesAnAnswerPieceByPieceSeesItsHeadersFirst) {
  Script hub({answer("206 Part", "the rest", "ETag: \"1\"\r\n")});
  auto call = call_of("GET");
  std::string seen;
  bool wanted = true;
  call.head = [&](const Reply& so_far) {
    seen += std::to_string(so_far.status) + so_far.headers.at("etag") + ":";
    return wanted;
  };
  call.sink = [&](std::string_view piece) { return seen += piece, Take::more; };
  ASSERT_TRUE(made(of(hub.listener), call));
  EXPECT_EQ(seen, "206\"1\":the rest");
  seen.clear();
  wanted = false;
  ASSERT_TRUE(made(of(hub.listener), call));
  EXPECT_EQ(seen, "206\"1\":");
}

TEST(Transport, WhatIsNoHubIsToldWithItsHeadersAndTheStartOfItsWords) {
  Script other({answer("403 No", "<Error>" + std::string(5'000, 'x'), "X-Region: here\r\n"),
                "HTTP/1.1 200 OK\r\nConnection: close\r\nETag: \"1\"\r\nContent-Length: 9\r\n\r\nhal",
                answer("404 No", problem("notFound"), "X-Region: here\r\n")});
  const auto refused = made(of(other.listener), call_of("GET")).error();
  EXPECT_EQ(refused.kind, Failure::Kind::foreign);
  EXPECT_EQ(refused.headers.at("x-region"), "here");
  EXPECT_EQ(refused.body.substr(0, 8), "<Error>x");
  EXPECT_EQ(refused.body.size(), kForeignBytesMax);
  auto call = call_of("GET");
  call.patience = 0;
  const auto broken = made(of(other.listener), call).error();
  EXPECT_EQ(broken.kind, Failure::Kind::unreachable);
  EXPECT_EQ(broken.headers.at("etag"), "\"1\"") << "to go on where it broke off";
  EXPECT_TRUE(made(of(other.listener), call_of("GET")).error().headers.empty()) << "a hub's own words are in `error`";
}

TEST(Transport, AFileThatIsOpenIsSentAsFarAsWasSaid) {
  const auto file = std::make_shared<const Fd>(::memfd_create("upload", MFD_CLOEXEC));
  write_all(file->get(), "what is sent, and what is not");
  Script hub({"", answer("200 OK")});
  Call call;
  call.method = "PUT";
  call.path = "/v1/x";
  call.content_type = "application/octet-stream";
  call.upload_fd = file;
  call.upload_bytes = 12;
  ASSERT_TRUE(made(of(hub.listener), call));
  for (const auto& request : hub.requests) EXPECT_TRUE(request.ends_with("\r\n\r\nwhat is sent")) << request;
  EXPECT_EQ(hub.requests.size(), 2u);
  call.upload_from = 5;
  call.upload_bytes = 7;
  ASSERT_TRUE(made(of(hub.listener), call));
  EXPECT_TRUE(hub.requests.back().ends_with("\r\n\r\nis sent")) << hub.requests.back();
  call.upload_bytes = 100;
  call.patience = 0;
  const auto got = made(of(hub.listener), call);
  ASSERT_FALSE(got);
  EXPECT_NE(got.error().error.message.find("became shorter"), std::string::npos) << got.error().error.message;
}

TEST(Transport, WhatIsDroppedEndsWithoutAWord) {
  Listener hub([](int connection) { hear(connection), hear(connection); });
  Loop loop(of(hub));
  bool told = false;
  loop.start(call_of("GET"), [&](auto) { told = true; });
  loop.after(0, [&] { told = true; });
  EXPECT_EQ(loop.size(), 1u);
  loop.drop();
  EXPECT_TRUE(loop.idle());
  loop.turn(0);
  EXPECT_FALSE(told);
}

}  // namespace
}  // namespace geres::transport
