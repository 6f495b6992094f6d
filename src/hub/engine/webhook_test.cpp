// SPDX-License-Identifier: Apache-2.0
// Webhooks as the engine keeps them: cursors, deliveries, and that a job's own is written with its event.
#include "hub/engine/engine_fixture.h"
#include "model/job.h"

namespace geres::hub::engine {
namespace {

class EngineWebhook : public EngineTest {
 protected:
  EngineWebhook() {
    engine->on_webhooks([this](WebhookNews some) {
      for (auto& row : some.deliveries) told.push_back(std::move(row));
    });
  }

  model::Webhook create(bool for_jobs = false, const std::string& name = {}) {
    model::Webhook webhook;
    webhook.tenant = "acme";
    webhook.for_jobs = for_jobs;
    webhook.name = name;
    webhook.url = for_jobs ? "" : "https://example.com/";
    webhook.secret = "whsec_x";
    Slot<model::Webhook> slot;
    engine->ask(CreateWebhook{caller(), webhook}, slot.answer());
    tick();
    return slot.value();
  }
  void settle(DeliveryNews news) {
    Slot<bool> slot;
    engine->ask(std::move(news), slot.answer());
    tick();
    EXPECT_TRUE(slot.value());
  }
  store::DeliveryRow row(const model::Webhook& webhook, store::EventNo event,
                         store::DeliveryState state = store::DeliveryState::pending) {
    store::DeliveryRow row;
    row.key = {webhook.id, event};
    row.state = state;
    row.attempts = 1;
    row.at = clock.wall();
    return row;
  }
  std::vector<store::EventNo> kept(const model::Webhook& webhook, store::DeliveryState state) {
    std::vector<store::EventNo> numbers;
    for (const auto& one : store->reads().deliveries(webhook.id, state, 0, 100)) numbers.push_back(one.row.key.event);
    return numbers;
  }
  store::EventNo cursor(const model::Webhook& webhook) {
    for (const auto& one : store->reads().webhooks())
      if (one.id == webhook.id) return one.cursor;
    return -1;
  }
  NewJob with_webhook(std::vector<std::string> types = {}) {
    auto one = job();
    one.spec.webhook = {"https://example.com/job", std::move(types)};
    return one;
  }

