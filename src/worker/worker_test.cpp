// SPDX-License-Identifier: Apache-2.0
// The worker SDK against a real hub: what handlers see, how attempts end, and that nothing is lost or run twice
// unnoticed when the worker stops, the hub goes away, or an earlier life has died.
#include "geres/worker.h"

#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <fstream>
#include <map>
#include <mutex>

#include "client/relay.h"
#include "hub/hub_fixture.h"

namespace geres::worker {
namespace {

using namespace std::chrono_literals;

// Opens once; threads that pass wait for that.
class Gate {
 public:
  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  bool pass() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, 60s, [this] { return open_; });
  }
  bool pass_or(const std::stop_token& stop) {  // false: stopped
    const std::stop_callback wake(stop, [this] {
      const std::lock_guard lock(mutex_);
      changed_.notify_all();
    });
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 60s, [&] { return open_ || stop.stop_requested(); });
    return open_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
};

class WorkerTest : public hub::HubTest {
 protected:
  void SetUp() override {
    HubTest::SetUp();
    relay.lead_to(url);
  }
  void TearDown() override {
    relay.lead_to("");
    relay.cut();
  }
  Options options_of(int concurrency = 2, int prefetch = 2) {
    Options to;
    to.hub = relay.url();
    to.token = machine.token();
    to.concurrency = concurrency;
    to.prefetch = prefetch;
    to.log = [this](const std::string& line) {
      const std::lock_guard lock(mutex);
      lines.push_back(line);
    };
    return to;
  }
  json::value ended(const std::string& id) {
    for (int tries = 0; tries < 3; ++tries) {
      const auto reply = ours.get("/v1/jobs/" + id + "?wait=30s");
      EXPECT_EQ(reply.status, 200) << reply;
      if (reply.json().as_object().contains("finishedAt")) return reply.json();
    }
    ADD_FAILURE() << "job " << id << " does not end";
    return ours.get("/v1/jobs/" + id).json();
  }
  std::string text(const json::value& job, const char* member) {
    const auto* found = job.as_object().if_contains(member);
    return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
  }
  bool eventually(const std::function<bool()>& fact) {
    for (int tries = 0; tries < 6'000; ++tries) {
      if (fact()) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }
  std::string state(const std::string& id) { return text(ours.get("/v1/jobs/" + id).json(), "state"); }
  void start_hub() {
    hub = std::make_unique<hub::Hub>(options);
    url = hub->start();
    for (auto* who : {&admin, &ours, &theirs, &viewer, &machine}) *who = who->at(url);
    relay.lead_to(url);
  }
  void stop_hub() {
    relay.lead_to("");
    hub->stop(0);
    hub.reset();
  }

  client::Relay relay;
  std::mutex mutex;
  std::vector<std::string> lines;
};

TEST_F(WorkerTest, AHandlerSeesItsJobAndItsResultIsKept) {
  Worker worker(options_of());
  worker.handle("Work", [](Job& job) {
    return Result::success(job.id() + " " + job.tenant() + " " + job.type() + " " + std::to_string(job.attempt()) +
                           " " + job.parameter_or("n", "?") + job.parameter_or("b", "?") + job.parameter_or("s", "?") +
                           job.parameter_or("o", "none") + " " + job.parameters());
  });
  worker.start();
  const auto id = submit(R"(,"parameters":{"n":42,"b":true,"s":"x","o":{}})");
  const auto job = ended(id);
  EXPECT_EQ(text(job, "state"), "finished");
  EXPECT_EQ(text(job, "result"), id + R"( ours Work 1 42truexnone {"n":42,"b":true,"s":"x","o":{}})");
  EXPECT_EQ(text(job, "host"), worker.name());
  EXPECT_TRUE(eventually([&] { return worker.stats().finished == 1 && worker.stats().running == 0; }));
}

TEST_F(WorkerTest, WhatFailsIsTriedAgainAndWhatAbortsIsNot) {
  Worker worker(options_of());
  worker.handle("Work", [](Job& job) -> Result {
    const auto how = job.parameter_or("how", "");
    if (how == "throw" && job.attempt() == 1) throw std::runtime_error("the first\ntry");
    if (how == "throw") return Result::success("second");
    if (how == "odd") throw 7;
    if (how == "abort") throw Abort("no use");
    if (how == "parameter") return Result::success(job.required_parameter("absent"));
    return Result::failure("");
  });
  worker.start();
  const std::string quick = R"(,"backoff":{"initial":"1ms","max":"1ms"})";
  auto job = ended(submit(quick + R"(,"parameters":{"how":"throw"})"));
  EXPECT_EQ(text(job, "result"), "second");
  EXPECT_EQ(job.at("failures").as_int64(), 1);
  job = ended(submit(quick + R"(,"maxAttempts":2,"parameters":{"how":"odd"})"));
  EXPECT_EQ(text(job, "reason"), "maxAttempts");
  EXPECT_NE(text(job, "error").find("not a std::exception"), std::string::npos);
  job = ended(submit(R"(,"parameters":{"how":"abort"})"));
  EXPECT_EQ(text(job, "reason"), "aborted");
  EXPECT_EQ(text(job, "error"), "no use");
  job = ended(submit(R"(,"parameters":{"how":"parameter"})"));
  EXPECT_EQ(text(job, "error"), "the parameter 'absent' is missing");
  job = ended(submit(R"(,"maxAttempts":1)"));
  EXPECT_EQ(text(job, "reason"), "error");
  EXPECT_NE(text(job, "error"), "");
}

TEST_F(WorkerTest, AHandlerThatEndsItsThreadFailsItsJobAlone) {
  Worker worker(options_of());
  worker.handle("Work", [](Job& job) {
    if (job.attempt() < 4) ::pthread_exit(nullptr);
    return Result::success("on another thread");
  });
  worker.start();
  const auto job = ended(submit(R"(,"maxAttempts":5,"backoff":{"initial":"1ms","max":"1ms"})"));
  EXPECT_EQ(text(job, "result"), "on another thread");
  EXPECT_EQ(job.at("failures").as_int64(), 3);
}

TEST_F(WorkerTest, LongAndBrokenResultsAreCutAndMended) {
  Worker worker(options_of());
  worker.handle("Work", [](Job&) { return Result::success(std::string(70'000, 'x')); });
  worker.handle("Bad", [](Job&) {
    return Result::success(
        "a\xFF"
        "b");
  });
  worker.handle("Nul", [](Job& job) {
    job.progress(std::string("1\0", 2));
    return Result::success(std::string("a\0b", 3));
  });
  worker.start();
  const auto nul = ended(ours.post("/v1/jobs", R"({"type":"Nul"})").text("id"));
  EXPECT_EQ(text(nul, "state"), "finished");
  EXPECT_EQ(nul.at("attempt").as_int64(), 1);
  EXPECT_EQ(text(nul, "result"), "ab");
  const auto job = ended(submit());
  EXPECT_EQ(text(job, "result").size(), 64u * 1024);
  EXPECT_TRUE(job.at("resultTruncated").as_bool());
  const auto bad = ours.post("/v1/jobs", R"({"type":"Bad"})");
  EXPECT_EQ(text(ended(bad.text("id")), "result"),
            "a\xEF\xBF\xBD"
            "b");
}

TEST_F(WorkerTest, ProgressIsTold) {
  Gate gate;
  Worker worker(options_of());
  worker.handle("Work", [&](Job& job) {
    job.progress(140, "over");
    EXPECT_TRUE(gate.pass());
    return Result::success();
  });
  worker.start();
  const auto id = submit();
  EXPECT_TRUE(eventually([&] {
    const auto job = ours.get("/v1/jobs/" + id).json();
    const auto* progress = job.as_object().if_contains("progress");
    return progress != nullptr && progress->at("percent").as_int64() == 100 && text(*progress, "message") == "over";
  }));
  EXPECT_EQ(state(id), "running");
  gate.open();
  EXPECT_EQ(text(ended(id), "state"), "finished");
}

TEST_F(WorkerTest, QuickProgressIsToldBehindTheStart) {
  Worker worker(options_of());
  worker.handle("Work", [](Job& job) {
    job.progress(50, "half");
    return Result::success();
  });
  worker.start();
  for (int round = 0; round < 20; ++round) {
    const auto id = submit();
    ended(id);
    std::string types;
    const auto history = ours.get("/v1/jobs/" + id + "/events").json();
    for (const auto& event : history.at("items").as_array()) types += text(event, "type").substr(10) + " ";
    EXPECT_EQ(types, "submitted leased started progressed finished ");
  }
}

TEST_F(WorkerTest, CancelReachesAHandlerAndWhatWaitsBehindIt) {
  Gate never;
  std::atomic<int> ran{0};
  std::atomic<StopReason> why{StopReason::none};
  Worker worker(options_of(1, 1));
  worker.handle("Work", [&](Job& job) {
    ++ran;
    never.pass_or(job.stop_token());
    why = job.stop_reason();
    return Result::success("too late");
  });
  worker.start();
  const auto running = submit(), waiting = submit();
  ASSERT_TRUE(eventually([&] { return worker.stats().running == 1 && worker.stats().waiting == 1; }));
  for (const auto& id : {waiting, running}) EXPECT_EQ(ours.post("/v1/jobs/" + id + "/cancel", "{}").status, 200);
  EXPECT_EQ(text(ended(waiting), "state"), "cancelled");
  EXPECT_EQ(text(ended(running), "state"), "cancelled");
  EXPECT_EQ(ran, 1);
  EXPECT_EQ(why, StopReason::cancel);
}

TEST_F(WorkerTest, ATimeoutIsAFailureWhateverTheHandlerSays) {
  Gate never;
  Worker worker(options_of());
  worker.handle("Work", [&](Job& job) {
    never.pass_or(job.stop_token());
    EXPECT_EQ(job.stop_reason(), StopReason::timeout);
    return Result::success();
  });
  worker.start();
  const auto job = ended(submit(R"(,"timeout":"50ms","maxAttempts":1)"));
  EXPECT_EQ(text(job, "reason"), "timeout");
}

TEST_F(WorkerTest, AStopGivesBackWhatWaitsAndLetsFinishWhatRuns) {
  Gate gate;
  std::atomic<int> ran{0};
  auto worker = std::make_unique<Worker>(options_of(1, 2));
  worker->handle("Work", [&](Job&) {
    ++ran;
    return gate.pass() ? Result::success("done") : Result::failure("late");
  });
  worker->start();
  const auto first = submit(), second = submit(), third = submit();
  ASSERT_TRUE(eventually([&] { return worker->stats().running == 1 && worker->stats().waiting == 2; }));
  worker->stop(60s);
  EXPECT_TRUE(eventually([&] { return state(second) == "ready" && state(third) == "ready"; }));
  EXPECT_EQ(state(first), "running");
  gate.open();
  worker->wait();
  EXPECT_EQ(text(ended(first), "result"), "done");
  EXPECT_EQ(ran, 1);
  const auto job = ours.get("/v1/jobs/" + second).json();
  EXPECT_EQ(job.at("failures").as_int64() + job.at("hostLosses").as_int64(), 0);
  const auto hosts = admin.get("/v1/hosts").json();
  EXPECT_TRUE(hosts.at("items").as_array().empty()) << hosts;
}

TEST_F(WorkerTest, WhoIsStoppedWhileItRegistersSaysGoodbyeToo) {
  for (int round = 0; round < 5; ++round) {
    Worker worker(options_of());
    worker.handle("Work", [](Job&) { return Result::success(); });
    worker.start();
    worker.stop();
    worker.wait();
    const auto hosts = admin.get("/v1/hosts").json();
    EXPECT_TRUE(hosts.at("items").as_array().empty()) << hosts;
  }
}

TEST_F(WorkerTest, AfterTheDrainStopTokensAreSetAndNothingCounts) {
  Gate never;
  Worker worker(options_of());
  worker.handle("Work", [&](Job& job) {
    never.pass_or(job.stop_token());
    EXPECT_EQ(job.stop_reason(), StopReason::leaving);
    return Result::failure("interrupted");
  });
  worker.start();
  const auto id = submit(R"(,"maxAttempts":1)");
  ASSERT_TRUE(eventually([&] { return worker.stats().running == 1; }));
  worker.stop(0ms);
  worker.wait();
  const auto job = ours.get("/v1/jobs/" + id).json();
  EXPECT_EQ(text(job, "state"), "ready");
  EXPECT_EQ(job.at("failures").as_int64(), 0);
}

TEST_F(WorkerTest, AHubThatRestartsDisturbsNothing) {
  Gate gate;
  std::atomic<int> ran{0};
  Worker worker(options_of());
  worker.handle("Work", [&](Job& job) {
    ++ran;
    EXPECT_TRUE(gate.pass());
    return Result::success(std::to_string(job.attempt()));
  });
  worker.start();
  const auto id = submit();
  ASSERT_TRUE(eventually([&] { return state(id) == "running"; }));
  stop_hub();
  gate.open();
  ASSERT_TRUE(eventually([&] { return worker.stats().running == 0; }));  // the end cannot be reported yet
  start_hub();
  EXPECT_EQ(text(ended(id), "result"), "1");
  EXPECT_EQ(ran, 1);
}

TEST_F(WorkerTest, WithoutAHubTheLeaseEndsAndTheJobRunsAgain) {
  Gate never;
  std::atomic<int> stopped{0};
  Worker worker(options_of());
  worker.handle("Work", [&](Job& job) {
    if (job.attempt() > 1) return Result::success(std::to_string(job.attempt()));
    never.pass_or(job.stop_token());
    if (job.stop_reason() == StopReason::lease) ++stopped;
    return Result::failure("stopped");
  });
  worker.start();
  const auto id = submit(R"(,"lease":"2s","maxAttempts":1)");
  ASSERT_TRUE(eventually([&] { return state(id) == "running"; }));
  relay.lead_to("");
  relay.cut();
  ASSERT_TRUE(eventually([&] { return stopped == 1; }));
  relay.lead_to(url);
  const auto job = ended(id);
  EXPECT_EQ(text(job, "state"), "finished");
  // Not always the second: a lease granted to a repeated fetch counts from the first try, and may be given back.
  EXPECT_GE(std::atoi(text(job, "result").c_str()), 2);
  EXPECT_EQ(job.at("failures").as_int64(), 0);
}

TEST_F(WorkerTest, AStateFileGivesBackWhatAnEarlierLifeHeld) {
  hub::FakeHost earlier(machine, "app");
  const auto id = submit();
  const auto lease = earlier.one_lease();
  EXPECT_EQ(earlier.report(R"("running":[")" + lease + R"("],"started":[")" + lease + R"("])").status, 200);
  auto with_state = options_of();
  with_state.name = "app";
  with_state.state_file = directory.path() / "worker.state";
  std::ofstream(with_state.state_file) << earlier.id << "\n";
  Worker worker(with_state);
  worker.handle("Work", [](Job& job) { return Result::success(std::to_string(job.attempt())); });
  worker.start();
  const auto job = ended(id);
  EXPECT_EQ(text(job, "result"), "2");
  EXPECT_EQ(job.at("hostLosses").as_int64(), 1);
  EXPECT_THROW(Worker{with_state}, Error);  // the living worker holds it
}

// An image of a machine includes the file. A worker that starts from the copy must not end what the original runs.
TEST_F(WorkerTest, ACopiedStateFileIsANewWorkers) {
  const auto file = directory.path() / "worker.state", copy = directory.path() / "copy.state";
  std::vector<std::string> lines;
  const auto life = [&](const std::filesystem::path& state) {
    auto options = options_of();
    options.state_file = state;
    options.log = [&](const std::string& line) { lines.push_back(line); };
    Worker worker(options);
    worker.handle("Work", [](Job&) { return Result::success(); });
    worker.start();
    ended(submit());
    worker.stop();
  };
  const auto copied = [&] {
    return std::count_if(lines.begin(), lines.end(), [](const std::string& line) {
      return line.find("is a copy of another") != std::string::npos;
    });
  };
  life(file);
  const auto kept = read_file(file);
  std::filesystem::copy_file(file, copy);
  life(file);
  EXPECT_EQ(copied(), 0);
  life(copy);
  EXPECT_EQ(copied(), 1);
  EXPECT_NE(read_file(copy), kept);
  life(copy);
  EXPECT_EQ(copied(), 1) << "it has become its own";
}

TEST_F(WorkerTest, ManyJobsRunOnceEach) {
  std::mutex seen_mutex;
  std::map<std::string, int> seen;
  Worker worker(options_of(4, 300));
  worker.handle("Work", [&](Job& job) {
    const std::lock_guard lock(seen_mutex);
    ++seen[job.id()];
    return Result::success();
  });
  worker.start();
  std::string list;
  for (int i = 0; i < 1'000; ++i) list += (i == 0 ? "[" : ",") + spec();
  for (int round = 0; round < 3; ++round) EXPECT_EQ(ours.post("/v1/jobs", list + "]").status, 201);
  EXPECT_TRUE(eventually([&] {
    const auto page = ours.get("/v1/batches/batch0").json();
    const auto& counts = page.at("counts").as_object();
    const auto* finished = counts.if_contains("finished");
    return finished != nullptr && finished->as_int64() == 3'000;
  }));
  const std::lock_guard lock(seen_mutex);
  EXPECT_EQ(seen.size(), 3'000u);
  for (const auto& [id, times] : seen) EXPECT_EQ(times, 1) << id;
}

TEST_F(WorkerTest, OneOfManyPrefetchedJobsIsDrainedWithItsHost) {
  Worker worker(options_of());
  worker.handle("Work", [](Job&) { return Result::success(); });
  worker.start();
  ASSERT_TRUE(eventually([&] { return worker.stats().connected; }));
  EXPECT_EQ(admin.post("/v1/hosts/" + worker.name() + "/drain", "{}").status, 200);
  const auto id = submit();
  EXPECT_EQ(state(id), "ready");
  EXPECT_EQ(admin.post("/v1/hosts/" + worker.name() + "/resume", "{}").status, 200);
  EXPECT_EQ(text(ended(id), "state"), "finished");
}

TEST_F(WorkerTest, WaitingInAHandlerIsRefused) {
  Worker worker(options_of());
  worker.handle("Work", [&](Job&) {
    try {
      worker.wait();
      return Result::failure("it waited");
    } catch (const std::logic_error& error) {
      return Result::success(error.what());
    }
  });
  worker.start();
  const auto job = ended(submit(""));
  EXPECT_NE(text(job, "result").find("would wait for itself"), std::string::npos) << job;
}

TEST_F(WorkerTest, AForkedChildLeavesAWorkerAlone) {
  auto worker = std::make_unique<Worker>(options_of());
  worker->handle("Work", [](Job&) { return Result::success(""); });
  worker->start();
  const auto child = ::fork();
  if (child == 0) {
    ::alarm(20);
    try {
      worker->wait();
    } catch (const std::logic_error&) {
      worker.reset();
      ::_exit(7);
    }
    ::_exit(1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WIFEXITED(status) ? WEXITSTATUS(status) : -1, 7);
}

TEST_F(WorkerTest, WhatIsWrongIsSaidWithTheOption) {
  const auto message_of = [](const std::function<void()>& what) -> std::string {
    try {
      what();
    } catch (const Error& error) {
      return error.code() + ": " + error.what() + " (" + error.hint() + ")";
    }
    return "nothing";
  };
  const auto expect = [&](const std::string& part, const std::function<void()>& what) {
    const auto message = message_of(what);
    EXPECT_NE(message.find(part), std::string::npos) << message;
  };
  auto wrong = options_of();
  wrong.hub = "ftp://here";
  expect("Options::hub", [&] { Worker worker(wrong); });
  wrong = options_of(-1);
  expect("Options::concurrency", [&] { Worker worker(wrong); });
  wrong = options_of(4'000, 4'000);
  expect("4096", [&] { Worker worker(wrong); });
  wrong = options_of();
  wrong.name = "no/name";
  expect("host name", [&] { Worker worker(wrong); });
  wrong = options_of();
  wrong.token.clear();
  wrong.token_file = directory.path() / "absent";
  expect("token", [&] { Worker worker(wrong); });
  wrong = options_of();
  wrong.state_file = directory.path() / "garbage";
  std::ofstream(wrong.state_file) << "what is this";
  expect("state file", [&] { Worker worker(wrong); });
  const auto nothing = [](Job&) { return Result::success(); };
  expect("no handler", [&] { Worker(options_of()).start(); });
  expect("has a handler already", [&] { Worker(options_of()).handle("A", nothing).handle("A", nothing); });
  expect("job type", [&] { Worker(options_of()).handle("a b", nothing); });
  expect("not started", [&] { Worker(options_of()).wait(); });

  auto stranger = options_of();
  stranger.token = viewer.token();
  Worker worker(stranger);
  worker.handle("Work", nothing);
  expect("role host", [&] { worker.run(); });
}

}  // namespace
}  // namespace geres::worker
