// SPDX-License-Identifier: Apache-2.0
#include "host/link/claim_loop.h"

#include <algorithm>

#include "base/json.h"
#include "base/uuid.h"

namespace geres::host {
namespace {

constexpr Millis kWaitMax = 20'000;
constexpr Millis kWaitMin = 2'000;
constexpr Millis kRepeatMax = 2'000;
constexpr Millis kDoubtAfter = 500;       // a call sent more recently than this is not doubted
constexpr Millis kReplacedAfter = 1'000;  // the hub answers a replaced call at once, so after this it is sent again
constexpr std::ptrdiff_t kFlyingMax = 4;

}  // namespace

void ClaimLoop::begin(Membership membership) {
  end();
  membership_ = std::move(membership);
  // A host that reports often should also notice soon that a fetch's connection died without a sign.
  wait_ = std::clamp(4 * membership_->report_ms, kWaitMin, kWaitMax);
  answer_slack_ = wait_ / 2;
}

void ClaimLoop::end() {
  ++generation_;
  membership_.reset();
  calls_.clear();
  fetched_.clear();
  not_before_ = 0;
}

void ClaimLoop::pump(int slots) {
  if (!membership_ || clock_.monotonic() < not_before_) return;
  if (calls_.empty() || calls_.back().settled) return open(slots);
  const Call& newest = calls_.back();
  if (newest.slots == slots || !newest.flying) return;
  // Calls that are answered and only wait for an older one to be settled do not count.
  if (std::count_if(calls_.begin(), calls_.end(), [](const Call& call) { return call.flying; }) >= kFlyingMax) return;
  look_after(calls_.back());
  open(slots);
}

// A newer call is about to replace this one, and then the hub answers it. If no answer comes its connection has died
// without a sign, and the call is sent again to ask for what it was granted.
void ClaimLoop::look_after(const Call& replaced) {
  link_.after(kReplacedAfter, [this, id = replaced.id, tries = replaced.tries, generation = generation_] {
    Call* call = generation == generation_ ? find(id) : nullptr;
    if (call == nullptr || !call->flying || call->tries != tries) return;
    call->reached = true;
    send(*call);
  });
}

int ClaimLoop::offered() const {
  return !calls_.empty() && calls_.back().flying ? calls_.back().slots : 0;
}

void ClaimLoop::open(int slots) {
  calls_.push_back({random_hex(16), slots});
  send(calls_.back());
}

void ClaimLoop::send(Call& call) {
  // Leases count from the first try that may have reached the hub. So an old call only asks what it was granted then: a
  // new grant would be half over when it arrives.
  const bool old = call.reached && clock_.monotonic() - call.first_sent > kRepeatMax;
  const bool asks = &call == &calls_.back() && !old;
  wire::Fetch body{call.id, asks ? call.slots : 0, json::Duration{asks ? wait_ : 0}};
  HubCall request;
  request.path = "/v1/hosts/" + membership_->id + "/fetch";
  request.token = *membership_->secret;
  request.body = json::write_text(body);
  request.time_max = body.wait.ms + answer_slack_;
  call.sent = clock_.monotonic();
  if (call.first_sent == 0) call.first_sent = call.sent;
  call.flying = true;
  ++call.tries;
  link_.send(std::move(request),
             [this, id = call.id, tries = call.tries, generation = generation_](const HubAnswer& answer) {
               if (generation == generation_) answered(id, tries, answer);
             });
}

// The hub was out of reach for a while, so an older call may be waiting on a connection that died without a sign. The
// repeat replaces it.
void ClaimLoop::doubt() {
  if (!membership_) return;
  for (auto& call : calls_)
    if (call.flying && clock_.monotonic() - call.sent >= kDoubtAfter) {
      call.reached = true;
      send(call);
    }
}

ClaimLoop::Call* ClaimLoop::find(const std::string& id) {
  const auto call = std::find_if(calls_.begin(), calls_.end(), [&](const Call& c) { return c.id == id; });
  return call == calls_.end() ? nullptr : &*call;
}

void ClaimLoop::answered(const std::string& id, int tries, const HubAnswer& answer) {
  Call* call = find(id);
  if (call == nullptr || call->tries != tries) return;  // it was doubted, and its repeat gets the same answer
  call->flying = false;
  events_.heard(answer.status != 0);
  if (host_gone(answer)) return events_.gone();
  if (!answer.ok()) return again(*call, answer);
  auto fetched = json::read_text<wire::Fetched>(answer.body, json::Unknown::ignored);
  if (!fetched) {
    events_.trouble(makes_no_sense("fetch", answer, fetched.error()));
    return again(*call, answer);
  }
  settle(*call, std::move(*fetched));
}

void ClaimLoop::settle(Call& call, wire::Fetched fetched) {
  call.settled = true;
  const Millis counted_from = call.first_sent + std::max<Millis>(0, fetched.heldMs);
  if (&call == &calls_.back()) hold_back(call, fetched);
  while (!calls_.empty() && calls_.front().settled) {
    fetched_ = calls_.front().id;
    calls_.pop_front();
  }
  events_.fetched(std::move(fetched), counted_from);
}

// A hub that keeps answering at once with nothing must not be asked in a tight loop.
void ClaimLoop::hold_back(const Call& call, const wire::Fetched& fetched) {
  const Millis now = clock_.monotonic();
  const bool empty = fetched.leases.empty() && fetched.cancel.empty() && now - call.first_sent < 100;
  empty_answers_ = empty ? empty_answers_ + 1 : 0;
  if (empty_answers_ < 3) return;
  const Millis pause = std::min<Millis>(empty_answers_ * 50, 1'000);
  not_before_ = now + pause;
  link_.after(pause, [] {});
}

void ClaimLoop::again(Call& call, const HubAnswer& answer) {
  call.reached = call.reached || answer.sent;
  if (!call.reached) call.first_sent = 0;  // nothing can have been granted to it yet
  const Millis pause = std::max(std::min<Millis>(answer.retry_after_ms, 30'000),
                                backoff(call.tries, 50, answer.again() ? 2'000 : 10'000));
  if (call.tries == 1 || !answer.again()) events_.trouble(trouble_of("fetch", answer));
  link_.after(pause, [this, id = call.id, generation = generation_] {
    Call* call = generation == generation_ ? find(id) : nullptr;
    if (call != nullptr && !call->flying) send(*call);
  });
}

}  // namespace geres::host
