// SPDX-License-Identifier: Apache-2.0
// `geres top`: the hub on one screen that stays up to date. What needs somebody comes first, then what runs, then what
// failed last.
#include "cli/top.h"

#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/duration.h"
#include "base/file.h"
#include "cli/job_filter.h"
#include "cli/job_words.h"
#include "cli/progress_view.h"
#include "cli/status_words.h"
#include "cli/terminal_state.h"

namespace geres::cli {
namespace {

constexpr Millis kEvery = 2'000;
constexpr Millis kEveryMin = 200;
constexpr std::size_t kFailedShown = 5;
constexpr const char* kShown =
    "id,state,type,name,progress,attempt,maxAttempts,error,reason,exit,startedAt,finishedAt,host";

// Two texts at both ends of a line.
std::string apart(const std::string& left, const std::string& right, std::size_t width) {
  const auto used = display_width(left) + display_width(right);
  return left + std::string(used < width ? width - used : 1, ' ') + right;
}

std::string head_line(const TopScene& scene, const Output& output) {
  const auto colour = output.look.out_colour;
  const auto& takes = member_of(scene.status, "takesJobs");
  std::string line = output.bold("geres top") + "  " + scene.hub + "  ";
  if (!scene.note.empty())
    line += paint("away", Colour::red, colour);
  else if (takes.is_bool() && !takes.get_bool())
    line += paint("takes no jobs", Colour::red, colour);
  else
    line += paint("ok", Colour::green, colour);
  if (const auto since = time_of(scene.info, "startedAt")) line += "  up " + took(scene.now - *since);
  return line;
}

// What somebody should look at, worst first.
std::vector<std::string> needs(const TopScene& scene, const Output& output) {
  std::vector<std::string> lines;
  const auto add = [&](Colour colour, const std::string& text) {
    lines.push_back("  " + paint("!", colour, output.look.out_colour) + " " + text);
  };
  if (!scene.note.empty()) add(Colour::red, scene.note);
  const auto& takes = member_of(scene.status, "takesJobs");
  if (takes.is_bool() && !takes.get_bool())
    add(Colour::red, "the hub takes no jobs: " + clean(text_of(scene.status, "why")));
  const auto& hosts = member_of(scene.status, "hosts");
  if (const auto trouble = trouble_words(hosts, output); !trouble.empty())
    add(Colour::yellow, "hosts: " + trouble + output.grey("   geres hosts"));
  if (number_of(hosts, "live") == 0) add(Colour::red, "no host is live: nothing can run");
  const auto& oldest = member_of(scene.status, "oldestWaiting");
  if (oldest.is_object() && !scene.why.empty()) {
    const auto since = time_of(oldest, "since");
    add(Colour::yellow, short_id(text_of(oldest, "id")) + " " + clean(text_of(oldest, "type")) + " waits" +
                            (since ? " for " + took(scene.now - *since) : "") + ": " + clean(scene.why));
  }
  const auto& failed = member_of(scene.status, "failed");
  std::int64_t dead = 0;
  std::string reasons;
  if (failed.is_object())
    for (const auto& [reason, n] : failed.get_object()) {
      if (!n.is_int64() || n.get_int64() <= 0) continue;
      dead += n.get_int64();
      reasons += (reasons.empty() ? "" : ", ") + grouped(n.get_int64()) + " " + std::string(reason);
    }
  if (dead > 0)
    add(Colour::red,
        plural(dead, "dead letter") + ": " + reasons + output.grey("   geres job list --state failed --open"));
  return lines;
}

std::string who(const wire::JobView& job, const Output& output) {
  return "  " + output.grey(short_id(job.id)) + "  " + pad(fit(clean(job.type), 16), 12) + "  " +
         pad(fit(clean(job.name), 24), 16) + "  ";
}

std::string running_line(const wire::JobView& job, const TopScene& scene, const Output& output) {
  std::string line = who(job, output);
  line += pad(job.startedAt ? took(scene.now - job.startedAt->at) : "", 8, true) + "  ";
  const auto percent = job.percent();
  line +=
      (percent ? percent_bar(*percent, 10, output.look.out_colour) + " " + pad(std::to_string(*percent) + " %", 5, true)
               : std::string(16, ' ')) +
      "  " + pad(fit(clean(job.host), 16), 8);
  if (job.attempt > 1) line += "  attempt " + std::to_string(job.attempt);
  return line + (job.progress && !job.progress->message.empty() ? "  " + clean(job.progress->message) : "");
}

std::string failed_line(const wire::JobView& job, const TopScene& scene, const Output& output) {
  const auto& end = job.finishedAt;
  auto error = clean(job.error.substr(0, job.error.find('\n')));
  if (error.empty()) error = clean(job.reason);
  return who(job, output) + pad(end ? ago(end->at, scene.now) : "", 8, true) + "  " +
         paint(error, Colour::red, output.look.out_colour);
}

// Keys without Enter and without being shown, until this is destroyed.
class Keys {
 public:
  Keys() {
    if (::isatty(0) == 0 || ::tcgetattr(0, &before_) != 0) return;
    ours_ = true;
    listen();
  }
  ~Keys() {
    if (ours_) ::tcsetattr(0, TCSANOW, &before_);
  }
  Keys(const Keys&) = delete;
  Keys& operator=(const Keys&) = delete;

