// SPDX-License-Identifier: Apache-2.0
// Hubs that are absent, restart, are killed, or whose answers are lost: calls are repeated, nothing is done twice.
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "client/client_fixture.h"

namespace geres::client {
namespace {

class AwayTest : public ClientTest {};

TEST_F(AwayTest, WithoutAHubItSaysSoInTime) {
  Relay nobody;
  Options options;
  options.hub = nobody.url();
  options.token = "any";
  options.patience = 1s;
  const auto retries = std::make_shared<std::atomic<int>>(0);
  options.on_retry = [retries](const std::string& why) {
    EXPECT_FALSE(why.empty());
    ++*retries;
  };
  {
    Client lonely(options);
    try {
      lonely.info();
      FAIL() << "nobody is there";
    } catch (const Unavailable& error) {
      EXPECT_EQ(error.code(), "unreachable");
      EXPECT_EQ(error.status(), 0);
      EXPECT_FALSE(error.maybe_done()) << "a read";
    }
    EXPECT_THROW(lonely.submit(work()), Unavailable);
    EXPECT_THROW(lonely.subscribe({}, {}), Unavailable);
    EXPECT_THROW(lonely.wait_all({"a", "b"}), Unavailable);
    EXPECT_THROW(lonely.wait("a"), Unavailable);
  }
  EXPECT_GT(*retries, 0);
}

// Its machine accepts connections, but nothing ever answers.
struct FrozenHub {
  Fd listener{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  sockaddr_in at{};
  FrozenHub() {
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    auto* address = reinterpret_cast<sockaddr*>(&at);
    if (::bind(listener.get(), address, size) != 0 || ::listen(listener.get(), 128) != 0 ||
        ::getsockname(listener.get(), address, &size) != 0)
      throw std::runtime_error("no socket");
  }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(ntohs(at.sin_port)); }
};

TEST_F(AwayTest, ALimitHoldsBesideAFrozenHub) {
  FrozenHub frozen;
  Options options;
  options.hub = frozen.url();
  options.token = "any";
  Client lonely(options);
  const auto begun = std::chrono::steady_clock::now();
  auto one = lonely.async().wait("a", 100ms);
  auto all = lonely.async().wait_all({"a", "b"}, 100ms);
  auto some = lonely.async().wait_some({"a", "b"}, 1, 100ms);
  EXPECT_THROW(one.get(), Unavailable);
  EXPECT_THROW(all.get(), Unavailable);
  EXPECT_THROW(some.get(), Unavailable);
  EXPECT_LT(std::chrono::steady_clock::now() - begun, options.answer_timeout / 2);
}

TEST_F(AwayTest, AForkedChildIsToldToMakeItsOwn) {
  auto events = client->subscribe({}, {});
  const auto child = ::fork();
  if (child == 0) {
    ::alarm(20);
    try {
      client->info();
    } catch (const std::logic_error&) {
      events = Subscription();
      client.reset();
      ::_exit(7);
    }
    ::_exit(1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 7);
  EXPECT_FALSE(client->info().version.empty()) << "the parent's goes on";
}

TEST_F(AwayTest, AWrongTokenIsToldAtOnce) {
  auto options = options_of(ours);
  options.token = "wrong";
  Client stranger(options);
  EXPECT_THROW(stranger.info(), Unauthorized);
  EXPECT_THROW(stranger.submit(work()), Unauthorized);
}

TEST_F(AwayTest, SomethingElseThanAHubIsToldAtOnce) {
  auto options = options_of(ours);
  options.hub += "/no-hub-below-this";
  Client lost(options);
  EXPECT_THROW(lost.info(), Error);
}

TEST_F(AwayTest, WaitsThroughARestart) {
  const auto job = client->submit(work());
  auto waiting = client->async().wait(job.id);
  auto following = client->async().follow_log(job.id, {}, [](std::string_view) {});
  stop_hub();
  auto meanwhile = client->async().submit(work("while it was away"));
  start_hub();
  EXPECT_EQ(meanwhile.get().name, "while it was away");
  run_next();
  run_next();
  EXPECT_TRUE(waiting.get().finished());
  EXPECT_TRUE(following.get().finished());
}

TEST_F(AwayTest, ALostAnswerMakesNoSecondJob) {
  client->info();
  relay.swallow_answers(1);
  const auto job = client->submit(work("once"));
  EXPECT_GE(relay.swallowed(), 1);
  relay.swallow_answers(1);
  EXPECT_THAT(client->submit(std::vector<JobSpec>(5, work("once"))), SizeIs(5));
  EXPECT_EQ(relay.swallowed(), 2);
  std::vector<std::string> ids;
  for (const auto& one : client->jobs({.name = "once"})) ids.push_back(one.id);
  EXPECT_THAT(ids, SizeIs(6));
}

TEST_F(AwayTest, WhatMustNotHappenTwiceIsNotRepeatedBlindly) {
  const auto job = client->submit(work("again"));
  run_next();
  relay.swallow_answers(1);
  try {
    client->redrive(job.id);
    FAIL() << "the answer was lost";
  } catch (const Unavailable& error) {
    EXPECT_TRUE(error.maybe_done());
  }
  std::vector<std::string> ids;
  for (const auto& one : client->jobs({.name = "again"})) ids.push_back(one.id);
  EXPECT_THAT(ids, SizeIs(2)) << "it was done, once";
}

TEST_F(AwayTest, WhatWasCertainlyNotDoneIsRepeated) {
  const auto job = client->submit(work());
  run_next();
  Relay late(Relay::kClosed);
  auto options = options_of(ours);
  options.hub = late.url();
  Client early(options);
  auto again = early.async().redrive(job.id);
  EXPECT_FALSE(again.wait_for(100ms));
  late.lead_to(url);
  late.open();
  EXPECT_EQ(again.get().redrive_of, job.id);
}

TEST_F(AwayTest, ALogComesWholeOverBrokenConnections) {
  const auto job = client->submit({.type = "Work", .backoff = Backoff{.initial = 1ms}});
  Heard heard;
  std::string text;
  auto following = client->async().follow_log(job.id, {}, [&](std::string_view bytes) {
    text += bytes;
    heard.add(std::string(bytes));
  });
  auto lease = start_next();
  write_log(lease, 0, "abc");
  heard.wait_for(1);
  relay.cut();
  write_log(lease, 3, "def");
  heard.wait_for(2);
  finish(lease, "failed");
  lease = start_next();
  write_log(lease, 0, "ghi");
  heard.wait_for(3);
  relay.cut();
  write_log(lease, 3, "jkl");
  finish(lease);
  EXPECT_TRUE(following.get().finished());
  EXPECT_EQ(text, "abcdefghijkl");
}

TEST_F(AwayTest, ALogGoesOnBehindAConnectionThatIsDeadWithoutASign) {
  auto options = options_of(ours);
  options.answer_timeout = 1s;
  Client hasty(options);
  const auto job = hasty.submit({.type = "Work"});
  Heard heard;
  std::string text;
  auto following = hasty.async().follow_log(job.id, {}, [&](std::string_view bytes) {
    text += bytes;
    heard.add(std::string(bytes));
  });
  const auto lease = start_next();
  write_log(lease, 0, "abc");
  heard.wait_for(1);
  relay.freeze();
  write_log(lease, 3, "def");
  heard.wait_for(2);
  finish(lease);
  EXPECT_TRUE(following.get().finished());
  EXPECT_EQ(text, "abcdef");
}

// Behind a proxy that cuts every wait short, "not yet" comes at once. The client must not ask in a tight loop.
TEST_F(AwayTest, WaitsThatAreNotHeldArePaced) {
  const auto job = client->submit({.type = "Work"});
  const auto lease = start_next();
  relay.make_hasty();
  auto waiting = client->async().wait(job.id);
  std::string text;
  auto following = client->async().follow_log(job.id, {}, [&](std::string_view bytes) { text += bytes; });
  const int before = relay.asked();
  EXPECT_FALSE(waiting.wait_for(1'500ms));
  EXPECT_LT(relay.asked() - before, 40);
  write_log(lease, 0, "abc");
  finish(lease);
  EXPECT_TRUE(waiting.get().finished());
  EXPECT_TRUE(following.get().finished());
  EXPECT_EQ(text, "abc");
}

// The hub's real program, killed without warning again and again while jobs are submitted.
class HubProcess {
 public:
  explicit HubProcess(const std::filesystem::path& data) : data_(data) {}
  ~HubProcess() { kill(); }

  std::string start() {
    const auto out = data_.string() + ".out";
    std::filesystem::remove(out);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    posix_spawn_file_actions_adddup2(&actions, 1, 2);
    std::vector<std::string> words{GERES_PROGRAM, "hub", "--data", data_.string(), "--listen", "127.0.0.1:0"};
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    if (::posix_spawn(&pid_, GERES_PROGRAM, &actions, nullptr, argv.data(), environ) != 0) pid_ = 0;
    posix_spawn_file_actions_destroy(&actions);
    EXPECT_GT(pid_, 0);
    return url_in(out);
  }
  void kill() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  std::string token() const {
    auto token = read_file(data_ / "admin.token");
    token.pop_back();
    return token;
  }

 private:
  static std::string url_in(const std::string& file) {
    const auto until = std::chrono::steady_clock::now() + kPatient;
    while (std::chrono::steady_clock::now() < until) {
      const auto text = read_file_if(file).value_or("");
      const auto at = text.find("http://127.0.0.1:");
      const auto end = at == std::string::npos ? at : text.find_first_of(" \n/\"", at + 17);
      if (end != std::string::npos) return text.substr(at, end - at);
      std::this_thread::sleep_for(5ms);
    }
    ADD_FAILURE() << "the hub does not say where it is";
    return {};
  }
  std::filesystem::path data_;
  pid_t pid_ = 0;
};

TEST(AwayProcessTest, NoJobIsThereTwiceOrLostWhenTheHubIsKilledDuringSubmits) {
  const TemporaryDirectory directory;
  HubProcess hub(directory.path() / "data");
  Relay relay;
  relay.lead_to(hub.start());
  Options options;
  options.hub = relay.url();
  options.token = hub.token();
  options.patience = 120s;
  Client client(options);
  client.submit({.tenant = "t", .type = "Work", .name = "first"});
  constexpr int kKills = 4;
  std::set<std::string> told;
  for (int round = 0; round < kKills; ++round) {
    std::vector<std::future<Job>> single;
    std::vector<std::future<std::vector<std::string>>> lists;
    for (int i = 0; i < 40; ++i) {
      single.push_back(client.async().submit({.tenant = "t", .type = "Work", .name = "many"}));
      if (i % 10 == 0)
        lists.push_back(
            client.async().submit(std::vector<JobSpec>(25, {.tenant = "t", .type = "Work", .name = "many"})));
    }
    single[std::size_t(round) * 7].wait();  // somewhere in the middle
    hub.kill();
    relay.lead_to(hub.start());
    for (auto& one : single) EXPECT_TRUE(told.insert(one.get().id).second);
    for (auto& list : lists)
      for (const auto& id : list.get()) EXPECT_TRUE(told.insert(id).second);
  }
  EXPECT_THAT(told, SizeIs(kKills * 140));
  std::set<std::string> there;
  for (const auto& job : client.jobs({.name = "many"}, {.fields = {"id"}})) there.insert(job.id);
  EXPECT_EQ(there, told) << "every job that was answered is there, and no other";
}

}  // namespace
}  // namespace geres::client
