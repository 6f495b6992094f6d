// SPDX-License-Identifier: Apache-2.0
// What any store must do, part four: webhooks and what they were told in vain.
#pragma once

#include "hub/store/store_fixture.h"

namespace geres::hub::store::contract {

inline model::Webhook webhook_of(Uuid id) {
  model::Webhook webhook;
  webhook.id = id;
  webhook.tenant = "acme";
  webhook.url = "https://example.com/";
  webhook.secret = "whsec_x";
  return webhook;
}

TEST_P(StoreContract, KeepsWebhooksWhole) {
  auto full = webhook_of(next_id());
  full.name = "ends";
  full.types = {"geres.job.*"};
  full.batches = {next_id(), next_id()};
  full.job_types = {"Thumbnail", "Rotate"};
  full.tags = {{"customer", "7"}, {"kind", "night"}};
  full.old_secret = "whsec_y";
  full.old_secret_until = 77;
  full.enabled = false;
  full.reason = "410";
  full.rewinds = 3;
  full.created_at = 5;
  full.created_by = "me";
  auto jobs = webhook_of(next_id());
  jobs.for_jobs = true;
  jobs.url.clear();
  Changes changes;
  changes.webhooks = {full, jobs};
  tick(changes);
  EXPECT_EQ(store->reads().webhooks(), (std::vector{full, jobs}));
  reopen();
  EXPECT_EQ(store->load().webhooks, (std::vector{full, jobs}));
  full.removed = true;
  changes = {};
  changes.webhooks = {full};
  changes.webhooks_removed = {jobs.id};
  tick(changes);
  EXPECT_EQ(store->load().webhooks, std::vector{full});
}

TEST_P(StoreContract, KeepsDeliveriesInTheOrderOfTheirEventsAndOfWhenTheyAreDue) {
  const auto one = webhook_of(next_id()), two = webhook_of(next_id());
  const auto job = new_job();
  DeliveryRow a{{one.id, 1}, "", DeliveryState::pending, 1, 300, 10, 20, 500, "answered 500"};
  DeliveryRow b{{one.id, 2}, "https://example.com/job", DeliveryState::pending, 0, 100, 10, std::nullopt, 0, ""};
  DeliveryRow c{{two.id, 1}, "", DeliveryState::dead, 12, 50, 10, 20, 0, "no answer"};
  DeliveryRow d{{two.id, 2}, "", DeliveryState::pending, 1, 300, 10, 20, 503, "answered 503"};
  Changes changes;
  changes.webhooks = {one, two};
  changes.deliveries = {a, b, c, d};
  changes.events = {event(1, job.id), event(2, job.id)};
  tick(changes);
  EXPECT_EQ(store->reads().pending_deliveries(std::nullopt, 10), (std::vector{b, a, d}));
  EXPECT_EQ(store->reads().pending_deliveries(b, 1), std::vector{a});
  EXPECT_EQ(inside([&] { return store->deliveries(one.id, DeliveryState::pending, 0, 10); }), (std::vector{a, b}));
  EXPECT_EQ(inside([&] { return store->deliveries(one.id, DeliveryState::pending, 1, 10); }), std::vector{b});
  const auto told = store->reads().deliveries(two.id, DeliveryState::dead, 0, 10);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].row, c);
  EXPECT_EQ(told[0].type, EventType::job_submitted);
  EXPECT_EQ(told[0].subject, job.id);
  changes = {};
  c.state = DeliveryState::pending;
  changes.deliveries = {c};
  changes.deliveries_removed = {b.key};
  tick(changes);
  EXPECT_EQ(store->reads().pending_deliveries(std::nullopt, 10), (std::vector{c, a, d}));
}

TEST_P(StoreContract, DropsDeadLettersThatAreOldOrTooMany) {
  const auto webhook = webhook_of(next_id());
  Changes changes;
  changes.webhooks = {webhook};
  for (EventNo no = 1; no <= 10; ++no)
    changes.deliveries.push_back(
        {{webhook.id, no}, "", no == 5 ? DeliveryState::pending : DeliveryState::dead, 1, 0, no});
  tick(changes);
  const auto purge = [&](bool all, Millis before, std::size_t dead_max, std::size_t max) {
    store->begin();
    const auto gone = store->purge_deliveries(webhook.id, all, before, dead_max, max);
    store->commit(++tick_no);
    return gone;
  };
  const auto left = [&] {
    std::vector<EventNo> numbers;
    for (const auto& told : store->reads().deliveries(webhook.id, DeliveryState::dead, 0, 100))
      numbers.push_back(told.row.key.event);
    return numbers;
  };
  EXPECT_EQ(purge(false, 0, 100, 100), 0u);
  EXPECT_EQ(purge(false, 4, 100, 2), 2u);
  EXPECT_EQ(purge(false, 4, 100, 100), 1u);
  EXPECT_EQ(left(), (std::vector<EventNo>{4, 6, 7, 8, 9, 10}));
  EXPECT_EQ(purge(false, 0, 2, 100), 4u);
  EXPECT_EQ(left(), (std::vector<EventNo>{9, 10}));
  EXPECT_EQ(store->reads().pending_deliveries(std::nullopt, 10).size(), 1u);
  EXPECT_EQ(purge(true, 0, 100, 2), 2u);
  EXPECT_EQ(purge(true, 0, 100, 2), 1u);
  EXPECT_TRUE(left().empty());
}

TEST_P(StoreContract, KeepsAJobsOwnWebhook) {
  auto job = new_job();
  job.spec.webhook = {"https://example.com/", {"geres.job.finished"}};
  insert({job});
  EXPECT_EQ(store->reads().job(job.id)->spec.webhook, job.spec.webhook);
}

}  // namespace geres::hub::store::contract
