// SPDX-License-Identifier: Apache-2.0
// Thousands of hosts that speak the host protocol (docs/host_protocol.md) from one thread, as the agent does: a fetch
// always open for all slots, starts reported a little late and ends at once, leases renewed in time, calls that failed
// made again with the agent's pauses. Their jobs do nothing but take as long as their parameters say.
#pragma once

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <cmath>
#include <deque>
#include <memory>
#include <random>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/backoff.h"
#include "many_calls.h"

namespace geres::bench {

// What all hosts of a fleet have seen together.
struct Seen {
  std::int64_t joined = 0, granted = 0, finished = 0, left = 0;
  std::int64_t submitted = 0;  // by whoever hands jobs in: what the hub has said that it has
  // What should never be: leases that the hub took away, ends that it refused, leases that ran out at the host, jobs
  // granted a second time, hosts unknown to it, calls that it did not understand.
  std::int64_t lost = 0, refused = 0, overdue = 0, again = 0, gone = 0, misunderstood = 0;
  std::int64_t dry = 0;  // how often a turn found no job that waits
  bool measures = false;
  std::int64_t singles_from = INT64_MAX;       // jobs handed in since then count for `submit_to_lease`
  std::vector<double> free_to_lease;           // ms, from a job's end to the next lease of its slot, while jobs waited
  std::vector<double> submit_to_lease;         // ms, from the beginning of the submit call
  std::unordered_map<std::int64_t, int> runs;  // by the number of the job
  std::string first_words;                     // of the first answer that no host should get

  std::int64_t backlog() const { return submitted - granted; }
  std::string harm() const {
    return fmt::format("{} lost, {} refused, {} run out, {} granted twice, {} hosts unknown, {} calls not understood",
                       lost, refused, overdue, again, gone, misunderstood);
  }
  bool harmed() const { return lost + refused + overdue + again + gone + misunderstood > 0; }
};

class Fleet;

class SimulatedHost {
 public:
  SimulatedHost(Fleet& fleet, std::string name, int number) : fleet_(fleet), name_(std::move(name)) {
    for (auto* line : {&fetches_, &reports_}) line->from(INADDR_LOOPBACK + 1 + std::uint32_t(number) % 16);
  }
  void join(const std::string& token, const std::string& headers);
  bool joined() const { return !id_.empty(); }
  bool waits() const { return fetches_.busy(); }
  bool ended() const { return ended_; }
  bool stops() const { return mode_ == "stop"; }
  const std::string& id() const { return id_; }
  const std::string& name() const { return name_; }
  std::size_t held() const { return held_.size(); }
  bool measured = true;  // its waits count
  bool keeps = true;     // the connection of its reports between two of them, as the agent does

  // All that it holds was confirmed by the hub since then.
  bool renewed_since(std::int64_t ns) const {
    return std::all_of(held_.begin(), held_.end(), [&](const auto& held) { return held.confirmed >= ns; });
  }
  void end() {
    ended_ = true;
    fetches_.close();
    reports_.close();
    held_.clear();
  }

 private:
  struct Held {
    std::string lease;
    std::int64_t ttl, deadline, confirmed;
    bool started_told = false, over = false;
  };
  struct Freed {
    std::int64_t at, dry;
  };

  void fetch();
  void send_fetch();
  void fetched(std::int64_t asked, int status, std::string_view body);
  void take(const boost::json::object& grant, std::int64_t counted_from);
  void job_over(const std::string& lease);
  void report_within(std::int64_t ns);
  void report_if_due();
  void reported(std::int64_t sent, const std::vector<std::string>& named, const std::vector<std::string>& started,
                int status, std::string_view body);
  void take_mode(const boost::json::object& answer);
  void drop_overdue();
  bool understood(int status, std::string_view body);
  std::int64_t heartbeat() const;
  Held* find(std::string_view lease) {
    const auto held = std::find_if(held_.begin(), held_.end(), [&](const Held& h) { return h.lease == lease; });
    return held == held_.end() ? nullptr : &*held;
  }
  void drop(std::string_view lease) {
    std::erase_if(held_, [&](const Held& held) { return held.lease == lease; });
  }

