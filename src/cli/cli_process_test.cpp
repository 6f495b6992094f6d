// SPDX-License-Identifier: Apache-2.0
// The command line as a user meets it: the real program, in a pipe or on a pseudo-terminal, against a hub that answers
// from a script and records what it was asked.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <deque>
#include <mutex>

#include "base/file.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/log_follower.h"
#include "cli/text.h"
#include "cli/words.h"
#include "http/server.h"
#include "http/wait.h"

extern char** environ;

namespace geres::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::string kId = "0192f0c4-7d3a-7001-8f2e-0123b2f41c77";

struct Asked {
  std::string what;  // "GET /v1/jobs?limit=5"
  std::string body;
  std::string key;
  std::string token;
};

constexpr unsigned kNever = 0;  // as a status: the call is accepted and never answered

// Answers by "METHOD /path" (without the query), in order; the last answer stays.
class FakeHub {
 public:
  FakeHub() : server_({}, router()) { server_.start(); }
  ~FakeHub() { server_.stop(0); }

  void answer(const std::string& what, unsigned status, const std::string& body) {
    const std::lock_guard lock(mutex_);
    answers_[what].push_back({status, body});
  }
  void otherwise(unsigned status) {  // for calls that the script does not mention
    const std::lock_guard lock(mutex_);
    otherwise_ = status;
  }
  std::vector<Asked> asked() {
    const std::lock_guard lock(mutex_);
    return asked_;
  }
  std::string url() const { return server_.url(); }

 private:
  http::Router router() {
    http::Router router;
    for (const auto method :
         {http::Method::get, http::Method::post, http::Method::put, http::Method::patch, http::Method::delete_})
      router.add(method, "/{any...}", [this](http::Request& request) { return handle(request); });
    return router;
  }

  http::awaitable<http::Response> handle(http::Request& request) {
    auto body = co_await request.body.read_all(1 << 20);
    const std::string target(request.target);
    const std::string method(request.method_text);
    Asked asked{method + " " + target, body ? *body : "",
                std::string(request.headers.get("Idempotency-Key").value_or("")),
                std::string(request.headers.get("Authorization").value_or(""))};
    const auto [status, text] = next_answer(std::move(asked), method + " " + target.substr(0, target.find('?')));
    if (status == kNever) co_await http::sleep_for(1'000'000, request.cancellation);
    co_return http::text_response(status, status >= 400 ? "application/problem+json" : "application/json", text);
  }

  std::pair<unsigned, std::string> next_answer(Asked asked, const std::string& what) {
    const std::lock_guard lock(mutex_);
    asked_.push_back(std::move(asked));
    const auto found = answers_.find(what);
    if (found == answers_.end()) return {otherwise_, kNoAnswer};
    auto answer = found->second.front();
    if (found->second.size() > 1) found->second.pop_front();
    return answer;
  }

  static constexpr const char* kNoAnswer = R"({"code":"notFound","detail":"the script has no answer for this"})";

  std::mutex mutex_;
  unsigned otherwise_ = 404;
  std::map<std::string, std::deque<std::pair<unsigned, std::string>>> answers_;
  std::vector<Asked> asked_;
  http::Server server_;
};

struct Ran {
  int exit = -1;
  std::string out;
  std::string err;  // empty on a terminal, where all is in `out`
};

std::string read_all(int fd) {
  std::string text;
  char buffer[4096];
  for (;;) {
    pollfd ready{fd, POLLIN, 0};
    if (::poll(&ready, 1, 30'000) <= 0) return text + "\n(the test waited too long)";
    const auto n = ::read(fd, buffer, sizeof buffer);
    if (n <= 0) return text;  // the end, or EIO after the last process with the terminal is gone
    text.append(buffer, std::size_t(n));
  }
}

class Cli : public testing::Test {
 protected:
  std::string program() const {
    return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / "cli_under_test").string();
  }

  std::vector<std::string> environment() const {
    std::vector<std::string> all = {"PATH=/usr/bin:/bin",
                                    "HOME=" + home_.path().string(),
                                    "XDG_DATA_HOME=" + home_.path().string(),
                                    "GERES_HUB=" + hub_.url(),
                                    "TERM=xterm",
                                    "GERES_TOKEN=secret-word"};
    for (const auto& more : extra_environment_) all.push_back(more);
    return all;
  }

  pid_t spawn(std::vector<std::string> args, int out, int err, bool session) {
    args.insert(args.begin(), program());
    std::vector<char*> argv, env;
    for (auto& arg : args) argv.push_back(arg.data());
    argv.push_back(nullptr);
    auto variables = environment();
    for (auto& variable : variables) env.push_back(variable.data());
    env.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out, 1);
    posix_spawn_file_actions_adddup2(&actions, err, 2);
    posix_spawnattr_t attributes;
    posix_spawnattr_init(&attributes);
    if (session) posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    pid_t pid = -1;
    EXPECT_EQ(posix_spawn(&pid, argv[0], &actions, &attributes, argv.data(), env.data()), 0) << argv[0];
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return pid;
  }

  static int exit_of(pid_t pid) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
  }

  Ran run(const std::vector<std::string>& args) {
    const TemporaryDirectory directory;
    Fd out(::open((directory.path() / "out").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    Fd err(::open((directory.path() / "err").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    Ran ran;
    ran.exit = exit_of(spawn(args, out.get(), err.get(), false));
    ran.out = read_file(directory.path() / "out");
    ran.err = read_file(directory.path() / "err");
    return ran;
  }

  Ran run_on_terminal(const std::vector<std::string>& args, unsigned short width = 80) {
    int controller = -1, terminal = -1;
    winsize size{24, width, 0, 0};
    EXPECT_EQ(::openpty(&controller, &terminal, nullptr, nullptr, &size), 0);
    ::fcntl(controller, F_SETFD, FD_CLOEXEC);
    Fd mine(controller);
    const auto pid = spawn(args, terminal, terminal, true);
    ::close(terminal);
    Ran ran;
    ran.out = read_all(mine.get());
    ran.exit = exit_of(pid);
    return ran;
  }

  FakeHub hub_;
  TemporaryDirectory home_;
  std::vector<std::string> extra_environment_;
};

std::string job(const std::string& state, const std::string& more = "", const std::string& id = kId) {
  return R"({"id":")" + id + R"(","tenant":"demo","type":"Thumbnail","name":"a.jpg","batch":"batch0","state":")" +
         state + R"(","attempt":1)" + more + "}";
}

std::string list(const std::string& items) {
  return R"({"items":[)" + items + "]}";
}

