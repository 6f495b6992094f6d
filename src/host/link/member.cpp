// SPDX-License-Identifier: Apache-2.0
#include "host/link/member.h"

#include <algorithm>
#include <utility>

#include "base/json.h"

namespace geres::host {
namespace {

constexpr Millis kUnreachableMax = 3'000;

}  // namespace

Member::Member(HubLink& link, const Clock& clock, Millis name_taken_max, Owner& owner, ReportLine::Source& reports)
    : link_(link),
      clock_(clock),
      name_taken_max_(name_taken_max),
      owner_(owner),
      claims_(link, clock,
              {[this](wire::Fetched fetched, Millis from) { owner_.take_in(std::move(fetched), from); },
               [this](bool reached) { heard(reached); }, [this] { gone(); },
               [this](const Trouble& what) { owner_.trouble(what); }}),
      reports_(link, clock, reports,
               {[this](bool reached) { heard(reached); }, [this] { gone(); },
                [this](const Trouble& what) { owner_.trouble(what); }}) {}

// ---- joining --------------------------------------------------------------------------------------------------------

void Member::join() {
  if (joining_ || stop_at_) return;
  joining_ = true;
  ++tries_;
  wire::RegisterHost body = owner_.registration();
  if (!last_id_.empty()) body.replaces = last_id_;
  HubCall call;
  call.path = "/v1/hosts";
  call.token = owner_.token();
  call.body = json::write_text(body);
  call.headers.emplace_back(wire::kProtocolHeader, std::to_string(wire::kProtocol));
  for (const auto& [header, said] :
       {std::pair(wire::kIsolationHeader, owner_.isolation()), std::pair(wire::kLimitsHeader, owner_.limits()),
        std::pair(wire::kPoolHeader, owner_.pool()), std::pair(wire::kInstanceHeader, owner_.instance())})
    if (!said.empty()) call.headers.emplace_back(header, said);
  link_.send(std::move(call), [this](const HubAnswer& answer) { registered(answer); });
}

void Member::registered(const HubAnswer& answer) {
  joining_ = false;
  heard(answer.status != 0);
  if (!answer.ok()) return refused(answer);
  auto joined = geres::host::membership(answer);
  if (!joined) return owner_.refused(Refusal::foreign, joined.error().message);
  joined_ = std::move(*joined);
  last_id_ = joined_->id;
  tries_ = 0;
  name_taken_since_ = 0;
  owner_.joined();
  claims_.begin(*joined_);
  reports_.begin(*joined_);
}

void Member::refused(const HubAnswer& answer) {
  const std::string& problem = answer.trouble;
  // We named our own earlier life, so the name is another host's, or the hub has lost track of that life.
  if (answer.status == 409) {
    const Millis now = clock_.monotonic();
    if (name_taken_since_ == 0) name_taken_since_ = now;
    if (now - name_taken_since_ > name_taken_max_) return owner_.refused(Refusal::nameTaken, problem);
  } else if (!answer.again()) {
    const bool token = answer.status == 401 || answer.status == 403;
    if (token && owner_.has_another_token(problem)) return join();
    return owner_.refused(token ? Refusal::token : Refusal::request, problem);
  }
  if (tries_ == 1 || tries_ % 20 == 0) owner_.trouble(trouble_of("registration", answer));
  const Millis pause = std::max(answer.retry_after_ms, backoff(tries_, 100, 3'000));
  link_.after(pause, [this] { join(); });
}

void Member::change_secret(const std::string& secret) {
  if (!joined_) return;
  link_.supersede(*joined_->secret);
  *joined_->secret = secret;
}

void Member::gone() {
  if (!joined_) return;
  joined_.reset();
  claims_.end();
  reports_.end();
  owner_.gone();
}

// ---- each turn of the loop ------------------------------------------------------------------------------------------

void Member::pump(int slots) {
  if (!reports_.leaving()) claims_.pump(slots);
  reports_.pump(claims_.fetched());
}

void Member::heard(bool reached) {
  if (reached) heard_at_ = clock_.monotonic();
  if (reached == reachable_) return;
  owner_.reached(reached);
  reachable_ = reached;
  if (reached) claims_.doubt();
}

void Member::heed(model::HostMode mode) {
  if (mode == mode_) return;
  mode_ = mode;
  owner_.mode_changed(mode);
}

// ---- leaving --------------------------------------------------------------------------------------------------------

void Member::stop_by(Millis drain_ms) {
  const Millis now = clock_.monotonic(), drain = std::max<Millis>(drain_ms, 0);
  if (!stop_at_) stop_began_ = now;
  if (stop_at_ && now + drain >= *stop_at_) return;
  stop_at_ = now + drain;
  link_.after(drain, [] {});
}

bool Member::time_is_up() {
  if (!stop_at_ || clock_.monotonic() < *stop_at_) return false;
  return !std::exchange(time_was_up_, true);
}

bool Member::out_of_reach() const {
  return !reachable_ && clock_.monotonic() - std::max(heard_at_, stop_began_) >= kUnreachableMax;
}

bool Member::said_goodbye() {
  if (reports_.goodbye_said()) return true;
  reports_.say_goodbye();
  return false;
}

}  // namespace geres::host
