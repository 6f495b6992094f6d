// SPDX-License-Identifier: Apache-2.0
#include "hub/api/sessions.h"

#include <algorithm>

#include "base/sha256.h"
#include "base/uuid.h"

namespace geres::hub::api {

namespace {

constexpr Millis kProvidedIdleMax = 3'600'000;  // of who has signed in at an identity provider, and can again

}  // namespace

Millis Sessions::until(const Entry& entry) {
  const Millis idle = entry.who->provided ? kProvidedIdleMax : kIdleMax;
  const Millis until = std::min(entry.used + idle, entry.opened + kLifeMax);
  return entry.who->expires ? std::min(until, *entry.who->expires) : until;
}

void Sessions::forget_the_over(Millis now) {
  std::erase_if(by_digest_, [&](const auto& entry) { return !access_.current(*entry.second.who, now); });
  std::erase_if(codes_, [&](const auto& code) { return code.second.until <= now; });
}

void Sessions::make_room(Uuid token) {
  std::size_t mine = 0;
  auto least = by_digest_.end();
  for (auto entry = by_digest_.begin(); entry != by_digest_.end(); ++entry) {
    if (entry->second.who->id != token) continue;
    ++mine;
    if (least == by_digest_.end() || entry->second.used < least->second.used) least = entry;
  }
  if (mine < kOfOneTokenMax) return;
  *least->second.until = 0;
  by_digest_.erase(least);
}

Sessions::Opened Sessions::open(const Identity& token, Millis now) {
  Entry entry;
  entry.until = std::make_shared<std::atomic<Millis>>(0);
  entry.opened = entry.used = now;
  auto who = token;
  who.session_until = entry.until;
  entry.who = std::make_shared<const Identity>(std::move(who));
  *entry.until = until(entry);
  const Opened opened{random_hex(32), entry.who};
  const std::lock_guard lock(mutex_);
  forget_the_over(now);
  make_room(token.id);
  by_digest_[sha256_hex(opened.secret)] = std::move(entry);
  return opened;
}

std::shared_ptr<const Identity> Sessions::find(std::string_view secret, Millis now) {
  if (secret.empty() || secret.size() > 256) return nullptr;
  const auto digest = sha256_hex(secret);
  const std::lock_guard lock(mutex_);
  const auto found = by_digest_.find(digest);
  if (found == by_digest_.end()) return nullptr;
  auto& entry = found->second;
  if (!access_.current(*entry.who, now)) {
    by_digest_.erase(found);
    return nullptr;
  }
  entry.used = std::max(entry.used, now);
  *entry.until = until(entry);
  return entry.who;
}

void Sessions::close(const Identity& who) {
  const std::lock_guard lock(mutex_);
  std::erase_if(by_digest_, [&](const auto& item) {
    if (item.second.until != who.session_until) return false;
    *item.second.until = 0;
    return true;
  });
}

std::string Sessions::make_code(const Identity& token, Millis now) {
  const std::lock_guard lock(mutex_);
  forget_the_over(now);
  if (codes_.size() >= kCodesMax) return {};
  auto code = random_hex(16);
  codes_[sha256_hex(code)] = {token.id, now + kCodeMax};
  return code;
}

std::shared_ptr<const Identity> Sessions::take_code(std::string_view code, Millis now) {
  if (code.empty() || code.size() > 256) return nullptr;
  const auto digest = sha256_hex(code);
  const std::lock_guard lock(mutex_);
  const auto found = codes_.find(digest);
  if (found == codes_.end()) return nullptr;
  const auto taken = found->second;
  codes_.erase(found);
  return taken.until > now ? access_.find(taken.token, now) : nullptr;
}

std::size_t Sessions::count(Millis now) {
  const std::lock_guard lock(mutex_);
  forget_the_over(now);
  return by_digest_.size();
}

}  // namespace geres::hub::api
