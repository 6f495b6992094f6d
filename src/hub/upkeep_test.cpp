// SPDX-License-Identifier: Apache-2.0
// What a hub keeps and what it lets go: keys over a restart, old jobs with their logs and files, a full disk, and
// thousands of callers that only wait.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <functional>
#include <limits>
#include <thread>

#include "hub/hub_fixture.h"

namespace geres::hub {
namespace {

using api::TestClient;

bool within(std::chrono::seconds most, const std::function<bool()>& fact) {
  const auto end = std::chrono::steady_clock::now() + most;
  while (!fact()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  return true;
}

int files_below(const std::filesystem::path& directory) {
  int files = 0;
  std::error_code gone;  // what is being removed meanwhile
  std::filesystem::recursive_directory_iterator at(directory, gone);
  for (; !gone && at != std::filesystem::recursive_directory_iterator(); at.increment(gone))
    files += at->is_regular_file(gone);
  return gone ? -1 : files;
}

struct UpkeepTest : HubTest {
  void restart() {
    hub->stop();
    hub = std::make_unique<Hub>(options);
    url = hub->start();
    for (auto* client : {&admin, &ours, &theirs, &viewer, &machine}) *client = client->at(url);
  }
  // A job that has ended with a log and a file.
  std::string ended_job() {
    const auto id = submit();
    FakeHost host(machine, "h" + std::to_string(++hosts_));
    const auto lease = "\"" + host.one_lease() + "\"";
    const auto plain = lease.substr(1, lease.size() - 2);
    const std::string bytes = "made by " + id;
    EXPECT_EQ(host.client().call("PUT", "/v1/hosts/" + host.id + "/leases/" + plain + "/files/out", bytes).status, 201);
    const auto reply = host.report(
        R"("running":[],"log":[{"lease":)" + lease + R"(,"stream":"stdout","offset":0,"data":")" + to_base64("line\n") +
        R"("}],"finished":[{"lease":)" + lease + R"(,"outcome":"finished","files":[{"path":"out","size":)" +
        std::to_string(bytes.size()) + R"(,"sha256":")" + sha_of(bytes) + R"("}]}])");
    EXPECT_EQ(reply.status, 200) << reply;
    EXPECT_EQ(ours.get("/v1/jobs/" + id).text("state"), "finished");
    return id;
  }
  int hosts_ = 0;
};

TEST_F(UpkeepTest, OperatorsSeeHowPublishingToABrokerStands) {
  EXPECT_FALSE(admin.get("/v1/info").json().as_object().contains("amqp"));
  EXPECT_EQ(admin.get("/metrics").body.find("geres_amqp"), std::string::npos);
  submit();
  options.amqp.access.url = "amqp://127.0.0.1:1/events";  // where nobody listens
  options.amqp.from_start = true;
  try {
    restart();
  } catch (const std::runtime_error& absent) {
    ASSERT_NE(std::string(absent.what()).find("built without AMQP"), std::string::npos) << absent.what();
    GTEST_SKIP() << absent.what();
  }
  const auto shown = [&] { return admin.get("/v1/info").json().at("amqp").get_object(); };
  ASSERT_TRUE(within(std::chrono::seconds(60), [&] { return shown().contains("error"); }));
  EXPECT_EQ(shown().at("target").as_string(), options.amqp.access.url);
  EXPECT_FALSE(shown().at("connected").as_bool());
  EXPECT_EQ(shown().at("behind").as_int64(), 1);
  EXPECT_TRUE(shown().at("cursor").get_string().ends_with("-0"));
  EXPECT_NE(admin.get("/metrics").body.find("geres_amqp_events_behind 1\n"), std::string::npos);
  EXPECT_FALSE(viewer.get("/v1/info").json().as_object().contains("amqp"));
}

TEST_F(UpkeepTest, AKeyAnswersAfterARestartToo) {
  const TestClient::Headers key{{"Idempotency-Key", "order-17"}}, list_key{{"Idempotency-Key", "orders"}};
  const auto first = ours.post("/v1/jobs", spec(), key);
  const auto list = ours.post("/v1/jobs", "[" + spec() + "," + spec() + "]", list_key);
  ASSERT_EQ(first.status, 201);
  ASSERT_EQ(list.status, 201);
  restart();
  const auto again = ours.post("/v1/jobs", spec(), key);
  EXPECT_EQ(again.status, 200) << again;
  EXPECT_EQ(again.headers.at("idempotency-replayed"), "true");
  EXPECT_EQ(again.text("id"), first.text("id"));
  EXPECT_EQ(ours.post("/v1/jobs", "[" + spec() + "," + spec() + "]", list_key).body, list.body);
  EXPECT_EQ(ours.post("/v1/jobs", spec(R"(,"priority":1)"), key).code(), "keyReused");
  EXPECT_EQ(ours.get("/v1/jobs").json().at("items").get_array().size(), 3u);
}

TEST_F(UpkeepTest, CountsTheLastHourOverARestart) {
  ended_job();
  ours.post("/v1/jobs/" + submit() + "/cancel");
  const auto hour = [&](const TestClient& client) { return client.get("/v1/status").json().at("lastHour"); };
  const auto expected = json::parse(R"({"finished":1,"failed":0,"cancelled":1})").value();
  EXPECT_EQ(hour(admin), expected);
  EXPECT_EQ(hour(theirs), json::parse(R"({"finished":0,"failed":0,"cancelled":0})").value());
  restart();
  EXPECT_EQ(hour(ours), expected);
  ours.post("/v1/jobs/" + submit() + "/cancel");
  EXPECT_EQ(hour(ours).at("cancelled"), 2);
}

TEST_F(UpkeepTest, ABulkVerbNamesWhatItDidAndCountsNothingTwice) {
  const auto id = submit(R"(,"tags":{"run":"1"})");
  const std::string filter = R"({"tags":{"run":"1"}})", ended = R"({"state":"cancelled","tags":{"run":"1"}})";
  const auto cancelled = ours.post("/v1/jobs/cancel", filter).json();
  EXPECT_EQ(str(cancelled.at("ids").at(0)), id);
  EXPECT_EQ(ours.post("/v1/jobs/redrive?dryRun=true", ended).json().at("count"), 1);
  const auto redriven = ours.post("/v1/jobs/redrive", ended).json();
  ASSERT_EQ(redriven.at("ids").get_array().size(), 1u);
  EXPECT_EQ(ours.get("/v1/jobs/" + str(redriven.at("ids").at(0))).text("redriveOf"), id);
  EXPECT_EQ(ours.post("/v1/jobs/redrive?dryRun=true", ended).json().at("count"), 0) << "it was run again already";
  EXPECT_EQ(ours.post("/v1/jobs/redrive", ended).json().at("count"), 0);
}

TEST_F(UpkeepTest, TellsWhyTheDeadLettersDiedThatItRedrives) {
  const auto id = submit(R"(,"maxAttempts":1)");
  FakeHost host(machine, "h");
  host.report(R"("running":[],"finished":[{"lease":")" + host.one_lease() +
              R"(","outcome":"failed","exit":{"code":3},"error":"exit 3"}])");
  ASSERT_EQ(ours.get("/v1/jobs/" + id).text("reason"), "error");
  for (const char* path : {"/v1/jobs/redrive?dryRun=true", "/v1/jobs/redrive"}) {
    const auto answer = ours.post(path, R"({"tenant":"ours"})").json();
    EXPECT_EQ(answer.at("count"), 1);
    EXPECT_EQ(answer.at("byReason"), json::parse(R"({"error":1})").value());
  }
  EXPECT_EQ(ours.get("/v1/status").json().at("failed"), json::parse(R"({"error":1})").value());
  EXPECT_NE(ours.post("/v1/jobs/" + id + "/dismiss").text("settledAt"), "");
  EXPECT_EQ(ours.get("/v1/status").json().at("failed"), json::parse("{}").value());
  EXPECT_EQ(ours.get("/v1/jobs?state=failed&open=true").json().at("items").get_array().size(), 0u);
  EXPECT_EQ(ours.get("/v1/jobs?state=failed").json().at("items").get_array().size(), 1u);
}