TEST_F(Cli, ListsForAPipeWithWholeIdsAndTabs) {
  hub_.answer("GET /v1/jobs", 200,
              list(job("running", R"(,"submittedAt":"2026-11-24T22:30:00.000Z","host":"laptop")")));
  const auto ran = run({"job", "list", "--tenant", "demo", "--state", "running,ready", "--tag", "customer=7"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out, kId + "\tThumbnail\ta.jpg\trunning\tdemo\tbatch0\tlaptop\t2026-11-24T22:30:00.000Z\t\t\n");
  EXPECT_EQ(hub_.asked()[0].what, "GET /v1/jobs?tenant=demo&state=running%2Cready&tag.customer=7&limit=100");
  EXPECT_EQ(hub_.asked()[0].token, "Bearer secret-word");
}

TEST_F(Cli, ListsForATerminalWithTitlesAndShortIds) {
  hub_.answer(
      "GET /v1/jobs", 200,
      list(job(
          "failed",
          R"(,"reason":"maxAttempts","error":"convert: not a JPEG file: \u001b[31mevil and much longer than the window is wide","finishedAt":"2020-01-01T00:00:00.000Z")")));
  const auto ran = run_on_terminal({"job", "list", "--state", "failed"}, 120);
  EXPECT_EQ(ran.exit, 0);
  EXPECT_THAT(ran.out, HasSubstr("\x1b[90mREASON"));
  EXPECT_THAT(ran.out, HasSubstr("…b2f41c77"));
  EXPECT_THAT(ran.out, HasSubstr("not a JPEG"));
  EXPECT_THAT(ran.out, Not(HasSubstr("\x1b[31mevil")));
}

TEST_F(Cli, HasNoColoursWhereNobodyWantsThem) {
  extra_environment_ = {"NO_COLOR=1"};
  hub_.answer("GET /v1/jobs", 200, list(job("failed")));
  EXPECT_THAT(run_on_terminal({"job", "list"}).out, Not(HasSubstr("\x1b[")));
}

TEST_F(Cli, GivesTheApisOwnObjectsAsJson) {
  hub_.answer("GET /v1/jobs/" + kId, 200, job("ready"));
  EXPECT_EQ(run({"job", "show", kId, "--output", "json"}).out, job("ready") + "\n");
  EXPECT_EQ(run({"job", "show", kId, "--output", "json", "--fields", "state,type"}).out,
            R"({"state":"ready","type":"Thumbnail"})"
            "\n");
  const auto wrong = run({"job", "show", kId, "--output", "json", "--fields", "stat"});
  EXPECT_EQ(wrong.exit, 2);
  EXPECT_THAT(wrong.out, HasSubstr(R"("code":"usage")"));
  EXPECT_EQ(wrong.err, "");
}

TEST_F(Cli, FindsAJobByPartOfItsId) {
  hub_.answer("GET /v1/jobs", 200, list(job("ready")));
  hub_.answer("GET /v1/jobs/" + kId + "/why", 200,
              R"({"summary":"4 of 4 slots on 1 host are busy","reasons":[],"ahead":12})");
  EXPECT_EQ(run({"job", "why", "…b2f41c77"}).out, "job " + kId + ": 4 of 4 slots on 1 host are busy\n");
  EXPECT_EQ(hub_.asked()[0].what, "GET /v1/jobs?id=b2f41c77");
  EXPECT_THAT(run({"job", "why", "hello"}).err, HasSubstr("'hello' is not a job"));
}

TEST_F(Cli, SaysAReasonOnce) {
  hub_.answer("GET /v1/jobs/" + kId + "/why", 200,
              R"({"summary":"1 host lacks label gpu=a100","reasons":[{"message":"1 host lacks label gpu=a100"}]})");
  EXPECT_EQ(run({"job", "why", kId}).out, "job " + kId + ": 1 host lacks label gpu=a100\n");
}

TEST_F(Cli, ListsCandidatesOfAnAmbiguousId) {
  const std::string other = "0192f0c4-7d3a-7001-8f2e-9999b2f41c77";
  hub_.answer("GET /v1/jobs", 200, list(job("ready") + "," + job("failed", "", other)));
  const auto ran = run({"job", "show", "b2f41c77"});
  EXPECT_EQ(ran.exit, 1);
  EXPECT_THAT(ran.err, HasSubstr("could be 2 jobs"));
  EXPECT_THAT(ran.err, HasSubstr(kId));
  EXPECT_THAT(ran.err, HasSubstr(other));
}

TEST_F(Cli, SaysWhereItLookedForAHub) {
  extra_environment_ = {};
  const auto ran = run({"status", "--hub", "http://127.0.0.1:1"});
  EXPECT_EQ(ran.exit, 3);
  EXPECT_THAT(ran.err, HasSubstr("error: no hub at http://127.0.0.1:1 (from --hub)"));
  EXPECT_THAT(ran.err, HasSubstr("try: start one: geres up"));
  EXPECT_EQ(run({"status", "--hub", "ftp://x"}).exit, 2);
}

std::string status_answer(const std::string& takes, const std::string& hosts) {
  return "{" + takes + R"("jobs":{"ready":3},"lastHour":{"finished":0,"failed":0,"cancelled":0},"failed":{},)" +
         R"("oldestWaiting":null,"hosts":{)" + hosts + "}}";
}

TEST_F(Cli, StatusNamesHostsThatSomebodyShouldLookAt) {
  hub_.answer("GET /v1/info", 200, R"({"version":"0.1.0","store":{"kind":"sqlite"}})");
  hub_.answer("GET /v1/status", 200,
              status_answer(R"("takesJobs":true,)",
                            R"("live":2,"draining":1,"lost":5,"resting":1,"slots":8,"busy":4,"names":)"
                            R"({"lost":["a1","a2","a3","a4","a5"],"draining":["d1"],"resting":["r1"]})"));
  auto ran = run({"status"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("ok   0.1.0"));
  EXPECT_THAT(ran.out,
              HasSubstr("2 live, 8 slots, 4 busy, 5 lost (a1, a2, a3 and 2 more), 1 resting (r1), 1 draining (d1)"));
}

TEST_F(Cli, StatusSaysWhatToDoWithoutAHost) {
  hub_.answer("GET /v1/info", 200, R"({"version":"0.1.0","store":{"kind":"sqlite"}})");
  hub_.answer("GET /v1/status", 200,
              status_answer(R"("takesJobs":true,)", R"("live":0,"draining":1,"lost":1,"resting":0,"slots":2,"busy":0,)"
                                                    R"("names":{"lost":["h2"],"draining":["h1"],"resting":[]})"));
  hub_.answer("GET /v1/status", 200,
              status_answer(R"("takesJobs":true,)", R"("live":0,"draining":0,"lost":0,"slots":0,"busy":0)"));
  EXPECT_THAT(run({"status"}).out,
              HasSubstr("none: nothing can run, 1 lost (h2), 1 draining (h1)      geres hosts resume NAME"));
  EXPECT_THAT(run({"status"}).out, HasSubstr("none: nothing can run      geres host --hub"));
}

TEST_F(Cli, StatusSaysWhyAHubTakesNoJobs) {
  hub_.answer("GET /v1/info", 200, R"({"version":"0.1.0","store":{"kind":"sqlite"}})");
  hub_.answer("GET /v1/status", 200,
              status_answer(R"("takesJobs":false,"why":"the store's disk is full: 0 B free",)",
                            R"("live":1,"draining":0,"lost":0,"slots":1,"busy":0)"));
  EXPECT_THAT(run({"status"}).out, HasSubstr("takes no jobs: the store's disk is full: 0 B free   0.1.0"));
}

// The words of the first example of a command that talks to a hub; makes the files that they name.
std::vector<std::string> good_words(const Command& command, const std::filesystem::path& directory) {
  for (const auto& example : command.examples) {
    auto words = split(example, ' ');
    words.erase(words.begin());
    if (command.path == "auth test") words = {"auth", "test", "a.b.c"};  // else it reads its input
    for (auto& word : words)
      if (word == "./thumbnails") word = directory.string();
    if (parse_words(words).command == &command) return words;
  }
  ADD_FAILURE() << command.path << " has no example";
  return {};
}

TEST_F(Cli, EndsWithOneWhereTheHubSaysNoAndWithTwoWhereNoHubEverWould) {
  const auto package = home_.path() / "thumbnails";
  std::filesystem::create_directory(package);
  replace_file(package / "geres.json", R"({"jobs":{"Greet":{"command":["./greet.sh"]}}})", 0600);
  replace_file(package / "greet.sh", "#!/bin/sh\n", 0700);
  std::filesystem::create_directories(home_.path() / ".local/state/geres");
  replace_file(home_.path() / ".local/state/geres/last", kId + "\n", 0600);
  std::size_t tried = 0;
  for (const auto& command : commands()) {
    if (!command.run || !command.remote || command.path == "host" || command.path == "scaler run" ||
        command.path == "top" || command.examples.empty())
      continue;
    SCOPED_TRACE(command.path);
    auto words = good_words(command, package);
    const bool looks = command.path == "doctor";  // its findings are its answer
    for (const auto& [status, exit] : {std::pair(404u, 1), {409u, 1}, {422u, 1}, {507u, 1}, {400u, 2}, {403u, 4}}) {
      hub_.otherwise(status);
      const auto ran = run(words);
      EXPECT_EQ(ran.exit, looks ? 1 : exit) << status << ": " << ran.err;
    }
    words.insert(words.begin(), "--hub=http://127.0.0.1:1");
    const auto ran = run(words);
    EXPECT_EQ(ran.exit, looks ? 1 : 3) << ran.err;
    words[0] = "--no-such-flag";
    EXPECT_EQ(run(words).exit, 2);
    ++tried;
  }
  EXPECT_GT(tried, 30u);
  // What is missing today may be there another day, so these end with 1.
  for (const auto& words : std::vector<std::vector<std::string>>{{"run", "no-such-program"},
                                                                 {"submit", "--type", "T", "--input", "no-such-file"},
                                                                 {"submit", "--type", "T", "--params", "@no-such-file"},
                                                                 {"package", "push", "demo", "no-such-directory"},
                                                                 {"run", "--env", "NOT_SET_HERE", "true"}}) {
    extra_environment_ = {"GERES_TENANT=demo"};
    const auto ran = run(words);
    EXPECT_EQ(ran.exit, 1) << words[0] << ": " << ran.err;
  }
  for (const auto& words : std::vector<std::vector<std::string>>{
           {"submit", "--"}, {"submit", "--type", "T", "--env", "A=b"}, {"submit", "--wait"}, {"job", "show", "zz"}})
    EXPECT_EQ(run(words).exit, 2) << words[0];
}

TEST_F(Cli, SaysWhoMayNotDoWhat) {
  hub_.answer("GET /v1/tokens", 403,
              R"({"code":"forbidden","status":403,"detail":"token 'ci' lacks the role admin","hint":"ask an admin"})");
  const auto ran = run({"token", "list"});
  EXPECT_EQ(ran.exit, 4);
  EXPECT_EQ(ran.err, "error: token 'ci' lacks the role admin\n  try: ask an admin\n");
  hub_.answer("GET /v1/tenants", 401, R"({"code":"unauthenticated","status":401,"detail":"who are you?"})");
  const auto unknown = run({"tenant", "list"});
  EXPECT_EQ(unknown.exit, 4);
  EXPECT_THAT(unknown.err, HasSubstr("who are you?"));
  EXPECT_THAT(unknown.err, Not(HasSubstr("secret-word")));
}

TEST_F(Cli, TakesItsTokenFromAFileOrACommand) {
  hub_.answer("GET /v1/tenants", 200, list(""));
  replace_file(home_.path() / "token", "of-the-file\n");
  const auto file = (home_.path() / "token").string();
  EXPECT_EQ(run({"tenant", "list", "--token-file", file}).exit, 0);
  EXPECT_EQ(run({"tenant", "list", "--token-command", "echo of-the-command"}).exit, 0);
  extra_environment_ = {"GERES_TOKEN_COMMAND=echo of-the-environment"};  // beside GERES_TOKEN
  EXPECT_EQ(hub_.asked().at(0).token, "Bearer of-the-file");
  EXPECT_EQ(hub_.asked().at(1).token, "Bearer of-the-command");
  const auto two = run({"tenant", "list"});
  EXPECT_EQ(two.exit, 2);
  EXPECT_THAT(two.err, HasSubstr("GERES_TOKEN and GERES_TOKEN_COMMAND do not go together"));
  const auto typed = run({"tenant", "list", "--token-file", file, "--token", "x"});
  EXPECT_EQ(typed.exit, 2);
  EXPECT_THAT(typed.err, HasSubstr("--token and --token-file do not go together"));
  EXPECT_EQ(hub_.asked().size(), 2u);
}

TEST_F(Cli, AsksForAnotherTokenOnceWhenItsOwnIsRefused) {
  const std::string refusal = R"({"code":"unauthenticated","status":401,"detail":"it has expired"})";
  hub_.answer("GET /v1/tenants", 401, refusal);
  hub_.answer("GET /v1/tenants", 200, list(""));
  const auto file = (home_.path() / "asked").string();
  const auto command = "echo >>" + file + "; wc -l <" + file;
  EXPECT_EQ(run({"tenant", "list", "--token-command", command}).exit, 0);
  ASSERT_EQ(hub_.asked().size(), 2u);
  EXPECT_EQ(hub_.asked()[0].token, "Bearer 1");
  EXPECT_EQ(hub_.asked()[1].token, "Bearer 2");
  hub_.answer("GET /v1/tokens", 401, refusal);
  const auto refused = run({"token", "list", "--token-command", command});
  EXPECT_EQ(refused.exit, 4);
  EXPECT_THAT(refused.err, HasSubstr("it has expired"));
  EXPECT_THAT(refused.err, HasSubstr("look at what --token-command gives"));
  EXPECT_EQ(hub_.asked().size(), 4u);
}

TEST_F(Cli, SaysWhatATokenCommandSaysThatFails) {
  const auto ran = run({"tenant", "list", "--token-command", "echo a-secret; echo sign in first >&2; exit 3"});
  EXPECT_EQ(ran.exit, 4);
  EXPECT_THAT(ran.err, HasSubstr("the token command ended with exit code 3: sign in first"));
  EXPECT_THAT(ran.err, Not(HasSubstr("a-secret")));
  EXPECT_TRUE(hub_.asked().empty());
}

TEST_F(Cli, TellsTheNearestOfWhatTheHubKnows) {
  hub_.answer(
      "POST /v1/jobs", 422,
      R"x({"code":"unknownType","status":422,"detail":"type 'Thumbnial' is not in demo/thumbnails (version 1)","field":"/type","known":["Rotate","Thumbnail"]})x");
  const auto ran = run({"submit", "--tenant", "demo", "--type", "Thumbnial", "--package", "thumbnails"});
  EXPECT_EQ(ran.exit, 1);
  EXPECT_EQ(
      ran.err,
      "error: type 'Thumbnial' is not in demo/thumbnails (version 1)\n  why: the package has Rotate, Thumbnail\n  try: "
      "--type Thumbnail\n");
}

TEST_F(Cli, FindsAHubWithoutAScheme) {
  hub_.answer("GET /v1/jobs", 200, list(job("ready")));
  const auto bare = hub_.url().substr(7);
  EXPECT_EQ(run({"job", "list", "--hub", bare}).exit, 0);
  extra_environment_ = {"GERES_HUB=" + bare};
  EXPECT_EQ(run({"job", "list"}).exit, 0);
  EXPECT_THAT(run({"status", "--hub", "127.0.0.1:1"}).err, HasSubstr("no hub at http://127.0.0.1:1"));
}

TEST_F(Cli, SendsTimesAsTheHubReadsThem) {
  extra_environment_ = {"TZ=UTC"};
  hub_.answer("GET /v1/jobs", 200, list(""));
  run({"job", "list", "--since", "2026-11-24 22:30"});
  EXPECT_THAT(hub_.asked()[0].what, HasSubstr("submittedAfter=2026-11-24T22%3A30%3A00.000Z"));
  EXPECT_EQ(run({"job", "list", "--before", "soon"}).exit, 2);
}

const char* const kPool =
    R"({"name":"cpu","version":7,"mode":"act","paused":false,"template":{"slots":4},"provider":{"name":"local"},)"
    R"("policy":{"name":"messageWaitingTime","wait":"30s"},"limits":{"minimum":0,"maximum":8,"interval":"15s"}})";

TEST_F(Cli, ShowsHowAFleetSizesItself) {
  const auto at = format_time(SystemClock().wall() - 120'000);
  hub_.answer("GET /v1/scaler", 200,
              R"({"scaler":{"holder":"h","epoch":1},"pools":[{"name":"cpu","version":7,"mode":"act","paused":false,)"
              R"("template":{},"provider":{"name":"command"},"policy":{"name":"messageWaitingTime","wait":"30s"},)"
              R"("limits":{"interval":"15s"},"actual":{"booting":1,"ready":3},"intents":[],"lastDecision":{"id":2,)"
              R"("pool":"cpu","at":")" +
                  at + R"(","lastAt":")" + at +
                  R"(","times":1,"raw":9,"wanted":5,"actual":4,)"
                  R"("changes":{},"reason":"12 jobs wait; quota: no more","outcome":"providerHeld"}}]})");
  hub_.answer("GET /v1/scaler/decisions", 200,
              R"({"items":[{"id":2,"pool":"cpu","at":")" + at +
                  R"(","raw":9,"wanted":5,"actual":4,"input":{"demand":{"runnable":{"jobs":12}}}}]})");
  const auto piped = run({"scaler"});
  EXPECT_EQ(piped.exit, 0) << piped.err;
  EXPECT_THAT(piped.out, HasSubstr("cpu\tact\tmessageWaitingTime 30s\t5\t3 ready 1 booting\tcommand (held)\t"));
  EXPECT_THAT(piped.out, HasSubstr("12 jobs wait; quota: no more"));
  const auto shown = run_on_terminal({"scaler"}, 120);
  EXPECT_THAT(shown.out, HasSubstr("12, at most 12"));
  EXPECT_THAT(shown.out, HasSubstr("late")) << "nobody has decided for two minutes";
  EXPECT_THAT(shown.out, HasSubstr("geres scaler run"));
}

