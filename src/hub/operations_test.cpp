// SPDX-License-Identifier: Apache-2.0
// Work on many jobs that is left to the hub, and asked after.
#include <gtest/gtest.h>

#include <thread>

#include "hub/hub_fixture.h"

namespace geres::hub {
namespace {

class OperationsTest : public HubTest {
 protected:
  void submit_many(int n) {
    std::string list;
    for (int i = 0; i < n; ++i) list += (list.empty() ? "" : ",") + spec();
    ASSERT_EQ(ours.post("/v1/jobs", "[" + list + "]").status, 201);
  }
  // Once it has ended.
  json::value ended(const std::string& location, const api::TestClient& who) {
    for (int i = 0; i < 10'000; ++i) {
      const auto reply = who.get(location);
      EXPECT_EQ(reply.status, 200) << reply;
      if (reply.text("state") != "running") return reply.json();
      std::this_thread::yield();
    }
    ADD_FAILURE() << location << " does not end";
    return {};
  }
};

TEST_F(OperationsTest, AreBegunAndAskedAfter) {
  submit_many(2'500);
  const auto begun = ours.post("/v1/jobs/cancel?background=true", R"({"type":"Work"})");
  ASSERT_EQ(begun.status, 202) << begun;
  const auto operation = begun.json().at("operation");
  EXPECT_EQ(operation.at("verb"), "cancel");
  EXPECT_EQ(operation.at("state"), "running");
  const auto location = begun.headers.at("location");
  EXPECT_EQ(location, "/v1/operations/" + str(operation.at("id")));
  const auto done = ended(location, ours);
  EXPECT_EQ(done.at("state"), "done");
  EXPECT_EQ(done.at("done"), 2'500);
  EXPECT_EQ(done.at("startedAt"), operation.at("startedAt"));
  EXPECT_EQ(ours.get("/v1/status").json().at("jobs").at("cancelled"), 2'500);

  const auto redriven =
      ours.post("/v1/jobs/redrive", R"({"state":"cancelled"})", {{"Prefer", "wait=5, respond-async"}});
  ASSERT_EQ(redriven.status, 202) << redriven;
  EXPECT_EQ(ended(redriven.headers.at("location"), ours).at("done"), 2'500);
  EXPECT_EQ(ours.get("/v1/status").json().at("jobs").at("ready"), 2'500);

  const auto none = ours.post("/v1/jobs/dismiss?background=true", R"({"type":"Work"})");
  ASSERT_EQ(none.status, 202) << none;
  EXPECT_EQ(ended(none.headers.at("location"), ours).at("done"), 0);
}

TEST_F(OperationsTest, AreAnsweredAtTheirEndUnlessAskedOtherwise) {
  submit_many(3);
  EXPECT_EQ(ours.post("/v1/jobs/cancel?background=false", R"({"type":"Work"})", {{"Prefer", "respond-async"}}).status,
            200);
  submit_many(3);
  EXPECT_EQ(ours.post("/v1/jobs/cancel", R"({"type":"Work"})", {{"Prefer", "respond-asynchronously"}}).status, 200);
  submit_many(3);
  const auto counted = ours.post("/v1/jobs/cancel?background=true&dryRun=true", R"({"type":"Work"})");
  EXPECT_EQ(counted.status, 200) << "nothing is done";
  EXPECT_EQ(counted.json().at("count"), 3);
  EXPECT_EQ(ours.post("/v1/jobs/cancel?background=maybe", R"({"type":"Work"})").field(), "background");
  EXPECT_EQ(ours.post("/v1/jobs/cancel?background=true", "{}").code(), "emptyFilter");
}

TEST_F(OperationsTest, AreTheirOwnersAndOperators) {
  submit_many(1);
  const auto begun = ours.post("/v1/jobs/cancel?background=true", R"({"type":"Work"})");
  const auto location = begun.headers.at("location");
  EXPECT_EQ(viewer.get(location).status, 200) << "of the same tenant";
  EXPECT_EQ(admin.get(location).status, 200);
  EXPECT_EQ(theirs.get(location).code(), "notFound");
  EXPECT_EQ(machine.get(location).code(), "forbidden");
  EXPECT_EQ(ours.get("/v1/operations/x").code(), "notFound");
  EXPECT_EQ(ours.get("/v1/operations/01890a5d-ac96-774b-bcce-b302099a8057").code(), "notFound");
  EXPECT_EQ(ours.get(location + "?x=1").code(), "unknownParameter");
  const auto all = admin.post("/v1/jobs/cancel?background=true", R"({"type":"Work"})");
  EXPECT_EQ(ours.get(all.headers.at("location")).code(), "notFound") << "of all tenants";
}

}  // namespace
}  // namespace geres::hub
