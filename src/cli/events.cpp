// SPDX-License-Identifier: Apache-2.0
// The log of events, one line each. With --follow, reading continues at the same position after the hub was away, so
// that nothing is missed or repeated.
#include <algorithm>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <deque>
#include <utility>

#include "cli/command.h"
#include "cli/event_words.h"
#include "cli/job_ids.h"
#include "cli/job_words.h"
#include "cli/moments.h"
#include "transport/sse.h"

namespace geres::cli {
namespace {

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
    const auto detail = clean(event_words(type, member_of(*event, "data"), time_of(*event, "time")));
    const auto subject = clean(text_of(*event, "subject")), tenant = clean(text_of(*event, "tenant"));
    if (!output_.look.out_terminal)
      return output_.line(joined({text_of(*event, "time"), type, subject, tenant, detail}, "\t"));
    // A narrow terminal first loses the day and the tenant, then the subject.
    const auto width = terminal_width(1);
    const auto time = text_of(*event, "time").substr(0, 19);
    std::string line = output_.grey(width < 80 ? time.substr(11) : time) + "  " + pad(type, 15) + "  ";
    if (width >= 50) line += pad(short_id(subject), 9) + "  ";
    if (width >= 80) line += pad(tenant, 10) + "  ";
    const auto used = int(display_width(line));
    output_.line(line + fit(detail, std::size_t(std::max(width - used, 1))));
  }

 private:
  void gap(const json::value& gap) {
    if (output_.look.json) return output_.line(boost::json::serialize(json::object{{"type", "gap"}, {"data", gap}}));
    output_.talk("events up to " + text_of(gap, "until") + " are missing: they are no longer kept");
  }

  Output& output_;
  const std::optional<Millis> since_;
};

constexpr std::int64_t kTail = 20;
constexpr std::int64_t kLookBackMax = 100'000;  // events of the log that are searched for enough that fit

// Where to begin: --since is a position in the log or an age, --tail counts from the end.
struct Since {
  std::string id = "start";
  std::optional<Millis> at;
  std::optional<std::int64_t> tail;
};

Since since_of(Context& context) {
  const auto tail = context.integer("tail");
  if (tail && *tail < 0) usage_error("--tail is at least 0", {}, "--tail 20", "--tail");
  const auto given = context.value("since");
  if (given && tail) usage_error("--since and --tail do not go together", {}, "--tail 20", "--tail");
  if (!given) return {"", {}, tail.value_or(kTail)};
  if (*given == "start") return {*given, {}, {}};
  if (const auto at = moment_of(*given, context.now(), Toward::past)) return {"start", *at, {}};
  if (given->find('-') == std::string::npos)
    usage_error("--since '" + *given + "' is neither an event's id nor a time", {},
                moment_examples("--since", Toward::past) + ", --since start, or an event's id", "--since");
  return {*given, {}, {}};
}

using Take = std::function<void(const transport::Frame&)>;

// Reads one answer of the hub: up to the newest event or, with `follow`, until the connection breaks. `heard`: a byte
// came, which shows that the hub is alive even when no event was due.
client::Answer<client::Reply> read_events(Context& context, client::Query query, const std::string& after, bool follow,
                                          const Take& take, bool& heard) {
  if (!follow) query.emplace_back("follow", "false");
  if (!after.empty()) query.emplace_back("lastEventId", after);
  transport::SseParser parser;
  bool sound = true;
  auto reply = context.hub().stream("/v1/events", query, [&](std::string_view piece) {
    heard = true;
    return sound = parser.feed(piece, take);
  });
  if (!sound) throw Trouble{kFailed, "the hub's answer is not a stream of events", {}, "geres doctor", "foreign"};
  return reply;
}

