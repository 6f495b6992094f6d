// SPDX-License-Identifier: Apache-2.0
// The server over real sockets: raw bytes in, raw bytes out.
#include "http/http_fixture.h"

namespace geres::http {
namespace {

TEST_F(Http, AnswersAndKeepsTheConnection) {
  start();
  Client client(*server_);
  for (int i = 0; i < 3; ++i) {
    const auto answer = client.ask(get("/hello"));
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nDate: "));
    EXPECT_THAT(answer, HasSubstr("\r\nContent-Length: 5\r\n\r\nhello"));
    EXPECT_THAT(answer, Not(HasSubstr("Connection:")));
  }
}

TEST_F(Http, ReadsBodiesInBothFramings) {
  start();
  Client client(*server_);
  EXPECT_THAT(client.ask(post("/echo", "some text")), HasSubstr("\r\n\r\nsome text"));
  EXPECT_THAT(client.ask(post("/echo", "")), HasSubstr("Content-Length: 0\r\n\r\n"));
  const std::string chunked = "POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  EXPECT_THAT(client.ask(chunked + "4\r\nsome\r\n5;a=b\r\n text\r\n0\r\nTrailer: x\r\n\r\n"),
              HasSubstr("\r\n\r\nsome text"));
  client.send(chunked);
  for (const char c : std::string("3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n")) client.send(std::string(1, c));
  EXPECT_THAT(client.response(), HasSubstr("\r\n\r\nabcd"));
}

TEST_F(Http, AnswersPipelinedRequestsInOrder) {
  start();
  Client client(*server_);
  std::string bytes, bodies;
  for (int i = 0; i < 200; ++i) bytes += post("/echo", std::to_string(i)) + "\r\n" + get("/hello");
  client.send(bytes);
  for (int i = 0; i < 200; ++i) {
    EXPECT_THAT(client.response(), testing::EndsWith("\r\n\r\n" + std::to_string(i)));
    EXPECT_THAT(client.response(), testing::EndsWith("\r\n\r\nhello"));
  }
}

TEST_F(Http, DecodesTargets) {
  router_.add(Method::get, "/v1/jobs/{id}/files/{path...}", [](Request& request) -> awaitable<Response> {
    std::string text = request.capture("id") + "|" + request.capture("path") + "|" + std::string(request.route);
    for (const auto& [name, value] : request.query.items) text += "|" + name + "=" + value;
    co_return ok(text);
  });
  start();
  Client client(*server_);
  EXPECT_THAT(client.ask(get("/v1/jobs/a%20b/files/x/y%2Bz.txt?q=a+b%26c&q=&flag&=v")),
              HasSubstr("\r\n\r\na b|x/y+z.txt|/v1/jobs/{id}/files/{path...}|q=a b&c|q=|flag=|=v"));
  EXPECT_THAT(client.ask(get("http://some.host:80/hello")), HasSubstr("200 OK"));
  EXPECT_THAT(client.ask(get("/v1/jobs//files/x")), HasSubstr("404 Not Found"));
  EXPECT_THAT(client.ask(get("/v1/jobs/a/files")), HasSubstr("404 Not Found"));
}

TEST_F(Http, TellsWhatIsNotThere) {
  router_.add(Method::get, "/thing", [](Request&) -> awaitable<Response> { co_return ok("thing"); });
  router_.add(Method::put, "/thing", [](Request&) -> awaitable<Response> { co_return ok("put"); });
  router_.add(Method::get, "/{any}",
              [](Request& request) -> awaitable<Response> { co_return ok(request.capture("any")); });
  start();
  Client client(*server_);
  EXPECT_THAT(client.ask(get("/nothing/here")), HasSubstr("404 Not Found"));
  EXPECT_THAT(client.ask(post("/thing", "x")),
              testing::AllOf(HasSubstr("405 Method Not Allowed"), HasSubstr("Allow: OPTIONS, GET, HEAD, PUT\r\n")));
  EXPECT_THAT(client.ask("BREW /thing HTTP/1.1\r\nHost: x\r\n\r\n"), HasSubstr("405 "));
  EXPECT_THAT(client.ask("OPTIONS /thing HTTP/1.1\r\nHost: x\r\n\r\n"),
              testing::AllOf(HasSubstr("204 No Content"), HasSubstr("Allow:"), Not(HasSubstr("Content-Length"))));
  EXPECT_THAT(client.ask(get("/thing")), testing::EndsWith("thing"));
  EXPECT_THAT(client.ask(get("/other")), testing::EndsWith("other"));
  client.send("HEAD /thing HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.read_until("\r\n\r\n"), testing::AllOf(HasSubstr("200 OK"), HasSubstr("Content-Length: 5\r\n")));
  EXPECT_THAT(client.ask(get("/thing")), StartsWith("HTTP/1.1 200"));  // HEAD sent no body
}

TEST_F(Http, AsksForTheBodyOnlyWhenItIsRead) {
  start();
  const std::string expect = "Expect: 100-continue\r\n";
  Client client(*server_);
  client.send("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n" + expect + "\r\n");
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  EXPECT_THAT(client.ask("body"), HasSubstr("\r\n\r\nbody"));
  client.send("POST /ignore HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n" + expect + "\r\n");
  EXPECT_THAT(client.read_all(), testing::AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("Connection: close")));
  EXPECT_THAT(refusal("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n" + expect + "\r\n"),
              StartsWith("HTTP/1.1 413"));
}

TEST_F(Http, SkipsASmallBodyThatNobodyReads) {
  start();
  Client client(*server_);
  EXPECT_THAT(client.ask(post("/ignore", std::string(50'000, 'x'))), HasSubstr("ignored"));
  EXPECT_THAT(client.ask(post("/nowhere", "GET /hello HTTP/1.1\r\n\r\n")), HasSubstr("404"));
  EXPECT_THAT(client.ask(get("/hello")), testing::EndsWith("hello"));
  EXPECT_THAT(refusal(post("/ignore", std::string(500'000, 'x'))), HasSubstr("Connection: close"));
}

TEST_F(Http, TakesLargeUploadsInPieces) {
  start();
  Client client(*server_);
  EXPECT_THAT(
      client.ask("PUT /count HTTP/1.1\r\nHost: x\r\nContent-Length: 8388608\r\n\r\n" + std::string(8 << 20, 'x')),
      testing::EndsWith("8388608"));
  std::string chunks = "PUT /count HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (int i = 0; i < 80; ++i) chunks += "186A0\r\n" + std::string(100'000, 'x') + "\r\n";
  EXPECT_THAT(client.ask(chunks + "0\r\n\r\n"), testing::EndsWith("8000000"));
  EXPECT_THAT(client.ask(get("/hello")), testing::EndsWith("hello"));
}

TEST_F(Http, SpeaksHttp10) {
  start();
  EXPECT_THAT(refusal("GET /hello HTTP/1.0\r\n\r\n"),
              testing::AllOf(HasSubstr("200 OK"), HasSubstr("Connection: close")));
  Client client(*server_);
  EXPECT_THAT(client.ask("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), HasSubstr("Connection: keep-alive"));
  EXPECT_THAT(client.ask(get("/hello")), testing::EndsWith("hello"));
  EXPECT_THAT(refusal(get("/hello", "Connection: close\r\n") + get("/hello")),
              testing::AllOf(HasSubstr("Connection: close"), testing::EndsWith("\r\n\r\nhello")));
}

TEST_F(Http, WaitsForAnotherThread) {
  start();
  Client client(*server_);
  client.send(get("/wait"));
  EXPECT_EQ(diary_.next(), "waiting");
  take_promise().set("from afar");
  EXPECT_THAT(client.response(), testing::EndsWith("from afar"));
}

TEST_F(Http, TakesAnAnswerThatCameBeforeTheWait) {
  router_.add(Method::get, "/early", [](Request& request) -> awaitable<Response> {
    Promise<std::string> promise;
    auto future = promise.future();
    promise.set("early");
    promise.set("second");
    auto answer = co_await future.get(request.cancellation, 0);
    co_return ok(answer ? *answer : "none");
  });
  start();
  EXPECT_THAT(Client(*server_).ask(get("/early")), testing::EndsWith("early"));
}

TEST_F(Http, NoticesThatTheClientHasGone) {
  start();
  for (const bool hard : {false, true}) {
    Client client(*server_);
    client.send(get("/wait"));
    EXPECT_EQ(diary_.next(), "waiting");
    hard ? client.reset() : client.close();
    EXPECT_EQ(diary_.next(), "client gone");
  }
  take_promise().set("too late");
}

TEST_F(Http, KeepsWhatIsPipelinedBehindALongPoll) {
  start();
  Client client(*server_);
  client.send(get("/wait"));
  EXPECT_EQ(diary_.next(), "waiting");
  client.send(get("/hello"));
  client.send(post("/echo", "last"));
  take_promise().set("first");
  EXPECT_THAT(client.response(), testing::EndsWith("first"));
  EXPECT_THAT(client.response(), testing::EndsWith("hello"));
  EXPECT_THAT(client.response(), testing::EndsWith("last"));
}

TEST_F(Http, TellsABrokenPromise) {
  start();
  Client client(*server_);
  client.send(get("/wait"));
  EXPECT_EQ(diary_.next(), "waiting");
  take_promise();
  EXPECT_EQ(diary_.next(), "broken");
}

TEST_F(Http, TimesOutAndSleeps) {
  router_.add(Method::get, "/patience", [](Request& request) -> awaitable<Response> {
    Promise<int> never;
    auto future = never.future();
    auto answer = co_await future.get(request.cancellation, 20);
    const bool slept = co_await sleep_for(20, request.cancellation);
    co_return ok(std::string(answer || answer.error() != WaitEnd::timedOut ? "?" : "timed out") +
                 (slept ? " slept" : ""));
  });
  start();
  EXPECT_THAT(Client(*server_).ask(get("/patience")), testing::EndsWith("timed out slept"));
}

TEST_F(Http, RunsBlockingWorkElsewhere) {
  WorkerPool pool(2);
  router_.add(Method::get, "/work", [&pool](Request&) -> awaitable<Response> {
    const auto here = std::this_thread::get_id();
    auto work = [here] { return std::this_thread::get_id() == here ? std::string("here") : std::string("elsewhere"); };
    std::string text = co_await run_on(pool, work);
    auto failing = []() -> int { throw std::runtime_error("broken disk"); };
    try {
      co_await run_on(pool, failing);
    } catch (const std::runtime_error& error) {
      text += error.what();
    }
    auto nothing = [] {};
    co_await run_on(pool, nothing);
    co_return ok(text);
  });
  start();
  EXPECT_THAT(Client(*server_).ask(get("/work")), testing::EndsWith("elsewherebroken disk"));
  server_->stop(1'000);
}

TEST_F(Http, StreamsWhileABellRings) {
  Bell bell;
  std::mutex mutex;
  std::string log;
  bool ended = false;
  router_.add(Method::get, "/follow", [&](Request& request) -> awaitable<Response> {
    Response response;
    response.stream = [&](StreamWriter& writer) -> awaitable<void> {
      while (true) {
        std::string piece;
        bool last = false;
        {
          const std::lock_guard lock(mutex);
          piece.swap(log);
          last = ended;
        }
        if (!co_await writer.write(piece) || last) break;
        if (co_await bell.wait(request.cancellation) != WaitEnd::ready) break;
      }
      diary_.write("stream over");
    };
    co_return response;
  });
  start();
  const auto append = [&](std::string text, bool last = false) {
    {
      const std::lock_guard lock(mutex);
      log += text;
      ended = last;
    }
    bell.ring();
  };
  Client client(*server_);
  client.send(get("/follow"));
  EXPECT_THAT(client.read_until("\r\n\r\n"), HasSubstr("Transfer-Encoding: chunked"));
  append("one");
  EXPECT_EQ(client.read_until("one\r\n"), "3\r\none\r\n");
  append("two");
  EXPECT_EQ(client.read_until("two\r\n"), "3\r\ntwo\r\n");
  append("end", true);
  EXPECT_EQ(client.read_until("0\r\n\r\n"), "3\r\nend\r\n0\r\n\r\n");
  EXPECT_EQ(diary_.next(), "stream over");
  EXPECT_THAT(client.ask(get("/hello")), testing::EndsWith("hello"));
  ended = false;
  client.send(get("/follow"));
  client.read_until("\r\n\r\n");
  client.close();
  EXPECT_EQ(diary_.next(), "stream over");
  // HTTP/1.0 has no chunks.
  ended = true;
  log = "all";
  EXPECT_THAT(refusal("GET /follow HTTP/1.0\r\n\r\n"),
              testing::AllOf(testing::EndsWith("\r\n\r\nall"), Not(HasSubstr("chunked"))));
}

TEST_F(Http, ServesFilesAndRanges) {
  TemporaryDirectory directory;
  std::string content;
  for (int i = 0; i < 300'000; ++i) content += std::to_string(i) + "\n";
  replace_file(directory.path() / "file", content);
  replace_file(directory.path() / "empty", "");
  router_.add(Method::get, "/{name}/file", [&](Request& request) -> awaitable<Response> {
    Response response;
    response.file = open_file(directory.path() / request.capture("name"));
    if (!response.file) response.status = 404;
    co_return response;
  });
  start();
  Client client(*server_);
  EXPECT_THAT(client.ask(get("/file/file")),
              testing::AllOf(HasSubstr("Accept-Ranges: bytes"), testing::EndsWith("\r\n\r\n" + content)));
  EXPECT_THAT(client.ask(get("/file/file", "Range: bytes=2-5\r\n")),
              testing::AllOf(StartsWith("HTTP/1.1 206"),
                             HasSubstr("Content-Range: bytes 2-5/" + std::to_string(content.size())),
                             testing::EndsWith("\r\n\r\n1\n2\n")));
  EXPECT_THAT(client.ask(get("/file/file", "Range: bytes=-3\r\n")), testing::EndsWith("\r\n\r\n99\n"));
  EXPECT_THAT(client.ask(get("/file/file", "Range: bytes=99999999-\r\n")), StartsWith("HTTP/1.1 416"));
  EXPECT_THAT(client.ask(get("/file/file", "Range: bytes=5-2\r\n")), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(client.ask(get("/file/file", "Range: bytes=0-1,4-5\r\n")), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(client.ask(get("/empty/file")), HasSubstr("Content-Length: 0\r\n"));
  EXPECT_THAT(client.ask(get("/none/file")), StartsWith("HTTP/1.1 404"));
}

TEST_F(Http, TurnsAnExceptionInto500AndGoesOn) {
  router_.add(Method::get, "/throw", [](Request&) -> awaitable<Response> {
    throw std::runtime_error("secret detail");
    co_return Response();
  });
  start();
  Client client(*server_);
  EXPECT_THAT(client.ask(get("/throw")), testing::AllOf(StartsWith("HTTP/1.1 500"), Not(HasSubstr("secret"))));
  EXPECT_THAT(client.ask(get("/hello")), testing::EndsWith("hello"));
}

TEST_F(Http, CallsAroundEveryRequestAndFormatsErrors) {
  router_ = Router([](const Error& error, unsigned status) {
    return text_response(status, "application/problem+json",
                         "{\"code\":\"" + std::string(error_name(error.code)) + "\"}");
  });
  router_.around([](Request& request, const Handler& next) -> awaitable<Response> {
    if (request.headers.get("AUTHORIZATION") != "let me in") co_return text_response(401, "text/plain", "who?");
    request.attachment = std::string("friend");
    Response response = co_await next(request);
    response.headers.emplace_back("X-Route", request.route);
    co_return response;
  });
  router_.add(Method::get, "/me", [](Request& request) -> awaitable<Response> {
    co_return ok(std::any_cast<std::string>(request.attachment));
  });
  start();
  Client client(*server_);
  const std::string key = "authorization: let me in\r\n";
  EXPECT_THAT(client.ask(get("/me")), testing::EndsWith("who?"));
  EXPECT_THAT(client.ask(get("/me", key)), testing::AllOf(HasSubstr("X-Route: /me\r\n"), testing::EndsWith("friend")));
  EXPECT_THAT(client.ask(get("/nowhere", key)), testing::EndsWith("{\"code\":\"notFound\"}"));
  EXPECT_THAT(client.ask("GET bad HTTP/1.1\r\nHost: x\r\n\r\n"),
              testing::AllOf(HasSubstr("application/problem+json"), testing::EndsWith("{\"code\":\"badRequest\"}")));
}

TEST_F(Http, KeepsHeadersApart) {
  router_.add(Method::get, "/inject", [](Request&) -> awaitable<Response> {
    Response response = ok("x");
    response.headers.emplace_back("X-Name", "a\r\nSet-Cookie: b");
    co_return response;
  });
  start();
  EXPECT_THAT(Client(*server_).ask(get("/inject")), HasSubstr("X-Name: a  Set-Cookie: b\r\n"));
}

TEST_F(Http, StopsWithRequestsInFlight) {
  Promise<std::string> slow;
  router_.add(Method::get, "/slow", [&](Request&) -> awaitable<Response> {
    auto future = slow.future();
    diary_.write("slow");
    auto answer = co_await future.get();  // no cancellation: the answer is awaited even if the client goes
    co_return ok(answer ? *answer : "none");
  });
  start();
  Client idle(*server_), poll(*server_), working(*server_);
  EXPECT_THAT(idle.ask(get("/hello")), StartsWith("HTTP/1.1 200"));
  poll.send(get("/wait"));
  EXPECT_EQ(diary_.next(), "waiting");
  working.send(get("/slow"));
  EXPECT_EQ(diary_.next(), "slow");
  std::thread stopper([this] { server_->stop(kPatienceMs); });
  EXPECT_EQ(idle.read_all(), "");
  EXPECT_EQ(diary_.next(), "stopping");
  EXPECT_THAT(poll.read_all(), testing::AllOf(HasSubstr("200 OK"), HasSubstr("Connection: close")));
  slow.set("done");
  EXPECT_THAT(working.read_all(), testing::EndsWith("done"));
  stopper.join();
  EXPECT_EQ(server_->connections(), 0u);
}

TEST_F(Http, StopsAtTheDeadlineWhateverHandlersDo) {
  Promise<int> never;
  router_.add(Method::get, "/stuck", [&](Request& request) -> awaitable<Response> {
    diary_.write("stuck");
    while (true) {
      auto future = never.future();
      (void)co_await future.get();
      (void)co_await sleep_for(1, request.cancellation);
    }
  });
  start();
  Client client(*server_);
  client.send(get("/stuck"));
  EXPECT_EQ(diary_.next(), "stuck");
  server_->stop(10);
  EXPECT_EQ(client.read_all(), "");
  never.set(1);  // after everything has gone
}

// Answers, time-outs and clients that leave, all at once from several threads.
TEST_F(Http, SurvivesAnswersThatRaceWithTimeoutsAndGoodbyes) {
  options_.threads = 2;
  std::deque<Promise<std::string>> queue;
  bool over = false;
  std::condition_variable filled;
  router_.add(Method::get, "/race", [&](Request& request) -> awaitable<Response> {
    Promise<std::string> promise;
    auto future = promise.future();
    {
      const std::lock_guard lock(mutex_);
      queue.push_back(std::move(promise));
      filled.notify_one();
    }
    auto answer = co_await future.get(request.cancellation, 1);
    co_return ok(answer ? *answer : "none");
  });
  start();
  std::thread engine([&] {
    std::unique_lock lock(mutex_);
    while (true) {
      filled.wait(lock, [&] { return over || !queue.empty(); });
      if (queue.empty()) return;
      auto taken = std::move(queue);
      queue.clear();
      lock.unlock();
      for (std::size_t i = 0; i < taken.size(); ++i)
        if (i % 5 != 4) taken[i].set("answer");
      taken.clear();
      lock.lock();
    }
  });
  std::vector<std::thread> users;
  for (int user = 0; user < 8; ++user)
    users.emplace_back([this, user] {
      for (int round = 0; round < 20; ++round) {
        Client client(*server_);
        for (int i = 0; i < 10; ++i) EXPECT_THAT(client.ask(get("/race")), StartsWith("HTTP/1.1 200"));
        client.send(get("/race"));
        if (user % 2) client.reset();
      }
    });
  for (auto& user : users) user.join();
  {
    const std::lock_guard lock(mutex_);
    over = true;
  }
  filled.notify_one();
  server_->stop(kPatienceMs);  // before what the handlers refer to goes away
  engine.join();
}

TEST_F(Http, SurvivesAClientThatLeavesADownload) {
  TemporaryDirectory directory;
  replace_file(directory.path() / "file", std::string(64 << 20, 'x'));
  router_.add(Method::get, "/file", [&](Request&) -> awaitable<Response> {
    Response response;
    response.file = open_file(directory.path() / "file");
    co_return response;
  });
  start();
  for (int i = 0; i < 5; ++i) {
    Client client(*server_);
    client.send(get("/file"));
    client.read_until("\r\n\r\n");
    client.reset();
  }
  EXPECT_THAT(Client(*server_).ask(get("/hello")), testing::EndsWith("hello"));
  server_->stop(kPatienceMs);
}

TEST_F(Http, ListensOnIpv6) {
  options_.listen.front().address = "::1";
  try {
    start();
  } catch (const std::system_error&) {
    GTEST_SKIP() << "no IPv6 here";
  }
  EXPECT_EQ(server_->url(), std::string(kTls ? "https" : "http") + "://[::1]:" + std::to_string(server_->port()));
}

TEST_F(Http, TellsThatAnAddressIsTaken) {
  start();
  options_.listen.front().port = server_->port();
  Server second(options_, router_);
  EXPECT_THROW(second.start(), std::system_error);
}

TEST_F(Http, HoldsManyIdleConnections) {
  rlimit limit{};
  ::getrlimit(RLIMIT_NOFILE, &limit);
  limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, 10'000);
  ::setrlimit(RLIMIT_NOFILE, &limit);
  const int count = limit.rlim_cur > 4'200 ? 2'000 : int(limit.rlim_cur) / 2 - 50;
  options_.threads = 2;
  start();
  std::deque<Client> clients;
  for (int i = 0; i < count; ++i) clients.emplace_back(*server_);
  for (auto& client : clients) client.send(get("/hello"));
  for (auto& client : clients) ASSERT_THAT(client.response(), testing::EndsWith("hello"));
  for (auto& client : clients) client.send(get("/wait"));
  for (int i = 0; i < count; ++i) ASSERT_EQ(diary_.next(), "waiting");
  EXPECT_EQ(server_->connections(), std::size_t(count));
  server_->stop(kPatienceMs);
  for (auto& client : clients) ASSERT_THAT(client.response(), testing::EndsWith("none"));
}

}  // namespace
}  // namespace geres::http