TEST_F(UpkeepTest, WhatIsPastItsTimeGoesWithItsLogsAndFiles) {
  const auto id = ended_job();
  const auto waiting = submit();
  const auto logs = options.data_dir / "logs", blobs = options.data_dir / "blobs" / "tenants";
  ASSERT_EQ(files_below(logs), 1);
  ASSERT_EQ(files_below(blobs), 1);
  options.engine.keep_finished = options.engine.keep_key_min = options.keep_unnamed = 0;
  options.sweep_every = 20;
  restart();
  EXPECT_TRUE(within(std::chrono::seconds(30), [&] { return ours.get("/v1/jobs/" + id).code() == "unknownJob"; }));
  EXPECT_TRUE(within(std::chrono::seconds(30), [&] { return files_below(logs) == 0; }));
  EXPECT_TRUE(within(std::chrono::seconds(30), [&] { return files_below(blobs) == 0; }));
  EXPECT_EQ(ours.get("/v1/jobs/" + waiting).text("state"), "ready");
}

TEST_F(UpkeepTest, WhatAJobStillNamesStays) {
  const auto id = ended_job();
  options.keep_unnamed = 0;
  options.sweep_every = 1;
  const auto loose = ours.call("PUT", "/v1/files/ours", "nobody names this");
  ASSERT_EQ(loose.status, 201);
  restart();
  const auto path = "/v1/files/ours/" + loose.text("sha256");
  EXPECT_TRUE(within(std::chrono::seconds(30), [&] { return ours.get(path).status == 404; }));
  EXPECT_EQ(ours.get("/v1/jobs/" + id + "/files/out").body, "made by " + id);
}