TEST_F(Cli, SetsOfAPoolWhatIsSaidAndKeepsTheRest) {
  hub_.answer("GET /v1/scaler/pools/cpu", 200, kPool);
  hub_.answer("PUT /v1/scaler/pools/cpu", 200, kPool);
  const auto ran = run({"scaler", "pool", "set", "cpu", "--wait", "1m", "--max", "50", "--label", "zone=a"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  const auto sent = json::parse(hub_.asked().back().body).value();
  EXPECT_EQ(sent.at_pointer("/policy/wait").as_string(), "1m");
  EXPECT_EQ(sent.at_pointer("/limits/maximum").as_int64(), 50);
  EXPECT_EQ(sent.at_pointer("/limits/interval").as_string(), "15s") << "what was not said stays";
  EXPECT_EQ(sent.at_pointer("/template/slots").as_int64(), 4);
  EXPECT_EQ(sent.at_pointer("/template/labels/zone").as_string(), "a");
  EXPECT_EQ(sent.at("version").as_int64(), 7) << "refused if somebody changed it meanwhile";

  EXPECT_EQ(run({"scaler", "pool", "set", "cpu"}).exit, 2) << "nothing to set";
  const auto wrong = run({"scaler", "pool", "set", "cpu", "--policy", "deadline", "--wait", "1m"});
  EXPECT_EQ(wrong.exit, 2);
  EXPECT_THAT(wrong.err, HasSubstr("--wait is not a setting of the policy deadline"));
  EXPECT_THAT(wrong.err, HasSubstr("--policy messageWaitingTime"));
  EXPECT_THAT(run({"scaler", "pool", "set", "cpu", "--wait", "1m", "--finish-within", "2h"}).err,
              HasSubstr("do not go together"));
  EXPECT_THAT(run({"scaler", "pool", "set", "cpu", "--provider", "command"}).err, HasSubstr("-f pool.json"));
}

TEST_F(Cli, MakesAPoolOfAFlagOrOfAFile) {
  hub_.answer("GET /v1/scaler/pools/here", 404,
              R"({"code":"notFound","status":404,"detail":"there is no pool 'here'"})");
  hub_.answer("PUT /v1/scaler/pools/here", 201, kPool);
  EXPECT_EQ(run({"scaler", "pool", "set", "here", "--max", "4"}).exit, 0);
  auto sent = json::parse(hub_.asked().back().body).value();
  EXPECT_EQ(sent.at_pointer("/policy/name").as_string(), "messageWaitingTime");
  EXPECT_EQ(sent.at_pointer("/provider/name").as_string(), "local");
  replace_file(home_.path() / "pool.json", R"({"policy":{"name":"messageCount"},"provider":{"name":"local"}})", 0600);
  const auto file = (home_.path() / "pool.json").string();
  EXPECT_EQ(run({"scaler", "pool", "set", "here", "-f", file, "--max", "3"}).exit, 0);
  sent = json::parse(hub_.asked().back().body).value();
  EXPECT_EQ(sent.at_pointer("/policy/name").as_string(), "messageCount");
  EXPECT_EQ(sent.at_pointer("/limits/maximum").as_int64(), 3);
  replace_file(file, "[1]", 0600);
  EXPECT_THAT(run({"scaler", "pool", "set", "here", "-f", file}).err, HasSubstr("is not a pool"));
  EXPECT_EQ(run({"scaler", "pool", "set", "here", "-f", file + "x"}).exit, 1);
}

TEST_F(Cli, NamesTheFlagThatThePoolIsRefusedFor) {
  hub_.answer("GET /v1/scaler/pools/cpu", 200, kPool);
  hub_.answer("PUT /v1/scaler/pools/cpu", 400,
              R"({"code":"badValue","status":400,"detail":"1000000000 is not allowed","field":"/limits/maximum",)"
              R"("hint":"from 0 to 100000"})");
  const auto ran = run({"scaler", "pool", "set", "cpu", "--max", "1000000000"});
  EXPECT_EQ(ran.exit, 2);
  EXPECT_EQ(ran.err, "error: --max: 1000000000 is not allowed\n  try: from 0 to 100000\n");
  const auto file = (home_.path() / "pool.json").string();
  replace_file(file, R"({"limits":{"maximum":1000000000}})", 0600);
  EXPECT_THAT(run({"scaler", "pool", "set", "cpu", "-f", file}).err, HasSubstr("error: /limits/maximum: 1000000000"));
}

TEST_F(Cli, ChangesPoolsByHand) {
  hub_.answer("POST /v1/scaler/pools/cpu/scale", 200, kPool);
  EXPECT_THAT(run({"scaler", "scale", "cpu", "5", "--for", "2h"}).err, HasSubstr("at 5 hosts for 2h"));
  EXPECT_EQ(hub_.asked().back().body, R"({"wanted":5,"for":"2h"})");
  EXPECT_THAT(run({"scaler", "scale", "cpu", "many"}).err, HasSubstr("'many' is not a number of hosts"));
  hub_.answer("POST /v1/scaler/pools/cup/pause", 404,
              R"({"code":"notFound","status":404,"detail":"there is no pool 'cup'"})");
  hub_.answer("GET /v1/scaler/pools", 200, list(kPool));
  EXPECT_EQ(run({"scaler", "pause", "cup"}).err, "error: there is no pool 'cup'\n  try: cpu\n");
  hub_.answer("DELETE /v1/scaler/pools/cpu", 409,
              R"({"code":"conflict","status":409,"detail":"pool 'cpu' still has machines","hint":"?drain=true"})");
  EXPECT_THAT(run({"scaler", "pool", "delete", "cpu"}).err, HasSubstr("--drain has them drained"));
}

TEST_F(Cli, FollowsDecisionsWithoutRepeatingAny) {
  const auto decision = [](int id, const std::string& reason) {
    return R"({"id":)" + std::to_string(id) + R"(,"pool":"cpu","at":"2026-11-24T10:00:0)" + std::to_string(id) +
           R"(.000Z","lastAt":"2026-11-24T10:00:00.000Z","times":1,"policy":"fixed","raw":2,"wanted":1,"actual":0,)" +
           R"("changes":{"order":1},"reason":")" + reason + R"("})";
  };
  hub_.answer("GET /v1/scaler/decisions", 200, list(decision(2, "second") + "," + decision(1, "first")));
  const auto once = run({"scaler", "decisions"});
  EXPECT_EQ(once.exit, 0) << once.err;
  EXPECT_LT(once.out.find("first"), once.out.find("second")) << "a log is read downwards";
  EXPECT_THAT(once.out, HasSubstr("cpu\t1\t0\torder 1\t"));
  hub_.answer("GET /v1/scaler/decisions", 200, list(decision(3, "third") + "," + decision(2, "second")));
  hub_.answer("GET /v1/scaler/decisions", 403, R"({"code":"forbidden","status":403,"detail":"enough"})");
  const auto followed = run({"scaler", "decisions", "-f"});
  EXPECT_EQ(followed.exit, 4);
  EXPECT_EQ(followed.out.find("second"), followed.out.rfind("second")) << followed.out;
  EXPECT_THAT(followed.out, HasSubstr("third"));
}