  Fleet& fleet_;
  const std::string name_;
  std::string id_, secret_, mode_ = "run";
  std::int64_t report_every_ = 5 * kSecond;
  Calls::Line fetches_, reports_;
  std::vector<Held> held_;
  std::deque<Freed> freed_;
  std::int64_t fetch_number_ = 0, fetch_first_sent_ = 0, seq_ = 0, due_ = INT64_MAX, not_before_ = 0;
  int fetch_tries_ = 0, report_tries_ = 0;
  std::string fetched_;
  bool ended_ = false, leaving_ = false;
};

class Fleet {
 public:
  Fleet(Calls& calls, int slots) : calls(calls), slots(slots), shared(calls, 32) {}
  SimulatedHost& add(const std::string& name) {
    hosts.push_back(std::make_unique<SimulatedHost>(*this, name, int(hosts.size())));
    return *hosts.back();
  }
  std::int64_t held() const {
    std::int64_t sum = 0;
    for (const auto& host : hosts) sum += std::int64_t(host->held());
    return sum;
  }
  Calls& calls;
  const int slots;  // of each
  Pool shared;      // joins, and calls that are no host's
  Seen seen;
  std::vector<std::unique_ptr<SimulatedHost>> hosts;
};

// ---- a host's life --------------------------------------------------------------------------------------------------

inline bool is_to_repeat(int status) {
  return status == 0 || status == 429 || status >= 500;
}

// False: this host is told nothing that it could go on with.
inline bool SimulatedHost::understood(int status, std::string_view body) {
  if (status < 300) return true;
  auto& seen = fleet_.seen;
  const bool gone = status == 401 || status == 404 || status == 410;
  if (gone && leaving_) {  // its last words have arrived, and their answer comes after this one
    ++seen.left;
    end();
    return false;
  }
  ++(gone ? seen.gone : seen.misunderstood);
  if (seen.first_words.empty()) seen.first_words = fmt::format("{}: {}", status, body.substr(0, 300));
  end();
  return false;
}

inline void SimulatedHost::join(const std::string& token, const std::string& headers) {
  const auto body = fmt::format(R"({{"name":"{}","slots":{},"types":["Wait"],"packages":false}})", name_, fleet_.slots);
  fleet_.shared.call(
      "/v1/hosts", token, body,
      [this, token, headers](int status, std::string_view answer) {
        if (ended_) return;
        if (is_to_repeat(status)) return fleet_.calls.after(500 * kMs, [=, this] { join(token, headers); });
        if (!understood(status, answer)) return;
        const auto joined = boost::json::parse(answer);
        id_ = joined.at("id").as_string();
        secret_ = joined.at("secret").as_string();
        report_every_ = std::int64_t(joined.at("reportSeconds").to_number<double>() * 1e9);
        ++fleet_.seen.joined;
        fetch();
      },
      "Geres-Protocol: 2\r\n" + headers);
}

inline void SimulatedHost::fetch() {
  ++fetch_number_;
  fetch_first_sent_ = 0;
  fetch_tries_ = 0;
  send_fetch();
}

inline void SimulatedHost::send_fetch() {
  if (ended_) return;
  const auto now = now_ns();
  // Leases count from the first try, so an old call only asks what it was granted then.
  const bool old = fetch_first_sent_ != 0 && now - fetch_first_sent_ > 2 * kSecond;
  if (fetch_first_sent_ == 0) fetch_first_sent_ = now;
  ++fetch_tries_;
  const auto body = fmt::format(R"({{"fetchId":"f{}","slots":{},"wait":"{}s"}})", fetch_number_,
                                old || stops() ? 0 : fleet_.slots, old ? 0 : 20);
  fleet_.calls.call(
      fetches_, "/v1/hosts/" + id_ + "/fetch", secret_, body,
      [this, asked = fetch_first_sent_](int status, std::string_view answer) { fetched(asked, status, answer); });
}

inline void SimulatedHost::fetched(std::int64_t asked, int status, std::string_view body) {
  if (is_to_repeat(status)) return fleet_.calls.after(backoff(fetch_tries_, 50, 2'000) * kMs, [this] { send_fetch(); });
  if (!understood(status, body)) return;
  const auto answer = boost::json::parse(body).as_object();
  const auto counted_from = asked + answer.at("heldMs").to_number<std::int64_t>() * kMs;
  fetched_ = "f" + std::to_string(fetch_number_);
  for (const auto& grant : answer.at("leases").as_array()) take(grant.as_object(), counted_from);
  take_mode(answer);
  if (!ended_) fetch();
}

inline void SimulatedHost::take(const boost::json::object& grant, std::int64_t counted_from) {
  auto& seen = fleet_.seen;
  const auto now = now_ns();
  const std::string lease(grant.at("lease").as_string());
  if (find(lease) != nullptr) return;  // a call made again has the same answer
  const auto ttl = grant.at("ttlMs").to_number<std::int64_t>() * kMs;
  const auto& parameters = grant.at("job").at("parameters").as_object();
  const auto number = parameters.at("n").to_number<std::int64_t>();
  if (++seen.runs[number] > 1) ++seen.again;
  ++seen.granted;
  if (const auto* at = parameters.if_contains("at"); at != nullptr && measured)
    if (const auto since = at->to_number<std::int64_t>(); since >= seen.singles_from)
      seen.submit_to_lease.push_back(double(now - since) / 1e6);
  if (!freed_.empty()) {
    if (seen.measures && measured && freed_.front().dry == seen.dry)
      seen.free_to_lease.push_back(double(now - freed_.front().at) / 1e6);
    freed_.pop_front();
  }
  held_.push_back({lease, ttl, counted_from + ttl - std::max(500 * kMs, ttl / 50), now});
  fleet_.calls.after(parameters.at("ms").to_number<std::int64_t>() * kMs, [this, lease] { job_over(lease); });
  report_within(50 * kMs);
}

inline void SimulatedHost::job_over(const std::string& lease) {
  Held* held = find(lease);
  if (held == nullptr) return;
  held->over = true;
  freed_.push_back({now_ns(), fleet_.seen.dry});
  if (freed_.size() > std::size_t(fleet_.slots)) freed_.pop_front();
  report_within(0);
}

inline std::int64_t SimulatedHost::heartbeat() const {
  auto least = report_every_;
  for (const auto& held : held_) least = std::min(least, held.ttl / 4);
  return std::max(least, 50 * kMs);
}

inline void SimulatedHost::report_within(std::int64_t ns) {
  const auto due = std::max(now_ns() + ns, not_before_);
  if (due >= due_) return;
  due_ = due;
  if (due <= now_ns()) return report_if_due();
  fleet_.calls.after(due - now_ns(), [this] { report_if_due(); });
}

// The agent stops what runs at the end of its lease.
inline void SimulatedHost::drop_overdue() {
  fleet_.seen.overdue += std::int64_t(
      std::erase_if(held_, [now = now_ns()](const Held& held) { return !held.over && held.deadline < now; }));
}

inline void SimulatedHost::report_if_due() {
  if (ended_ || reports_.busy() || now_ns() < due_) return;
  drop_overdue();
  std::string running, begun, finished;
  std::vector<std::string> named, started;
  const auto add = [](std::string& to, std::string item) { to += (to.empty() ? "" : ",") + std::move(item); };
  for (const auto& held : held_) {
    named.push_back(held.lease);
    if (held.over)
      add(finished, R"({"lease":")" + held.lease + R"(","outcome":"finished","exit":{"code":0}})");
    else
      add(running, '"' + held.lease + '"');
    if (held.started_told) continue;
    add(begun, '"' + held.lease + '"');
    started.push_back(held.lease);
  }
  leaving_ = stops() && held_.empty();
  const auto body =
      fmt::format(R"({{"seq":{},"fetched":"{}","fetchedOnly":true,"running":[{}],"started":[{}],"finished":[{}]{}}})",
                  ++seq_, fetched_, running, begun, finished, leaving_ ? R"(,"leaving":true)" : "");
  due_ = INT64_MAX;
  fleet_.calls.call(reports_, "/v1/hosts/" + id_ + "/report", secret_, body,
                    [this, sent = now_ns(), named = std::move(named), started = std::move(started)](
                        int status, std::string_view answer) { reported(sent, named, started, status, answer); });
}

inline void SimulatedHost::reported(std::int64_t sent, const std::vector<std::string>& named,
                                    const std::vector<std::string>& started, int status, std::string_view body) {
  if (!keeps) reports_.close();
  if (leaving_) {
    ++fleet_.seen.left;
    return end();
  }
  if (!is_to_repeat(status) && !understood(status, body)) return;
  if (is_to_repeat(status)) {
    const auto pause = backoff(++report_tries_, 50, 1'000) * kMs;
    not_before_ = now_ns() + pause;
    due_ = INT64_MAX;
    return report_within(pause);
  }
  report_tries_ = 0;
  not_before_ = 0;
  const auto answer = boost::json::parse(body).as_object();
  const auto now = now_ns();
  for (const auto& lease : answer.at("accepted").as_array()) {
    drop(lease.as_string());
    ++fleet_.seen.finished;
  }
  for (const auto& item : answer.at("refused").as_array()) {
    drop(item.at("lease").as_string());
    ++fleet_.seen.refused;
  }
  for (const auto& lease : answer.at("lost").as_array()) {
    drop(lease.as_string());
    ++fleet_.seen.lost;
  }
  for (const auto& lease : named)
    if (Held* held = find(lease)) {
      held->deadline = sent + held->ttl - std::max(500 * kMs, held->ttl / 50);
      held->confirmed = now;
    }
  for (const auto& lease : started)
    if (Held* held = find(lease)) held->started_told = true;
  take_mode(answer);
  if (due_ <= now) return report_if_due();
  if (std::any_of(held_.begin(), held_.end(), [](const auto& held) { return held.over; })) return report_within(0);
  if (!held_.empty()) report_within(std::max<std::int64_t>(0, sent + heartbeat() - now));
}

inline void SimulatedHost::take_mode(const boost::json::object& answer) {
  mode_ = answer.at("mode").as_string();
  if (stops() && held_.empty()) report_within(0);
}

// ---- jobs -----------------------------------------------------------------------------------------------------------

// Hands in jobs of many tenants: lists, so that as many are open as are wanted, and beside them single ones at a steady
// pace, whose calls are measured.
class Submitter {
 public:
  struct Shape {
    std::int64_t shortest_ms = 1'000, longest_ms = 60'000;
    int tenants = 500;
    double singles_a_second = 100;  // 0: lists alone
    bool long_at_work = true;       // the first jobs are in the middle of their lives
  };
  Submitter(Fleet& fleet, std::string token, Shape shape)
      : fleet_(fleet), token_(std::move(token)), shape_(shape), lists_(fleet.calls, 4), singles_(fleet.calls, 128) {}

  std::vector<double> single_ms;
  std::int64_t failed = 0, left_out = 0;  // single ones are left out while all connections for them are busy
  void open(std::int64_t level) { level_ = level; }
  void measure() { single_ms.clear(); }
  std::int64_t lines_open() const { return lists_.open() + singles_.open(); }
  void start() {
    next_single_ = now_ns();
    turn();
    if (shape_.singles_a_second > 0) next_single();
  }
  void stop() { stopped_ = true; }

 private:
  std::string spec(std::int64_t at) {
    auto ms = std::uniform_int_distribution(shape_.shortest_ms, shape_.longest_ms)(chance_);
    if (shape_.long_at_work && number_ < level_ && at == 0) ms = rest_of_a_job();
    return fmt::format(R"({{"tenant":"t{}","type":"Wait","parameters":{{"n":{},"ms":{}{}}}}})",
                       std::uniform_int_distribution(0, shape_.tenants - 1)(chance_), number_++, ms,
                       at == 0 ? std::string() : fmt::format(R"(,"at":{})", at));
  }
  // As of a fleet that has long been at work: as many jobs end in the first second as in any later one.
  std::int64_t rest_of_a_job() {
    std::uniform_real_distribution<double> part(0, 1);
    const auto a = double(shape_.shortest_ms), b = double(shape_.longest_ms);
    const double whole = std::sqrt(a * a + part(chance_) * (b * b - a * a));  // a moment meets long jobs more often
    return std::int64_t(part(chance_) * whole);
  }
  void turn() {
    if (stopped_) return;
    top_up();
    if (fleet_.seen.backlog() <= 0) ++fleet_.seen.dry;
    fleet_.calls.after(20 * kMs, [this] { turn(); });
  }
  void next_single() {
    if (stopped_) return;
    const auto pace = std::int64_t(1e9 / shape_.singles_a_second);
    for (; next_single_ <= now_ns(); next_single_ += pace)
      if (singles_.waiting() == 0)
        single(now_ns());
      else
        ++left_out;
    fleet_.calls.after(next_single_ - now_ns(), [this] { next_single(); });
  }
  void top_up() {
    while (lists_.waiting() == 0 && under_way_ < 4) {
      const auto missing = std::min<std::int64_t>(500, level_ - (sent_ - fleet_.seen.finished));
      if (missing <= 0) return;
      std::string list = "[";
      for (std::int64_t i = 0; i < missing; ++i) list += (i > 0 ? "," : "") + spec(0);
      ++under_way_;
      send(lists_, list + "]", missing, [this](int, std::string_view) { --under_way_; });
    }
  }
  void single(std::int64_t at) {
    send(singles_, spec(at), 1,
         [this, at](int, std::string_view) { single_ms.push_back(double(now_ns() - at) / 1e6); });
  }
  void send(Pool& pool, std::string body, std::int64_t jobs, Calls::Done done) {
    sent_ += jobs;
    pool.call("/v1/jobs", token_, std::move(body), [this, jobs, done](int status, std::string_view answer) {
      if (status == 201)
        fleet_.seen.submitted += jobs;
      else
        sent_ -= jobs, ++failed;
      done(status, answer);
    });
  }

  Fleet& fleet_;
  const std::string token_;
  const Shape shape_;
  Pool lists_, singles_;
  std::minstd_rand chance_{1};
  std::int64_t level_ = 0, sent_ = 0, number_ = 0, next_single_ = 0;
  int under_way_ = 0;
  bool stopped_ = false;
};

}  // namespace geres::bench
