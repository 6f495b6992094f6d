// SPDX-License-Identifier: Apache-2.0
// The log of events, a line each. Following goes on where it was when the hub goes away meanwhile, so that nothing is
// missed and nothing comes twice.
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <utility>

#include "base/duration.h"
#include "cli/command.h"
#include "cli/job_ids.h"
#include "cli/job_words.h"
#include "transport/sse.h"

namespace geres::cli {
namespace {

std::string detail_of(const std::string& type, const json::value& data) {
  if (type == "job.progressed") {
    const auto& progress = member_of(data, "progress");
    const auto* percent = progress.is_object() ? progress.get_object().if_contains("percent") : nullptr;
    const auto message = text_of(progress, "message");
    if (percent == nullptr || percent->is_null()) return message;
    return std::to_string(number_of(progress, "percent")) + "%" + (message.empty() ? "" : " " + message);
  }
  if (type == "job.leased" || type == "job.started") return text_of(data, "host");
  if (type == "job.failed") {
    const auto error = text_of(data, "error");
    return text_of(data, "reason") + (error.empty() ? "" : ": " + error);
  }
  if (type == "job.retrying" || type == "job.cancelled") return text_of(data, "error");
  if (type == "job.finished") return text_of(data, "result");
  if (type.starts_with("job.")) return text_of(data, "type");
  return text_of(data, "name");
}

class EventLines {
 public:
  EventLines(Output& output, std::optional<Millis> since) : output_(output), since_(since) {}

  void take(const transport::Frame& frame) {
    if (!frame.has_data) return;
    const auto event = json::parse(frame.data);
    if (!event) return;
    if (frame.type == "gap") return gap(*event);
    if (const auto at = time_of(*event, "time"); since_ && at && *at < *since_) return;
    if (output_.look.json) return output_.line(boost::json::serialize(*event));
    auto type = text_of(*event, "type");
    if (type.starts_with("geres.")) type.erase(0, 6);
    const auto detail = clean(detail_of(type, member_of(*event, "data")));
    const auto subject = clean(text_of(*event, "subject")), tenant = clean(text_of(*event, "tenant"));
    if (!output_.look.out_terminal)
      return output_.line(joined({text_of(*event, "time"), type, subject, tenant, detail}, "\t"));
    std::string line = output_.grey(text_of(*event, "time").substr(0, 19)) + "  " + pad(type, 15) + "  " +
                       pad(short_id(subject), 9) + "  " + pad(tenant, 10) + "  ";
    const auto width = std::size_t(std::max(terminal_width(1) - kDetailAt, 10));
    output_.line(line + fit(detail, width));
  }

 private:
  static constexpr int kDetailAt = 19 + 2 + 15 + 2 + 9 + 2 + 10 + 2;

  void gap(const json::value& gap) {
    if (output_.look.json) return output_.line(boost::json::serialize(json::object{{"type", "gap"}, {"data", gap}}));
    output_.talk("events up to " + text_of(gap, "until") + " are missing: they are no longer kept");
  }

  Output& output_;
  const std::optional<Millis> since_;
};

// --since is a place in the log or an age.
struct Since {
  std::string id = "start";
  std::optional<Millis> at;
};

Since since_of(Context& context, bool follow) {
  const auto given = context.value("since");
  if (!given) return {follow ? "" : "start", {}};
  if (*given == "start" || given->find('-') != std::string::npos) return {*given, {}};
  const auto age = parse_duration(*given);
  if (!age)
    usage_error("'" + *given + "' is neither an event id nor a duration", {},
                "--since 10m, --since start, or an event's id", "--since");
  return {"start", context.now() - *age};
}

int events(Context& context) {
  const bool follow = context.has("follow");
  client::Query query;
  for (const char* name : {"type", "tenant", "batch"})
    for (const auto& value : context.values(name)) query.emplace_back(name, value);
  for (const auto& job : context.values("job")) query.emplace_back("job", resolve_job(context, job));
  if (!follow) query.emplace_back("follow", "false");
  const auto since = since_of(context, follow);
  catch_interrupts();

  EventLines lines(context.output, since.at);
  std::string position = since.id;
  bool heard = false;  // on this connection
  transport::SseParser parser;
  for (;;) {
    auto from = query;
    if (!position.empty()) from.emplace_back("lastEventId", position);
    bool sound = true;
    const auto reply = context.hub().stream("/v1/events", from, [&](std::string_view piece) {
      heard = true;
      return sound = parser.feed(piece, [&](const transport::Frame& frame) {
        lines.take(frame);
        if (!frame.id.empty()) position = frame.id;
      });
    });
    if (!sound) throw Trouble{kFailed, "the hub's answer is not a stream of events", {}, "geres doctor", "foreign"};
    if (reply && !follow) return kDone;
    if (!reply && reply.error().kind == client::Failure::Kind::stopped && follow) return kDone;
    if (!reply && reply.error().kind != client::Failure::Kind::unreachable) context.stop(reply.error());
    // The call itself was patient: a hub that was never heard, or not heard again, is told as any other call does.
    if (!reply && !std::exchange(heard, false)) context.stop(reply.error());
    parser.reset();
    context.hub().transport().options().wait_for_first = true;
  }
}

}  // namespace

std::vector<Command> event_commands() {
  return {
      {.path = "events",
       .sentence = "Print what has happened, and follow what happens",
       .usage = {"[-f] [--since <when>] [--type <type>...] [--batch <batch>...] [--job <job>...]"},
       .examples = {"geres events --since 10m", "geres events -f --type geres.job.failed --type geres.job.retrying",
                    "geres events -f --job last --output json"},
       .flags = {{.name = "follow", .help = "go on; without --since from now", .letter = 'f'},
                 {.name = "since", .value = "S", .help = "an age (10m), an event's id, or start (all that is kept)"},
                 {.name = "type", .value = "T", .help = "only these: geres.job.failed, geres.job.*", .many = true},
                 {.name = "tenant", .value = "T", .help = "only of this tenant", .many = true, .live = Live::tenants},
                 {.name = "batch", .value = "B", .help = "only of this batch", .many = true, .live = Live::batches},
                 {.name = "job", .value = "J", .help = "only of this job", .many = true, .live = Live::jobs}},
       .run = events,
       .group = Group::admin}};
}

}  // namespace geres::cli
