// SPDX-License-Identifier: Apache-2.0
// What a store on PostgreSQL adds to the contract: who leads when two hubs share it, a server that goes away, and
// databases that are none for a store.
#include "hub/store/postgres/postgres_store.h"

#include <signal.h>

#include "hub/store/postgres/connection.h"
#include "hub/store/postgres/postgres_server.h"
#include "hub/store/store_fixture.h"

namespace geres::hub::store::postgres {
namespace {

std::unique_ptr<Store> open(const std::string& url, Millis stands_still = 3'000, std::function<bool()> stopping = {}) {
  return open_postgres({.url = url,
                        .hub = "tests",
                        .stands_still = stands_still,
                        .stopping = std::move(stopping),
                        .unsafe_allowed = true});
}

Changes one_tenant(const std::string& name) {
  Changes changes;
  changes.tenants = {{name}};
  return changes;
}

void tick(Store& store, std::int64_t number, const Changes& changes = {}) {
  store.begin();
  store.apply(changes);
  store.commit(number);
}

// What the work fails with; nullopt: it does not.
template <class F>
std::optional<Failure> failure(F work) {
  try {
    work();
  } catch (const StoreFailed& failed) {
    return failed.failure;
  }
  return std::nullopt;
}

std::string refusal(const PostgresOptions& options) {
  try {
    open_postgres(options);
  } catch (const StoreFailed& failed) {
    return failed.failure == Failure::fatal ? failed.what() : std::string("not fatal: ") + failed.what();
  }
  return "it opened";
}

TEST(PostgresLead, WaitsWhileAnotherShowsLife) {
  const std::string url = test_server().new_database();
  const auto leader = open(url);
  leader->lead(0);
  std::int64_t ticks = 0;
  const auto other = open(url, 40, [&] {
    tick(*leader, ++ticks);
    return ticks == 10;
  });
  EXPECT_EQ(failure([&] { other->lead(0); }), Failure::refused);
  EXPECT_EQ(ticks, 10);
  tick(*leader, ++ticks);  // nobody has deposed it
}

TEST(PostgresLead, TakesOverAtOnceFromOneThatStopped) {
  const std::string url = test_server().new_database();
  auto leader = open(url);
  leader->lead(0);
  tick(*leader, 1, one_tenant("acme"));
  leader.reset();
  const auto other = open(url, 3'000, [] {
    ADD_FAILURE() << "it waits";
    return true;
  });
  other->lead(0);
  EXPECT_EQ(other->load().tick, 1);
  tick(*other, 2);
}

TEST(PostgresLead, TakesOverFromOneThatIsFrozenInATick) {
  const std::string url = test_server().new_database();
  const auto frozen = open(url), other = open(url, 20);
  frozen->lead(0);
  tick(*frozen, 1, one_tenant("acme"));
  frozen->begin();  // holds the row that says who leads
  frozen->apply(one_tenant("lost"));
  other->lead(0);
  tick(*other, 2, one_tenant("other"));
  EXPECT_NE(failure([&] { frozen->commit(2); }), std::nullopt);
  frozen->rollback();
  EXPECT_EQ(failure([&] { frozen->begin(); }), Failure::deposed);
  EXPECT_EQ(frozen->committed(2), Committed::deposed);
  const auto tenants = other->reads().tenants();
  ASSERT_EQ(tenants.size(), 2u);
  EXPECT_EQ(tenants[1].name, "other");
}

TEST(PostgresStore, GoesOnAfterItsServerWasGone) {
  Server server;
  const auto store = open(server.new_database());
  store->lead(0);
  tick(*store, 1, one_tenant("acme"));
  EXPECT_EQ(store->reads().tenants().size(), 1u);
  server.stop(SIGQUIT);
  EXPECT_EQ(failure([&] { tick(*store, 2, one_tenant("b")); }), Failure::refused);
  store->rollback();
  EXPECT_EQ(failure([&] { store->begin(); }), Failure::refused);
  EXPECT_EQ(failure([&] { store->reads().tenants(); }), Failure::refused);
  server.start();
  EXPECT_EQ(store->committed(2), Committed::not_done);
  EXPECT_EQ(store->load().tick, 1);
  tick(*store, 2, one_tenant("b"));
  EXPECT_EQ(store->reads().tenants().size(), 2u);
}

// A commit whose answer was lost may have happened: only the store knows.
TEST(PostgresStore, TellsWhatBecameOfACommitThatWasCutOff) {
  Server server;
  const std::string url = server.new_database();
  const auto store = open(url);
  store->lead(0);
  store->begin();
  store->apply(one_tenant("acme"));
  server.stop(SIGQUIT);
  const auto failed = failure([&] { store->commit(1); });
  EXPECT_TRUE(failed == Failure::refused || failed == Failure::unknown);
  server.start();
  EXPECT_EQ(store->committed(1), Committed::not_done);
}

TEST(PostgresStore, RefusesWhatIsNoStore) {
  const std::string url = test_server().new_database();
  EXPECT_THAT(refusal({.url = url}), testing::HasSubstr("fsync is off"));
  EXPECT_THAT(refusal({.url = test_server().url("absent"), .unsafe_allowed = true}),
              testing::HasSubstr("database \"absent\" does not exist"));
  EXPECT_THAT(refusal({.url = url, .schema = "No Name", .unsafe_allowed = true}), testing::HasSubstr("no plain name"));
  Connection other(url, "tests", 5'000);
  other.script("CREATE SCHEMA geres_store");
  EXPECT_THAT(refusal({.url = url, .unsafe_allowed = true}), testing::HasSubstr("belongs to another program"));
  other.script("COMMENT ON SCHEMA geres_store IS 'GeRes store, version 99'");
  EXPECT_THAT(refusal({.url = url, .unsafe_allowed = true}), testing::HasSubstr("made by a newer version"));
  Connection(test_server().url("postgres"), "tests", 5'000)
      .script("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0");
  EXPECT_THAT(refusal({.url = test_server().url("ascii"), .unsafe_allowed = true}),
              testing::HasSubstr("the database's encoding is SQL_ASCII"));
  EXPECT_THAT(refusal({.url = "postgresql://127.0.0.1:1/x?connect_timeout=2"}), testing::HasSubstr("refused"));
}

TEST(PostgresAddress, ShowsNoPassword) {
  const std::string url = "postgresql://ann:s3cret@db.example:5433/geres?sslmode=require";
  EXPECT_EQ(shown_address(url).value(), "postgresql://db.example:5433/geres");
  EXPECT_TRUE(has_password(url));
  EXPECT_FALSE(has_password("postgresql://ann@db.example/geres"));
  EXPECT_FALSE(shown_address("postgresql://db/x?nonsense=1"));
}

}  // namespace
}  // namespace geres::hub::store::postgres
