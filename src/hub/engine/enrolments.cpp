// SPDX-License-Identifier: Apache-2.0
#include "hub/engine/enrolments.h"

#include <fmt/format.h>

#include <algorithm>

namespace geres::hub::engine {
namespace {

constexpr Millis kRepeatMax = 600'000;        // a host whose answer was lost may ask again
constexpr Millis kEarlierSecret = 3'600'000;  // holds beside the new one, while that is unused
constexpr Millis kKeepToken = 86'400'000;     // after its end, to say what became of it
constexpr std::size_t kTokensMax = 10'000;

Error unknown_secret() {
  return fail(Code::unauthenticated, "this is no secret of a host that the hub knows", {},
              "let it join anew: geres hosts invite");
}

// Its host has an answer to a later call, or waits for that.
Error came_late() {
  return fail(Code::joinTokenUsed, "a later call of this host has been answered", {},
              "a number that grows with each call: `change`");
}

void put_in_order(std::vector<std::string>& tenants) {
  std::sort(tenants.begin(), tenants.end());
  tenants.erase(std::unique(tenants.begin(), tenants.end()), tenants.end());
}

}  // namespace

Error name_taken(const std::string& name) {
  return fail(Code::nameTaken, fmt::format("the host name '{}' is taken", name), "/name",
              "another name; or, if it is this host that had it, its own secret, or a join token for this name");
}

// ---- joining

Result<Admission> Enrolments::admit(const RegisterHost& wanted, model::Host& host) const {
  if (host.tenants) put_in_order(*host.tenants);
  if (wanted.join_token) return by_join_token(wanted, host);
  if (wanted.enrolment) return by_own_secret(wanted, host);
  return by_token(wanted, host);
}

std::optional<Uuid> Enrolments::owner(const model::Host& host) const {
  const auto found = state_.enrolled_names.find({host.name, host.tenants});
  return found == state_.enrolled_names.end() ? std::nullopt : std::optional(found->second);
}

// The id of a life says nothing of who asks, so it must be one of this very host.
std::optional<Uuid> Enrolments::own_life(const std::optional<Uuid>& replaces, Uuid enrolment) const {
  if (!replaces) return std::nullopt;
  const auto life = state_.hosts.find(*replaces);
  return life != state_.hosts.end() && life->second.row.enrolment == enrolment ? replaces : std::nullopt;
}

const model::Enrolment* Enrolments::repeated(const RegisterHost& wanted) const {
  if (wanted.joining.empty()) return nullptr;
  for (const auto& [id, enrolment] : state_.enrolments)
    if (enrolment.join_token == *wanted.join_token && enrolment.joining == wanted.joining &&
        now_.wall - enrolment.enrolled_at < kRepeatMax)
      return &enrolment;
  return nullptr;
}

Result<void> Enrolments::may_use(const model::JoinToken& token, const model::Host& host) const {
  if (token.uses_left <= 0)
    return fail(Code::joinTokenUsed, fmt::format("this join token was for {}, which {} joined",
                                                 token.uses == 1 ? "one host" : fmt::format("{} hosts", token.uses),
                                                 token.uses == 1 ? "has" : "have"));
  if (token.expires <= now_.wall)
    return fail(Code::joinTokenExpired, fmt::format("this join token has expired at {}", format_time(token.expires)));
  if (!token.name.empty() && token.name != host.name)
    return fail(Code::joinTokenOtherName,
                fmt::format("this join token is for a host named '{}', not '{}'", token.name, host.name), "/name",
                fmt::format("--name {}", token.name));
  return {};
}

Result<Admission> Enrolments::by_join_token(const RegisterHost& wanted, model::Host& host) const {
  const auto found = state_.join_tokens.find(*wanted.join_token);
  if (found == state_.join_tokens.end())
    return fail(Code::unauthenticated, "this join token has been withdrawn", {}, "make a new one: geres hosts invite");
  const auto& token = found->second;
  if (!host.tenants && !token.tenants.empty()) host.tenants = token.tenants;
  if (!token.tenants.empty() &&
      !std::includes(token.tenants.begin(), token.tenants.end(), host.tenants->begin(), host.tenants->end()))
    return fail(Code::forbidden, "the join token is not for all these tenants", "/tenants",
                "leave them out for those of the join token");
  Admission admission;
  admission.writes_enrolment = true;
  if (const auto* earlier = repeated(wanted);
      earlier != nullptr && earlier->name == host.name && earlier->tenants == host.tenants) {
    admission.enrolment = *earlier;
    if (wanted.change <= earlier->change) return came_late();
    admission.enrolment->change = wanted.change;
    admission.enrolment->secret_sha256 = host.secret_sha256;
    admission.enrolment->secret_since = now_.wall;
    admission.never_heard = true;
    return admission;
  }
  if (auto ok = may_use(token, host); !ok) return ok.error();
  admission.join_token = token.id;
  admission.takes_over = !token.name.empty();
  admission.displaces = owner(host);
  if (admission.displaces && !admission.takes_over) return name_taken(host.name);
  const auto same = state_.host_names.find({host.name, host.tenants});
  if (admission.takes_over && same != state_.host_names.end() && same->second == wanted.replaces)
    admission.replaces = wanted.replaces;
  admission.enrolment = model::Enrolment{.id = {},
                                         .name = host.name,
                                         .tenants = host.tenants,
                                         .secret_sha256 = host.secret_sha256,
                                         .secret_since = now_.wall,
                                         .join_token = token.id,
                                         .joining = wanted.joining,
                                         .change = wanted.change,
                                         .enrolled_at = now_.wall};
  return admission;
}

Result<Admission> Enrolments::by_own_secret(const RegisterHost& wanted, model::Host& host) const {
  const auto found = state_.enrolments.find(*wanted.enrolment);
  if (found == state_.enrolments.end()) return unknown_secret();
  const auto& enrolment = found->second;
  if (enrolment.name != host.name)
    return fail(Code::forbidden, fmt::format("this is the secret of host '{}', not of '{}'", enrolment.name, host.name),
                "/name", fmt::format("--name {}, or let it join anew: geres hosts invite", enrolment.name));
  if (!host.tenants) host.tenants = enrolment.tenants;
  if (host.tenants != enrolment.tenants)
    return fail(Code::forbidden, fmt::format("host '{}' has joined for other tenants", enrolment.name), "/tenants",
                "leave them out, or let it join anew: geres hosts invite");
  Admission admission{.enrolment = enrolment, .writes_enrolment = !enrolment.joining.empty()};
  admission.enrolment->joining.clear();
  admission.replaces = own_life(wanted.replaces, enrolment.id);
  return admission;
}

Result<Admission> Enrolments::by_token(const RegisterHost& wanted, const model::Host& host) const {
  Admission admission;
  admission.replaces = wanted.replaces;
  const auto owned = owner(host);
  if (wanted.replaces) {
    const auto life = state_.hosts.find(*wanted.replaces);
    const Uuid theirs = life == state_.hosts.end() ? Uuid{} : life->second.row.enrolment;
    if (theirs && !wanted.by_operator) admission.replaces.reset();
    if (theirs && wanted.by_operator) admission.displaces = theirs;
    if (wanted.by_operator && owned == wanted.replaces) admission.displaces = owned;  // it is away
  }
  if (owned && owned != admission.displaces) return name_taken(host.name);
  return admission;
}

void Enrolments::enter(const Admission& admission, model::Host& host) {
  if (admission.displaces) forget(*admission.displaces);
  if (!admission.enrolment) return;
  auto enrolment = *admission.enrolment;
  if (!enrolment.id) enrolment.id = ids_.next(now_.wall);
  if (admission.writes_enrolment) put(enrolment);
  if (admission.join_token) {
    auto& token = state_.join_tokens.at(*admission.join_token);
    --token.uses_left;
    store_.changes().join_tokens.push_back(token);
  }
  host.enrolment = enrolment.id;
  host.secret_sha256.clear();
  state_.enrolled_hosts[enrolment.id] = host.id;
}

void Enrolments::put(const model::Enrolment& enrolment) {
  state_.enrolled_names[{enrolment.name, enrolment.tenants}] = enrolment.id;
  state_.enrolments[enrolment.id] = enrolment;
  store_.changes().enrolments.push_back(enrolment);
}

// It has the answer to its joining, so nobody may ask for that again.
void Enrolments::heard(Uuid id) {
  const auto found = state_.enrolments.find(id);
  if (found == state_.enrolments.end() || found->second.joining.empty()) return;
  found->second.joining.clear();
  store_.changes().enrolments.push_back(found->second);
}

void Enrolments::forget(Uuid id) {
  const auto found = state_.enrolments.find(id);
  if (found == state_.enrolments.end()) return;
  state_.enrolled_names.erase({found->second.name, found->second.tenants});
  state_.enrolments.erase(found);
  store_.changes().enrolments_removed.push_back(id);
}

void Enrolments::purge() {
  std::erase_if(state_.join_tokens, [&](const auto& entry) {
    if (now_.wall - entry.second.expires < kKeepToken) return false;
    store_.changes().join_tokens_removed.push_back(entry.first);
    return true;
  });
}

// ---- verbs

Result<model::JoinToken> Enrolments::make_token(const model::JoinToken& wanted) {
  if (state_.join_tokens.size() >= kTokensMax)
    return fail(Code::tooMany, "there are too many join tokens", {}, "remove some that are not needed any more");
  auto token = wanted;
  put_in_order(token.tenants);
  token.id = ids_.next(now_.wall);
  token.uses_left = token.uses;
  token.created_at = now_.wall;
  state_.join_tokens[token.id] = token;
  store_.changes().join_tokens.push_back(token);
  return token;
}

Result<bool> Enrolments::remove_token(Uuid id) {
  if (state_.join_tokens.erase(id) == 0)
    return fail(Code::notFound, fmt::format("there is no join token '{}'", id.str()));
  store_.changes().join_tokens_removed.push_back(id);
  return true;
}

Result<bool> Enrolments::renew(const RenewHostSecret& wanted) {
  const auto host = state_.hosts.find(wanted.host);
  if (host == state_.hosts.end())
    return fail(Code::hostGone, "this host is not registered any more", {}, "register again: POST /v1/hosts");
  if (!host->second.row.enrolment)
    return fail(Code::conflict, "this host has joined with a token, and has no secret of its own", {},
                "let it join with a join token: geres hosts invite");
  auto enrolment = state_.enrolments.at(host->second.row.enrolment);
  if (wanted.presented != enrolment.secret_sha256 && wanted.presented != enrolment.earlier_sha256)
    return unknown_secret();
  if (wanted.change <= enrolment.change)
    return fail(Code::conflict, "a later call of this host has been answered", "/change",
                fmt::format("a number above {}", enrolment.change));
  enrolment.change = wanted.change;
  enrolment.earlier_sha256 = wanted.presented;
  enrolment.earlier_until = now_.wall + kEarlierSecret;
  enrolment.secret_sha256 = wanted.sha256;
  enrolment.secret_since = now_.wall;
  put(enrolment);
  return true;
}

Result<bool> Enrolments::secret_used(Uuid id, const std::string& sha256) {
  const auto found = state_.enrolments.find(id);
  if (found == state_.enrolments.end()) return unknown_secret();
  auto enrolment = found->second;
  if (enrolment.secret_sha256 != sha256 || enrolment.earlier_sha256.empty()) return true;
  enrolment.earlier_sha256.clear();
  enrolment.earlier_until = 0;
  put(enrolment);
  return true;
}

}  // namespace geres::hub::engine
