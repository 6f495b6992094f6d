// SPDX-License-Identifier: Apache-2.0
#include "wire/api/job_spec.h"
#include "model/job.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "wire/api/job_json.h"
#include "wire/api/job_view.h"
#include "wire/api/legacy_json.h"

namespace geres::wire {
namespace {

Result<ParsedJob> read(const std::string& text, const SpecRules& rules = {"t", {}, true}) {
  return read_job_spec(json::parse(text).value(), rules);
}

TEST(JobSpec, ReadsEveryField) {
  const auto job = read(R"({"tenant":"a","type":"T","package":"p@)" + std::string(64, 'b') + R"(","name":"n",
    "parameters":{"x":[1,null]},"inputs":[{"path":"d/a","sha256":")" +
                        std::string(64, 'c') + R"("}],"batch":"night",
    "priority":-3,"delay":"5s","timeout":"2m","queueTimeout":"1h","lease":"1m","maxAttempts":2,
    "backoff":{"initial":"2s","factor":3,"max":"1m"},"requires":{"slots":2,"memory":"1KiB","labels":{"l":"v"}},
    "tags":{"k":"v"},"key":"key","ref":"r"})")
                       .value();
  EXPECT_EQ(job.spec.tenant, "a");
  EXPECT_EQ(job.spec.package, "p");
  EXPECT_EQ(job.package_sha256, std::string(64, 'b'));
  EXPECT_EQ(job.spec.parameters, R"({"x":[1,null]})");
  EXPECT_EQ(job.spec.inputs.at(0).path, "d/a");
  EXPECT_EQ(job.batch, "night");
  EXPECT_EQ(job.spec.delay, 5'000);
  EXPECT_EQ(job.spec.timeout, 120'000);
  EXPECT_EQ(job.spec.backoff, (model::Backoff{2'000, 3, 60'000}));
  EXPECT_EQ(job.spec.requirements.memory, 1'024);
  EXPECT_EQ(job.spec.key_digest, job.digest);
}

TEST(JobSpec, DigestsWhatIsMeantNotItsBytes) {
  const auto digest = [](const std::string& text) { return read(text).value().digest; };
  const auto one = digest(R"({"type":"T","parameters":{"a":1,"b":{"c":2,"d":3}}})");
  EXPECT_EQ(one, digest(R"({ "parameters" : {"b":{"d":3,"c":2},"a":1}, "type":"T", "tenant":"t", "maxAttempts":5 })"));
  EXPECT_EQ(one, digest(R"({"type":"T","key":"k","parameters":{"a":1,"b":{"c":2,"d":3}}})"));
  EXPECT_NE(one, digest(R"({"type":"T","parameters":{"a":1,"b":{"c":2,"d":4}}})"));
  EXPECT_NE(digest(R"({"type":"T","tags":{"a":"b"}})"), digest(R"({"type":"T","requires":{"labels":{"a":"b"}}})"));
  EXPECT_NE(digest(R"({"type":"T","name":"ab"})"), digest(R"({"type":"T","name":"a","ref":"b"})"));
}

TEST(JobJson, WritesNoFieldThatCannotBeAskedFor) {
  model::Job job;
  job.spec = read(R"({"type":"T","parameters":{"a":1},"delay":"1s","timeout":"1s","queueTimeout":"1s","lease":"5s",
    "backoff":{"initial":"2s"},"requires":{"slots":2},"tags":{"a":"b"},"key":"k","ref":"r","name":"n","package":"p",
    "inputs":[{"path":"a","job":"0192f0c4-7d3a-7001-8f2e-0123456789ab","file":"f"}]})")
                 .value()
                 .spec;
  job.spec.webhook = {"https://example.com/", {"geres.job.started"}};
  job.spec.package_sha256 = "x", job.spec.submitted_by = "s", job.spec.not_before = 1;
  auto& status = job.status;
  status.state = model::JobState::scheduled, status.reason = model::Reason::error, status.error = "e";
  status.progress = model::Progress{1, "m"}, status.result = "r", status.result_truncated = true;
  status.exit = model::Exit{1, {}}, status.usage = model::Usage{}, status.cause = model::Cause::outOfMemory,
  status.files_left_out.add({"p", "w"}), status.host = "h", status.ready_at = 1;
  status.due_at = status.started_at = status.finished_at = status.cancel_requested_at = status.settled_at = 1;
  status.redrive_of = status.redriven_as = Uuid{1, 1};
  status.memory = 1;
  const auto shown = job_json(job, "b");
  const auto fields = job_fields();
  for (const auto& member : shown)
    EXPECT_NE(std::find(fields.begin(), fields.end(), std::string_view(member.key())), fields.end()) << member.key();
  EXPECT_EQ(shown.size(), fields.size());
}

TEST(JobView, ReadsWhatIsWritten) {
  model::Job job;
  job.id = {1, 2};
  job.spec = read(R"({"type":"T","parameters":{"a":1},"delay":"1s","backoff":{"initial":"2s","factor":3},
    "requires":{"slots":2,"memory":"1MiB","labels":{"gpu":"1"}},"tags":{"a":"b"},
    "inputs":[{"path":"a","job":"0192f0c4-7d3a-7001-8f2e-0123456789ab","file":"f"}]})")
                 .value()
                 .spec;
  job.status.state = model::JobState::scheduled, job.status.due_at = 1'500;
  job.status.progress = model::Progress{40, "m"}, job.status.exit = model::Exit{{}, 9};
  job.status.usage = model::Usage{1.5, 7}, job.status.files_left_out.add({"p", "w"});
  const auto view = job_view(job_json(job, "nightly"));
  EXPECT_EQ(view.id, job.id.str());
  EXPECT_EQ(view.type, "T");
  EXPECT_EQ(view.batch, "batch0");
  EXPECT_EQ(view.batchName, "nightly");
  EXPECT_EQ(boost::json::serialize(view.parameters.value()), R"({"a":1})");
  EXPECT_EQ(view.delay.ms, 1'000);
  EXPECT_EQ(view.backoff.value().initial.ms, 2'000);
  EXPECT_EQ(view.backoff->factor, 3);
  EXPECT_EQ(view.requires_.slots, 2);
  EXPECT_EQ(view.requires_.memory, 1 << 20);
  EXPECT_EQ(view.requires_.labels.at("gpu"), "1");
  EXPECT_EQ(view.tags.at("a"), "b");
  EXPECT_EQ(view.inputs.at(0).job, "0192f0c4-7d3a-7001-8f2e-0123456789ab");
  EXPECT_EQ(view.inputs[0].file, "f");
  EXPECT_FALSE(view.ended());
  EXPECT_EQ(view.percent(), 40);
  EXPECT_EQ(view.progress->message, "m");
  EXPECT_EQ(view.exit.value().signal, 9);
  EXPECT_FALSE(view.exit->code);
  EXPECT_EQ(view.usage.value().cpuSeconds, 1.5);
  EXPECT_EQ(view.filesLeftOut.at(0).why, "w");
  EXPECT_EQ(view.filesLeftOutCount, 1);
  EXPECT_EQ(view.dueAt.value().at, 1'500);
  EXPECT_FALSE(view.startedAt);
}

TEST(JobView, PassesOverWhatItDoesNotKnow) {
  const auto view = job_view(json::parse(R"({"id":7,"type":"T","attempt":"2","progress":[],"exit":{"code":"1"},"tags":
    {"a":1,"b":"c"},"inputs":[1],"dueAt":"soon","requires":null,"later":{}})")
                                 .value());
  EXPECT_EQ(view.id, "");
  EXPECT_EQ(view.type, "T");
  EXPECT_EQ(view.attempt, 0);
  EXPECT_FALSE(view.progress);
  EXPECT_FALSE(view.exit.value().code);
  EXPECT_EQ(view.tags, (std::map<std::string, std::string>{{"b", "c"}}));
  EXPECT_FALSE(view.dueAt);
  EXPECT_EQ(view.requires_.slots, 1);
  EXPECT_EQ(job_view(json::value("job")).state, "");
}

TEST(LegacyStatus, IsTheNumberThatGeRes2ClientsKnow) {
  model::Job job;
  const auto status = [&](model::JobState state, model::Reason reason = model::Reason::none) {
    job.status.state = state, job.status.reason = reason;
    return legacy_status(job);
  };
  using enum model::JobState;
  EXPECT_EQ(status(ready), 10);
  EXPECT_EQ(status(leased), 10);
  EXPECT_EQ(status(running), 11);
  EXPECT_EQ(status(finished), 0);
  EXPECT_EQ(status(cancelled), 13);
  EXPECT_EQ(status(failed, model::Reason::error), 50);
  EXPECT_EQ(status(failed, model::Reason::poison), 51);
  EXPECT_EQ(status(failed, model::Reason::aborted), 60);
  EXPECT_EQ(status(failed, model::Reason::package), 61);
  EXPECT_EQ(status(failed, model::Reason::maxAttempts), 62);
  EXPECT_EQ(status(failed, model::Reason::type), 63);
  EXPECT_EQ(status(failed, model::Reason::internal), 64);
  job.status.progress = model::Progress{1, ""};
  EXPECT_EQ(status(running), 12);
}

}  // namespace
}  // namespace geres::wire
