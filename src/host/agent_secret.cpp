// SPDX-License-Identifier: Apache-2.0
// The host's own secret: another way in when it is refused, and its renewal.
#include "base/json.h"
#include "base/log.h"
#include "host/agent.h"

namespace geres::host {

bool Agent::has_another_token(const std::string& problem) {
  if (!secret_.next()) return false;
  log::event(log::Level::warn, "this host was refused; it tries another secret or token",
             {{"host", name_}, {"error", problem}});
  return true;
}

// The new one counts from its first use; while the answer is not here, the one before does.
void Agent::renew_secret() {
  const auto due = secret_.renewal();
  if (!due || renewing_ || !member_.membership() || member_.stopping()) return;
  const Millis left = *due - clock_.wall();
  if (left > 0 || clock_.monotonic() < renew_not_before_) return;
  renewing_ = true;
  HubCall call;
  call.path = "/v1/hosts/" + member_.membership()->id + "/secret";
  call.token = bearer();
  call.body = json::write_text(wire::RenewSecret{secret_.next_change()});
  link_.send(std::move(call), [this](const HubAnswer& answer) { secret_renewed(answer); });
}

void Agent::secret_renewed(const HubAnswer& answer) {
  constexpr Millis kPause = 10'000;
  renewing_ = false;
  const auto renewed = answer.ok() ? json::read_text<wire::RenewedSecret>(answer.body, json::Unknown::ignored)
                                   : fail(Code::internal, answer.trouble);
  if (!renewed) {
    log::event(log::Level::warn, "secret was not renewed", {{"error", renewed.error().message}});
    renew_not_before_ = clock_.monotonic() + kPause;
    return link_.after(kPause, [] {});
  }
  if (const auto kept = secret_.renewed(renewed->secret); !kept)
    log::event(log::Level::err, "the new secret cannot be kept: after a restart this host has to join anew",
               {{"error", kept.error().message}});
  member_.change_secret(renewed->secret);
  link_.after(options_.renew_secret_every, [] {});
  log::event(log::Level::info, "secret renewed", {{"host", name_}});
}

}  // namespace geres::host