  // Again, once the shell has had the terminal.
  void listen() const {
    if (!ours_) return;
    termios raw = before_;
    raw.c_lflag &= ~tcflag_t(ICANON | ECHO);
    ::tcsetattr(0, TCSANOW, &raw);
  }
  // Waits; true: q was pressed, or it is time to end.
  bool quit_within(Millis time) const {
    const auto end = SystemClock().monotonic() + time;
    while (!interrupted() && !was_resized()) {
      const auto left = end - SystemClock().monotonic();
      if (left <= 0) return false;
      pollfd key{0, POLLIN, 0};
      if (::poll(&key, ours_ ? 1 : 0, int(std::min<Millis>(left, 100))) <= 0) continue;
      char pressed = 0;
      if (::read(0, &pressed, 1) != 1 || pressed == 'q' || pressed == 'Q') return true;
      return false;  // any other key looks at once
    }
    return bool(interrupted());
  }

 private:
  // Since the last call.
  bool was_resized() const {
    const auto size = std::pair(terminal_width(1), terminal_height(1));
    return std::exchange(size_, size) != size;
  }
  termios before_{};
  bool ours_ = false;
  mutable std::pair<int, int> size_{terminal_width(1), terminal_height(1)};
};

std::vector<wire::JobView> jobs_of(Context& context, client::Query query, std::size_t most) {
  query.emplace_back("limit", std::to_string(most));
  query.emplace_back("fields", kShown);
  const auto answer = context.hub().get("/v1/jobs", query);
  if (!answer) throw answer.error();
  std::vector<wire::JobView> jobs;
  for (const auto& item : items_of(member_of(*answer, "items"))) jobs.push_back(wire::job_view(item));
  return jobs;
}

// Throws client::Failure.
void look(Context& context, TopScene& scene, std::size_t rows) {
  client::Query query;
  if (const auto tenant = context.tenant_if()) query.emplace_back("tenant", *tenant);
  auto status = context.hub().get("/v1/status", query);
  if (!status) throw status.error();
  auto of = [&](const char* state) {
    auto with = query;
    with.emplace_back("state", state);
    return with;
  };
  auto running = of("running");
  running.emplace_back("order", "asc");
  scene.running = jobs_of(context, std::move(running), rows);
  auto failed = of("failed");
  failed.emplace_back("open", "true");
  scene.failed = jobs_of(context, std::move(failed), kFailedShown);
  scene.why.clear();
  if (const auto& oldest = member_of(*status, "oldestWaiting"); oldest.is_object())
    if (const auto why = context.hub().get("/v1/jobs/" + text_of(oldest, "id") + "/why"))
      scene.why = why_sentence(*why);
  scene.status = std::move(*status);
  scene.note.clear();
}

class Screen {
 public:
  explicit Screen(const Output& output) : output_(output) { cursor_is_hidden(1); }
  ~Screen() {
    write_all(1, "\x1b[?25h");
    cursor_is_hidden(-1);
  }
  Screen(const Screen&) = delete;
  Screen& operator=(const Screen&) = delete;

