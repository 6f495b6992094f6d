// SPDX-License-Identifier: Apache-2.0
#include "hub/api/access.h"

#include <algorithm>
#include <mutex>

#include "base/json.h"
#include "base/sha256.h"
#include "base/uuid.h"
#include "identity/verifier.h"

namespace geres::hub::api {

bool Identity::may(model::Role role) const {
  if (kind != Kind::token) return false;
  return std::any_of(roles.begin(), roles.end(), [role](model::Role has) {
    if (has == model::Role::admin) return true;
    if (role == model::Role::host) return has == role || has == model::Role::operator_;
    return has != model::Role::host && has <= role;
  });
}

bool Identity::sees(const std::string& tenant) const {
  return all_tenants() || std::find(tenants.begin(), tenants.end(), tenant) != tenants.end();
}

engine::Caller Identity::caller() const {
  // Only operators of all tenants may change what all tenants share.
  return {name, operates(), all_tenants(), tenants};
}

void Access::put_token(const model::Token& token) {
  put(token.sha256, {Identity::Kind::token, token.name, token.roles, token.tenants, token.expires, token.id});
}

void Access::put_host(const model::Host& host) {
  if (host.enrolment) {
    const std::unique_lock lock(mutex_);
    const auto enrolled = enrolled_.find(host.enrolment);
    if (enrolled == enrolled_.end() || enrolled->second.shown == host.id) return;
    conceal(enrolled->second);
    enrolled->second.shown = host.id;
    return show(enrolled->second);
  }
  put(host.secret_sha256, {Identity::Kind::host, host.name, {}, {}, std::nullopt, host.id});
}

void Access::put_join_token(const model::JoinToken& token) {
  Identity identity{Identity::Kind::join, token.name, {}, {}, std::nullopt, token.id};
  identity.joins_for = token.tenants;
  put(token.sha256, std::move(identity));
}

void Access::put_enrolment(const model::Enrolment& enrolment) {
  const std::unique_lock lock(mutex_);
  auto& enrolled = enrolled_[enrolment.id];
  conceal(enrolled);
  if (!enrolled.shown) enrolled.shown = enrolment.id;
  enrolled.row = enrolment;
  show(enrolled);
}

void Access::remove_enrolment(Uuid id) {
  const std::unique_lock lock(mutex_);
  const auto found = enrolled_.find(id);
  if (found == enrolled_.end()) return;
  conceal(found->second);
  enrolled_.erase(found);
}

void Access::show(Enrolled& enrolled) {
  const auto& row = enrolled.row;
  Identity who{Identity::Kind::host, row.name, {}, {}, std::nullopt, enrolled.shown};
  who.enrolment = row.id;
  who.joins_for = row.tenants.value_or(std::vector<std::string>());
  if (!row.earlier_sha256.empty()) {
    auto earlier = who;
    earlier.digest = row.earlier_sha256;
    earlier.expires = row.earlier_until;
    by_digest_[row.earlier_sha256] = std::make_shared<const Identity>(std::move(earlier));
  }
  who.digest = row.secret_sha256;
  who.unsettled = !row.earlier_sha256.empty();
  digest_of_[enrolled.shown] = row.secret_sha256;
  by_digest_[row.secret_sha256] = std::make_shared<const Identity>(std::move(who));
}

void Access::conceal(Enrolled& enrolled) {
  by_digest_.erase(enrolled.row.secret_sha256);
  by_digest_.erase(enrolled.row.earlier_sha256);
  digest_of_.erase(enrolled.shown);
}

void Access::remove_token(Uuid token) {
  remove(token);
}

void Access::remove_host(Uuid host) {
  remove(host);
}

void Access::forget_host(Uuid host, Millis now) {
  constexpr Millis kHear = 3'600'000;
  std::vector<Uuid> over;
  {
    const std::unique_lock lock(mutex_);
    forgotten_.emplace_back(now, host);
    for (; forgotten_.front().first <= now - kHear; forgotten_.pop_front()) over.push_back(forgotten_.front().second);
  }
  for (const Uuid id : over) remove(id);
}

void Access::put(std::string sha256, Identity identity) {
  const std::unique_lock lock(mutex_);
  if (const auto old = digest_of_.find(identity.id); old != digest_of_.end()) by_digest_.erase(old->second);
  digest_of_[identity.id] = sha256;
  by_digest_[std::move(sha256)] = std::make_shared<const Identity>(std::move(identity));
}

void Access::remove(Uuid id) {
  const std::unique_lock lock(mutex_);
  const auto found = digest_of_.find(id);
  if (found == digest_of_.end()) return;
  // The secret of a host that has enrolled outlives it.
  if (const auto who = by_digest_.find(found->second); who != by_digest_.end() && who->second->enrolment) return;
  by_digest_.erase(found->second);
  digest_of_.erase(found);
}

std::shared_ptr<const Identity> Access::find(std::string_view secret, Millis now) const {
  if (secret.empty() || secret.size() > 256) return nullptr;
  const std::string digest = sha256_hex(secret);
  const std::shared_lock lock(mutex_);
  const auto found = by_digest_.find(digest);
  if (found == by_digest_.end()) return nullptr;
  if (found->second->expires && *found->second->expires <= now) return nullptr;
  return found->second;
}

std::shared_ptr<const Identity> Access::find(Uuid id, Millis now) const {
  const std::shared_lock lock(mutex_);
  const auto digest = digest_of_.find(id);
  if (digest == digest_of_.end()) return nullptr;
  const auto& found = by_digest_.at(digest->second);
  return found->expires && *found->expires <= now ? nullptr : found;
}

bool Access::current(const Identity& who, Millis now) const {
  if (who.session_until && *who.session_until <= now) return false;
  if (who.expires && *who.expires <= now) return false;
  if (who.provided) return verifier != nullptr && verifier->current(*who.provided, now);
  const std::shared_lock lock(mutex_);
  return digest_of_.contains(who.id);
}

std::string_view role_name(model::Role role) {
  return json::member_name(boost::describe::enum_to_string(role, "?"));
}

std::string new_secret() {
  return "geres_" + random_hex(24);
}

bool is_jwt(std::string_view secret) {
  return std::count(secret.begin(), secret.end(), '.') >= 2;
}

std::shared_ptr<const Identity> identity_of(std::shared_ptr<const identity::Caller> caller) {
  auto who = std::make_shared<Identity>();
  who->kind = Identity::Kind::token;
  who->name = caller->who.name;
  who->roles = caller->rights.roles;
  if (!caller->rights.all_tenants) who->tenants = caller->rights.tenants;
  if (!caller->rights.all_tenants && who->tenants.empty()) who->roles.clear();  // no tenant would read as all
  who->expires = caller->ends;
  who->id = caller->who.id;
  who->provided = std::move(caller);
  return who;
}

std::string_view bearer_of(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() <= kScheme.size()) return {};
  for (std::size_t i = 0; i < kScheme.size(); ++i)
    if ((authorization[i] | 0x20) != (kScheme[i] | 0x20)) return {};
  authorization.remove_prefix(kScheme.size());
  while (authorization.starts_with(' ')) authorization.remove_prefix(1);
  return authorization;
}

}  // namespace geres::hub::api