TEST_F(UpkeepTest, AFullDiskRefusesUploadsAndEndsNothingElse) {
  options.disk_reserve = std::numeric_limits<std::uint64_t>::max() / 2;
  restart();
  const auto file = ours.call("PUT", "/v1/files/ours", "bytes");
  EXPECT_EQ(file.status, 507) << file;
  EXPECT_EQ(file.code(), "storageFull");
  const auto package = upload_package();
  EXPECT_EQ(package.status, 507) << package;
  EXPECT_EQ(ours.get("/v1/packages").json().at("items").get_array().size(), 0u);
  EXPECT_EQ(files_below(options.data_dir / "blobs" / "tmp"), 0);
  EXPECT_EQ(ours.post("/v1/jobs/" + submit() + "/cancel").text("state"), "cancelled");
}

// ---- many that wait

std::int64_t resident_bytes() {
  const auto fields = read_file("/proc/self/statm");
  return std::stoll(fields.substr(fields.find(' ') + 1)) * ::sysconf(_SC_PAGESIZE);
}

Fd connect_to(const std::string& url) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(std::uint16_t(std::stoi(url.substr(url.rfind(':') + 1))));
  ::inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd || ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) return {};
  const timeval most{60, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &most, sizeof most);
  return fd;
}

TEST_F(UpkeepTest, ThousandsMayWaitForAJobAtLittleCost) {
  constexpr int kPolls = 2'000;
  rlimit limit{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = limit.rlim_max;
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
  if (limit.rlim_cur < 3 * kPolls) GTEST_SKIP() << "only " << limit.rlim_cur << " files may be open";
  const auto id = submit();
  const auto token = make_token("watcher", R"(["viewer"])", R"(["ours"])");
  const auto before = resident_bytes();
  const std::string request = "GET /v1/jobs/" + id + "?wait=50s HTTP/1.1\r\nHost: hub\r\nAuthorization: Bearer " +
                              token + "\r\nConnection: close\r\n\r\n";
  std::vector<Fd> polls;
  for (int i = 0; i < kPolls; ++i) {
    polls.push_back(connect_to(url));
    ASSERT_TRUE(polls.back()) << "connection " << i;
    ASSERT_EQ(::send(polls.back().get(), request.data(), request.size(), MSG_NOSIGNAL), ssize_t(request.size()));
  }
  const auto all = "geres_followers " + std::to_string(kPolls);
  ASSERT_TRUE(
      within(std::chrono::seconds(40), [&] { return admin.get("/metrics").body.find(all) != std::string::npos; }));
  const auto each = (resident_bytes() - before) / kPolls;
  RecordProperty("bytes_each", int(each));
  std::cout << "an idle poll takes " << each << " bytes\n";
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  EXPECT_LT(each, 128 << 10);
#endif
  EXPECT_EQ(ours.post("/v1/jobs/" + id + "/cancel").status, 200);
  int answered = 0;
  for (const auto& poll : polls) {
    std::string answer;
    char piece[4096];
    for (ssize_t got = 0; (got = ::recv(poll.get(), piece, sizeof piece, 0)) > 0;)
      answer.append(piece, std::size_t(got));
    answered += answer.starts_with("HTTP/1.1 200") && answer.find(R"("state":"cancelled")") != std::string::npos;
  }
  EXPECT_EQ(answered, kPolls);
}

// What a hub kept and is not there any more is not begun anew without a word.
TEST_F(HubTest, AStoreThatIsGoneOrCutIsSaid) {
  const auto store = options.data_dir / "geres.db";
  hub->stop(0);
  hub.reset();
  for (const bool cut : {false, true}) {
    for (const auto* more : {"", "-wal", "-shm"}) std::filesystem::remove(store.string() + more);
    if (cut) replace_file(store, "", 0600);
    hub = std::make_unique<Hub>(options);
    try {
      hub->start();
      ADD_FAILURE() << "it started";
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(), testing::HasSubstr(cut ? "is empty" : "is missing"));
      EXPECT_THAT(error.what(), testing::HasSubstr("geres.db"));
    }
  }
  std::filesystem::remove(options.data_dir / "admin.token");
  std::filesystem::remove(store);
  hub = std::make_unique<Hub>(options);
  EXPECT_NO_THROW(hub->start());
}

TEST_F(HubTest, ALostAdminTokenIsMadeAgainWhenAsked) {
  const auto file = hub->admin_token_file();
  const auto first = read_file(file);
  const auto restart = [&](bool anew) {
    hub->stop(0);
    options.new_admin_token = anew;
    hub = std::make_unique<Hub>(options);
    url = hub->start();
  };
  restart(true);
  EXPECT_EQ(read_file(file), first) << "it is good";
  for (const std::string left : {"", "cut"}) {
    std::filesystem::remove(file);
    if (!left.empty()) replace_file(file, left, 0600);
    restart(false);
    EXPECT_EQ(read_file_if(file).value_or(""), left) << "moved elsewhere on purpose";
    restart(true);
    auto secret = read_file(file);
    secret.pop_back();
    EXPECT_EQ(api::TestClient(url, secret).get("/v1/tokens").status, 200);
  }
}

}  // namespace
}  // namespace geres::hub
