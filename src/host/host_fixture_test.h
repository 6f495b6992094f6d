// SPDX-License-Identifier: Apache-2.0
// A host of its own for each test, with a real runner, against a scripted hub.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>

#include "base/log.h"
#include "fake_hub_test.h"
#include "host/job_host.h"

namespace geres::host::test {

class HostTest : public testing::Test {
 protected:
  HostTest() {
    log::start("host", log::Format::text, getenv("GERES_TEST_LOG") ? getenv("GERES_TEST_LOG") : "warn");
    options.hub_url = hub.url();
    options.token = "host-token";
    options.name = "h1";
    options.slots = 2;
    options.isolation = default_isolation();
    options.data = directory.path() / "data";
    options.runner_path = GERES_RUNNER;
    options.loader_path = GERES_LOADER;
    options.lock_wait_ms = 0;
    options.grace_ms = 1'000;
  }
  ~HostTest() override {
    if (host) host->stop(0);
  }

  void start() {
    host.reset();
    auto prepared = JobHost::prepare(options);
    ASSERT_TRUE(prepared) << prepared.error().message;
    host = std::make_unique<JobHost>(options, std::move(*prepared));
    host->start();
  }

  wire::FinishedItem run(const std::string& script, const std::function<void(wire::LeaseGrant&)>& change = {}) {
    if (!host) start();
    lease = hub.add_script(script, change);
    EXPECT_TRUE(hub.await_finished(lease)) << script;
    return hub.finished(lease);
  }

  FakeHub::Told told(const std::string& about) {
    return hub.locked([&] { return hub.told[about]; });
  }

  TemporaryDirectory directory;
  FakeHub hub;
  Options options;
  std::unique_ptr<JobHost> host;
  std::string lease;
};

}  // namespace geres::host::test