  void draw(const TopScene& scene) {
    std::string text = "\x1b[?25l";
    text += std::exchange(drawn_, true) ? "\x1b[H" : "\x1b[2J\x1b[H";
    for (const auto& line : top_lines(scene, terminal_width(1), terminal_height(1) - 1, output_))
      text += line + "\x1b[K\n";
    write_all(1, text + "\x1b[J");
  }
  void forget() { drawn_ = false; }

 private:
  const Output& output_;
  bool drawn_ = false;
};

int top(Context& context) {
  if (!context.output.look.out_terminal || context.output.look.json)
    usage_error("geres top draws on a terminal, and this is none", {}, "geres status, which says the same once");
  const auto every = *parse_duration(context.value_or("every", "2s"));
  if (every < kEveryMin) usage_error("--every is at least 200ms", {}, "--every 2s", "--every");
  catch_interrupts();
  mind_stops();
  context.hub().transport().options().patience = 0;  // that the hub is away is shown, not waited for
  TopScene scene{.hub = context.hub_url()};
  scene.info = context.ask(context.hub().get("/v1/info"));
  const Keys keys;
  Screen screen(context.output);
  do {
    if (was_stopped()) {
      keys.listen();
      screen.forget();
    }
    try {
      look(context, scene, std::size_t(std::clamp(terminal_height(1), 10, 200)));
    } catch (const client::Failure& failure) {
      if (interrupted()) break;
      const auto trouble = context.trouble_of(failure);
      if (trouble.exit == kNotAllowed) context.stop(failure);
      scene.note = "the hub does not answer: " + trouble.error + (trouble.why.empty() ? "" : ": " + trouble.why);
    }
    scene.now = context.now();
    if (!in_background(1)) screen.draw(scene);
  } while (!keys.quit_within(every));
  return kDone;
}

}  // namespace

std::vector<std::string> top_lines(const TopScene& scene, int width, int height, const Output& output) {
  const auto columns = std::size_t(std::max(width, 20));
  const auto rows = std::size_t(std::max(height, 4));
  std::vector<std::string> lines{apart(head_line(scene, output), output.grey("q quits"), columns - 1),
                                 hosts_line(member_of(scene.status, "hosts"), scene.hub, output),
                                 jobs_line(scene.status, output)};
  const auto part = [&](const std::string& title, const std::vector<std::string>& more, std::size_t most) {
    if (more.empty() || lines.size() + 3 > rows) return;
    lines.push_back("");
    lines.push_back(output.grey(title));
    const auto room = std::min(most, rows - lines.size());
    lines.insert(lines.end(), more.begin(), more.begin() + std::ptrdiff_t(std::min(room, more.size())));
  };
  part("NEEDS YOU", needs(scene, output), rows);
  std::vector<std::string> running, failed;
  for (const auto& job : scene.running) running.push_back(running_line(job, scene, output));
  for (const auto& job : scene.failed) failed.push_back(failed_line(job, scene, output));
  // What failed last keeps its place at the end, however much runs.
  const auto kept = failed.empty() ? 0 : std::min(failed.size(), kFailedShown) + 2;
  part("RUNNING, OLDEST FIRST", running, rows > lines.size() + 2 + kept ? rows - lines.size() - 2 - kept : 1);
  part("FAILED LAST", failed, kFailedShown);
  for (auto& line : lines) line = fit_painted(line, columns - 1);
  return lines;
}

std::vector<Command> top_commands() {
  return {{.path = "top",
           .sentence = "The same, kept up to date: what needs you, what runs, what failed last",
           .usage = {"[--every <time>] [--tenant <tenant>]"},
           .examples = {"geres top", "geres top --every 10s"},
           .flags = {{.name = "every",
                      .value = "TIME",
                      .help = "how long between two looks (default 2s); any key but q looks at once",
                      .kind = Kind::duration},
                     tenant_flag()},
           .run = top,
           .group = Group::everyday}};
}

}  // namespace geres::cli
