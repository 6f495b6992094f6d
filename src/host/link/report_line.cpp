// SPDX-License-Identifier: Apache-2.0
#include "host/link/report_line.h"

#include <algorithm>
#include <utility>

#include "base/json.h"

namespace geres::host {
namespace {

constexpr Millis kNever = Millis(1) << 60;

}  // namespace

void ReportLine::begin(Membership membership) {
  end();
  membership_ = std::move(membership);
  seq_ = 0;
  within(0);
}

void ReportLine::end() {
  ++generation_;
  membership_.reset();
  flying_ = flying_goodbye_ = false;
  due_ = kNever;
  not_before_ = 0;
  tries_ = 0;
}

void ReportLine::within(Millis delay_ms) {
  const Millis due = clock_.monotonic() + delay_ms;
  if (due >= due_) return;
  due_ = due;
  if (delay_ms > 0) link_.after(delay_ms, [] {});
}

Millis ReportLine::heartbeat() const {
  const auto lease = source_.shortest_lease();
  return lease ? std::max<Millis>(std::min(membership_->report_ms, *lease / 4), 50) : kNever;
}

// A report is better sent anew than answered too late. With a quarter of the lease, three answers in a row may be lost
// before anything is stopped.
Millis ReportLine::answer_time() const {
  return std::clamp<Millis>(source_.shortest_lease().value_or(kNever) / 4, 1'000, 5'000);
}

void ReportLine::pump(const std::string& fetched) {
  if (!membership_ || flying_) return;
  if (due_ == kNever) within(heartbeat());
  const Millis now = clock_.monotonic();
  if (now < due_ || now < not_before_) return;
  flying_ = true;
  wire::Report report = source_.build();
  report.seq = ++seq_;
  report.fetched = fetched;
  report.fetchedOnly = true;  // two fetches can be open side by side, and reach the hub in either order
  report.leaving = flying_goodbye_ = leaving_ && !source_.shortest_lease();
  HubCall call;
  call.path = "/v1/hosts/" + membership_->id + "/report";
  call.token = *membership_->secret;
  call.body = json::write_text(report);
  call.time_max = answer_time();
  due_ = kNever;
  within(heartbeat());
  link_.send(std::move(call), [this, generation = generation_](const HubAnswer& answer) {
    if (generation == generation_) answered(answer);
  });
}

void ReportLine::answered(const HubAnswer& answer) {
  events_.heard(answer.status != 0);
  if (host_gone(answer)) return events_.gone();
  if (!answer.ok()) return lost(answer);
  const auto reported = json::read_text<wire::Reported>(answer.body, json::Unknown::ignored);
  if (!reported) {
    events_.trouble(makes_no_sense("report", answer, reported.error()));
    return lost(answer);
  }
  tries_ = 0;
  flying_ = false;
  if (std::exchange(flying_goodbye_, false)) goodbye_said_ = true;
  source_.taken_in(*reported, answer.sent_at);
}

void ReportLine::lost(const HubAnswer& answer) {
  const bool refused = !answer.again() && !answer.ok();
  if (tries_ % 10 == 0) events_.trouble(trouble_of("report", answer));
  flying_ = false;
  if (std::exchange(flying_goodbye_, false)) goodbye_said_ = true;
  source_.lost(answer, refused);
  // But never so late that leases run out, whatever the hub asks for.
  const Millis asked = std::min(answer.retry_after_ms, heartbeat());
  const Millis pause = std::max(asked, backoff(++tries_, 50, refused ? 5'000 : 1'000));
  not_before_ = clock_.monotonic() + pause;
  due_ = kNever;
  within(pause);
}

}  // namespace geres::host
