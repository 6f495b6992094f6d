// SPDX-License-Identifier: Apache-2.0
// The configuration: what it refuses and where, and what claims give by it.
#include "identity/auth_config.h"

#include <sys/stat.h>

#include <fstream>

#include "base/file.h"

#include "identity/identity_fixture_test.h"

namespace geres::identity {
namespace {

using model::Role;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::string with(const std::string& more, const std::string& rest = "") {
  return R"({"providers":[{"name":"p","issuer":"https://id.test/","audiences":["a"])" + more + "}]" + rest + "}";
}

TEST(AuthConfig, SaysWhereItIsWrong) {
  EXPECT_TRUE(parse_auth_config(with("")));
  const std::pair<std::string, std::string> wrong[] = {
      {"{}", "/providers"},
      {R"({"providers":[]})", "/providers"},
      {with("", R"(,"rulez":[])"), "/rulez"},
      {with(R"(,"isuer":"x")"), "/providers/0/isuer"},
      {R"({"providers":[{"issuer":"https://id.test/","audiences":["a"]}]})", "/providers/0/name"},
      {R"({"providers":[{"name":"p q","issuer":"https://id.test/","audiences":["a"]}]})", "/providers/0/name"},
      {R"({"providers":[{"name":"p","issuer":"https://id.test/","audiences":[]}]})", "/providers/0/audiences"},
      {R"({"providers":[{"name":"p","issuer":"https://id.test/","audiences":["a",""]}]})", "/providers/0/audiences/1"},
      {R"({"providers":[{"name":"p","issuer":"http://id.test/","audiences":["a"]}]})", "/providers/0/issuer"},
      {R"({"providers":[{"name":"p","issuer":"http://127.0.0.1@id.test/","audiences":["a"]}]})", "/providers/0/issuer"},
      {R"({"providers":[{"name":"p","issuer":"http://127.0.0.1.id.test/","audiences":["a"]}]})", "/providers/0/issuer"},
      {R"({"providers":[{"name":"p","issuer":"id","audiences":["a"]}]})", "/providers/0/issuer"},
      {R"({"providers":[{"name":"p","issuer":"https://id.test/{tenantid}/","audiences":["a"]}]})",
       "/providers/0/multiTenant"},
      {with(R"(,"multiTenant":true)"), "/providers/0/issuer"},
      {with(R"(,"tenantIds":["x"])"), "/providers/0/tenantIds"},
      {R"({"providers":[{"name":"p","issuer":"https://id.test/{tenantid}/","audiences":["a"],"multiTenant":true}]})",
       "/providers/0/tenantIds"},
      {with(R"(,"discoveryUrl":"http://id.test/")"), "/providers/0/discoveryUrl"},
      {with(R"(,"discoveryUrl":"file:///etc/passwd")"), "/providers/0/discoveryUrl"},
      {with(R"(,"types":"jwt")"), "/providers/0/types"},
      {with(R"(,"roles":{"claim":"roles","map":{"A":"boss"}})"), "/providers/0/roles/map/A"},
      {with(R"(,"roles":{"claim":"","map":{"A":"admin"}})"), "/providers/0/roles/claim"},
      {with(R"(,"roles":{"claim":"roles","map":{}})"), "/providers/0/roles/map"},
      {with(R"(,"scopes":{"claim":"scp","map":{"a":"host"}})"), "/providers/0/scopes/map/a"},
      {with(R"(,"tenants":{"claim":"t","map":{"a/b":"*"}})"), "/providers/0/tenants/map/a~1b"},
      {with(R"(,"tenants":{"claim":"t","else":"*"})"), "/providers/0/tenants/else"},
      {with(R"(,"login":{"scopes":[]})"), "/providers/0/login/clientId"},
      {with("", R"(,"rules":[{"roles":["admin"]}])"), "/rules/0/when"},
      {with("", R"(,"rules":[{"when":{},"roles":["admin"]}])"), "/rules/0/when"},
      {with("", R"(,"rules":[{"when":{"azp":7},"roles":["admin"]}])"), "/rules/0/when/azp"},
      {with("", R"(,"rules":[{"when":{"azp":[]},"roles":["admin"]}])"), "/rules/0/when/azp"},
      {with("", R"(,"rules":[{"when":{"azp":"x"}}])"), "/rules/0/roles"},
      {with("", R"(,"rules":[{"provider":"q","when":{"azp":"x"},"roles":["admin"]}])"), "/rules/0/provider"},
      {with("", R"(,"rules":[{"when":{"azp":"x"},"tenants":["*","acme"]}])"), "/rules/0/tenants/0"},
      {with("", R"(,"rules":[{"when":{"azp":"x"},"tenants":["acme","*"]}])"), "/rules/0/tenants/1"},
      {R"({"providers":[{"name":"p","issuer":"https://id.test/","audiences":["a"]},
                        {"name":"p","issuer":"https://other.test/","audiences":["a"]}]})",
       "/providers/1/name"},
      {R"({"providers":[{"name":"p","issuer":"https://id.test/","audiences":["a"]},
                        {"name":"q","issuer":"https://id.test/","audiences":["b"]}]})",
       "/providers/1/issuer"},
      {R"({"providers":[{"name":"p","issuer":"https://id.test/","audiences":["a"]},
                        {"name":"q","issuer":"https://other.test/","audiences":["b"]}],
           "rules":[{"when":{"azp":"x"},"roles":["admin"]}]})",
       "/rules/0/provider"},
  };
  for (const auto& [text, field] : wrong) {
    const auto config = parse_auth_config(text);
    ASSERT_FALSE(config) << text;
    EXPECT_EQ(config.error().field, field) << text << ": " << config.error().message;
  }
}

TEST(AuthConfig, KnowsWhereToAsk) {
  const auto url = [](const std::string& provider) {
    return discovery_url_of(parse_auth_config("{\"providers\":[" + provider + "]}").value().providers[0]);
  };
  EXPECT_EQ(url(R"({"name":"p","issuer":"https://login.microsoftonline.com/T/v2.0","audiences":["a"]})"),
            "https://login.microsoftonline.com/T/v2.0/.well-known/openid-configuration");
  EXPECT_EQ(url(R"({"name":"p","issuer":"https://id.test/","audiences":["a"]})"),
            "https://id.test/.well-known/openid-configuration");
  EXPECT_EQ(url(R"({"name":"p","issuer":"https://login.microsoftonline.com/{tenantid}/v2.0","audiences":["a"],
                    "multiTenant":true,"tenantIds":["T"]})"),
            "https://login.microsoftonline.com/organizations/v2.0/.well-known/openid-configuration");
  EXPECT_EQ(
      url(R"({"name":"p","issuer":"https://id.test/","audiences":["a"],"discoveryUrl":"https://x.test/?appid=1"})"),
      "https://x.test/?appid=1");
}

struct Rights : testing::Test {
  Mapped of(const std::string& config, const std::string& claims) {
    parsed = parse_auth_config(config).value();
    return map_claims(parsed, parsed.providers[0], json::parse(claims).value().get_object());
  }
  AuthConfig parsed;
  const std::string roles =
      R"(,"roles":{"claim":"roles","map":{"S":"submitter","O":"operator","A":"admin","V":"viewer"}})";
};

TEST_F(Rights, FollowFromClaimsAndSayWhy) {
  const auto got = of(with(roles + R"(,"tenants":{"claim":"t","map":{"*":"same","BIG":"acme"}})"),
                      R"({"roles":["V","S","Nothing"],"t":"BIG umbrella ../x *"})");
  EXPECT_THAT(got.roles, ElementsAre(Role::submitter, Role::viewer));
  EXPECT_THAT(got.tenants, ElementsAre("acme", "umbrella"));
  EXPECT_FALSE(got.all_tenants);
  std::vector<std::string> said;
  for (const auto& step : got.because)
    said.push_back(step.rule + " " + step.claim + "=" + step.value + ": " + step.gave);
  EXPECT_THAT(said,
              ElementsAre("/providers/0/roles/map/V roles=V: viewer", "/providers/0/roles/map/S roles=S: submitter",
                          "/providers/0/roles/map roles=Nothing: ", "/providers/0/tenants/map/BIG t=BIG: tenant acme",
                          "/providers/0/tenants/map/* t=umbrella: tenant umbrella",
                          "/providers/0/tenants/map/* t=../x: ", "/providers/0/tenants/map/* t=*: "));
}

TEST_F(Rights, ComeFromTheFirstRuleThatFits) {
  const auto config =
      with(roles + R"(,"tenants":{"claim":"t","map":{"*":"same"}})",
           R"(,"rules":[{"when":{"azp":"x","idtyp":["app","other"]},"roles":["operator"],"tenants":["*"]},
                                        {"when":{"azp":"x"},"tenants":["acme"]},{"when":{"azp":"x"},"roles":["admin"]}])");
  const auto first = of(config, R"({"roles":["A"],"t":"umbrella","azp":"x","idtyp":"app"})");
  EXPECT_THAT(first.roles, ElementsAre(Role::operator_)) << "in place of what the maps would give";
  EXPECT_TRUE(first.all_tenants);
  EXPECT_THAT(first.tenants, IsEmpty());
  const auto second = of(config, R"({"roles":["S"],"t":"umbrella","azp":"x"})");
  EXPECT_THAT(second.roles, ElementsAre(Role::submitter)) << "the rule says nothing about roles";
  EXPECT_THAT(second.tenants, ElementsAre("acme"));
  EXPECT_EQ(second.because.front().rule, "/rules/1");
  EXPECT_EQ(second.because.front().gave, "tenant acme");
  EXPECT_THAT(of(config, R"({"roles":["S"],"t":"umbrella","azp":"y"})").tenants, ElementsAre("umbrella"));
}

TEST_F(Rights, AreBoundedByWhatTheClientMayDo) {
  const auto config = with(roles + R"(,"scopes":{"claim":"scp","map":{"run":"submitter","look":"viewer"}},
                                       "tenants":{"claim":"t","else":"acme"})",
                           R"(,"rules":[{"when":{"oid":"boss"},"roles":["admin","host"]}])");
  EXPECT_THAT(of(config, R"({"roles":["A"],"scp":"run"})").roles, ElementsAre(Role::submitter));
  EXPECT_THAT(of(config, R"({"roles":["A","V"],"scp":"look run"})").roles, ElementsAre(Role::submitter, Role::viewer));
  EXPECT_THAT(of(config, R"({"roles":["V"],"scp":"run"})").roles, ElementsAre(Role::viewer)) << "a bound gives nothing";
  EXPECT_THAT(of(config, R"({"roles":["A"],"scp":"openid"})").roles, IsEmpty());
  EXPECT_THAT(of(config, R"({"roles":["A"],"scp":7})").roles, IsEmpty());
  EXPECT_THAT(of(config, R"({"scp":"run"})").roles, IsEmpty());
  EXPECT_THAT(of(config, R"({"roles":["A"]})").roles, ElementsAre(Role::admin)) << "an application's own token";
  EXPECT_THAT(of(config, R"({"oid":"boss","scp":"run"})").roles, ElementsAre(Role::submitter)) << "rules, too";
}

TEST_F(Rights, AreFoundAtPaths) {
  const auto at = [&](const std::string& path) {
    return of(with(R"(,"roles":{"claim":")" + path + R"(","map":{"S":"submitter"}})"),
              R"({"realm":{"roles":["S"]},"https://x.test/roles":["S"],"a.b":"S","a":{"b":"V"},"list":[["S"]]})")
        .roles;
  };
  EXPECT_THAT(at("realm.roles"), ElementsAre(Role::submitter));
  EXPECT_THAT(at("/realm/roles"), ElementsAre(Role::submitter));
  EXPECT_THAT(at("https://x.test/roles"), ElementsAre(Role::submitter));
  EXPECT_THAT(at("/https:~1~1x.test~1roles"), ElementsAre(Role::submitter));
  EXPECT_THAT(at("a.b"), ElementsAre(Role::submitter)) << "a claim's own name goes before a path";
  EXPECT_THAT(at("/a/b"), IsEmpty());
  for (const auto* path : {"realm", "realm.roles.x", "/realm/roles/0", "list", ".", "/", "realm."})
    EXPECT_THAT(at(path), IsEmpty()) << path;
}

TEST(AuthFiles, AreLookedAt) {
  const TemporaryDirectory directory;
  const auto path = [&](const char* name) { return (directory.path() / name).string(); };
  const auto look = [&](const std::string& login, const std::string& ca) {
    AuthConfig config;
    config.providers.push_back({.name = "corp", .login = Login{"page", {}, login}, .ca = ca});
    return check_files(config, directory.path());
  };
  std::ofstream(path("secret")) << "s3cret\n";
  std::ofstream(path("none")) << "no certificate";
  ::chmod(path("secret").c_str(), 0640);
  EXPECT_THAT(look("secret", "").error().hint, testing::HasSubstr("chmod 600"));
  EXPECT_EQ(look("secret", "").error().field, "/providers/0/login/clientSecretFile");
  ::chmod(path("secret").c_str(), 0600);
  EXPECT_TRUE(look("secret", "")) << "from where the configuration lies";
  EXPECT_EQ(read_secret(path("secret"), "").value(), "s3cret");
  EXPECT_FALSE(look("absent", ""));
  EXPECT_EQ(look("", "none").error().field, "/providers/0/ca");
  EXPECT_EQ(look("", "absent.pem").error().field, "/providers/0/ca");
}

TEST(Subjects, AreWhoTheyAreWhateverTheyAreCalled) {
  ProviderConfig provider{.name = "entra"};
  const auto subject = [&](const std::string& claims) {
    return subject_of(provider, json::parse(claims).value().get_object());
  };
  const auto ann =
      subject(R"({"tid":"T","oid":"1","sub":"x","azp":"web","scp":"jobs","preferred_username":"ann@x.test"})");
  EXPECT_EQ(ann.subject, "T/1");
  EXPECT_EQ(ann.client, "web");
  EXPECT_FALSE(ann.application);
  EXPECT_THAT(ann.name, testing::MatchesRegex("entra:ann@x.test#[0-9a-f]{8}"));
  const auto mallory = subject(R"({"tid":"T","oid":"2","azp":"web","preferred_username":"ann@x.test"})");
  EXPECT_NE(mallory.name, ann.name) << "a name that people may choose is not who they are";
  const auto renamed = subject(R"({"tid":"T","oid":"1","azp":"web","preferred_username":"ann.b@x.test"})");
  EXPECT_EQ(renamed.subject, ann.subject);
  const auto app = subject(R"({"sub":"nightly","client_id":"nightly","preferred_username":"root"})");
  EXPECT_TRUE(app.application);
  EXPECT_THAT(app.name, testing::StartsWith("entra:nightly#"));
  EXPECT_TRUE(subject(R"({"sub":"o","oid":"o","azp":"x"})").application) << "as Entra ID has it";
  EXPECT_FALSE(subject(R"({"sub":"o","oid":"o","azp":"x","idtyp":"user"})").application);
  EXPECT_EQ(subject(R"({"sub":"s","azp":"x","preferred_username":"a\nb\u001b[31mc"})").name.find('\n'),
            std::string::npos);
  provider.nameClaim = "extra.login";
  EXPECT_THAT(subject(R"({"sub":"s","azp":"x","extra":{"login":"ann"}})").name, testing::StartsWith("entra:ann#"));
}

}  // namespace
}  // namespace geres::identity
