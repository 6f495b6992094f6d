// SPDX-License-Identifier: Apache-2.0
// The client's credentials and whom it trusts: tokens of all kinds, OAuth against a token endpoint, TLS.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "client/client_fixture.h"

namespace geres::client {
namespace {

// test_server.py in a process of its own, which ends when its standard input does.
class TestServer {
 public:
  explicit TestServer(std::vector<std::string> words) {
    words.insert(words.begin(), {PYTHON, TEST_SERVER});
    int in[2], out[2];
    EXPECT_EQ(::pipe2(in, O_CLOEXEC), 0);
    EXPECT_EQ(::pipe2(out, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in[0], 0);
    posix_spawn_file_actions_adddup2(&actions, out[1], 1);
    std::vector<char*> argv;
    for (auto& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    EXPECT_EQ(::posix_spawn(&pid_, PYTHON, &actions, nullptr, argv.data(), environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    ::close(in[0]), ::close(out[1]);
    in_ = in[1];
    std::string line;
    for (char c = 0; ::read(out[0], &c, 1) == 1 && c != '\n';) line += c;
    ::close(out[0]);
    EXPECT_FALSE(line.empty()) << "the server says no port";
    port = line;
  }
  ~TestServer() {
    ::close(in_);
    ::waitpid(pid_, nullptr, 0);
  }
  std::string port;

 private:
  pid_t pid_ = 0;
  int in_ = -1;
};

class AuthTest : public ClientTest {
 protected:
  void SetUp() override {
    ClientTest::SetUp();
    key_file = (directory.path() / "key.pem").string();
    cert_file = (directory.path() / "cert.pem").string();
    state_file = (directory.path() / "state.json").string();
  }
  void make_certificate() {
    const auto command =
        "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=tests "
        "-addext subjectAltName=IP:127.0.0.1 -keyout " +
        key_file + " -out " + cert_file + " 2>/dev/null";
    ASSERT_EQ(std::system(command.c_str()), 0) << command;
  }
  void set_state(const std::vector<std::string>& tokens, int expires_in) {
    json::array list;
    for (const auto& token : tokens) list.emplace_back(token);
    replace_file(state_file, boost::json::serialize(json::object{{"id", "an app"},
                                                                 {"secret", "p:s%&=ü"},
                                                                 {"scope", "jobs read"},
                                                                 {"tokens", list},
                                                                 {"expires_in", expires_in}}));
  }
  OAuth oauth(const std::string& url) const {
    return {.token_url = url, .client_id = "an app", .client_secret = "p:s%&=ü", .scope = "jobs read"};
  }
  Options with_oauth(const TestServer& endpoint) const {
    auto with = options_of(ours);
    with.token.clear();
    with.oauth = oauth("http://127.0.0.1:" + endpoint.port + "/oauth/token");
    return with;
  }
  std::size_t grants() const {
    const auto log = read_file_if(state_file + ".log").value_or("");
    return std::size_t(std::ranges::count(log, '\n'));
  }
  std::string key_file, cert_file, state_file;
};

TEST_F(AuthTest, TakesHubAndTokenFromTheEnvironment) {
  ::setenv("GERES_HUB", relay.url().c_str(), 1);
  ::setenv("GERES_TOKEN", ours.token().c_str(), 1);
  EXPECT_EQ(Client().info().caller, "ours");
  EXPECT_EQ(Client(options_of(viewer)).info().caller, "viewer") << "what is given counts more";
  ::unsetenv("GERES_HUB");
  ::unsetenv("GERES_TOKEN");
}

TEST_F(AuthTest, TakesANewTokenFromItsFile) {
  const auto file = directory.path() / "token";
  const auto first = admin.post("/v1/tokens", R"({"name":"first","roles":["viewer"],"tenants":["ours"]})");
  replace_file(file, first.text("token") + "\n");
  auto options = options_of(ours);
  options.token.clear();
  options.token_file = file;
  Client reader(options);
  EXPECT_EQ(reader.info().caller, "first");
  EXPECT_EQ(admin.call("DELETE", "/v1/tokens/" + first.text("id")).status, 204);
  EXPECT_THROW(reader.info(), Unauthorized);
  replace_file(file, make_token("second", R"(["viewer"])", R"(["ours"])"));
  EXPECT_EQ(reader.info().caller, "second");
}

TEST_F(AuthTest, GetsOneTokenForManyCalls) {
  set_state({ours.token()}, 3'600);
  const TestServer endpoint({"token", state_file});
  Client app(with_oauth(endpoint));
  std::vector<std::future<Info>> calls;
  for (int i = 0; i < 20; ++i) calls.push_back(app.async().info());
  for (auto& call : calls) EXPECT_EQ(call.get().caller, "ours");
  EXPECT_EQ(app.submit(work()).submitted_by, "ours");
  EXPECT_EQ(grants(), 1u);
}

TEST_F(AuthTest, GetsANewTokenBeforeTheOldOneExpires) {
  set_state({ours.token(), viewer.token()}, 1);
  const TestServer endpoint({"token", state_file});
  Client app(with_oauth(endpoint));
  EXPECT_EQ(app.info().caller, "ours");
  const auto until = std::chrono::steady_clock::now() + kPatient;
  std::string caller;
  while (std::chrono::steady_clock::now() < until && caller != "viewer") caller = app.info().caller;
  EXPECT_EQ(caller, "viewer");
}

TEST_F(AuthTest, GetsANewTokenWhenTheHubRefusesTheOldOne) {
  const auto first = admin.post("/v1/tokens", R"({"name":"first","roles":["submitter"],"tenants":["ours"]})");
  set_state({first.text("token"), ours.token()}, 3'600);
  const TestServer endpoint({"token", state_file});
  Client app(with_oauth(endpoint));
  EXPECT_EQ(app.info().caller, "first");
  Heard heard;
  const auto subscription = app.subscribe_to_tenant("ours", heard.handlers());
  EXPECT_EQ(admin.call("DELETE", "/v1/tokens/" + first.text("id")).status, 204);
  const auto job = app.submit(work());
  EXPECT_EQ(job.submitted_by, "ours");
  EXPECT_EQ(grants(), 2u);
  app.cancel(job.id);
  EXPECT_THAT(heard.wait_for(1), ElementsAre("cancelled " + job.id)) << "the stream has the new token as well";
}

TEST_F(AuthTest, WhoTheEndpointDoesNotKnowIsUnauthorized) {
  set_state({ours.token()}, 3'600);
  const TestServer endpoint({"token", state_file});
  auto options = with_oauth(endpoint);
  options.oauth->client_secret = "wrong";
  Client app(options);
  try {
    app.info();
    FAIL() << "the secret is wrong";
  } catch (const Unauthorized& error) {
    EXPECT_THAT(error.message(), HasSubstr("invalid_client, who are you?"));
    EXPECT_THAT(error.what(), testing::Not(HasSubstr("wrong"))) << "no secret in a message";
  }
}

TEST_F(AuthTest, SpeaksTlsToWhomItTrusts) {
  make_certificate();
  set_state({ours.token()}, 3'600);
  const TestServer front({"tls", relay.url().substr(relay.url().rfind(':') + 1), cert_file, key_file});
  const TestServer endpoint({"token", state_file, cert_file, key_file});
  auto options = options_of(ours);
  options.hub = "https://127.0.0.1:" + front.port;
  try {
    Client(options).info();
    FAIL() << "nobody vouches for that certificate";
  } catch (const Untrusted& error) {
    EXPECT_EQ(error.code(), "untrusted");
  }
  options.ca_file = cert_file;
  EXPECT_EQ(Client(options).info().caller, "ours");
  options.token.clear();
  options.oauth = oauth("https://127.0.0.1:" + endpoint.port + "/oauth/token");
  Client app(options);
  Heard heard;
  const auto subscription = app.subscribe_to_tenant("ours", heard.handlers());
  const auto job = app.submit(work());
  run_next();
  EXPECT_THAT(heard.wait_for(2), ElementsAre("started " + job.id, "finished " + job.id));
  EXPECT_TRUE(app.wait(job.id).finished());
}

}  // namespace
}  // namespace geres::client
