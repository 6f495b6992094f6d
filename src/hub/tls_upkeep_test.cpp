// SPDX-License-Identifier: Apache-2.0
#include "hub/tls_upkeep.h"

#include <gmock/gmock.h>

#include <thread>

#include "hub/hub_fixture.h"

namespace geres::hub {
namespace {

using testing::Contains;

constexpr Millis kDay = 86'400'000;

std::string pin_shown(const TlsUpkeep& upkeep) {
  return upkeep.context()->certificate().pin;
}

// The machine's, moved by hand; any thread.
struct MovedClock final : Clock {
  Millis wall() const override { return SystemClock().wall() + ahead; }
  Millis monotonic() const override { return SystemClock().monotonic(); }
  std::atomic<Millis> ahead = 0;
};

template <class Fact>
bool soon(Fact fact) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!fact() && std::chrono::steady_clock::now() < end) std::this_thread::yield();
  return fact();
}

TEST(TlsUpkeep, RenewsItsOwnCertificateInTimeAndKeepsItsAuthority) {
  TemporaryDirectory directory;
  MovedClock clock;
  TlsUpkeep upkeep({.self_signed = true}, directory.path() / "tls", {"localhost"}, clock);
  const auto pin = upkeep.ca_pin(), first = pin_shown(upkeep);
  EXPECT_TRUE(tls::is_pin(pin));
  upkeep.start(1);
  clock.ahead = 61 * kDay;
  EXPECT_TRUE(soon([&] { return pin_shown(upkeep) != first; }));
  EXPECT_EQ(upkeep.ca_pin(), pin);
}

TEST(TlsUpkeep, SaysWhichFileKeepsAHubFromStarting) {
  TemporaryDirectory directory;
  try {
    TlsUpkeep({.files = {directory.path() / "absent.pem", directory.path() / "absent.key", {}}}, directory.path(), {},
              SystemClock());
    FAIL();
  } catch (const CannotStart& error) {
    EXPECT_EQ(error.option, "tls-cert");
  }
}

TEST(TlsUpkeep, NamesAllThatAMachineIsCalled) {
  EXPECT_THAT(names_of_machine({"127.0.0.1"}), testing::ElementsAre("127.0.0.1", "::1", "localhost"));
  EXPECT_THAT(names_of_machine({"192.0.2.1"}), Contains("192.0.2.1"));
  char name[256] = "";
  ASSERT_EQ(::gethostname(name, sizeof name - 1), 0);
  EXPECT_THAT(names_of_machine({"0.0.0.0"}), Contains(std::string(name)));
}

class TlsHub : public HubTest {
 protected:
  TlsHub() {
    options.serving.http.listen.push_back({"127.0.0.1", 0, true});
    options.tls.self_signed = true;
  }
};

TEST_F(TlsHub, ListensInClearAndOverTlsAndSaysWhatItShows) {
  ASSERT_EQ(hub->urls().size(), 2u);
  EXPECT_TRUE(hub->urls()[0].starts_with("http://127.0.0.1:"));
  EXPECT_TRUE(hub->urls()[1].starts_with("https://127.0.0.1:"));
  const auto told = admin.get("/v1/info").json().at("tls");
  EXPECT_EQ(told.at("caPin"), json::value(hub->ca_pin()));
  EXPECT_THAT(json::read<std::vector<std::string>>(told.at("names")).value(), Contains("localhost"));
  const auto left = read_file(directory.path() / "data" / "admin.hub");
  EXPECT_EQ(left, hub->urls()[0] + "\n" + hub->urls()[1] + "\n");
  EXPECT_EQ(admin.call("POST", "/hubs/jobs/negotiate?negotiateVersion=1").status, 200);
}

}  // namespace
}  // namespace geres::hub
