// SPDX-License-Identifier: Apache-2.0
#include "cli/scaler_words.h"

#include <algorithm>
#include <cmath>

#include "cli/client/client.h"
#include "cli/job_words.h"

namespace geres::cli {
namespace {

std::string value_words(const json::value& v) {
  return v.is_string() ? std::string(v.get_string()) : boost::json::serialize(v);
}

double most_of(const Curve& curve, Millis from, Millis to) {
  double most = 0, before = 0;
  for (const auto& [at, value] : curve.values) {
    if (at < from)
      before = value;
    else if (at <= to)
      most = std::max(most, value);
  }
  return std::max(most, before);
}

std::string whole(double value) {
  return grouped(std::llround(value));
}

}  // namespace

std::string pool_mode(const json::value& pool) {
  if (client::flag_of(pool, "removing")) return "removing";
  if (client::flag_of(pool, "paused")) return "paused";
  if (member_of(pool, "scale").is_object()) return "by hand";
  return text_of(pool, "mode");
}

std::string policy_words(const json::value& pool) {
  const auto& policy = member_of(pool, "policy");
  auto words = clean(text_of(policy, "name"));
  for (const char* setting : {"wait", "finishWithin", "jobsPerHost", "library"})
    if (const auto& v = member_of(policy, setting); !v.is_null()) words += " " + clean(value_words(v));
  return words;
}

std::string machine_counts(const json::value& pool) {
  std::vector<std::string> words;
  const auto& actual = member_of(pool, "actual");
  // In the order of a machine's life.
  for (const char* state : {"ready", "booting", "ordered", "draining", "retiring", "asleep", "failed"})
    if (const auto n = number_of(actual, state); n > 0) words.push_back(std::to_string(n) + " " + state);
  return words.empty() ? "none" : joined(words, " ");
}

std::string change_words(const json::value& decision) {
  std::vector<std::string> words;
  const auto& changes = member_of(decision, "changes");
  for (const char* change : {"order", "resume", "wake", "drain", "retire", "remove"})
    if (const auto n = number_of(changes, change); n > 0)
      words.push_back(std::string(change) + " " + std::to_string(n));
  return joined(words);
}

std::string curve_line(const Curve& curve, Millis from, Millis to, std::size_t columns, double most) {
  static constexpr const char* kLevels[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  std::string line;
  std::optional<double> now;
  auto next = curve.values.begin();
  for (std::size_t column = 0; column < columns; ++column) {
    const Millis end = from + (to - from) * Millis(column + 1) / Millis(columns);
    auto highest = now;
    for (; next != curve.values.end() && next->first <= end; ++next) {
      now = next->second;
      if (next->first >= from) highest = std::max(highest.value_or(*now), *now);
    }
    if (!highest) highest = now;
    // Nothing is the lowest level, and whatever is more is above it.
    line += !highest ? " " : kLevels[most <= 0 ? 0 : std::clamp<int>(int(std::ceil(*highest / most * 7)), 0, 7)];
  }
  return line;
}

std::vector<std::string> pool_chart(const json::array& decisions, Millis from, Millis to, std::size_t width) {
  Curve waiting{"waiting", {}}, wanted{"wanted", {}}, there{"there", {}};
  for (const auto& decision : decisions) {
    const auto at = time_of(decision, "at");
    if (!at) continue;
    const auto& demand = member_of(member_of(decision, "input"), "demand");
    // With what the pool's own maximum holds back.
    waiting.values.emplace_back(*at, double(number_of(member_of(demand, "runnable"), "jobs") +
                                            number_of(member_of(demand, "heldByLimits"), "jobs")));
    wanted.values.emplace_back(*at, double(number_of(decision, "wanted")));
    there.values.emplace_back(*at, double(number_of(decision, "actual")));
  }
  if (waiting.values.empty()) return {};
  // Hosts wanted and there have one scale, so that they can be compared.
  const double hosts = std::max(most_of(wanted, from, to), most_of(there, from, to));
  const std::size_t columns = std::clamp<std::size_t>(width > 45 ? width - 35 : 10, 10, 60);
  std::vector<std::string> lines;
  for (const auto* curve : {&waiting, &wanted, &there}) {
    const double top = curve == &waiting ? most_of(waiting, from, to) : hosts;
    lines.push_back(pad(curve->name, 9) + curve_line(*curve, from, to, columns, top) + "  " +
                    whole(curve->values.back().second) + ", at most " + whole(most_of(*curve, from, to)));
  }
  return lines;
}

}  // namespace geres::cli
