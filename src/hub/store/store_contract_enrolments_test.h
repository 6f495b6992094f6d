// SPDX-License-Identifier: Apache-2.0
// What any store must do, part eight: join tokens, and the hosts that have enrolled with them.
#pragma once

#include "hub/store/store_fixture.h"

namespace geres::hub::store::contract {

TEST_P(StoreContract, KeepsJoinTokens) {
  const model::JoinToken any{next_id(), std::string(64, 'a'), "", {}, now, 3, 3, "ann", 5};
  model::JoinToken bound{next_id(), std::string(64, 'b'), "rack7", {"acme", "other"}, now + 1, 1, 1, "", 6};
  tick({.join_tokens = {any, bound}});
  bound.uses_left = 0;
  tick({.join_tokens = {bound}});
  reopen();
  EXPECT_EQ(reads().join_tokens(), (std::vector{any, bound})) << "by id, the newer row";
  EXPECT_EQ(store->load().join_tokens, (std::vector{any, bound}));
  tick({.join_tokens_removed = {any.id}});
  EXPECT_EQ(reads().join_tokens(), std::vector{bound});
}

TEST_P(StoreContract, KeepsEnrolments) {
  model::Enrolment first{.id = next_id(),
                         .name = "h1",
                         .tenants = std::vector<std::string>{"acme", "other"},
                         .secret_sha256 = std::string(64, 'a'),
                         .secret_since = 4,
                         .join_token = next_id(),
                         .joining = std::string(64, 'c'),
                         .change = 3,
                         .enrolled_at = 4};
  const model::Enrolment second{.id = next_id(), .name = "h1", .secret_sha256 = std::string(64, 'd')};
  model::Host host{next_id(), "h1"};
  host.enrolment = first.id;
  tick({.hosts = {host, {next_id(), "h2"}}, .enrolments = {first, second}});
  first.earlier_sha256 = first.secret_sha256;
  first.earlier_until = 9;
  first.secret_sha256 = std::string(64, 'e');
  first.joining.clear();
  tick({.enrolments = {first}});
  reopen();
  EXPECT_EQ(reads().enrolments(), (std::vector{first, second}));
  const Image image = store->load();
  EXPECT_EQ(image.enrolments, (std::vector{first, second}));
  ASSERT_EQ(image.hosts.size(), 2u);
  EXPECT_EQ(image.hosts[0].enrolment, first.id);
  EXPECT_FALSE(image.hosts[1].enrolment);
  EXPECT_GE(image.last_id, second.id.high);
  tick({.hosts_removed = {host.id}, .enrolments_removed = {first.id}});
  EXPECT_EQ(reads().enrolments(), std::vector{second});
}

}  // namespace geres::hub::store::contract
