// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/duration.h"
#include "rehearsal/rehearsal.h"

namespace geres::rehearsal {
namespace {

constexpr int kWidth = 720, kLeft = 52, kRight = 12, kTop = 34, kPanel = 120, kGap = 34, kBottom = 26;

std::string escaped(const std::string& text) {
  std::string to;
  for (const char c : text) {
    if (c == '&')
      to += "&amp;";
    else if (c == '<')
      to += "&lt;";
    else
      to += c;
  }
  return to;
}

class Panel {
 public:
  Panel(const Report& report, int top, std::int64_t most)
      : report_(report), top_(top), most_(std::max<std::int64_t>(1, most)) {
    from_ = report.samples.front().at;
    to_ = std::max(from_ + 1, report.samples.back().at);
  }

  std::string frame(const std::string& what) const {
    return fmt::format(
        R"(<rect x="{}" y="{}" width="{}" height="{}" fill="none" stroke="#ccc"/>)"
        R"(<text x="{}" y="{}" text-anchor="end">{}</text><text x="{}" y="{}" text-anchor="end">0</text>)"
        R"(<text x="{}" y="{}">{}</text>)"
        "\n",
        kLeft, top_, kWidth - kLeft - kRight, kPanel, kLeft - 6, top_ + 10, most_, kLeft - 6, top_ + kPanel, kLeft,
        top_ - 6, what);
  }

  template <class Of>
  std::string line(Of of, const char* colour, const char* more, bool area = false) const {
    std::string points;
    int before = -1;
    for (const auto& sample : report_.samples) {
      const int x = at_x(sample.at), y = at_y(of(sample));
      if (before >= 0) points += fmt::format("H{}", x);
      points += before < 0 ? fmt::format("M{} {}", x, y) : y == before ? "" : fmt::format("V{}", y);
      before = y;
    }
    if (area) points += fmt::format("V{}H{}Z", top_ + kPanel, kLeft);
    return fmt::format(R"(<path d="{}" fill="{}" stroke="{}"{}/>)"
                       "\n",
                       points, area ? colour : "none", area ? "none" : colour, more);
  }

  int at_x(Millis at) const {
    return kLeft + int(std::llround(double(at - from_) / double(to_ - from_) * (kWidth - kLeft - kRight)));
  }

 private:
  int at_y(std::int64_t value) const {
    return top_ + kPanel - int(std::llround(double(value) / double(most_) * kPanel));
  }
  const Report& report_;
  int top_;
  std::int64_t most_;
  Millis from_ = 0, to_ = 1;
};

}  // namespace

std::string chart(const Report& report, const std::string& title) {
  const int second = kTop + kPanel + kGap, height = second + kPanel + kBottom;
  std::string svg = fmt::format(
      R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {} {}" font-family="sans-serif" font-size="11" )"
      R"(fill="#555"><rect width="100%" height="100%" fill="#fff"/>)"
      "\n"
      R"(<text x="{}" y="14" font-size="13" fill="#222">{}</text>)"
      "\n",
      kWidth, height, kLeft, escaped(title));
  if (report.samples.empty()) return svg + "</svg>\n";
  std::int64_t jobs = 0, hosts = 0;
  for (const auto& sample : report.samples) {
    jobs = std::max({jobs, sample.waiting, sample.running});
    hosts = std::max({hosts, sample.ready + sample.coming, sample.wanted});
  }
  const Panel above(report, kTop, jobs), below(report, second, hosts);
  svg += above.frame(R"(jobs: <tspan fill="#d08700">waiting</tspan>, <tspan fill="#2b6cb0">running</tspan>)");
  svg += above.line([](const Sample& s) { return s.waiting; }, "#f3d9a4", "", true);
  svg += above.line([](const Sample& s) { return s.running; }, "#2b6cb0", "");
  svg += below.frame(
      R"(hosts: <tspan fill="#2f855a">ready</tspan>, <tspan fill="#7c9">and coming</tspan>, <tspan fill="#c53030">wanted</tspan>)");
  svg += below.line([](const Sample& s) { return s.ready + s.coming; }, "#cfe8d8", "", true);
  svg += below.line([](const Sample& s) { return s.ready; }, "#2f855a", "");
  svg += below.line([](const Sample& s) { return s.wanted; }, "#c53030", R"( stroke-dasharray="4 3")");
  const Millis from = report.samples.front().at, span = std::max<Millis>(1, report.samples.back().at - from);
  Millis step = 1'000;
  for (const Millis tried : {1'000, 5'000, 15'000, 60'000, 300'000, 900'000, 3'600'000, 14'400'000, 86'400'000})
    if (span / (step = tried) <= 8) break;
  for (Millis at = 0; at <= span; at += step)
    svg += fmt::format(R"(<text x="{}" y="{}" text-anchor="middle">{}</text>)"
                       "\n",
                       below.at_x(from + at), height - 8, at == 0 ? "0" : format_duration(at));
  return svg + "</svg>\n";
}

}  // namespace geres::rehearsal