TEST_F(Cli, FindsAHostByWhatPeopleCallIt) {
  const std::string lost = "0192f0c4-7d3a-7001-8f2e-0123aaaaaaaa", live = "0192f0c4-7d3a-7001-8f2e-0123bbbbbbbb",
                    other = "0192f0c4-7d3a-7001-8f2e-0123cccccccc";
  const auto host = [](const std::string& id, const char* name, const char* state) {
    return R"({"id":")" + id + R"(","name":")" + name + R"(","state":")" + state + R"("})";
  };
  hub_.answer(
      "GET /v1/hosts", 200,
      list(host(lost, "rack7", "lost") + "," + host(live, "rack7", "live") + "," + host(other, "rack12", "live")));
  const auto drained = [&](const std::string& word, const std::string& id) {
    hub_.answer("POST /v1/hosts/" + id + "/drain", 200, host(id, "x", "live"));
    const auto ran = run({"hosts", "drain", word});
    EXPECT_EQ(ran.exit, 0) << word << ": " << ran.err;
    EXPECT_EQ(hub_.asked().back().what, "POST /v1/hosts/" + id + "/drain") << word;
  };
  drained("rack7", live);
  drained("…aaaaaaaa", lost);
  drained("cccc", other);
  drained("rack1", other);
  const auto both = run({"hosts", "drain", "rack"});
  EXPECT_EQ(both.exit, 1);
  EXPECT_THAT(both.err, HasSubstr("'rack' could be 3 hosts"));
  EXPECT_THAT(run({"hosts", "drain", "rack8"}).err, HasSubstr("try: rack7"));
  hub_.answer("GET /v1/jobs", 200, list(""));
  run({"job", "list", "--host", "cccc"});
  EXPECT_THAT(hub_.asked().back().what, HasSubstr("host=rack12"));
  run({"job", "list", "--host", "long-gone"});
  EXPECT_THAT(hub_.asked().back().what, HasSubstr("host=long-gone"));
}