// Shows the last events that fit and returns the position after them. The log's numbers have no holes, so its end can
// be read directly; where few events fit, reading starts further and further back.
std::string show_tail(Context& context, const client::Query& query, std::int64_t wanted, EventLines& lines) {
  std::string end;
  bool heard = false;
  context.ask(read_events(
      context, query, "", false, [&](const transport::Frame& frame) { end = frame.id; }, heard));
  const auto dash = end.rfind('-');
  std::int64_t newest = 0;
  if (dash == std::string::npos ||
      std::from_chars(end.data() + dash + 1, end.data() + end.size(), newest).ec != std::errc())
    throw Trouble{kFailed, "the hub's answer is not a stream of events", {}, "geres doctor", "foreign"};
  std::deque<transport::Frame> found;
  bool all = wanted == 0;
  for (std::int64_t back = wanted; !all; back *= 8) {
    all = back >= newest || back >= kLookBackMax;
    found.clear();
    const auto from = std::max<std::int64_t>(newest - std::min(back, kLookBackMax), 0);
    const auto after = from == 0 ? std::string("start") : end.substr(0, dash + 1) + std::to_string(from);
    const Take keep = [&](const transport::Frame& frame) {
      if (!frame.id.empty()) end = frame.id;
      if (!frame.has_data || frame.type == "gap") return;
      found.push_back(frame);
      if (std::int64_t(found.size()) > wanted) found.pop_front(), all = true;
    };
    context.ask(read_events(context, query, after, false, keep, heard));
    all = all || std::int64_t(found.size()) == wanted;
  }
  for (const auto& frame : found) lines.take(frame);
  return end;
}

int events(Context& context) {
  const bool follow = context.has("follow");
  client::Query query;
  for (const char* name : {"type", "tenant", "batch"})
    for (const auto& value : context.values(name)) query.emplace_back(name, value);
  for (const auto& job : context.values("job")) query.emplace_back("job", resolve_job(context, job));
  const auto since = since_of(context);
  catch_interrupts();

  EventLines lines(context.output, since.at);
  std::string position = since.tail ? show_tail(context, query, *since.tail, lines) : since.id;
  if (since.tail && !follow) return kDone;
  bool heard = since.tail.has_value();  // on this connection
  for (;;) {
    const Take show = [&](const transport::Frame& frame) {
      lines.take(frame);
      if (!frame.id.empty()) position = frame.id;
    };
    const auto reply = read_events(context, query, position, follow, show, heard);
    if (reply && !follow) return kDone;
    if (!reply && reply.error().kind == client::Failure::Kind::stopped && follow) return kDone;
    if (!reply && reply.error().kind != client::Failure::Kind::unreachable) context.stop(reply.error());
    // The call itself was repeated for long. A hub that never answered, or did not answer again, is reported as by any
    // other command.
    if (!reply && !std::exchange(heard, false)) context.stop(reply.error());
    context.hub().transport().options().wait_for_first = true;
  }
}

}  // namespace

std::vector<Command> event_commands() {
  return {
      {.path = "events",
       .sentence = "Print what happened last, and follow what happens",
       .usage = {"[-f] [{--since <when> | --tail <n>}] [--type <type>...] [--batch <batch>...] [--job <job>...]"},
       .examples = {"geres events", "geres events --since 10m",
                    "geres events -f --type geres.job.failed --type geres.job.retrying",
                    "geres events -f --job last --output json"},
       .flags = {{.name = "follow", .help = "go on with what happens", .letter = 'f'},
                 {.name = "tail", .value = "N", .help = "the last N (default 20)", .kind = Kind::integer},
                 {.name = "since",
                  .value = "S",
                  .help = "all since then: 10m, 18:00, an event's id, or start (all that is kept)"},
                 {.name = "type", .value = "T", .help = "only these: geres.job.failed, geres.job.*", .many = true},
                 {.name = "tenant", .value = "T", .help = "only of this tenant", .many = true, .live = Live::tenants},
                 {.name = "batch", .value = "B", .help = "only of this batch", .many = true, .live = Live::batches},
                 {.name = "job", .value = "J", .help = "only of this job", .many = true, .live = Live::jobs}},
       .run = events,
       .group = Group::admin}};
}

}  // namespace geres::cli
