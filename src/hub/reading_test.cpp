// SPDX-License-Identifier: Apache-2.0
// Reading costs nobody else anything: pages end by their bytes, answers that nobody takes have a limit, long walks
// through the store are made in pieces.
#include <gtest/gtest.h>

#include <atomic>
#include <set>
#include <thread>

#include "http/http_fixture.h"
#include "hub/api/memory_budget.h"
#include "hub/hub_fixture.h"

namespace geres::hub {
namespace {

class ReadingTest : public HubTest {
 protected:
  void submit_many(int count, const std::string& more) {
    std::string list = "[";
    for (int i = 0; i < count; ++i) list += (i == 0 ? "" : ",") + spec(more);
    const auto made = ours.post("/v1/jobs", list + "]");
    ASSERT_EQ(made.status, 201) << made.body.substr(0, 300);
  }
  // Sends and does not read on by itself.
  http::Client raw(const std::string& path, const api::TestClient& who) {
    Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const int little = 4'096;
    ::setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &little, sizeof little);
    http::Client client(std::uint16_t(std::stoi(url.substr(url.rfind(':') + 1))), std::move(socket));
    client.send("GET " + path + " HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer " + who.token() + "\r\n\r\n");
    return client;
  }
  static std::string large_parameters() { return R"(,"parameters":")" + std::string(60'000, 'x') + "\""; }
};

// What cannot be read has a name, too, by which its sender and whoever looks into the log mean the same.
TEST_F(ReadingTest, WhatIsNoRequestIsNamed) {
  const auto answer_to = [&](const std::string& bytes) {
    http::Client client(std::uint16_t(std::stoi(url.substr(url.rfind(':') + 1))),
                        Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
    client.send(bytes);
    return client.read_until("\"}");
  };
  const auto id_of = [](const std::string& answer) {
    const auto at = answer.find("X-Request-Id: ");
    return at == std::string::npos ? "" : answer.substr(at + 14, answer.find('\r', at) - at - 14);
  };
  std::set<std::string> ids;
  for (const std::string& bytes :
       {std::string("HELLO\r\n\r\n"), "GET /" + std::string(100'000, 'x') + " HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nMuch: " + std::string(100'000, 'x') + "\r\n\r\n",
        std::string("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n")}) {
    const auto answer = answer_to(bytes);
    const auto id = id_of(answer);
    EXPECT_GE(id.size(), 10u) << answer;
    EXPECT_NE(answer.find("\"requestId\":\"" + id + "\""), std::string::npos) << answer;
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 4u);
  EXPECT_EQ(id_of(answer_to("GET /%zz HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine\r\n\r\n")), "mine");
}

TEST_F(ReadingTest, APageEndsByItsBytes) {
  submit_many(100, large_parameters());
  std::set<std::string> ids;
  std::string cursor;
  int pages = 0;
  do {
    const auto page = ours.get("/v1/jobs?limit=1000" + cursor);
    ASSERT_EQ(page.status, 200) << page.body.substr(0, 300);
    EXPECT_LT(page.body.size(), 3u << 20);
    const auto whole = page.json();
    for (const auto& item : whole.at("items").get_array())
      EXPECT_TRUE(ids.emplace(item.at("id").get_string().c_str()).second) << "twice";
    const auto* next = whole.get_object().if_contains("next");
    cursor = next ? "&cursor=" + std::string(next->get_string()) : "";
  } while (!cursor.empty() && ++pages < 50);
  EXPECT_GT(pages, 1);
  EXPECT_EQ(ids.size(), 100u);
  EXPECT_EQ(ours.get("/v1/jobs?limit=1000&fields=id,state").json().at("items").get_array().size(), 100u)
      << "what is not asked for makes no page shorter";
}

// Those who wait for their turn, those who leave while they wait, and one more walk behind them.
TEST_F(ReadingTest, LongWalksWaitForEachOther) {
  submit_many(5'000, R"(,"delay":"1h")");
  const std::string path = "/v1/jobs?name=nobody";
  std::vector<std::thread> readers;
  std::atomic<int> right = 0;
  for (int i = 0; i < 4; ++i)
    readers.emplace_back([&] {
      const auto answer = ours.get(path);
      if (answer.status == 200 && answer.json().at("items").get_array().empty()) ++right;
    });
  for (int i = 0; i < 4; ++i) raw(path, ours);  // and leaves
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(right, 4);
  EXPECT_EQ(ours.get(path).status, 200);
  const auto counted = ours.post("/v1/jobs/cancel?dryRun=true", R"({"type":"Work"})");
  EXPECT_EQ(counted.json().at("count").to_number<int>(), 5'000);
}

// Whoever takes nothing of large answers is refused more of them; others are not, and there is room once it has gone.
TEST_F(ReadingTest, AnswersThatNobodyTakesHaveALimit) {
  submit_many(60, large_parameters());
  {
    std::vector<http::Client> take_nothing;
    int refused = 0;
    for (int i = 0; i < 60; ++i) {
      take_nothing.push_back(raw("/v1/jobs?limit=1000", viewer));
      if (take_nothing.back().read_until("\r\n").starts_with("HTTP/1.1 429")) ++refused;
    }
    EXPECT_GT(refused, 10);
    EXPECT_LT(refused, 50);
    EXPECT_EQ(viewer.get("/v1/jobs?limit=1&fields=id").status, 200) << "small ones cost nothing";
    EXPECT_EQ(ours.get("/v1/jobs?limit=1000").status, 200);
  }
  int status = 0;
  for (int tries = 0; tries < 1'000 && status != 200; ++tries) status = int(viewer.get("/v1/jobs?limit=1000").status);
  EXPECT_EQ(status, 200);
}

TEST(MemoryBudget, LimitsEachAndAllAndSaysWhenItIsDrained) {
  api::MemoryBudget budget({.all = 100 << 20, .each = 60 << 20});
  int drained = 0;
  budget.on_drained([&] { ++drained; });
  const Uuid one{1, 1}, other{2, 2};
  auto first = budget.take(one, 50 << 20);
  ASSERT_TRUE(first);
  EXPECT_FALSE(budget.take(one, 11 << 20)) << "its own limit";
  auto second = budget.take(other, 50 << 20);
  ASSERT_TRUE(second);
  EXPECT_FALSE(budget.take(other, 1)) << "all of it is taken";
  first->resize(10 << 20);
  EXPECT_TRUE(budget.take(other, 1 << 20));
  auto sure = budget.take_for_sure(one, 90 << 20);
  EXPECT_FALSE(budget.take(other, 1 << 20));
  EXPECT_EQ(drained, 0);
  sure.reset(), first.reset(), second.reset();
  EXPECT_EQ(drained, 1);
  { const auto little = budget.take(one, 1 << 20); }
  EXPECT_EQ(drained, 1) << "not worth it";
}

}  // namespace
}  // namespace geres::hub
