// SPDX-License-Identifier: Apache-2.0
#include "cli/progress_view.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "base/file.h"
#include "cli/job_words.h"
#include "cli/terminal_state.h"

namespace geres::cli {
namespace {

constexpr Millis kRedraw = 100;
constexpr Millis kFarAway = 360'000'000;  // a longer estimate is not worth showing

std::string repeated(std::string_view piece, std::size_t n) {
  std::string text;
  while (n-- > 0) text += piece;
  return text;
}

// A job keeps its row; new jobs take the rows that became free.
void settle(std::vector<std::string>& places, const std::vector<JobView>& jobs, std::size_t rows) {
  std::vector<std::string> ids;
  for (const auto& job : jobs) ids.push_back(job.id);
  const auto present = [&](const std::string& id) { return std::find(ids.begin(), ids.end(), id) != ids.end(); };
  places.resize(std::min(rows, places.size()));
  for (auto& place : places)
    if (!present(place)) place.clear();
  for (const auto& id : ids) {
    if (std::find(places.begin(), places.end(), id) != places.end()) continue;
    auto gap = std::find(places.begin(), places.end(), std::string());
    if (gap != places.end())
      *gap = id;
    else if (places.size() < rows)
      places.push_back(id);
  }
  std::erase(places, std::string());
}

std::string message_of(const JobView& job) {
  return job.progress ? clean(job.progress->message) : "";
}

std::string job_line(const JobView& job, Millis now, bool colour) {
  std::string line =
      "  " + paint(short_id(job.id), Colour::grey, colour) + "  " + pad(fit(clean(job.type), 14), 10) + "  ";
  const auto name = clean(job.name);
  if (!name.empty()) line += pad(fit(name, 24), 12) + "  ";
  if (job.state != "running") {
    line += "attempt " + std::to_string(job.attempt + 1) + " of " + std::to_string(job.maxAttempts);
    if (job.dueAt && job.dueAt->at > now) line += " in " + took(job.dueAt->at - now);
    const auto error = clean(job.error);
    return line + (error.empty() ? "" : ": " + error);
  }
  if (const auto percent = job.percent())
    line += percent_bar(*percent, 10, colour) + "  " + pad(std::to_string(*percent) + " %", 5, true) + "  ";
  const auto message = message_of(job);
  if (!message.empty()) line += pad(fit(message, 24), 12) + "  ";
  if (job.startedAt) line += took(now - job.startedAt->at);
  if (job.attempt > 1) line += "  attempt " + std::to_string(job.attempt);
  return line;
}

// "12.3 s", "12.3 s, 17 s left": since the attempt started, and until it will probably end.
std::string time_words(const Scene& scene, Millis now) {
  const auto& start = scene.jobs.front().startedAt;
  std::string words = start ? took(now - start->at) : "";
  if (scene.ends_at && *scene.ends_at > now) words += (words.empty() ? "" : ", ") + left_words(*scene.ends_at - now);
  return words;
}

std::vector<std::string> single_lines(const Scene& scene, int width, bool colour, Millis now) {
  const auto& job = scene.jobs.front();
  const auto& state = job.state;
  std::string line = paint(pad(state, 9), colour_of(state), colour) + " ";
  if (state == "running") {
    std::size_t used = 10;
    if (const auto percent = job.percent()) {
      const auto words = "  " + pad(std::to_string(*percent) + " %", 5, true) + "  ";
      line += percent_bar(*percent, 20, colour) + words;
      used += 20 + words.size();
    }
    auto times = time_words(scene, now);
    if (job.attempt > 1) times += "  attempt " + std::to_string(job.attempt);
    // A long message is cut in favour of the times.
    const auto room = std::size_t(std::max<std::int64_t>(4, width - std::int64_t(used + times.size()) - 3));
    const auto message = message_of(job);
    if (!message.empty()) line += fit(message, room) + "  ";
    line += times;
  } else {
    if (job.submittedAt) line += took(now - job.submittedAt->at);
    if (!scene.note.empty()) line += ": " + clean(scene.note);
  }
  std::vector<std::string> lines{line};
  if (state == "running" && !scene.note.empty()) lines.push_back("  " + clean(scene.note));
  return lines;
}

std::size_t painted_width(const std::string& line) {
  std::string text;
  for (std::size_t at = 0; at < line.size(); ++at) {
    if (line[at] == '\x1b')
      at = line.find('m', at);
    else
      text += line[at];
  }
  return display_width(text);
}

class BarView final : public ProgressView {
 public:
  BarView(int fd, bool colour) : fd_(fd), colour_(colour) {}
  ~BarView() override { end(); }

  void show(const Scene& scene) override {
    scene_ = scene;
    known_ = true;
    redraw();
  }

  void redraw() override {
    const auto now = clock_.monotonic();
    if (was_stopped()) {
      drawn_ = false;
      lines_.clear();
    }
    if (in_background(fd_)) return;
    if (!known_ || (drawn_ && now - last_ < kRedraw)) return;
    draw();
    last_ = now;
  }