  std::vector<store::DeliveryRow> told;
  static constexpr auto kPending = store::DeliveryState::pending, kDead = store::DeliveryState::dead;
};

TEST_F(EngineWebhook, BeginsWithTheNextEventAndItsCursorOnlyGrows) {
  push();
  submit(job());
  const auto webhook = create();
  EXPECT_EQ(webhook.cursor, engine->last_event());
  for (int i = 0; i < 5; ++i) submit(job());
  DeliveryNews news;
  news.cursors = {{webhook.id, 0, webhook.cursor + 3}};
  news.put = {row(webhook, webhook.cursor + 2)};
  settle(news);
  EXPECT_EQ(cursor(webhook), webhook.cursor + 3);
  EXPECT_EQ(kept(webhook, kPending), std::vector{webhook.cursor + 2});
  news = {};
  news.cursors = {{webhook.id, 0, webhook.cursor + 1}};
  news.removed = {{webhook.id, webhook.cursor + 2}};
  settle(news);
  EXPECT_EQ(cursor(webhook), webhook.cursor + 3);
  EXPECT_TRUE(kept(webhook, kPending).empty());
}

TEST_F(EngineWebhook, WordsFromBeforeARewindDoNotCount) {
  push();
  for (int i = 0; i < 5; ++i) submit(job());
  const auto webhook = create();
  Slot<std::int64_t> slot;
  engine->ask(ReplayWebhook{caller(), webhook.id, {2, {}}}, slot.answer());
  tick();
  EXPECT_EQ(slot.value(), engine->last_event() - 2);
  DeliveryNews late;
  late.cursors = {{webhook.id, 0, webhook.cursor}};
  settle(late);
  EXPECT_EQ(cursor(webhook), 2);
  late.cursors = {{webhook.id, 1, 3}};
  settle(late);
  EXPECT_EQ(cursor(webhook), 3);
}

TEST_F(EngineWebhook, AJobsOwnIsWrittenInTheTickOfItsEvent) {
  push();
  EXPECT_EQ(submit_error(with_webhook()), Code::conflict);
  const auto webhook = create(true);
  const auto quiet = submit(job());
  const auto ends = submit(with_webhook());
  const auto starts = submit(with_webhook({"geres.job.leased"}));
  cancel(quiet);
  EXPECT_TRUE(told.empty());
  // What is refused has never been.
  store->next_commit = FaultyStore::CommitFault{store::Failure::refused};
  Slot<model::Job> refused;
  engine->ask(CancelJob{admin(), ends, {}}, refused.answer());
  tick();
  EXPECT_EQ(refused.error(), Code::notDone);
  EXPECT_TRUE(told.empty());
  EXPECT_TRUE(kept(webhook, kPending).empty());
  // What was committed though nobody heard of it has.
  store->next_commit = FaultyStore::CommitFault{store::Failure::unknown, true};
  cancel(ends);
  ASSERT_EQ(told.size(), 1u);
  EXPECT_EQ(told[0].url, "https://example.com/job");
  EXPECT_EQ(store->reads().events(told[0].key.event - 1, 1).at(0).subject, ends);
  EXPECT_EQ(kept(webhook, kPending), std::vector{told[0].key.event});
  auto host = join("h");
  EXPECT_EQ(fetch(host).leases.at(0).job.id, starts);
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(store->reads().events(told[1].key.event - 1, 1).at(0).type, store::EventType::job_leased);
}

TEST_F(EngineWebhook, ACursorOfAnotherReaderIsOnDiskWhenItIsAnswered) {
  const auto put = [&](store::EventNo at) {
    auto slot = std::make_shared<Slot<bool>>();
    engine->ask(StoreCursor{{"amqp", engine->log(), at}}, slot->answer());
    tick();
    return slot;
  };
  const auto at = [&] { return store->reads().cursor("amqp")->at; };
  push();
  for (int i = 0; i < 2; ++i) submit(job());
  EXPECT_TRUE(put(1)->value());
  EXPECT_EQ(at(), 1);
  store->next_commit = FaultyStore::CommitFault{store::Failure::refused};
  EXPECT_EQ(put(2)->error(), Code::notDone);
  EXPECT_EQ(at(), 1);
  EXPECT_TRUE(put(2)->value());
  EXPECT_EQ(at(), 2);
}

TEST_F(EngineWebhook, DeadLettersAreRevivedAllOrByEvent) {
  push();
  for (int i = 0; i < 5; ++i) submit(job());
  const auto webhook = create();
  DeliveryNews news;
  news.put = {row(webhook, 1, kDead), row(webhook, 2, kDead), row(webhook, 3, kDead), row(webhook, 4)};
  settle(news);
  Slot<std::int64_t> one, all, none;
  engine->ask(ReplayWebhook{caller(), webhook.id, {{}, {2, 4}}}, one.answer());
  tick();
  EXPECT_EQ(one.value(), 1);
  EXPECT_EQ(kept(webhook, kDead), (std::vector<store::EventNo>{1, 3}));
  engine->ask(ReplayWebhook{caller(), webhook.id, {}}, all.answer());
  tick();
  EXPECT_EQ(all.value(), 2);
  EXPECT_EQ(told.size(), 3u);
  EXPECT_EQ(told[0].attempts, 0);
  EXPECT_EQ(kept(webhook, kPending).size(), 4u);
  engine->ask(ReplayWebhook{caller("other"), webhook.id, {}}, none.answer());
  tick();
  EXPECT_EQ(none.error(), Code::notFound);
}

TEST_F(EngineWebhook, ManyDeadLettersAreRevivedASliceATick) {
  options.slice = 2;
  restart();
  push();
  for (int i = 0; i < 5; ++i) submit(job());
  const auto webhook = create();
  DeliveryNews news;
  for (store::EventNo no = 1; no <= 5; ++no) news.put.push_back(row(webhook, no, kDead));
  settle(news);
  Slot<std::int64_t> all;
  engine->ask(ReplayWebhook{caller(), webhook.id, {}}, all.answer());
  tick();
  EXPECT_FALSE(all.answered());
  EXPECT_EQ(kept(webhook, kDead).size(), 3u);
  tick();
  tick();
  EXPECT_EQ(all.value(), 5);
  EXPECT_TRUE(kept(webhook, kDead).empty());
  EXPECT_TRUE(engine->state().operations.empty());
}

TEST_F(EngineWebhook, ADeletedOneIsGoneAtOnceAndItsRowsLater) {
  push();
  for (int i = 0; i < 3; ++i) submit(job());
  const auto webhook = create(false, "mine");
  DeliveryNews news;
  for (store::EventNo no = 1; no <= 3; ++no) news.put.push_back(row(webhook, no, kDead));
  settle(news);
  Slot<bool> gone;
  engine->ask(DeleteWebhook{caller(), webhook.id}, gone.answer());
  tick();
  EXPECT_TRUE(gone.value());
  EXPECT_NE(create(false, "mine").id, webhook.id);
  settle(news);  // its sender may not have heard
  for (int i = 0; i < 20; ++i) clock.advance(options.sweep_pause + 1), tick();
  EXPECT_TRUE(kept(webhook, kDead).empty());
  EXPECT_EQ(store->reads().webhooks().size(), 1u);
  Slot<bool> again;
  engine->ask(DeleteWebhook{caller(), webhook.id}, again.answer());
  tick();
  EXPECT_EQ(again.error(), Code::notFound);
}

TEST_F(EngineWebhook, ASecretThatIsReplacedSignsForADay) {
  const auto webhook = create();
  Slot<model::Webhook> slot;
  WebhookPatch patch;
  patch.secret = "whsec_new";
  engine->ask(PatchWebhook{caller(), webhook.id, patch}, slot.answer());
  tick();
  EXPECT_EQ(slot.value().secret, "whsec_new");
  EXPECT_EQ(slot.value().old_secret, "whsec_x");
  EXPECT_EQ(slot.value().old_secret_until, clock.wall() + options.old_secret_kept);
}

}  // namespace
}  // namespace geres::hub::engine
