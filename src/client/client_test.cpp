// SPDX-License-Identifier: Apache-2.0
// Management and monitoring against a real hub: what is asked for happens, what is reported is true, and failures have
// types.
#include <ranges>

#include "client/client_fixture.h"
#include "package/archive.h"

namespace geres::client {
namespace {

static_assert(std::ranges::input_range<Range<Job>>);

TEST_F(ClientTest, SubmitsReadsAndWaits) {
  const auto job = client->submit({.type = "Work",
                                   .name = "first",
                                   .parameters = R"({"n": [1, 2.5, "drei"]})",
                                   .timeout = 90s,
                                   .max_attempts = 3,
                                   .backoff = Backoff{.initial = 250ms, .factor = 3},
                                   .needs = Requirements{.slots = 1},
                                   .tags = {{"colour", "blue"}},
                                   .key = "order-17"});
  EXPECT_EQ(job.id.size(), 36u);
  EXPECT_EQ(job.state, State::ready);
  EXPECT_EQ(job.tenant, "ours");
  EXPECT_EQ(job.name, "first");
  EXPECT_EQ(json::parse(job.parameters).value(), json::parse(R"({"n": [1, 2.5, "drei"]})").value());
  EXPECT_EQ(job.max_attempts, 3);
  EXPECT_EQ(job.tags.at("colour"), "blue");
  EXPECT_EQ(job.submitted_by, "ours");
  EXPECT_THAT(job.json, HasSubstr(R"("timeout":"90s")"));
  ASSERT_TRUE(job.submitted_at);
  EXPECT_LT(std::chrono::abs(*job.submitted_at - std::chrono::system_clock::now()), 1h);
  EXPECT_EQ(client
                ->submit({.type = "Work",
                          .name = "first",
                          .parameters = R"({"n":[1,2.5,"drei"]})",
                          .timeout = 90s,
                          .max_attempts = 3,
                          .backoff = Backoff{.initial = 250ms, .factor = 3},
                          .needs = Requirements{.slots = 1},
                          .tags = {{"colour", "blue"}},
                          .key = "order-17"})
                .id,
            job.id)
      << "the same key, the same job";

  EXPECT_FALSE(client->wait(job.id, 1ms).ended());
  auto waiting = client->async().wait(job.id);
  const auto lease = start_next();
  progress(lease, 40);
  const auto running = client->job(job.id);
  EXPECT_EQ(running.state, State::running);
  ASSERT_TRUE(running.progress);
  EXPECT_EQ(running.progress->percent, 40);
  EXPECT_EQ(running.progress->message, "on the way");
  EXPECT_EQ(running.host, "h");
  write_log(lease, 0, "one\ntwo\n");
  finish(lease, "finished", "42");
  const auto ended = waiting.get();
  EXPECT_TRUE(ended.finished());
  EXPECT_EQ(ended.result, "42");
  EXPECT_EQ(ended.exit.code, 0);
  EXPECT_GE(*ended.finished_at, *ended.started_at);
  EXPECT_EQ(client->log(job.id), "one\ntwo\n");
  EXPECT_EQ(client->log(job.id, {.tail = 1}), "two\n");
  EXPECT_EQ(client->log(job.id, {.stream = Stream::err}), "");
  const auto attempts = client->attempts(job.id);
  ASSERT_THAT(attempts, SizeIs(1));
  EXPECT_EQ(attempts[0].outcome, "finished");
  EXPECT_EQ(attempts[0].host, "h");
  const auto history = client->history(job.id);
  ASSERT_FALSE(history.empty());
  EXPECT_EQ(history.front().type, "geres.job.submitted");
  EXPECT_EQ(history.back().type, "geres.job.finished");
  EXPECT_EQ(client->why(job.id).reasons.size(), 0u);
}

TEST_F(ClientTest, SaysWhyAJobWaits) {
  const auto job = client->submit({.type = "Work", .needs = Requirements{.labels = {{"gpu", "a100"}}}});
  const auto why = client->why(job.id);
  EXPECT_FALSE(why.summary.empty());
  ASSERT_FALSE(why.reasons.empty());
  EXPECT_EQ(why.reasons[0].kind, "labels");
}

TEST_F(ClientTest, CancelsRedrivesAndChanges) {
  const auto job = client->submit({.type = "Work", .delay = 1h});
  EXPECT_EQ(job.state, State::scheduled);
  const auto soon = client->change(job.id, {.priority = -3, .not_before = Time(), .tags = {{{"a", "b"}}}});
  EXPECT_EQ(soon.priority, -3);
  EXPECT_EQ(soon.tags.at("a"), "b");
  const auto cancelled = client->cancel(job.id, {.grace = 2s, .reason = "not needed"});
  EXPECT_EQ(cancelled.state, State::cancelled);
  EXPECT_THROW(client->change(job.id, {.priority = 1}), Conflict);
  const auto again = client->redrive(job.id);
  EXPECT_EQ(again.redrive_of, job.id);
  EXPECT_EQ(client->job(job.id).redriven_as, again.id);
  EXPECT_THROW(client->redrive(again.id), Conflict);

  const std::vector<JobSpec> more(7, {.type = "Work", .tags = {{"kind", "bulk"}}});
  const auto ids = client->submit(more);
  ASSERT_THAT(ids, SizeIs(7));
  EXPECT_EQ(client->would_cancel({.tags = {{"kind", "bulk"}}}).count, 7);
  const auto affected = client->cancel({.tags = {{"kind", "bulk"}}});
  EXPECT_EQ(affected.count, 7);
  EXPECT_THAT(affected.ids, UnorderedElementsAreArray(ids));
  EXPECT_EQ(client->would_redrive({.states = {State::cancelled}, .tags = {{"kind", "bulk"}}}).count, 7);
  EXPECT_THAT(client->redrive({.states = {State::cancelled}, .tags = {{"kind", "bulk"}}}).ids, SizeIs(7));
  EXPECT_THROW(client->cancel(JobFilter{}), Refused) << "an empty filter is refused";
  EXPECT_THROW(client->cancel({.reason = "timeout"}), Refused);
}

TEST_F(ClientTest, ManagesBatches) {
  const auto batch = client->create_batch({.name = "night", .priority = 300, .max_running = 2});
  EXPECT_EQ(batch.name, "night");
  EXPECT_EQ(batch.priority, 300);
  EXPECT_EQ(batch.state, "open");
  EXPECT_THROW(client->create_batch({.name = "night"}), Conflict);
  EXPECT_TRUE(client->pause_batch("night").paused);
  const auto job = client->submit({.type = "Work", .batch = "night"});
  EXPECT_EQ(job.batch, batch.id);
  EXPECT_EQ(job.batch_name, "night");
  EXPECT_FALSE(client->resume_batch("night").paused);
  EXPECT_EQ(client->batch(batch.id).count(State::ready), 1);
  EXPECT_EQ(client->close_batch("night").state, "closed");
  EXPECT_THROW(client->submit({.type = "Work", .batch = "night"}), Conflict);
  EXPECT_EQ(client->cancel_batch("night").state, "cancelled");
  EXPECT_EQ(client->wait(job.id).state, State::cancelled);
  std::vector<std::string> names;
  for (const auto& one : client->batches({.tenant = "ours"})) names.push_back(one.name);
  EXPECT_THAT(names, testing::Contains("night"));
  EXPECT_EQ(client->delete_batch("night"), 1);
  EXPECT_THROW(client->batch("night"), NotFound);
}

TEST_F(ClientTest, PushesPackagesAndFiles) {
  const auto zip = directory.path() / "hello.zip";
  replace_file(zip, hub::small_package());
  const auto pushed = client->push_package("ours", "hello", zip);
  EXPECT_EQ(pushed.version, 1);
  EXPECT_EQ(pushed.sha256, sha256_hex(hub::small_package()));
  EXPECT_THAT(pushed.types, ElementsAre("Hello"));
  std::vector<int> versions;
  for (const auto& one : client->packages("ours", "hello")) versions.push_back(one.version);
  EXPECT_THAT(versions, ElementsAre(1));
  const auto job = client->submit({.type = "Hello", .package = "hello"});
  EXPECT_EQ(job.package_sha256, pushed.sha256);
  EXPECT_THROW(client->delete_package("ours", "hello"), Conflict) << "a job needs it";
  client->cancel(job.id);
  EXPECT_EQ(client->delete_package("ours", "hello"), 1);
  const auto input = directory.path() / "input.txt";
  replace_file(input, "some bytes");
  const auto stored = client->upload_input("ours", input);
  EXPECT_EQ(stored.sha256, sha256_hex("some bytes"));
  EXPECT_EQ(stored.size, 10);
  const auto with_input = client->submit({.type = "Work", .inputs = {{.path = "in.txt", .sha256 = stored.sha256}}});
  EXPECT_THAT(with_input.json, HasSubstr(stored.sha256));
  EXPECT_THROW(client->upload_input("ours", directory.path() / "absent"), Refused);
  const auto version = client->upload_input("ours", "/proc/version");  // stat says that its size is 0
  EXPECT_EQ(version.sha256, sha256_hex(read_file("/proc/version")));
  const auto large = directory.path() / "large";
  replace_file(large, std::string(3'000'000, 'l'));
  EXPECT_EQ(client->upload_input("ours", large).sha256, sha256_hex(std::string(3'000'000, 'l')));
  try {
    replace_file(zip, "no zip at all");
    client->push_package("ours", "hello", zip);
    FAIL() << "not a ZIP";
  } catch (const Refused& error) {
    EXPECT_EQ(error.code(), "badPackage");
  }
}

TEST_F(ClientTest, PacksADirectory) {
  const auto tree = directory.path() / "tree";
  std::filesystem::create_directories(tree / "bin");
  replace_file(tree / "geres.json", R"({"jobs":{"Hello":{"command":["bin/hello.sh"]}}})");
  replace_file(tree / "bin/hello.sh", "#!/bin/sh\necho hello\n", 0755);
  const auto packed = directory.path() / "packed.zip";
  const auto summary = package::pack(tree, packed).value();
  // Its own, because others work in the machine's at the same time.
  const auto temporary = directory.path() / "temporary";
  std::filesystem::create_directory(temporary);
  ::setenv("TMPDIR", temporary.c_str(), 1);
  const auto pushed = client->push_package("ours", "hello", tree);
  EXPECT_EQ(pushed.sha256, summary.sha256);
  EXPECT_THAT(pushed.types, ElementsAre("Hello"));
  EXPECT_EQ(client->push_package("ours", "hello", packed).version, pushed.version) << "the same bytes";
  replace_file(tree / "bin/more.sh", "#!/bin/sh\n", 0755);
  stop_hub();
  auto pushing = client->async().push_package("ours", "hello", tree);
  EXPECT_FALSE(pushing.wait_for(0ms));
  start_hub();
  EXPECT_EQ(pushing.get().version, 2) << "sent again when the hub is back";
  std::filesystem::create_symlink("/etc/passwd", tree / "link");
  try {
    client->push_package("ours", "hello", tree);
    FAIL() << "links are not packed";
  } catch (const Refused& error) {
    EXPECT_EQ(error.code(), "badPackage");
    EXPECT_THAT(error.message(), HasSubstr("'link' is a symbolic link"));
  }
  client.reset();
  ::unsetenv("TMPDIR");
  EXPECT_TRUE(std::filesystem::is_empty(temporary)) << "nothing is left lying about";
}

TEST_F(ClientTest, LetsAJobBringItsWebhook) {
  const JobSpec spec{
      .type = "Work", .webhook = JobWebhook{"https://8.8.8.8/done", {"geres.job.started"}}, .key = "once"};
  EXPECT_THROW(client->submit(spec), Conflict) << "the tenant has no secret to sign with";
  ASSERT_EQ(ours.post("/v1/webhooks", R"({"forJobs":true})").status, 201);
  const auto job = client->submit(spec);
  ASSERT_TRUE(job.webhook);
  EXPECT_EQ(job.webhook->url, "https://8.8.8.8/done");
  EXPECT_THAT(job.webhook->types, ElementsAre("geres.job.started"));
  EXPECT_EQ(client->submit(spec).id, job.id);
  const auto plain = client->submit({.type = "Work", .webhook = JobWebhook{"https://8.8.8.8/"}});
  EXPECT_THAT(plain.webhook->types, IsEmpty());
  EXPECT_FALSE(client->submit(work()).webhook);
  try {
    client->submit({.type = "Work", .webhook = JobWebhook{"http://127.0.0.1/"}});
    FAIL() << "not allowed";
  } catch (const Refused& error) {
    EXPECT_EQ(error.field(), "/webhook");
  }
}

TEST_F(ClientTest, DownloadsWhatAJobLeft) {
  const auto job = client->submit(work());
  const auto lease = start_next();
  const std::string bytes(300'000, 'x');
  EXPECT_EQ(host->client()
                .call("PUT", "/v1/hosts/" + host->id + "/leases/" + lease + "/files/deep/a%20b.bin", bytes,
                      {{"Content-Type", "application/octet-stream"}})
                .status,
            201);
  EXPECT_EQ(host->report(R"("running":[],"finished":[{"lease":")" + lease +
                         R"(","outcome":"finished","exit":{"code":0},"files":[{"path":"deep/a b.bin","size":300000,)" +
                         R"("sha256":")" + sha256_hex(bytes) + R"("}]}])")
                .status,
            200);
  const auto files = client->files(job.id);
  ASSERT_THAT(files, SizeIs(1));
  EXPECT_EQ(files[0].path, "deep/a b.bin");
  EXPECT_EQ(files[0].size, 300'000);
  const auto to = directory.path() / "out.bin";
  EXPECT_EQ(client->download(job.id, files[0].path, to), 300'000);
  EXPECT_EQ(read_file(to), bytes);
  EXPECT_THROW(client->download(job.id, "absent", to), NotFound);
  EXPECT_EQ(read_file(to), bytes) << "as it was";
  const auto longest = directory.path() / "one" / std::string(255, 'n');
  std::filesystem::create_directory(longest.parent_path());
  EXPECT_EQ(client->download(job.id, files[0].path, longest), 300'000);
  EXPECT_EQ(read_file(longest), bytes);
  EXPECT_THROW(client->download(job.id, "absent", longest.parent_path() / "absent"), NotFound);
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(longest.parent_path()), {}), 1) << "nothing beside it";
}

TEST_F(ClientTest, FollowsALogOverAllAttempts) {
  const auto job = client->submit({.type = "Work", .backoff = Backoff{.initial = 1ms}});
  std::string text;
  std::promise<void> begun;
  auto following = client->async().follow_log(job.id, {}, [&](std::string_view bytes) {
    if (text.empty()) begun.set_value();
    text += bytes;
  });
  auto lease = start_next();
  write_log(lease, 0, "first attempt\n");
  ASSERT_EQ(begun.get_future().wait_for(kPatient), std::future_status::ready) << "follows from the current attempt on";
  finish(lease, "failed");
  lease = start_next();
  write_log(lease, 0, "second ");
  write_log(lease, 7, "attempt\n");
  finish(lease);
  EXPECT_TRUE(following.get().finished());
  EXPECT_EQ(text, "first attempt\nsecond attempt\n");
  text.clear();
  client->follow_log(job.id, {.tail = 1}, [&](std::string_view bytes) { text += bytes; });
  EXPECT_EQ(text, "second attempt\n");
  text.clear();
  client->follow_log(job.id, {.attempt = 1, .offset = 6}, [&](std::string_view bytes) { text += bytes; });
  EXPECT_EQ(text, "attempt\nsecond attempt\n");
}

TEST_F(ClientTest, TypesItsTrouble) {
  try {
    client->submit({.type = "Work", .max_attempts = 0});
    FAIL() << "nothing is tried 0 times";
  } catch (const Refused& error) {
    EXPECT_EQ(error.status(), 400);
    EXPECT_EQ(error.code(), "badValue");
    EXPECT_EQ(error.field(), "/maxAttempts");
    EXPECT_FALSE(error.hint().empty());
    EXPECT_FALSE(error.maybe_done());
    EXPECT_THAT(error.what(), HasSubstr("/maxAttempts"));
    EXPECT_THAT(error.problem(), HasSubstr("\"code\":\"badValue\""));
  }
  try {
    client->submit({.type = "Work", .parameters = "{oops"});
    FAIL() << "no JSON";
  } catch (const Refused& error) {
    EXPECT_EQ(error.code(), "malformedJson");
    EXPECT_EQ(error.field(), "/parameters");
  }
  const std::vector<JobSpec> specs{work(), {.type = "Work", .batch = "absent"}};
  try {
    client->submit(specs);
    FAIL() << "no such batch";
  } catch (const Refused& error) {
    EXPECT_EQ(error.code(), "unknownBatch");
    EXPECT_EQ(error.field(), "/1/batch");
  }
  const auto zip = directory.path() / "hello.zip";
  replace_file(zip, hub::small_package());
  client->push_package("ours", "hello", zip);
  try {
    client->submit({.type = "Helo", .package = "hello"});
    FAIL() << "no such type";
  } catch (const Refused& error) {
    EXPECT_EQ(error.code(), "unknownType");
    EXPECT_THAT(error.known(), ElementsAre("Hello"));
  }
  EXPECT_THROW(client->job("0192f0c4-7d3a-7001-8f2e-0123456789ab"), NotFound);
  EXPECT_THROW(client->job("../tenants"), Error) << "an id is not a path";
  EXPECT_THROW(client->submit({.tenant = "theirs", .type = "Work"}), Forbidden);
  EXPECT_THROW(client->set_tenant("ours", {.weight = 9}), Forbidden);
  Client other(options_of(theirs));
  const auto job = client->submit(work());
  EXPECT_THROW(other.job(job.id), NotFound) << "another tenant's job is like none";
}

TEST_F(ClientTest, ReadsHostsTenantsAndItself) {
  client->submit(work());
  const auto info = client->info();
  EXPECT_EQ(info.caller, "ours");
  EXPECT_THAT(info.roles, ElementsAre("submitter"));
  EXPECT_THAT(info.tenants, ElementsAre("ours"));
  Client operator_client(options_of(admin));
  const auto tenant = operator_client.set_tenant("ours", {.weight = 3, .max_running = 5});
  EXPECT_EQ(tenant.weight, 3);
  EXPECT_EQ(client->tenant("ours").max_running, 5);
  EXPECT_THAT(client->tenants(), SizeIs(1));
  const auto hosts = operator_client.hosts();
  ASSERT_THAT(hosts, SizeIs(1));
  EXPECT_EQ(hosts[0].name, "h");
  EXPECT_EQ(hosts[0].slots, 4);
}

TEST_F(ClientTest, WalksThousandsOfJobsPageByPage) {
  std::vector<JobSpec> specs;
  for (int i = 0; i < 2'500; ++i) specs.push_back(work("n" + std::to_string(i)));
  const auto ids = client->submit(specs);
  ASSERT_THAT(ids, SizeIs(2'500));
  std::vector<std::string> seen;
  for (const auto& job : client->jobs({.tenant = "ours", .states = {State::ready}},
                                      {.oldest_first = true, .fields = {"id", "name"}, .page_size = 1'000})) {
    EXPECT_EQ(job.name, "n" + std::to_string(seen.size()));
    seen.push_back(job.id);
  }
  EXPECT_EQ(seen, ids);
  int count = 0;
  for ([[maybe_unused]] const auto& job : client->jobs({}, {.page_size = 10}))
    if (++count == 25) break;
  EXPECT_EQ(count, 25) << "a walk may end early";
  for (const auto& job : client->jobs({.name = "n2499"})) EXPECT_EQ(job.id, ids.back());
  EXPECT_THROW(client->jobs({.ids = ids}).begin(), Refused);
  EXPECT_THROW(client->jobs({}, {.page_size = 0}).begin(), Refused);
}

TEST_F(ClientTest, SubmitsTenThousandAtOnceAndNotOneMore) {
  const std::vector<JobSpec> specs(10'000, work());
  const auto ids = client->submit(specs, "the-list");
  EXPECT_THAT(ids, SizeIs(10'000));
  EXPECT_EQ(client->submit(specs, "the-list"), ids);
  EXPECT_EQ(client->batch("batch0").count(State::ready), 10'000);
  EXPECT_THROW(client->submit(std::vector<JobSpec>(10'001, work())), Refused);
  EXPECT_EQ(client->batch("batch0").count(State::ready), 10'000) << "all or none";
}

TEST_F(ClientTest, ManyCallsAtOnceShareFewConnections) {
  const int before = relay.accepted();
  std::vector<std::future<Job>> submitted;
  for (int i = 0; i < 300; ++i) submitted.push_back(client->async().submit(work()));
  std::set<std::string> ids;
  for (auto& one : submitted) ids.insert(one.get().id);
  EXPECT_THAT(ids, SizeIs(300));
  EXPECT_LE(relay.accepted() - before, 8);
}

TEST_F(ClientTest, CallsBackAndMayBeCalledFromCallbacks) {
  const auto told = std::make_shared<std::promise<std::string>>();
  client->async().submit(work("outer")).then([this, told](std::future<Job> outer) {
    const auto inner = client->submit(work("inner " + outer.get().id));  // a blocking call in a callback
    client->async().job("no-such-job").then([told, inner](std::future<Job> job) {
      try {
        job.get();
        told->set_value("no error");
      } catch (const Error& error) {
        told->set_value(inner.name + " " + error.code());
      }
    });
  });
  auto future = told->get_future();
  ASSERT_EQ(future.wait_for(kPatient), std::future_status::ready);
  EXPECT_THAT(future.get(), testing::MatchesRegex("inner [-0-9a-f]+ .+"));
}

TEST_F(ClientTest, CallsBackAlsoWhenTheOutcomeWasThereFirst) {
  auto late = client->async().info();
  EXPECT_TRUE(late.wait_for(kPatient));
  const auto told = std::make_shared<std::promise<std::string>>();
  late.then([told](std::future<Info> info) { told->set_value(info.get().caller); });
  EXPECT_EQ(told->get_future().get(), "ours");
}

TEST_F(ClientTest, FromManyThreadsAtOnce) {
  std::vector<std::thread> threads;
  std::mutex mutex;
  std::set<std::string> ids;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 20; ++i) {
        const auto job = client->submit(work());
        EXPECT_EQ(client->job(job.id).id, job.id);
        const std::lock_guard lock(mutex);
        ids.insert(job.id);
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_THAT(ids, SizeIs(160));
}

TEST_F(ClientTest, EndsWhatIsUnderWayWithItself) {
  const auto job = client->submit(work());
  auto waiting = client->async().wait(job.id);
  auto cancelled = client->async().wait(job.id);
  cancelled.cancel();
  EXPECT_THROW(cancelled.get(), Stopped);
  EXPECT_FALSE(waiting.wait_for(0ms));
  auto range = client->jobs();
  client.reset();
  EXPECT_THROW(waiting.get(), Stopped);
  EXPECT_THROW(range.begin(), Stopped) << "a range outlives its client, but brings nothing";
}

TEST_F(ClientTest, MayBeEndedByItsOwnCallback) {
  const auto done = std::make_shared<std::promise<void>>();
  client->async().info().then([this, done](std::future<Info>) {
    client.reset();
    done->set_value();
  });
  ASSERT_EQ(done->get_future().wait_for(kPatient), std::future_status::ready);
}

TEST_F(ClientTest, MayBeEndedWhileACallbackWaits) {
  const auto job = client->submit(work());
  const auto begun = std::make_shared<std::promise<void>>();
  client->async().info().then([this, begun, job](std::future<Info>) {
    auto waiting = client->async().wait(job.id);
    begun->set_value();
    waiting.get();  // would wait for ever
    ADD_FAILURE() << "nothing has ended the job";
  });
  begun->get_future().wait();
  client.reset();
}

TEST_F(ClientTest, TakesAnAddressWithoutAScheme) {
  auto options = options_of(ours);
  ASSERT_TRUE(options.hub.starts_with("http://"));
  options.hub.erase(0, 7);
  Client bare(options);
  EXPECT_EQ(bare.submit({.type = "Work"}).tenant, client->submit({.type = "Work"}).tenant);
}

TEST_F(ClientTest, RefusesOptionsThatCannotWork) {
  EXPECT_THROW(Client({.hub = "ftp://there"}), std::invalid_argument);
  EXPECT_THROW(Client({.token_file = directory.path() / "absent"}), std::invalid_argument);
  EXPECT_THROW(Client({.ca_file = directory.path() / "absent.pem"}), std::invalid_argument);
  EXPECT_THROW(Client({.oauth = OAuth{.token_url = "there"}}), std::invalid_argument);
}

}  // namespace
}  // namespace geres::client