  void end() override {
    if (!drawn_) return;
    write_all(fd_, back() + "\x1b[J\x1b[?25h");
    cursor_is_hidden(-1);
    drawn_ = false;
    known_ = false;
    lines_.clear();
  }

 private:
  // Moves to the first of our lines; lines that a narrower window has wrapped count more than once.
  std::string back() const {
    std::size_t rows = 0;
    const auto width = std::size_t(terminal_width(fd_));
    for (const auto& line : lines_) rows += std::max<std::size_t>(1, (painted_width(line) + width - 1) / width);
    return "\r" + (rows > 0 ? "\x1b[" + std::to_string(rows) + "A" : std::string());
  }

  void draw() {
    const int width = terminal_width(fd_);
    auto lines = scene_lines(scene_, places_, width, terminal_height(fd_), colour_, clock_.wall());
    cursor_is_hidden(fd_);
    std::string text = drawn_ ? back() : "\x1b[?25l";
    for (auto& line : lines) {
      line = fit_painted(line, std::size_t(width - 1));
      text += line + "\x1b[K\n";
    }
    text += "\x1b[J";
    write_all(fd_, text);
    lines_ = std::move(lines);
    drawn_ = true;
  }

  int fd_;
  bool colour_;
  SystemClock clock_;
  Scene scene_;
  bool known_ = false;
  bool drawn_ = false;
  Millis last_ = 0;
  std::vector<std::string> lines_;
  std::vector<std::string> places_;
};

// Prints one line per change, with its time; of many jobs at most one a second. Passing time is not a change.
class PlainView final : public ProgressView {
 public:
  explicit PlainView(int fd) : fd_(fd) {}

  void show(const Scene& scene) override {
    const auto now = clock_.monotonic();
    std::string text, times;
    if (scene.single) {
      const auto& job = scene.jobs.front();
      text = "job " + job.id + " " + job.state;
      const auto progress = progress_words(job);
      if (job.state == "running" && !progress.empty()) text += " " + progress;
      if (job.state == "running") times = time_words(scene, clock_.wall());
    } else {
      text = scene.title + " " + std::to_string(scene.ended()) + "/" + std::to_string(scene.total()) + "  " +
             counts_words(scene, false);
      if (text != last_ && last_time_ != 0 && now - last_time_ < 1'000 && scene.ended() < scene.total()) return;
    }
    if (!scene.note.empty()) text += ": " + scene.note;
    if (text == last_) return;
    last_ = text;
    last_time_ = now;
    if (!times.empty()) text += " (" + times + ")";
    write_all(fd_, format_time(clock_.wall()) + " " + clean(text) + "\n");
  }

 private:
  int fd_;
  SystemClock clock_;
  std::string last_;
  Millis last_time_ = 0;
};

class JsonView final : public ProgressView {
 public:
  explicit JsonView(int fd) : fd_(fd) {}

  void show(const Scene& scene) override {
    json::object object;
    if (scene.single) {
      object = scene.shown.get_object();
    } else {
      object["title"] = scene.title;
      json::object counts;
      for (const auto& [state, n] : scene.counts) counts[state] = n;
      object["counts"] = counts;
    }
    if (!scene.note.empty()) object["note"] = scene.note;
    const auto text = boost::json::serialize(object);
    if (text == last_) return;
    last_ = text;
    write_all(fd_, text + "\n");
  }

 private:
  int fd_;
  std::string last_;
};

class NotesView final : public ProgressView {
 public:
  explicit NotesView(int fd) : fd_(fd) {}

  void show(const Scene& scene) override {
    if (!scene.single || scene.jobs.empty()) return;
    const auto& job = scene.jobs.front();
    const bool scheduled = job.state == "scheduled";
    if (scheduled && job.failures > failures_) {
      const auto left = job.dueAt ? std::max<Millis>(job.dueAt->at - clock_.wall(), 0) : 0;
      say("attempt " + std::to_string(job.attempt) + ": " + job.error + "; again in " + took(left));
    }
    failures_ = job.failures;
    const bool said = scheduled && job.failures > 0;
    if (!said && !scene.note.empty() && scene.note != note_) say(scene.note);
    note_ = scene.note;
  }

 private:
  void say(const std::string& text) { write_all(fd_, clean(text) + "\n"); }

