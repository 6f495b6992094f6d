// SPDX-License-Identifier: Apache-2.0
#include "transport/token_source.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string_view>
#include <system_error>

#include "base/bytes.h"
#include "base/file.h"
#include "base/json.h"
#include "base/process.h"

namespace geres::transport {
namespace {

constexpr std::size_t kOutMax = 64 << 10;
const std::atomic<bool> kNeverStopped{false};

Error useless(std::string message, std::string hint) {
  return fail(Code::unauthenticated, std::move(message), {}, std::move(hint));
}

std::string_view trimmed(std::string_view text) {
  const auto start = text.find_first_not_of(" \t\r\n");
  return start == std::string_view::npos ? "" : text.substr(start, text.find_last_not_of(" \t\r\n") - start + 1);
}

// As a header may have it (RFC 6750): what is printed by mistake, a page or an error, has blanks or other characters.
bool is_token(std::string_view text) {
  return !text.empty() && text.size() <= TokenSource::kTokenBytesMax &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7f; });
}

std::map<std::string, std::string> environment() {
  std::map<std::string, std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals != std::string_view::npos) all.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return all;
}

struct Printed {
  std::string token;
  std::optional<Millis> expires_at;
};

constexpr const char* kHint = R"(it prints a token, or {"token": "…", "expiresAt": "2026-11-30T10:00:00Z"})";

Result<Printed> read_printed(std::string_view out) {
  Printed printed{std::string(trimmed(out)), std::nullopt};
  if (printed.token.starts_with('{')) {
    const auto document = json::parse(printed.token);
    if (!document || !document->is_object()) return useless("the token command prints no good JSON", kHint);
    const auto& object = document->get_object();
    const auto* token = object.if_contains("token");
    printed.token = token != nullptr && token->is_string() ? std::string(token->get_string()) : std::string();
    if (const auto* expires = object.if_contains("expiresAt"); expires != nullptr && !expires->is_null()) {
      if (expires->is_string())
        if (const auto time = parse_time(std::string_view(expires->get_string()))) printed.expires_at = *time;
      if (!printed.expires_at) return useless("the token command prints an `expiresAt` that is no time", kHint);
    }
  }
  if (!is_token(printed.token))
    return useless(
        printed.token.empty() ? "the token command prints no token" : "what the token command prints is no token",
        kHint);
  return printed;
}

std::string how_it_ended(const Ran& ran, Millis time_max) {
  if (ran.stopped) return "was stopped";
  if (ran.too_long) return "has not ended within " + std::to_string(time_max / 1'000) + " s";
  if (ran.too_much) return "prints more than 64 KiB";
  return ran.exit_code < 0 ? "was killed" : "ended with exit code " + std::to_string(ran.exit_code);
}

}  // namespace

TokenSource::TokenSource(From from, const Clock& clock, const std::atomic<bool>* stop)
    : from_(std::move(from)), clock_(clock), stop_(stop), token_(from_.token) {}

Result<std::string> TokenSource::token() {
  const std::lock_guard lock(mutex_);
  if (!from_.file.empty()) return read_file();
  if (from_.command.empty()) return token_;
  if (!token_.empty() && (renew_at_ == 0 || clock_.wall() < renew_at_)) return token_;
  return run_command();
}

bool TokenSource::refused(const std::string& token) {
  const std::lock_guard lock(mutex_);
  if (!may_change()) return false;
  if (!from_.file.empty()) {
    mark_.clear();
    const auto now = read_file();
    return now && *now != token;
  }
  if (token_ != token) return !token_.empty();  // another thread has asked already
  token_.clear();
  const auto now = run_command();
  return now && *now != token;
}

// A file that is away for a moment, because it is being replaced, leaves what was read before.
Result<std::string> TokenSource::read_file() {
  const auto mark = file_mark(from_.file);
  if (mark == mark_ && !token_.empty()) return token_;
  std::string text;
  try {
    const auto whole = read_file_if(from_.file);
    if (!whole && !token_.empty()) return token_;
    if (!whole) return useless("there is no token file " + from_.file.string(), "a file with a token in it");
    text = *whole;
  } catch (const std::system_error& trouble) {
    return useless("the token file cannot be read: " + std::string(trouble.what()), "a file with a token in it");
  }
  const auto token = trimmed(text);
  if (!is_token(token)) {
    if (token.empty() && !token_.empty()) return token_;
    return useless("there is no token in " + from_.file.string(), "the token alone, on one line");
  }
  token_ = token;
  mark_ = mark;
  return token_;
}

Result<std::string> TokenSource::run_command() {
  const Program program{{"/bin/sh", "-c", from_.command}, environment(), {}};
  const RunLimits limits{.time_max = from_.command_time_max, .term_time = 1'000, .out_max = kOutMax};
  Ran ran;
  try {
    ran = run_program(program, {}, limits, stop_ != nullptr ? *stop_ : kNeverStopped);
  } catch (const std::system_error& trouble) {
    return useless("the token command cannot be started: " + std::string(trouble.what()), kHint);
  }
  if (ran.exit_code != 0 || ran.too_long || ran.too_much || ran.stopped) {
    auto message = "the token command " + how_it_ended(ran, from_.command_time_max);
    if (!ran.last_line.empty()) message.append(": ").append(utf8_prefix(ran.last_line, 500));
    return useless(std::move(message), kHint);
  }
  const auto printed = read_printed(ran.out);
  if (!printed) return printed.error();
  const Millis now = clock_.wall();
  if (printed->expires_at && *printed->expires_at <= now)
    return useless("the token command prints a token that has expired", kHint);
  token_ = printed->token;
  renew_at_ = printed->expires_at ? now + (*printed->expires_at - now) * 2 / 3 : 0;
  return token_;
}

}  // namespace geres::transport
