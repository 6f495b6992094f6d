// SPDX-License-Identifier: Apache-2.0
// Where keys come from, how often they are asked for, and what is known in the meantime.
#include "identity/provider.h"

#include "identity/identity_fixture_test.h"

namespace geres::identity {
namespace {

using testing::HasSubstr;

const std::string kGood = "as Entra ID v2 has it";

// One provider, as the test says.
struct One {
  FakeProvider server;
  TestClock clock;
  const std::string keys = read_file(testdata("keys.json"));
  AuthConfig config;
  std::unique_ptr<Verifier> verifier;

  One() {
    config.providers.push_back(parse_auth_config(read_file(testdata("config.json"))).value().providers.front());
    config.providers[0].discoveryUrl = server.at("entra/about");
    server.put_provider("entra", config.providers[0].issuer, keys);
  }
  void start(FetchTimes times = {}, std::size_t known_max = Verifier::kKnownMax) {
    verifier = std::make_unique<Verifier>(config, Verifier::Options{.times = times, .known_max = known_max}, clock);
    verifier->start();
  }
  std::string check(const std::string& name) { return outcome_of(checked(*verifier, token_called(name))); }
  std::string keys_without(const std::string& id) const {
    json::array left;
    const auto set = json::parse(keys).value();
    for (const auto& key : set.at("keys").get_array())
      if (text_of(key.get_object(), "kid") != id) left.push_back(key);
    return boost::json::serialize(json::object{{"keys", left}});
  }
  const Provider& provider() const { return *verifier->providers().front(); }
};

TEST(Fetches, AreOneForAllWhoWait) {
  One one;
  std::promise<void> go;
  one.server.before = [&, gone = go.get_future().share()](const std::string&) { gone.wait(); };
  one.start();
  std::vector<std::promise<std::string>> answers(200);
  const auto token = token_called(kGood);
  for (auto& answer : answers)
    one.verifier->check(token, [&answer](Checked<CallerPtr> result) { answer.set_value(outcome_of(result)); });
  EXPECT_FALSE(one.verifier->check(token)) << "not known yet";
  go.set_value();
  for (auto& answer : answers) EXPECT_EQ(answer.get_future().get(), "good");
  EXPECT_EQ(one.server.asked("entra/about"), 1);
  EXPECT_EQ(one.server.asked("entra/keys"), 1);
  EXPECT_TRUE(one.verifier->check(token)) << "at once from now on";
}

TEST(Fetches, AreNotAtTheDisposalOfTokens) {
  One one;
  one.start();
  EXPECT_EQ(one.check(kGood), "good");
  const auto unknown = [&](int i) {
    // A kid of its own for each; the signature is never looked at.
    const auto token = token_called("unknown kid");
    static constexpr const char* kHeads[] = {"eyJhbGciOiJSUzI1NiIsImtpZCI6InExIn0",
                                             "eyJhbGciOiJSUzI1NiIsImtpZCI6InEyIn0",
                                             "eyJhbGciOiJSUzI1NiIsImtpZCI6InEzIn0"};
    return outcome_of(checked(*one.verifier, kHeads[i % 3] + token.substr(token.find('.'))));
  };
  for (int i = 0; i < 300; ++i) EXPECT_EQ(unknown(i), "key");
  EXPECT_EQ(one.server.asked("entra/keys"), 1);
  one.clock.advance(30'000);
  for (int i = 0; i < 300; ++i) EXPECT_EQ(unknown(i), "key");
  EXPECT_EQ(one.server.asked("entra/keys"), 2);
  EXPECT_EQ(one.provider().fetches(Fetched::good), 2);
}

TEST(Fetches, BringNewKeysAndTakeOldOnesAway) {
  One one;
  one.server.put("entra/keys", answer_of(one.keys_without("e")));
  one.start();
  const auto old = checked(*one.verifier, token_called(kGood)).value();
  EXPECT_EQ(one.check("ES256"), "key");
  one.server.put("entra/keys", answer_of(one.keys));
  EXPECT_EQ(one.check("ES256"), "key") << "they were asked for a moment ago";
  one.clock.advance(30'000);
  EXPECT_EQ(one.check("ES256"), "good");
  EXPECT_TRUE(one.verifier->current(*old, one.clock.wall()));
  EXPECT_EQ(one.check(kGood), "good");
  // The provider takes back the key that signed the first token.
  one.server.put("entra/keys", answer_of(one.keys_without("r")));
  one.clock.advance(30'000);
  EXPECT_EQ(one.check("unknown kid"), "key");
  EXPECT_FALSE(one.verifier->current(*old, one.clock.wall()));
  EXPECT_EQ(one.check(kGood), "key") << "though it was known";
  EXPECT_EQ(one.check("ES256"), "good");
}

TEST(Fetches, AreMadeNowAndThenByThemselves) {
  One one;
  const SystemClock clock;
  std::promise<void> thrice;
  one.server.before = [&, left = 6](const std::string&) mutable {
    if (--left == 0) thrice.set_value();
  };
  Verifier verifier(one.config, Verifier::Options{.times = {.refresh = 5}}, clock);
  verifier.start();
  EXPECT_EQ(thrice.get_future().wait_for(std::chrono::seconds(60)), std::future_status::ready);
}

TEST(Providers, ThatAreNoGoodSayWhy) {
  const auto about = [](const std::string& issuer, const std::string& keys) {
    return answer_of("{\"issuer\":\"" + issuer + "\",\"jwks_uri\":\"" + keys + "\"}");
  };
  const std::string issuer = "https://login.test/v2.0";
  struct Case {
    std::string path, answer, says;
    Fetched fetched;
  };
  const Case cases[] = {
      {"entra/about", "", "", Fetched::unreachable},
      {"entra/about", "no HTTP at all\r\n\r\n", "", Fetched::unreachable},
      {"entra/about", answer_of("{}", "500 Internal Server Error"), "500", Fetched::refused},
      {"entra/about", answer_of("{}", "404 Not Found"), "404", Fetched::refused},
      {"entra/about", answer_of("", "302 Found", "Location: /elsewhere\r\n"), "redirect", Fetched::refused},
      {"entra/keys", answer_of("", "307 Temporary Redirect", "Location: /elsewhere\r\n"), "redirect", Fetched::refused},
      {"entra/about", answer_of("<html>"), "no JSON", Fetched::unfit},
      {"entra/about", answer_of("[]"), "no JSON", Fetched::unfit},
      {"entra/about", about("https://evil.test/", "https://evil.test/keys"), "of the issuer 'https://evil.test/'",
       Fetched::unfit},
      {"entra/about", about(issuer + "/", "https://evil.test/keys"), "of the issuer", Fetched::unfit},
      {"entra/about", about(issuer, "http://evil.test/keys"), "is not https", Fetched::unfit},
      {"entra/about", about(issuer, "file:///etc/passwd"), "jwks_uri", Fetched::unfit},
      {"entra/about", about(issuer, ""), "jwks_uri", Fetched::unfit},
      {"entra/keys", answer_of("{\"keys\":[]}"), "it has no keys", Fetched::unfit},
      {"entra/keys", answer_of("{\"keys\":[{\"kty\":\"oct\",\"kid\":\"a\",\"k\":\"AA\"}]}"), "secret key",
       Fetched::unfit},
      {"entra/keys", answer_of(std::string(10 << 20, ' ')), "larger than 1 MiB", Fetched::unfit},
  };
  for (const auto& bad : cases) {
    One one;
    one.server.put("elsewhere", answer_of("{\"issuer\":\"" + issuer + "\",\"jwks_uri\":\"x\"}"));
    one.server.put(bad.path, bad.answer);
    one.start();
    EXPECT_EQ(one.check(kGood), "away") << bad.says;
    EXPECT_THAT(one.provider().trouble(), HasSubstr(bad.says));
    EXPECT_NE(one.provider().trouble(), "");
    EXPECT_EQ(one.provider().fetches(Fetched::good), 0);
    EXPECT_EQ(one.provider().fetches(bad.fetched), 1) << one.provider().trouble();
    EXPECT_EQ(one.server.asked("elsewhere"), 0);
    EXPECT_EQ(one.check("expired"), "expired") << "what is wrong anyway needs no keys";
  }
}

TEST(Providers, ThatComeBackAreAskedAgain) {
  One one;
  one.server.put("entra/keys", answer_of("{}", "503 Service Unavailable"));
  one.start();
  EXPECT_EQ(one.check(kGood), "away");
  const auto error = checked(*one.verifier, token_called(kGood)).error().error;
  EXPECT_EQ(error.code, Code::identityProviderAway);
  EXPECT_THAT(error.message, HasSubstr("'entra'"));
  EXPECT_EQ(error.message.find("127.0.0.1"), std::string::npos)
      << "where it is stands in the log, and is for nobody else";
  one.server.put("entra/keys", answer_of(one.keys));
  one.clock.advance(1'000);
  EXPECT_EQ(one.check(kGood), "good");
  EXPECT_EQ(one.provider().trouble(), "");
}

TEST(Providers, ThatAreSlowAreNotWaitedForLong) {
  One one;
  std::promise<void> go;
  one.server.before = [gone = go.get_future().share()](const std::string&) { gone.wait(); };
  one.start({.answer = 50});
  EXPECT_EQ(one.check(kGood), "away");
  EXPECT_EQ(one.provider().fetches(Fetched::unreachable), 1);
  go.set_value();
}

TEST(Providers, ThatGoAwayAreTrustedForADay) {
  One one;
  one.start();
  EXPECT_EQ(one.check("ES256"), "good");
  one.server.put("entra/keys", answer_of("{}", "503 Service Unavailable"));
  one.clock.advance(23 * 3'600'000LL);
  EXPECT_EQ(one.check("unknown kid"), "expired");
  EXPECT_EQ(one.check("lives 25 hours"), "good");
  one.clock.advance(3'600'000);
  EXPECT_EQ(one.provider().keys(), nullptr);
  One other;
  other.start();
  EXPECT_EQ(other.check("ES256"), "good");
  other.server.put("entra/keys", answer_of("{}", "503 Service Unavailable"));
  other.clock.advance(24 * 3'600'000LL);
  EXPECT_EQ(other.check("lives 25 hours"), "away");
}

TEST(Providers, ThatAreStoppedKeepNobodyWaiting) {
  One one;
  std::promise<void> go, asked;
  one.server.before = [&, gone = go.get_future().share()](const std::string& path) {
    if (path == "/entra/about") asked.set_value();
    gone.wait();
  };
  one.start();
  std::promise<std::string> answer;
  one.verifier->check(token_called(kGood), [&](Checked<CallerPtr> result) { answer.set_value(outcome_of(result)); });
  asked.get_future().wait();
  one.verifier->stop();
  EXPECT_EQ(answer.get_future().get(), "away");
  go.set_value();
}

TEST(Known, TokensAreFoundWithoutCheckingThem) {
  One one;
  one.start({}, 2);
  EXPECT_EQ(one.check(kGood), "good");
  EXPECT_EQ(one.verifier->known_again(), 0);
  EXPECT_EQ(one.check(kGood), "good");
  EXPECT_EQ(one.verifier->known_again(), 1);
  EXPECT_EQ(one.check("ES256"), "good");
  EXPECT_EQ(one.check(kGood), "good");
  EXPECT_EQ(one.check("PS256"), "good");  // of three the one that was used least lately goes
  EXPECT_EQ(one.check(kGood), "good");
  EXPECT_EQ(one.verifier->known_again(), 3);
  EXPECT_EQ(one.check("ES256"), "good");
  EXPECT_EQ(one.verifier->known_again(), 3);
}

TEST(Known, TokensExpire) {
  One one;
  one.start();
  const auto caller = checked(*one.verifier, token_called(kGood)).value();
  EXPECT_EQ(caller->expires, kNow + 3'600'000);
  one.clock.advance(3'600'000 + kSkewMax - 1);
  EXPECT_EQ(one.check(kGood), "good");
  EXPECT_TRUE(one.verifier->current(*caller, one.clock.wall()));
  one.clock.advance(1);
  EXPECT_EQ(one.check(kGood), "expired");
  EXPECT_FALSE(one.verifier->current(*caller, one.clock.wall()));
}

TEST(Reload, CountsFromThenOnAndOnlyForWhatItChanges) {
  One one;
  one.start();
  const auto caller = checked(*one.verifier, token_called(kGood)).value();
  const auto now = one.clock.wall();
  one.verifier->reload(one.config);
  EXPECT_TRUE(one.verifier->current(*caller, now));
  auto changed = one.config;
  changed.providers[0].roles->map["Jobs.Other"] = model::Role::admin;  // nothing to this one
  one.verifier->reload(changed);
  EXPECT_TRUE(one.verifier->current(*caller, now));
  EXPECT_EQ(one.check(kGood), "good");
  changed.providers[0].roles->map["Jobs.Submit"] = model::Role::viewer;
  one.verifier->reload(changed);
  EXPECT_FALSE(one.verifier->current(*caller, now)) << "what began with other rights ends";
  const auto again = checked(*one.verifier, token_called(kGood)).value();
  EXPECT_THAT(again->rights.roles, testing::ElementsAre(model::Role::viewer)) << "and a new call has the new ones";
  changed.providers[0].audiences = {"other"};
  one.verifier->reload(changed);
  EXPECT_FALSE(one.verifier->current(*again, now));
  EXPECT_EQ(one.check(kGood), "audience");
  EXPECT_EQ(one.server.asked("entra/keys"), 1) << "a provider that stays keeps its keys";
  one.server.put_provider("moved", one.config.providers[0].issuer, one.keys);
  auto moved = one.config;
  moved.providers[0].discoveryUrl = one.server.at("moved/about");
  one.verifier->reload(moved);
  EXPECT_EQ(one.check(kGood), "good");
  EXPECT_EQ(one.server.asked("moved/keys"), 1);
  moved.providers[0].issuer = "https://gone.test/";
  one.verifier->reload(moved);
  EXPECT_EQ(one.check(kGood), "issuer");
}

TEST(Reload, OfAFileThatIsWrongLeavesAllAsItWas) {
  One one;
  one.start();
  const auto file = std::filesystem::path(testing::TempDir()) / "auth.json";
  std::ofstream(file) << "{\"providers\":[]}";
  const auto refused = reread(*one.verifier, file);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, HasSubstr("auth.json, /providers"));
  EXPECT_EQ(one.check(kGood), "good");
  std::filesystem::remove(file);
  EXPECT_THAT(reread(*one.verifier, file).error().message, HasSubstr("No such file"));
  std::ofstream(file) << json::write_text(one.config);
  EXPECT_TRUE(reread(*one.verifier, file)) << "what is written is read";
  EXPECT_EQ(one.check(kGood), "good");
}

TEST(Reload, WhileTokensAreCheckedIsSafe) {
  One one;
  one.start();
  std::atomic<bool> over{false};
  std::vector<std::thread> callers;
  const auto token = token_called(kGood);
  for (int i = 0; i < 3; ++i)
    callers.emplace_back([&] {
      while (!over) EXPECT_NE(outcome_of(checked(*one.verifier, token)), "signature");
    });
  auto other = one.config;
  one.server.put_provider("moved", one.config.providers[0].issuer, one.keys);
  other.providers[0].discoveryUrl = one.server.at("moved/about");
  for (int i = 0; i < 50; ++i) one.verifier->reload(i % 2 == 0 ? other : one.config);
  over = true;
  for (auto& caller : callers) caller.join();
  EXPECT_EQ(outcome_of(checked(*one.verifier, token)), "good");
}

}  // namespace
}  // namespace geres::identity
