// SPDX-License-Identifier: Apache-2.0
// Where keys come from, in which order, and when they are fetched anew.
#include "objects/credentials.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "base/file.h"
#include "objects/fake_server_test.h"

namespace geres::objects {
namespace {

constexpr Millis kHour = 3'600'000;

// Files, an environment, and a clock.
struct Machine {
  TemporaryDirectory home;
  ManualClock clock;
  std::map<std::string, std::string> variables{{"HOME", home.path().string()}, {"AWS_EC2_METADATA_DISABLED", "true"}};

  void write(const std::string& name, const std::string& text) {
    std::filesystem::create_directories(home.path() / ".aws");
    replace_file(home.path() / ".aws" / name, text);
  }
  AwsCredentials::Options options(const std::string& profile = {}) {
    return {[this](const std::string& name) { return variables.contains(name) ? variables[name] : std::string(); },
            profile,
            "eu-west-1",
            false,
            &clock,
            [](Millis) {}};
  }
  std::string id(const std::string& profile = {}) {
    AwsCredentials credentials(options(profile));
    const auto keys = credentials.get();
    return keys ? keys->id + "/" + keys->secret + "/" + keys->session_token : keys.error().message;
  }
};

TEST(Credentials, ComeFromTheEnvironment) {
  Machine machine;
  machine.variables["AWS_ACCESS_KEY_ID"] = "ID";
  EXPECT_NE(machine.id().find("only the first is set"), std::string::npos);
  machine.variables["AWS_SECRET_ACCESS_KEY"] = "SECRET";
  EXPECT_EQ(machine.id(), "ID/SECRET/");
  machine.variables["AWS_SESSION_TOKEN"] = "TOKEN";
  EXPECT_EQ(machine.id(), "ID/SECRET/TOKEN");
}

TEST(Credentials, ComeFromAProfile) {
  Machine machine;
  EXPECT_NE(machine.id().find("there are no AWS keys"), std::string::npos);
  machine.write("credentials",
                "# of the tests\n[default]\naws_access_key_id = ID\naws_secret_access_key=SE=CRET/+ \r\n"
                "[other]\naws_access_key_id = ID2\naws_secret_access_key = S2\naws_session_token = T2\n");
  machine.write("config",
                "[default]\nregion = eu-north-1\ns3 =\n  aws_access_key_id = nested\n"
                "[profile third]\naws_access_key_id = ID3\naws_secret_access_key = S3\n"
                "[profile single]\nsso_session = us\n");
  EXPECT_EQ(machine.id(), "ID/SE=CRET/+/");
  EXPECT_EQ(machine.id("other"), "ID2/S2/T2");
  EXPECT_EQ(machine.id("third"), "ID3/S3/");
  EXPECT_NE(machine.id("absent").find("the AWS profile 'absent' has no keys"), std::string::npos);
  EXPECT_NE(machine.id("single").find("by sso_session, which is not supported"), std::string::npos);
  machine.variables["AWS_PROFILE"] = "third";
  EXPECT_EQ(machine.id(), "ID3/S3/");
  machine.variables["AWS_ACCESS_KEY_ID"] = "ID", machine.variables["AWS_SECRET_ACCESS_KEY"] = "SECRET";
  EXPECT_EQ(machine.id(), "ID/SECRET/") << "the environment is first";
  EXPECT_EQ(machine.id("other"), "ID2/S2/T2") << "but not before a profile that the place names";
  machine.variables["AWS_SHARED_CREDENTIALS_FILE"] = (machine.home.path() / ".aws" / "config").string();
  EXPECT_NE(machine.id("other").find("has no keys"), std::string::npos) << "another file";
}

TEST(Credentials, OfAFileAreReadAgain) {
  Machine machine;
  machine.write("credentials", "[default]\naws_access_key_id = OLD\naws_secret_access_key = S\n");
  AwsCredentials credentials(machine.options());
  const auto old = credentials.get().value();
  machine.write("credentials", "[default]\naws_access_key_id = NEW\naws_secret_access_key = S\n");
  EXPECT_EQ(credentials.get().value().id, "OLD");
  machine.clock.advance(61'000);
  EXPECT_EQ(credentials.get().value().id, "NEW");
  EXPECT_TRUE(credentials.refused(old)) << "there may be others by now";
  machine.write("credentials", "[default]\naws_access_key_id = NEWER\naws_secret_access_key = S\n");
  EXPECT_EQ(credentials.get().value().id, "NEW") << "it was not these that were refused";
  EXPECT_TRUE(credentials.refused(credentials.get().value()));
  EXPECT_EQ(credentials.get().value().id, "NEWER");
}

// ---- web identity

std::string sts_answer(const std::string& id, Millis ends_at) {
  return http("200 OK",
              "<AssumeRoleWithWebIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">"
              "<AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>" +
                  id + "</AccessKeyId><SecretAccessKey>S</SecretAccessKey><SessionToken>T</SessionToken><Expiration>" +
                  format_time(ends_at) +
                  "</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>");
}

struct Cluster : Machine {
  explicit Cluster(FakeServer::Reply reply) : sts(std::move(reply)) {
    write("token", "a.web.token\n");
    variables["AWS_WEB_IDENTITY_TOKEN_FILE"] = (home.path() / ".aws" / "token").string();
    variables["AWS_ROLE_ARN"] = "arn:aws:iam::1:role/geres";
    variables["AWS_ENDPOINT_URL_STS"] = sts.address();
  }
  FakeServer sts;
};

TEST(Credentials, ComeFromStsForAWebIdentity) {
  Cluster cluster([&](const Heard&) { return sts_answer("STSID", 1'700'000'000'000 + kHour); });
  AwsCredentials credentials(cluster.options());
  const auto keys = credentials.get().value();
  EXPECT_EQ(keys.id, "STSID");
  EXPECT_EQ(keys.session_token, "T");
  EXPECT_EQ(keys.ends_at, cluster.clock.wall() + kHour);
  const auto asked = cluster.sts.heard().at(0);
  EXPECT_EQ(asked.method, "POST");
  EXPECT_EQ(asked.query, "") << "the token is no part of the address";
  EXPECT_EQ(asked.body,
            "Action=AssumeRoleWithWebIdentity&RoleArn=arn%3Aaws%3Aiam%3A%3A1%3Arole%2Fgeres&RoleSessionName=geres&"
            "Version=2011-06-15&WebIdentityToken=a.web.token");
}

TEST(Credentials, OfWhichStsSaysNoAreSaidWithoutTheToken) {
  Cluster cluster([](const Heard&) {
    return http("403 No",
                "<ErrorResponse><Error><Type>Sender</Type><Code>AccessDenied</Code><Message>Not authorized to "
                "perform sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>");
  });
  const auto why = cluster.id();
  EXPECT_NE(why.find("role/geres: AccessDenied: Not authorized"), std::string::npos) << why;
  EXPECT_EQ(why.find("a.web.token"), std::string::npos);
  cluster.variables["AWS_ENDPOINT_URL_STS"] = "http://sts.example";
  EXPECT_NE(cluster.id().find("in plain text"), std::string::npos) << cluster.id();
  cluster.variables.erase("AWS_ROLE_ARN");
  EXPECT_NE(cluster.id().find("not whose role"), std::string::npos) << cluster.id();
}

TEST(Credentials, AreRenewedFiveMinutesBeforeTheirEndAndKeptIfThatFails) {
  int calls = 0;
  bool well = true;
  ManualClock* clock = nullptr;
  Cluster cluster([&](const Heard&) {
    ++calls;
    return well ? sts_answer("ID" + std::to_string(calls), clock->wall() + kHour) : http("500 No");
  });
  clock = &cluster.clock;
  AwsCredentials credentials(cluster.options());
  EXPECT_EQ(credentials.get().value().id, "ID1");
  cluster.clock.advance(kHour - 301'000);
  EXPECT_EQ(credentials.get().value().id, "ID1");
  EXPECT_EQ(calls, 1);
  cluster.clock.advance(2'000);
  EXPECT_EQ(credentials.get().value().id, "ID2");
  cluster.clock.advance(kHour - 200'000);
  well = false;
  for (int i = 0; i < 3; ++i) EXPECT_EQ(credentials.get().value().id, "ID2") << "still good";
  EXPECT_EQ(calls, 3) << "and not asked for at each use";
  cluster.clock.advance(31'000);
  EXPECT_EQ(credentials.get().value().id, "ID2");
  EXPECT_EQ(calls, 4);
  cluster.clock.advance(200'000);
  EXPECT_FALSE(credentials.get()) << "they have run out";
  well = true;
  EXPECT_EQ(credentials.get().value().id, "ID6");
}

TEST(Credentials, AreRenewedWhileOthersGoOn) {
  std::promise<void> asked, answer;
  std::atomic<bool> hold{false};
  ManualClock* clock = nullptr;
  Cluster cluster([&](const Heard&) {
    if (hold) asked.set_value(), answer.get_future().wait();
    return sts_answer(hold ? "NEW" : "OLD", clock->wall() + kHour);
  });
  clock = &cluster.clock;
  AwsCredentials credentials(cluster.options());
  EXPECT_EQ(credentials.get().value().id, "OLD");
  cluster.clock.advance(kHour - 100'000);
  hold = true;
  auto renewing = std::async(std::launch::async, [&] { return credentials.get().value().id; });
  asked.get_future().wait();
  EXPECT_EQ(credentials.get().value().id, "OLD") << "without waiting";
  answer.set_value();
  EXPECT_EQ(renewing.get(), "NEW");
  EXPECT_EQ(credentials.get().value().id, "NEW");
}

// ---- the machine's role

TEST(Credentials, ComeFromTheMachine) {
  Machine machine;
  FakeServer metadata([&](const Heard& heard) {
    if (heard.method == "PUT" && heard.path == "/latest/api/token" &&
        heard.headers.at("x-aws-ec2-metadata-token-ttl-seconds") == "21600")
      return http("200 OK", "session");
    if (!heard.headers.contains("x-aws-ec2-metadata-token") ||
        heard.headers.at("x-aws-ec2-metadata-token") != "session")
      return http("401 No");
    if (heard.path == "/latest/meta-data/iam/security-credentials/") return http("200 OK", "hub-role\n");
    if (heard.path == "/latest/meta-data/iam/security-credentials/hub-role")
      return http("200 OK", R"({"Code":"Success","Type":"AWS-HMAC","AccessKeyId":"IMDS","SecretAccessKey":"S",)"
                            R"("Token":"T","Expiration":"2033-05-18T03:33:20Z"})");
    return http("404 No");
  });
  machine.variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = metadata.address() + "/";
  EXPECT_NE(machine.id().find("AWS_EC2_METADATA_DISABLED forbids"), std::string::npos);
  EXPECT_TRUE(metadata.heard().empty());
  machine.variables.erase("AWS_EC2_METADATA_DISABLED");
  EXPECT_EQ(machine.id(), "IMDS/S/T");
  AwsCredentials credentials(machine.options());
  EXPECT_EQ(credentials.get().value().ends_at, 2'000'000'000'000);
  EXPECT_EQ(credentials.source(), "the machine's role hub-role");
}

TEST(Credentials, ComeFromTheContainer) {
  Machine machine;
  int tries = 0;
  FakeServer agent([&](const Heard& heard) {
    if (heard.path != "/v1/credentials" || heard.headers.at("authorization") != "pod token") return http("403 No");
    if (++tries == 1) return http("503 No");
    return http("200 OK",
                R"({"AccessKeyId":"POD","SecretAccessKey":"S","Token":"T","Expiration":"2033-05-18T03:33:20Z",)"
                R"("AccountId":"1"})");
  });
  machine.write("token", "pod token\n");
  machine.variables["AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"] = (machine.home.path() / ".aws" / "token").string();
  machine.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = agent.address() + "/v1/credentials";
  EXPECT_EQ(machine.id(), "POD/S/T");
  EXPECT_EQ(tries, 2) << "the first try failed in passing";
  machine.variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"] = "http://agent.example/v1/credentials";
  EXPECT_NE(machine.id().find("in plain text"), std::string::npos) << machine.id();
}

TEST(Credentials, AMachineWithoutARoleIsSaid) {
  Machine machine;
  FakeServer metadata([](const Heard& heard) { return heard.method == "PUT" ? http("200 OK", "s") : http("404 No"); });
  machine.variables.erase("AWS_EC2_METADATA_DISABLED");
  machine.variables["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = metadata.address();
  EXPECT_NE(machine.id().find("this machine has no role"), std::string::npos) << machine.id();
}

}  // namespace
}  // namespace geres::objects