TEST_F(Cli, SubmitsTheSpecThatItsFlagsSay) {
  hub_.answer("POST /v1/jobs", 201, job("ready"));
  const auto ran = run({"submit",  "--tenant", "demo",    "--type",  "T",          "--package", "p",
                        "--param", "a=1",      "--param", "b:=[2]",  "--priority", "-3",        "--delay",
                        "10m",     "--tag",    "x=y",     "--slots", "2",          "--label",   "gpu=a"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(ran.out, kId + "\n");
  EXPECT_EQ(
      hub_.asked()[0].body,
      R"({"tenant":"demo","type":"T","package":"p","priority":-3,"delay":"10m","requires":{"slots":2,"labels":{"gpu":"a"}},"tags":{"x":"y"},"parameters":{"a":"1","b":[2]}})");
  hub_.answer("GET /v1/jobs/" + kId, 200, job("ready"));
  EXPECT_THAT(run({"job", "show", "last", "--fields", "id"}).out, HasSubstr(kId)) << "'last' is not remembered";
}

TEST_F(Cli, RepeatsASubmitUnderTheSameKeyWhileTheHubIsAway) {
  hub_.answer("GET /v1/packages", 200, list(""));
  hub_.answer("PUT /v1/files/demo", 200, R"({"sha256":"abc"})");
  hub_.answer("POST /v1/jobs", 503, R"({"code":"notDone","status":503,"detail":"starting"})");
  hub_.answer("POST /v1/jobs", 201, job("ready"));
  const auto ran = run({"submit", "--tenant", "demo", "--type", "T"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  const auto asked = hub_.asked();
  ASSERT_EQ(asked.size(), 2u);
  EXPECT_EQ(asked[0].key, asked[1].key);
  EXPECT_GT(asked[0].key.size(), 20u);
}

TEST_F(Cli, MakesOneJobForEachInput) {
  for (const char* name : {"a.jpg", "b.jpg"}) replace_file(home_.path() / name, name);
  hub_.answer("PUT /v1/files/demo", 200, R"({"sha256":"abc"})");
  hub_.answer("POST /v1/jobs", 201, R"({"ids":[")" + kId + R"("]})");
  const auto ran = run({"submit", "--tenant", "demo", "--type", "T", "--param", "picture={input}", "--each-input",
                        (home_.path() / "*.jpg").string()});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  const auto asked = hub_.asked();
  ASSERT_EQ(asked.size(), 3u);
  EXPECT_EQ(asked[0].body, "a.jpg");
  EXPECT_EQ(
      asked[2].body,
      R"([{"tenant":"demo","type":"T","parameters":{"picture":"a.jpg"},"name":"a.jpg","inputs":[{"path":"a.jpg","sha256":"abc"}]},)"
      R"({"tenant":"demo","type":"T","parameters":{"picture":"b.jpg"},"name":"b.jpg","inputs":[{"path":"b.jpg","sha256":"abc"}]}])");
}

TEST_F(Cli, PushesTheWordsOfACommandOnceAndUnseen) {
  hub_.answer("GET /v1/packages", 200, list(""));
  hub_.answer("POST /v1/jobs", 201, job("ready"));
  // The name contains the digest, which the first call tells.
  run({"submit", "--tenant", "demo", "--", "echo", "hello"});
  const auto asked = hub_.asked();
  ASSERT_GE(asked.size(), 2u);
  ASSERT_TRUE(asked[0].what.starts_with("GET /v1/packages?tenant=demo&name=cmd-")) << asked[0].what;
  const auto name = asked[0].what.substr(asked[0].what.find("cmd-"));
  ASSERT_TRUE(asked[1].what == "PUT /v1/packages/demo/" + name) << asked[1].what;
  hub_.answer("PUT /v1/packages/demo/" + name, 201, R"({"version":1})");
  const auto ran = run({"submit", "--tenant", "demo", "--", "echo", "hello"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  const auto body = hub_.asked().back().body;
  EXPECT_THAT(body, HasSubstr(R"("package":")" + name + "@"));
  EXPECT_THAT(body, HasSubstr(R"("parameters":{"argument1":"hello"})"));
  EXPECT_THAT(body, HasSubstr(R"("name":"echo hello")"));
}

TEST_F(Cli, WaitsAndPrintsTheResultAlone) {
  hub_.answer("POST /v1/jobs", 201, job("ready"));
  hub_.answer("GET /v1/jobs/" + kId, 200, job("running", R"(,"version":2)"));
  hub_.answer(
      "GET /v1/jobs/" + kId, 200,
      job("finished",
          R"(,"version":3,"result":"hello\n","host":"laptop","startedAt":"2026-11-24T22:30:00.000Z","finishedAt":"2026-11-24T22:30:00.020Z")"));
  const auto ran = run({"submit", "--tenant", "demo", "--type", "T", "--wait"});
  EXPECT_EQ(ran.exit, 0);
  EXPECT_EQ(ran.out, "hello\n");
  EXPECT_THAT(ran.err, HasSubstr("job " + kId + " ready\n"));
  EXPECT_THAT(ran.err, HasSubstr("job " + kId + " running\n"));
  EXPECT_THAT(ran.err, HasSubstr("job " + kId + " finished in 0.02 s on laptop\n"));
}

TEST_F(Cli, EndsAsTheJobDidWhenAsked) {
  const auto failed = job("failed", R"(,"reason":"error","error":"exit 7","exit":{"code":7})");
  hub_.answer("POST /v1/jobs", 201, failed);
  EXPECT_EQ(run({"submit", "--tenant", "demo", "--type", "T", "--wait"}).exit, 1);
  EXPECT_EQ(run({"submit", "--tenant", "demo", "--type", "T", "--wait", "--exit-status"}).exit, 7);
  EXPECT_EQ(run({"submit", "--tenant", "demo", "--type", "T", "--exit-status"}).exit, 2);
}

TEST_F(Cli, DrawsBarsInPlaceAndGivesTheCursorBack) {
  const auto batch = [](int finished, int running) {
    return R"({"id":"x","name":"photos","state":"open","counts":{"finished":)" + std::to_string(finished) +
           R"(,"running":)" + std::to_string(running) + "}}";
  };
  hub_.answer("GET /v1/batches/photos", 200, batch(1, 1));
  hub_.answer("GET /v1/batches/photos", 200, batch(2, 0));
  hub_.answer("GET /v1/jobs", 200, list(job("running", R"(,"progress":{"percent":71,"message":"resizing"})")));
  const auto ran = run_on_terminal({"watch", "--batch", "photos"});
  EXPECT_EQ(ran.exit, 0);
  EXPECT_THAT(ran.out, HasSubstr("\x1b[?25l"));
  EXPECT_THAT(ran.out, HasSubstr("1/2"));
  EXPECT_THAT(ran.out, HasSubstr("71 %"));
  EXPECT_THAT(ran.out, HasSubstr("done in"));
  EXPECT_GT(ran.out.rfind("\x1b[?25h"), ran.out.rfind("\x1b[?25l"));
}

class CliInterrupted : public Cli, public testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(Each, CliInterrupted, testing::Values(SIGINT, SIGTERM, SIGQUIT, SIGHUP));

TEST_P(CliInterrupted, LeavesJobsAlone) {
  hub_.answer("GET /v1/jobs/" + kId, 200, job("running"));
  int out[2];
  ASSERT_EQ(::pipe2(out, O_CLOEXEC), 0);
  Fd reader(out[0]);
  const auto pid = spawn({"watch", "--job", kId, "--progress", "plain"}, out[1], out[1], false);
  ::close(out[1]);
  std::string seen;
  char c = 0;
  while (seen.find("running\n") == std::string::npos && ::read(reader.get(), &c, 1) == 1) seen += c;
  ::kill(pid, GetParam());
  seen += read_all(reader.get());
  EXPECT_EQ(exit_of(pid), 128 + GetParam()) << "as a shell tells it";
  EXPECT_THAT(seen, HasSubstr("the jobs go on"));
  EXPECT_THAT(seen, HasSubstr("geres watch " + kId));
  for (const auto& asked : hub_.asked()) EXPECT_THAT(asked.what, Not(HasSubstr("cancel")));
}

TEST_F(Cli, AnEmptyValueIsNoValue) {
  for (const std::vector<std::string>& words : {std::vector<std::string>{"job", "cancel", "--type", ""},
                                                {"job", "cancel", "--type="},
                                                {"job", "list", "--state", ""},
                                                {"job", "cancel", "--batch", "", "--tenant", "demo"},
                                                {"submit", "--batch", "", "--", "true"},
                                                {"job", "cancel", ""},
                                                {"token", "create", "n", "--role", "viewer", "--tenant", ""},
                                                {"job", "cancel", "--tag", ""}}) {
    const auto ran = run(words);
    EXPECT_EQ(ran.exit, 2) << words.front() << ": " << ran.err;
  }
  EXPECT_TRUE(hub_.asked().empty()) << hub_.asked().front().what;
}

TEST_F(Cli, CountsBeforeItRedrives) {
  hub_.answer("POST /v1/jobs/redrive", 200, R"({"count":2,"byReason":{"maxAttempts":1,"timeout":1}})");
  const auto ran = run({"job", "redrive", "--batch", "photos", "--state", "failed", "--dry-run"});
  EXPECT_EQ(ran.out, "would redrive 2 jobs (1 maxAttempts, 1 timeout) as new jobs linked to the old ones\n");
  EXPECT_EQ(hub_.asked()[0].what, "POST /v1/jobs/redrive?dryRun=true");
  EXPECT_EQ(hub_.asked()[0].body, R"({"batch":"photos","state":"failed"})");
  extra_environment_ = {"GERES_TENANT=demo"};
  EXPECT_EQ(run({"job", "redrive"}).exit, 2);
  EXPECT_EQ(run({"job", "cancel"}).exit, 2) << "a tenant from the environment must not mean all its jobs";
}

TEST_F(Cli, RedrivesByFilterInOneCallAndSeesTheNewJobsThrough) {
  hub_.answer("POST /v1/jobs/redrive", 200, R"({"count":1,"dryRun":false,"ids":[")" + kId + R"("]})");
  hub_.answer("GET /v1/jobs", 200, R"({"items":[)" + job("finished") + "]}");
  const auto ran = run({"job", "redrive", "--batch", "photos", "--wait"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("redriven 1: done in"));
  EXPECT_EQ(hub_.asked()[0].what, "POST /v1/jobs/redrive");
  EXPECT_EQ(hub_.asked()[0].body, R"({"batch":"photos"})");
}

TEST_F(Cli, ChangesAJobThatWaits) {
  hub_.answer("GET /v1/jobs/" + kId, 200, R"({"id":")" + kId + R"(","state":"scheduled","tags":{"a":"1"}})");
  hub_.answer("PATCH /v1/jobs/" + kId, 200, job("ready"));
  const auto ran = run({"job", "set", kId, "--priority", "-5", "--not-before", "now", "--tag", "b=2"});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(hub_.asked().back().body, R"({"priority":-5,"notBefore":null,"tags":{"a":"1","b":"2"}})");
  EXPECT_EQ(run({"job", "set", kId}).exit, 2);
  EXPECT_EQ(run({"job", "set", kId, "--not-before", "soon"}).exit, 2);
}

TEST_F(Cli, ShowsAJobsHistory) {
  hub_.answer("GET /v1/jobs/" + kId + "/events", 200,
              R"({"items":[{"type":"geres.job.failed","time":"2026-01-02T03:04:05.000Z",)"
              R"("data":{"state":"failed","version":4,"attempt":2,"reason":"timeout"}}]})");
  EXPECT_EQ(run({"job", "events", kId}).out, "2026-01-02T03:04:05.000Z\tfailed\t2\ttimeout\n");
}

TEST_F(Cli, KeepsFetchedFilesInside) {
  hub_.answer("GET /v1/jobs/" + kId + "/files", 200, R"({"items":[{"path":"../evil","size":1}]})");
  hub_.answer("GET /v1/jobs/" + kId + "/files/../evil", 200, "x");
  const auto ran = run({"job", "files", kId, "--out", (home_.path() / "results").string()});
  EXPECT_EQ(ran.exit, 1);
  EXPECT_THAT(ran.err, HasSubstr("would not lie in"));
  EXPECT_FALSE(std::filesystem::exists(home_.path() / "evil"));
}

TEST_F(Cli, FetchesFiles) {
  hub_.answer("GET /v1/jobs/" + kId + "/files", 200, R"({"items":[{"path":"thumb/a.png","size":3}]})");
  hub_.answer("GET /v1/jobs/" + kId + "/files/thumb/a.png", 200, "png");
  EXPECT_EQ(run({"job", "files", kId}).out, "thumb/a.png\t3\n");
  const auto ran = run({"job", "files", kId, "--out", (home_.path() / "results").string()});
  EXPECT_EQ(ran.exit, 0) << ran.err;
  EXPECT_EQ(read_file(home_.path() / "results/thumb/a.png"), "png");
  replace_file(home_.path() / "file", "");
  const auto wrong = run({"job", "files", kId, "--out", (home_.path() / "file/sub").string()});
  EXPECT_EQ(wrong.exit, 1);
  EXPECT_THAT(wrong.err, HasSubstr("cannot be written"));
}

TEST_F(Cli, ShowsNamesOfFilesSoThatNoTerminalObeysThem) {
  hub_.answer("GET /v1/jobs/" + kId + "/files", 200,
              R"({"items":[{"path":"\u001b]0;title\u0007\n","size":3}],"filesLeftOutCount":12,)"
              R"("filesLeftOut":[{"path":"pi\u001bpe","why":"a socket"}]})");
  const auto shown = run_on_terminal({"job", "files", kId}, 120).out;
  EXPECT_THAT(shown, HasSubstr(R"(\x1b]0;title\x07\n)"));
  EXPECT_THAT(shown, HasSubstr(R"(left out: pi\x1bpe: a socket)"));
  EXPECT_THAT(shown, HasSubstr("left out: and 11 more"));
  EXPECT_THAT(shown, Not(HasSubstr("\x1b]")));
  EXPECT_THAT(run({"job", "files", kId}).out, HasSubstr(R"(\x1b]0;title\x07\n)"));
}

TEST_F(Cli, PrintsALogRawButForTerminals) {
  hub_.answer("GET /v1/jobs/" + kId, 200, job("finished"));
  hub_.answer("GET /v1/jobs/" + kId + "/log", 200, "a\x1b]0;title\x07\x1b[31mred\x1b[0m\x1b[2Jz\n");
  const std::vector<std::string> words{"job", "log", kId, "--stream", "stdout"};
  EXPECT_EQ(run(words).out, "a\x1b]0;title\x07\x1b[31mred\x1b[0m\x1b[2Jz\n");
  EXPECT_EQ(run_on_terminal(words).out, "a\x1b[31mred\x1b[0mz\r\n");
  auto raw = words;
  raw.push_back("--raw");
  EXPECT_EQ(run_on_terminal(raw).out, "a\x1b]0;title\x07\x1b[31mred\x1b[0m\x1b[2Jz\r\n");
}

TEST_F(Cli, ShowsATokensSecretOnStandardOutputOnly) {
  hub_.answer("POST /v1/tokens", 201, R"({"id":"1","token":"grt_abc"})");
  const auto ran = run({"token", "create", "ci", "--role", "submitter", "--tenant", "demo"});
  EXPECT_EQ(ran.out, "grt_abc\n");
  EXPECT_EQ(ran.err, "");
  EXPECT_EQ(hub_.asked()[0].body, R"({"name":"ci","roles":["submitter"],"tenants":["demo"]})");
}

TEST_F(Cli, NamesThePageOfAThing) {
  const std::string id = kId;
  hub_.answer("GET /v1/info", 200, R"({"version":"1","page":"/"})");
  EXPECT_EQ(run({"job", "show", id, "--web"}).out, hub_.url() + "/jobs/" + id + "\n");
  EXPECT_EQ(run({"hosts", "--web"}).out, hub_.url() + "/hosts\n");
  EXPECT_EQ(run({"status", "--web"}).out, hub_.url() + "/\n");
  EXPECT_EQ(run_on_terminal({"job", "list", "--web"}).out, hub_.url() + "/jobs\r\n") << "without a desktop";
  EXPECT_EQ(run({"job", "list", "--web", "--state", "failed", "--tag", "a=b c"}).out,
            hub_.url() + "/jobs?state=failed&tag.a=b%20c\n");
  EXPECT_EQ(run({"job", "list", "--web", "--output", "json"}).out, "{\"page\":\"" + hub_.url() + "/jobs\"}\n");
}

TEST_F(Cli, NamesThePageBehindAProxy) {
  hub_.answer("GET /v1/info", 200, R"({"version":"1","page":"https://jobs.example/ops/"})");
  EXPECT_EQ(run({"job", "list", "--web"}).out, "https://jobs.example/ops/jobs\n");
}

TEST_F(Cli, PrintsALinkThatSignsIn) {
  hub_.answer("GET /v1/info", 200, R"({"version":"1","page":"https://jobs.example/"})");
  hub_.answer("POST /v1/session/codes", 201, R"({"code":"c0de","expires":"2026-01-01T00:00:00Z"})");
  EXPECT_EQ(run({"web"}).out, "https://jobs.example/#login=c0de\n");
  EXPECT_THAT(run({"web", "--output", "json"}).out, HasSubstr(R"("link":"https://jobs.example/#login=c0de")"));
}

TEST_F(Cli, SaysThatAHubHasNoPage) {
  hub_.answer("GET /v1/info", 200, R"({"version":"1"})");
  for (const auto& words : std::vector<std::vector<std::string>>{{"web"}, {"hosts", "--web"}}) {
    const auto ran = run(words);
    EXPECT_EQ(ran.exit, 1);
    EXPECT_EQ(ran.out, "");
    EXPECT_THAT(ran.err, HasSubstr("this hub has no page"));
  }
}

TEST_F(Cli, NamesADataDirectoryThatCannotBeWritten) {
  replace_file(home_.path() / "file", "");
  const auto ran = run({"up", "--data", (home_.path() / "file/data").string()});
  EXPECT_EQ(ran.exit, 1);
  EXPECT_THAT(ran.err, HasSubstr("cannot be made"));
  EXPECT_THAT(ran.err, HasSubstr("--data"));
  EXPECT_THAT(run({"up", "--listen", "nowhere:80"}).err, HasSubstr("--listen"));
}

TEST_F(Cli, RefusesAnAddressThatIsNone) {
  for (const char* wrong : {"nowhere", "ftp://hub", "http://", "http://127.0.0.1:99999"})
    for (std::vector<std::string> command : {std::vector<std::string>{"doctor"}, {"job", "list"}, {"host"}}) {
      command.insert(command.end(), {"--hub", wrong});
      const auto ran = run(command);
      EXPECT_EQ(ran.exit, 2) << command[0] << " " << wrong;
      EXPECT_THAT(ran.err, HasSubstr("'" + std::string(wrong) + "' (from ")) << command[0];
      EXPECT_THAT(ran.err, HasSubstr("is not an http or https address")) << command[0];
    }
}

TEST_F(Cli, SaysWhoseFilesItLooksAt) {
  const auto data = home_.path() / "geres";
  std::filesystem::create_directories(data);
  replace_file(data / "admin.token", "word\n");
  replace_file(data / "admin.hub", "http://127.0.0.1:1\n");
  const auto finding = [&](std::vector<std::string> args) {
    args.insert(args.begin(), {"doctor", "--output", "json"});
    const auto ran = run(args);
    const auto all = json::parse(ran.out);
    if (!all) return ran.out;
    for (const auto& item : all->at("items").as_array())
      if (item.at("name") == "dataDirectory")
        return std::string(item.at("state").as_string()) + " " + std::string(item.at("message").as_string());
    return ran.out;
  };
  EXPECT_THAT(finding({}), HasSubstr("belongs to http://127.0.0.1:1, not to " + hub_.url() + " (from GERES_HUB)"));
  EXPECT_THAT(finding({"--hub", "127.0.0.1:1"}), testing::StartsWith("passed "));
  EXPECT_THAT(finding({"--data", data.string()}), testing::StartsWith("passed "));
  std::filesystem::remove_all(data);  // no hub ever left a token here
  EXPECT_THAT(finding({}), testing::StartsWith("passed "));
}

// A hub that has gone without a sign, leaving its connection open, is noticed by its silence.
TEST_F(Cli, FollowsALogAnewBehindASilentConnection) {
  const auto job = "GET /v1/jobs/" + kId;
  for (const char* state : {"running", "running", "finished"})
    hub_.answer(job, 200, std::string(R"({"attempt":1,"state":")") + state + "\"}");
  hub_.answer(job + "/log", kNever, "");
  hub_.answer(job + "/log", 200, "abc");
  hub_.answer(job + "/log", 200, "");
  client::Options options;
  options.hub = hub_.url();
  options.answer_time_max = 500;
  int pipe[2];
  ASSERT_EQ(::pipe2(pipe, O_CLOEXEC), 0);
  const auto failure = LogFollower(options, {.job = kId, .stream = "stdout", .follow = true, .fd = pipe[1]}).run();
  ::close(pipe[1]);
  EXPECT_FALSE(failure) << failure->error.message;
  EXPECT_EQ(read_all(pipe[0]), "abc");
  ::close(pipe[0]);
}

TEST_F(Cli, ChecksTheMachineWithoutAHub) {
  const auto ran = run({"doctor", "--output", "json", "--hub", "http://127.0.0.1:1"});
  EXPECT_EQ(ran.exit, 1);
  const auto all = json::parse(ran.out);
  ASSERT_TRUE(all) << ran.out;
  std::vector<std::string> names;
  for (const auto& item : all->at("items").as_array()) names.emplace_back(item.at("name").as_string());
  EXPECT_THAT(names, ElementsAre("hub", "dataDirectory", "diskSpace", "diskSync", "fileLimit", "processLimit",
                                 "namespaces", "containment", "memoryLimit", "fence", "programs"));
}

}  // namespace
}  // namespace geres::cli