  int fd_;
  SystemClock clock_;
  int failures_ = 0;
  std::string note_;
};

class QuietView final : public ProgressView {
 public:
  void show(const Scene&) override {}
};

}  // namespace

std::int64_t Scene::count(const std::string& state) const {
  const auto found = counts.find(state);
  return found == counts.end() ? 0 : found->second;
}

std::int64_t Scene::total() const {
  std::int64_t sum = 0;
  for (const auto& [state, n] : counts) sum += state == "retrying" ? 0 : n;
  return sum;
}

std::optional<Millis> Estimate::look(const JobView& job, Millis now) {
  const auto& start = job.startedAt;
  const std::int64_t attempt = job.attempt, percent = job.percent().value_or(0);
  if (job.state != "running" || !start || percent <= 0 || percent >= 100) {
    ends_at_.reset();
    percent_ = 0;
  } else if (attempt != attempt_ || percent != percent_) {
    attempt_ = attempt;
    percent_ = percent;
    const auto left = std::max<Millis>(now - start->at, 0) * (100 - percent) / percent;
    ends_at_ = left < kFarAway ? std::optional(now + left) : std::nullopt;
  }
  return ends_at_ && *ends_at_ > now ? ends_at_ : std::nullopt;
}

std::string left_words(Millis left) {
  return (left < 60'000 ? std::to_string(left / 1'000 + 1) + " s" : took(left)) + " left";
}

std::string percent_bar(std::int64_t percent, std::size_t width, bool colour) {
  const auto full = std::size_t(std::clamp<std::int64_t>(percent, 0, 100)) * width / 100;
  return paint(repeated("█", full), Colour::cyan, colour) + paint(repeated("░", width - full), Colour::grey, colour);
}

std::string bar(const Scene& scene, std::size_t width, bool colour) {
  const auto total = std::max<std::int64_t>(scene.total(), 1);
  struct Part {
    std::int64_t n;
    const char* piece;
    Colour paint_as;
  };
  const Part parts[] = {{scene.count("finished"), "█", Colour::green},
                        {scene.count("failed"), "█", Colour::red},
                        {scene.count("cancelled"), "█", Colour::yellow},
                        {scene.count("running") + scene.count("leased"), "▓", Colour::cyan}};
  std::string text;
  std::int64_t upto = 0;
  std::size_t used = 0;
  for (const auto& part : parts) {
    upto += part.n;
    const auto end = std::size_t(upto * std::int64_t(width) / total);
    text += paint(repeated(part.piece, end - used), part.paint_as, colour);
    used = end;
  }
  return text + paint(repeated("░", width - used), Colour::grey, colour);
}

std::string counts_words(const Scene& scene, bool colour) {
  std::string text;
  const auto add = [&](std::int64_t n, const std::string& word, Colour as) {
    if (n > 0) text += (text.empty() ? "" : "  ") + paint(grouped(n) + " " + word, as, colour);
  };
  add(scene.count("finished"), "finished", Colour::green);
  add(scene.count("running") + scene.count("leased"), "running", Colour::cyan);
  add(scene.count("ready"), "ready", Colour::none);
  const auto retrying = scene.count("retrying");
  add(scene.count("scheduled") - retrying, "scheduled", Colour::none);
  add(retrying, "retrying", Colour::yellow);
  add(scene.count("blocked"), "blocked", Colour::none);
  add(scene.count("failed"), "failed", Colour::red);
  add(scene.count("cancelled"), "cancelled", Colour::yellow);
  return text;
}

std::vector<std::string> scene_lines(const Scene& scene, std::vector<std::string>& places, int width, int height,
                                     bool colour, Millis now) {
  if (scene.single) return single_lines(scene, width, colour, now);
  std::vector<std::string> lines;
  const std::size_t bar_width = width >= 110 ? 30 : width >= 70 ? 20 : 10;
  std::string head = paint(clean(scene.title), Colour::bold, colour) + "  " + bar(scene, bar_width, colour) + "  " +
                     grouped(scene.ended()) + "/" + grouped(scene.total()) + "   " + counts_words(scene, colour);
  if (scene.rate > 0.05) {
    const auto seconds = double(scene.total() - scene.ended()) / scene.rate;
    char rate[32];
    std::snprintf(rate, sizeof rate, scene.rate >= 10 ? "   %.0f/s" : "   %.1f/s", scene.rate);
    head += rate;
    if (seconds > 0 && seconds < double(kFarAway) / 1'000) head += "   " + left_words(Millis(seconds * 1'000));
  }
  lines.push_back(head);
  if (!scene.note.empty()) lines.push_back("  " + paint(clean(scene.note), Colour::yellow, colour));
  const auto rows = std::size_t(std::max(height - 4, 1));
  settle(places, scene.jobs, rows);
  for (const auto& id : places)
    for (const auto& job : scene.jobs)
      if (job.id == id) lines.push_back(job_line(job, now, colour));
  const auto active = scene.count("running") + scene.count("leased") + scene.count("retrying");
  if (active > std::int64_t(places.size()) && !places.empty() && places.size() >= rows)
    lines.push_back(paint("  … and " + grouped(active - std::int64_t(places.size())) + " more", Colour::grey, colour));
  return lines;
}

std::unique_ptr<ProgressView> make_view(const std::string& mode, const Look& look, int fd) {
  const bool terminal = fd == 1 ? look.out_terminal : look.err_terminal;
  const bool colour = fd == 1 ? look.out_colour : look.err_colour;
  const char* kind = std::getenv("TERM");
  const bool dumb = kind == nullptr || std::string_view(kind) == "dumb";
  if (mode == "json") return std::make_unique<JsonView>(fd);
  if (mode == "notes" && !look.quiet) return std::make_unique<NotesView>(fd);
  if (mode == "quiet" || mode == "notes" || (mode == "auto" && (look.quiet || look.json)))
    return std::make_unique<QuietView>();
  if (mode == "tty" || (mode == "auto" && terminal && !dumb)) return std::make_unique<BarView>(fd, colour);
  return std::make_unique<PlainView>(fd);
}

}  // namespace geres::cli
