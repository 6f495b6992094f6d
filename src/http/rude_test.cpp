// SPDX-License-Identifier: Apache-2.0
// Hostile clients: what each gets for it, and that other clients notice nothing.
#include "http/http_fixture.h"
#include "http/pace.h"

namespace geres::http {
namespace {

class Rude : public Http {
 protected:
  void expect_that_others_are_served() { EXPECT_THAT(Client(*server_).ask(get("/hello")), testing::EndsWith("hello")); }
  void expect_all_gone() {
    const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(kPatienceMs);
    while (server_->connections() > 0 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    EXPECT_EQ(server_->connections(), 0u);
  }
};

TEST_F(Rude, RefusesGarbageAfterAGoodRequest) {
  start();
  Client client(*server_);
  client.send(get("/hello") + "\x01\x02 garbage");
  EXPECT_THAT(client.response(), HasSubstr("200 OK"));
  const auto rest = client.read_all();
  EXPECT_THAT(rest, StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(rest, HasSubstr("Connection: close"));
}

TEST_F(Rude, RefusesWhatTwoReadersCouldReadDifferently) {
  start();
  const std::string line = "POST /echo HTTP/1.1\r\nHost: x\r\n";
  const std::pair<std::string, int> shapes[] = {
      {line + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {line + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400},
      {line + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400},
      {line + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400},
      {line + "Content-Length: 5, 5\r\n\r\nhello", 400},
      {line + "Content-Length: +5\r\n\r\nhello", 400},
      {line + "Content-Length: -5\r\n\r\nhello", 400},
      {line + "Content-Length: 0x5\r\n\r\nhello", 400},
      {line + "Content-Length:\r\n\r\nhello", 400},
      {line + "Content-Length: 99999999999999999999\r\n\r\nhello", 400},
      {line + "Content-Length : 5\r\n\r\nhello", 400},
      {line + " Content-Length: 5\r\n\r\nhello", 400},
      {line + "X: a\r\n b\r\n\r\n", 400},
      {line + "X: a\r\n\tb\r\n\r\n", 400},
      {line + "X: a\nContent-Length: 5\r\n\r\nhello", 400},
      {line + "X: a\rContent-Length: 5\r\n\r\nhello", 400},
      {line + "X: a" + std::string(1, '\0') + "b\r\n\r\n", 400},
      {line + "X y: a\r\n\r\n", 400},
      {line + ": a\r\n\r\n", 400},
      {line + "no colon\r\n\r\n", 400},
      {line + "Transfer-Encoding: gzip\r\n\r\n", 501},
      {line + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
      {line + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 501},
      {line + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 501},
      {line + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
      {line + "Host: y\r\n\r\n", 400},
      {"GET /hello HTTP/1.1\r\n\r\n", 400},
      {"GET /hello HTTP/1.1\n\n", 400},
      {"GET  /hello HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"GET /hello  HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"GET /hello HTTP/1.1 \r\nHost: x\r\n\r\n", 400},
      {"GET /hello\r\n\r\n", 400},
      {"GET /hello HTTP/2.0\r\nHost: x\r\n\r\n", 505},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
      {"G@T /hello HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"\x16\x03\x01\x02\x00\x01\x00", 400},
      {"\n", 400},
      {line + "Expect: a-miracle\r\n\r\n", 417},
      {line + "Content-Length: 5 5\r\n\r\nhello", 400},
      {line + "Content-Length: 5,5\r\n\r\nhello", 400},
      {line + "Content-Length: 5;\r\n\r\nhello", 400},
      {line + "Content-Length: 1e1\r\n\r\nhello", 400},
      {line + "Content-Length: \x0b"
              "5\r\n\r\nhello",
       400},
      {line + "Content-Length: 5\x01\r\n\r\nhello", 400},
      {line + "Content-Length: 5\x7f\r\n\r\nhello", 400},
      {line + "Content-Length\t: 5\r\n\r\nhello", 400},
      {line + "Content_Length\x80: 5\r\n\r\nhello", 400},
      {line + "Content-Length: \r\n 5\r\n\r\nhello", 400},
      {line + "Content-Length: 5\r\ncontent-length: 6\r\n\r\nhello", 400},
      {line + "Content-Length: 5\r\r\n\r\nhello", 400},
      {line + "Content-Length: 18446744073709551615\r\n\r\nhello", 413},
      {line + "Content-Length: 18446744073709551616\r\n\r\nhello", 400},
      {line + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
      {line + "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400},
      {line + "Transfer-Encoding:\r\n\r\n0\r\n\r\n", 501},
      {line + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 501},
      {line + "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", 501},
      {line + "Transfer-Encoding: chunked,chunked\r\n\r\n0\r\n\r\n", 501},
      {line + "Transfer-Encoding: identity\r\nContent-Length: 5\r\n\r\nhello", 400},
      {line + "Transfer-Encoding: chunked\x0b\r\n\r\n0\r\n\r\n", 400},
      {line + "\x01X: a\r\n\r\n", 400},
      {line + "X\x7f: a\r\n\r\n", 400},
      {line + "X: a\r\n\r \n", 400},
      {"POST /echo HTTP/1.1\r\n Host: x\r\n\r\n", 400},
      {"GET /hello HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", 400},
      {"GET /hello HTTP/1.0\r\nHost: x\r\nHost: x\r\n\r\n", 400},
      {"GET /hello HTTP/0.9\r\n\r\n", 505},
      {"GET /hello HTTP/1.2\r\nHost: x\r\n\r\n", 505},
      {"GET /hello HTTP/11.1\r\nHost: x\r\n\r\n", 400},
      {"GET /hello http/1.1\r\nHost: x\r\n\r\n", 400},
      {"GET /hello HTTP/1.1\tx\r\nHost: x\r\n\r\n", 400},
      {"GET\t/hello HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"GET /hel\tlo HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"GET /hel\x01lo HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"GET /hel\xc3\xa9lo HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {" GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"\r\n GET /hello HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"\rGET /hello HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"CONNECT elsewhere:443 HTTP/1.1\r\nHost: elsewhere:443\r\n\r\n", 400},
      {"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", 400},
      {"SSH-2.0-OpenSSH_9.2\r\n\r\n", 400},
      {std::string("\0\0\0\0", 4), 400},
  };
  for (const auto& [bytes, status] : shapes) {
    const auto answer = refusal(bytes);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 " + std::to_string(status))) << bytes;
    EXPECT_THAT(answer, HasSubstr("Connection: close")) << bytes;
    EXPECT_EQ(answer.find("Date: "), answer.rfind("Date: ")) << "answered twice: " << bytes;
    expect_that_others_are_served();
  }
  expect_all_gone();
}

TEST_F(Rude, RefusesBrokenChunks) {
  start();
  const std::string line = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const std::string chunks : {"xyz\r\n", "-1\r\n", "FFFFFFFFFFFFFFFFF\r\n", "4\r\nabcdX\r\n0\r\n\r\n",
                                   "4\nabcd\n0\n\n", "\r\n", "4 5\r\nabcd\r\n", "0x4\r\nabcd\r\n", "4;\rx\r\nabcd\r\n"})
    EXPECT_THAT(refusal(line + chunks), StartsWith("HTTP/1.1 400")) << chunks;
  EXPECT_THAT(refusal(line + "1;" + std::string(100'000, 'x')), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(refusal(line + "FFFFFFFFFFFFFFFF\r\n" + std::string(5'000, 'x')), StartsWith("HTTP/1.1 413"));
}

// Odd but valid input, and input that a lenient reader accepts: the connection stays usable.
TEST_F(Rude, KeepsTheConnectionOfTheMerelyOdd) {
  start();
  const std::string line = "POST /echo HTTP/1.1\r\nHost: x\r\n";
  const std::pair<std::string, int> shapes[] = {
      {line + "Content-Length: 5\r\n\r\nhello", 200},
      {line + "Content-Length:5\r\n\r\nhello", 200},
      {line + "Content-Length: \t 5 \t\r\n\r\nhello", 200},
      {line + "content-LENGTH: 00005\r\n\r\nhello", 200},
      {line + "tRANSFER-eNCODING: Chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200},
      {line + "Transfer-Encoding: chunked \t\r\n\r\n0000000000000005 ;a\r\nhello\r\n00\r\nA: b\r\n\r\n", 200},
      {line + "Content-Length: 0\r\nX: \x80\xff\r\nY:\r\n\r\n", 200},
      {"\r\n\r\n" + get("/hello"), 200},
      {get("http://elsewhere/hello"), 200},
      {get("http://user:word@elsewhere:1/hello?x"), 200},
      {get("/%68ello"), 200},
      {get("/HELLO"), 404},
      {get("//hello"), 404},
      {get("/hello/"), 404},
      {get("/hello%20"), 404},
      {get("/hello%5c..%5c"), 404},
      {get("/%252e%252e/hello"), 404},
      {get("/...%3b/hello"), 404},
      {"get /hello HTTP/1.1\r\nHost: x\r\n\r\n", 405},
      {"GETX /hello HTTP/1.1\r\nHost: x\r\n\r\n", 405},
      {"TRACE /hello HTTP/1.1\r\nHost: x\r\n\r\n", 405},
      {"CONNECT /hello HTTP/1.1\r\nHost: x\r\n\r\n", 405},
  };
  Client client(*server_);
  for (const auto& [bytes, status] : shapes) {
    ASSERT_THAT(client.ask(bytes), StartsWith("HTTP/1.1 " + std::to_string(status))) << bytes;
    ASSERT_THAT(client.ask(get("/hello")), testing::EndsWith("hello")) << "after " << bytes;
  }
}

TEST_F(Rude, CountsHeaders) {
  start();
  const auto headers = [](int count) {
    std::string text;
    for (int i = 1; i < count; ++i) text += "A:\r\n";  // Host is one of them
    return text;
  };
  EXPECT_THAT(Client(*server_).ask(get("/hello", headers(100))), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(refusal(get("/hello", headers(101))), StartsWith("HTTP/1.1 431"));
  expect_that_others_are_served();
}

// A reader that limits only the meaningful part of a request would read these for ever.
TEST_F(Rude, LimitsWhatSaysNothing) {
  start();
  const std::string line = "PUT /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  const auto times = [](int count, const std::string& text) {
    std::string all;
    for (int i = 0; i < count; ++i) all += text;
    return all;
  };
  EXPECT_THAT(refusal(times(1'000'000, "\r\n")), StartsWith("HTTP/1.1 400")) << "empty lines";
  EXPECT_THAT(refusal(times(9, "\r\n") + "\r"), StartsWith("HTTP/1.1 400")) << "empty lines";
  EXPECT_THAT(refusal(line + times(2'000, "1;" + std::string(2'000, 'x') + "\r\ny\r\n")), StartsWith("HTTP/1.1 400"))
      << "extensions";
  EXPECT_THAT(refusal(line + "0\r\n" + times(100'000, "A: b\r\n")), StartsWith("HTTP/1.1 400")) << "trailers";
  expect_that_others_are_served();
}

TEST_F(Rude, HearsNothingFromHttp09AndHalfRequests) {
  start();
  for (const std::string bytes : {"GET /hello\r\n", "GET /hello HTTP/1.1\r\nHost: x\r\n", "\r\n", "\r", "P"}) {
    Client client(*server_);
    client.send(bytes);
    client.half_close();
    EXPECT_EQ(client.read_all(), "") << bytes;
  }
  expect_all_gone();
}

TEST_F(Rude, AnswersWhoShutsItsSendingSide) {
  start();
  Client client(*server_);
  client.send(post("/echo", "whole"));
  client.half_close();
  EXPECT_THAT(client.read_all(), testing::EndsWith("whole"));
  Client partial(*server_);
  partial.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf");
  partial.half_close();
  EXPECT_THAT(partial.read_all(), StartsWith("HTTP/1.1 400"));
  expect_all_gone();
}

TEST_F(Rude, EndsAHandlerWhoseClientBreaksOff) {
  router_.add(Method::put, "/diary", [this](Request& request) -> awaitable<Response> {
    while (true) {
      auto piece = co_await request.body.read_some(std::uint64_t(1) << 40);
      if (piece && !piece->empty()) {
        diary_.write("piece");
        continue;
      }
      diary_.write(piece ? "whole" : std::string(error_name(piece.error().code)));
      co_return ok("");
    }
  });
  start();
  for (const char* framing : {"Content-Length: 999999999", "Transfer-Encoding: chunked"}) {
    Client client(*server_);
    client.send("PUT /diary HTTP/1.1\r\nHost: x\r\n" + std::string(framing) + "\r\n\r\n5\r\nhello\r\n");
    std::string line = diary_.next();
    EXPECT_EQ(line, "piece");
    client.reset();
    while (line == "piece") line = diary_.next();
    EXPECT_EQ(line, "badRequest");
  }
  expect_all_gone();
}

// One byte now and then counts as nothing.
TEST_F(Rude, EndsWhoSendsTooSlowly) {
  options_.body_stall_max = 200;
  options_.bytes_per_second_min = 100'000;
  start();
  for (const char* framing : {"Content-Length: 999999", "Transfer-Encoding: chunked"}) {
    Client client(*server_);
    client.send("PUT /count HTTP/1.1\r\nHost: x\r\n" + std::string(framing) + "\r\n\r\n");
    const std::string piece = framing[0] == 'C' ? "x" : "1\r\nx\r\n";
    int sent = 0;
    while (!client.readable_within(10) && sent < 3'000 && client.send(piece)) ++sent;
    EXPECT_LT(sent, 3'000);
    EXPECT_THAT(client.read_all(), StartsWith("HTTP/1.1 408"));
  }
  expect_that_others_are_served();
}

TEST_F(Rude, EndsWhoTakesTooSlowly) {
  options_.write_stall_max = 200;
  options_.bytes_per_second_min = 50'000'000;
  TemporaryDirectory directory;
  const std::string large(32 << 20, 'x');
  replace_file(directory.path() / "file", large);
  router_.add(Method::get, "/memory", [&](Request&) -> awaitable<Response> { co_return ok(large); });
  router_.add(Method::get, "/file", [&](Request&) -> awaitable<Response> {
    Response response;
    response.file = open_file(directory.path() / "file");
    co_return response;
  });
  start();
  for (const char* path : {"/memory", "/file"}) {
    Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int small = 4'096;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    Client client(*server_, std::move(socket));
    client.send(get(path));
    pollfd never{-1, 0, 0};
    EXPECT_EQ(client.read_bytes(9), "HTTP/1.1 ");
    int taken = 0;
    for (; taken < 3'000 && server_->connections() > 0; ++taken) {
      client.read_bytes(16);
      ::poll(&never, 0, 5);
    }
    EXPECT_LT(taken, 3'000) << path;
    EXPECT_LT(client.read_all().size(), large.size()) << path;
  }
  server_->stop(kPatienceMs);  // before what the handlers refer to goes away
}

TEST(Pace, GivesPatienceBackForBytes) {
  Pace pace(1'000, 100);
  EXPECT_EQ(pace.left(), 1'000);
  pace.moved(5'000);
  EXPECT_EQ(pace.left(), 1'000) << "no more than at first";
  pace.waited(600);
  EXPECT_EQ(pace.left(), 400);
  pace.moved(10);
  EXPECT_EQ(pace.left(), 500);
  pace.waited(9'000);
  EXPECT_EQ(pace.left(), 0);
}

// The kernel buffers what a client does not take, for each client: that must not be megabytes.
TEST_F(Rude, LeavesLittleInTheKernelForWhoTakesNothing) {
  std::atomic<std::int64_t> written = 0;
  router_.add(Method::get, "/flood", [&](Request&) -> awaitable<Response> {
    Response response;
    response.stream = [&](StreamWriter& writer) -> awaitable<void> {
      const std::string piece(16 << 10, 'x');
      while (co_await writer.write(piece)) written += std::int64_t(piece.size());
    };
    co_return response;
  });
  options_.write_stall_max = 300;
  start();
  Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int small = 4'096;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  Client client(*server_, std::move(socket));
  client.send(get("/flood"));
  while (written == 0) std::this_thread::yield();
  expect_all_gone();
  EXPECT_GT(written, 0);
  EXPECT_LT(written, 1 << 20);
  server_->stop(kPatienceMs);  // before what the handlers refer to goes away
}

TEST_F(Rude, RefusesBadTargets) {
  start();
  for (const char* target : {"/a/../hello",    "/./hello",    "/%2e%2e/hello", "/a%2fb",
                             "/a%00b",         "/a%",         "/a%4",          "/a%zz",
                             "hello",          "*",           "/hello?x=%00",  "/hello?x=%F",
                             "/hello?%ff=1",   "/%ff",        "/hello#x",      "/%c0%ae%c0%ae/hello",
                             "/%e0%80%af",     "/%ed%a0%80",  "/%f4%90%80%80", "/%2E%2E/hello",
                             "/.%2e/hello",    "/a/%2e",      "/a%2Fb",        "ftp://x/hello",
                             "HTTP://x/hello", "http:/hello", "x:80",          "?x",
                             "\\hello",        "/hello?x=%c3"})
    EXPECT_THAT(refusal(get(target)), StartsWith("HTTP/1.1 400")) << target;
}

TEST_F(Rude, LimitsTheHead) {
  options_.header_bytes_max = 1'000;
  start();
  EXPECT_THAT(refusal("GET /" + std::string(2'000, 'a') + " HTTP/1.1\r\n"), StartsWith("HTTP/1.1 414"));
  EXPECT_THAT(refusal("GET /" + std::string(2'000'000, 'a')), StartsWith("HTTP/1.1 414"));
  EXPECT_THAT(refusal(get("/hello", "X: " + std::string(2'000, 'a') + "\r\n")), StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(refusal("GET /hello HTTP/1.1\r\nX: " + std::string(2'000'000, 'a')), StartsWith("HTTP/1.1 431"));
}

TEST_F(Rude, LimitsTheBody) {
  start();
  EXPECT_THAT(refusal(post("/echo", std::string(1'001, 'x'))), StartsWith("HTTP/1.1 413"));
  EXPECT_THAT(refusal(post("/echo", std::string(10'000'000, 'x'))), StartsWith("HTTP/1.1 413"));
  // Known before a byte is sent.
  EXPECT_THAT(refusal("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9999999999\r\n\r\n"),
              StartsWith("HTTP/1.1 413"));
  Client client(*server_);
  EXPECT_THAT(client.ask(post("/echo", std::string(1'000, 'x'))), StartsWith("HTTP/1.1 200"));
}

TEST_F(Rude, EndsSlowClients) {
  options_.header_time_max = 80;
  options_.idle_time_max = 80;
  options_.body_stall_max = 80;
  start();
  EXPECT_EQ(refusal(""), "");  // never says a word
  EXPECT_THAT(refusal("GET /hel"), StartsWith("HTTP/1.1 408"));
  Client client(*server_);
  EXPECT_THAT(client.ask(get("/hello")), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(client.read_all(), "");  // idle
  EXPECT_THAT(refusal("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345"), StartsWith("HTTP/1.1 408"));
}

TEST_F(Rude, EndsAHandlerWhoseClientTakesNothing) {
  options_.write_stall_max = 80;
  router_.add(Method::get, "/flood", [this](Request&) -> awaitable<Response> {
    Response response;
    response.stream = [this](StreamWriter& writer) -> awaitable<void> {
      const std::string piece(1 << 20, 'x');
      while (co_await writer.write(piece)) {
      }
      diary_.write("over");
    };
    co_return response;
  });
  start();
  Client client(*server_);
  client.send(get("/flood"));
  EXPECT_EQ(diary_.next(), "over");
}

TEST_F(Rude, RefusesMoreConnectionsThanItMayHold) {
  options_.connections_max = 2;
  start();
  Client one(*server_), two(*server_);
  one.send(get("/wait"));
  EXPECT_EQ(diary_.next(), "waiting");
  two.send(get("/wait"));
  EXPECT_EQ(diary_.next(), "waiting");
  EXPECT_THAT(refusal(get("/hello")), StartsWith("HTTP/1.1 503"));
  one.close();
  EXPECT_EQ(diary_.next(), "client gone");
  while (server_->connections() > 1) std::this_thread::yield();
  EXPECT_THAT(Client(*server_).ask(get("/hello")), StartsWith("HTTP/1.1 200"));
  take_promise();
  take_promise();
}

TEST_F(Rude, ClosesTheOldestIdleConnectionForANewOne) {
  options_.connections_max = 3;
  start();
  Client busy(*server_);
  busy.send(get("/wait"));
  EXPECT_EQ(diary_.next(), "waiting");
  Client idle(*server_);
  EXPECT_THAT(idle.ask(get("/hello")), StartsWith("HTTP/1.1 200"));
  Client slow(*server_);
  slow.send("GET /hel");
  Client first(*server_);
  EXPECT_THAT(first.ask(get("/hello")), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(idle.read_all(), "");
  Client second(*server_);
  EXPECT_THAT(second.ask(get("/hello")), StartsWith("HTTP/1.1 200"));
  EXPECT_EQ(slow.read_all(), "");
  for (int i = 0; i < 1'000; ++i) {
    Client another(*server_);
    ASSERT_THAT(another.ask(get("/hello")), StartsWith("HTTP/1.1 200"));
  }
  take_promise().set("undisturbed");
  EXPECT_THAT(busy.response(), testing::EndsWith("undisturbed"));
}

TEST_F(Rude, AcceptsAgainWhenDescriptorsAreFree) {
  start();
  const auto client_in_advance = [] { return Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)); };
  Fd early = client_in_advance();
  rlimit before{};
  ::getrlimit(RLIMIT_NOFILE, &before);
  rlimit none = before;
  none.rlim_cur = rlim_t(early.get()) + 1;  // all lower ones are taken, or soon will be
  std::vector<Fd> filler;
  ::setrlimit(RLIMIT_NOFILE, &none);
  while (true) {
    Fd fd(::dup(early.get()));
    if (!fd) break;
    filler.push_back(std::move(fd));
  }
  Client client(*server_, std::move(early));
  if (!kTls) client.send(get("/hello"));  // with TLS it would wait for the other hand
  const auto cpu = [] {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return usage.ru_utime.tv_sec * 1'000 + usage.ru_utime.tv_usec / 1'000 + usage.ru_stime.tv_sec * 1'000 +
           usage.ru_stime.tv_usec / 1'000;
  };
  const auto spent = cpu();
  EXPECT_FALSE(client.readable_within(500)) << "nobody could accept";
  EXPECT_LT(cpu() - spent, 200) << "it spins";
  ::setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_THAT(kTls ? client.ask(get("/hello")) : client.response(), testing::EndsWith("hello"));
}

}  // namespace
}  // namespace geres::http
