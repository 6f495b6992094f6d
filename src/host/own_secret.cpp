// SPDX-License-Identifier: Apache-2.0
#include "host/own_secret.h"

#include <boost/describe/class.hpp>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/uuid.h"

namespace geres::host {
namespace {

constexpr const char* kFile = "secret.json";

struct Shape {
  static constexpr std::string_view kRequired[] = {"hub"};
  std::string hub, caPin, name, secret, joinToken, joining;
  std::int64_t since = 0, change = 0;
};
BOOST_DESCRIBE_STRUCT(Shape, (), (hub, caPin, name, secret, since, joinToken, joining, change))

}  // namespace

Result<std::optional<KeptSecret>> kept_secret(const std::filesystem::path& data) {
  const auto text = read_file_if(data / kFile);
  if (!text) return std::optional<KeptSecret>();
  auto shape = json::read_text<Shape>(*text, json::Unknown::ignored);
  if (!shape)
    return fail(Code::badValue, "the file " + (data / kFile).string() + ", with this host's secret, makes no sense",
                "data", "remove it, and let the host join anew: geres hosts invite, then geres host --join STRING");
  return std::optional(KeptSecret{std::move(shape->hub), std::move(shape->caPin), std::move(shape->name),
                                  std::move(shape->secret), shape->since, std::move(shape->joinToken),
                                  std::move(shape->joining), shape->change});
}

OwnSecret::OwnSecret(Options options, const Clock& clock) : options_(std::move(options)), clock_(clock) {
  if (auto kept = kept_secret(options_.data); kept && *kept && (*kept)->hub == options_.hub) kept_ = std::move(**kept);
  const bool own = kept_ && !kept_->secret.empty() && kept_->name == options_.name;
  if (own) ways_.push_back(By::own);
  if (options_.join) ways_.push_back(By::join);
  if (ways_.empty()) ways_.push_back(By::token);
}

void OwnSecret::keep(KeptSecret now) {
  const Shape shape{now.hub, now.ca_pin, now.name, now.secret, now.join_token, now.joining, now.since, now.change};
  kept_ = std::move(now);
  replace_file(options_.data / kFile, json::write_text(shape), 0600);
}

std::string OwnSecret::bearer() {
  switch (ways_.front()) {
    case By::own:
      return kept_->secret;
    case By::join:
      return options_.join->secret;
    case By::token:
      break;
  }
  if (!options_.tokens) return options_.token;
  if (auto token = options_.tokens->token())
    sent_ = std::move(*token);
  else  // the one before may still do
    log::event(log::Level::warn, "this host's token cannot be had", {{"error", token.error().message}});
  return sent_;
}

std::optional<OwnSecret::Joining> OwnSecret::joining() {
  if (ways_.front() != By::join) return std::nullopt;
  if (!kept_ || !kept_->secret.empty() || kept_->join_token != options_.join->id || kept_->name != options_.name)
    kept_ = KeptSecret{options_.hub, options_.ca_pin, options_.name, {}, 0, options_.join->id, random_hex(16), 0};
  const auto change = next_change();
  return Joining{kept_->joining, change};
}

std::int64_t OwnSecret::next_change() {
  auto now = *kept_;
  const auto change = ++now.change;
  try {
    keep(std::move(now));
  } catch (const std::system_error& trouble) {
    log::event(log::Level::warn, "this host could not ask for its secret again if it ended now",
               {{"error", trouble.what()}});
  }
  return change;
}

bool OwnSecret::next() {
  if (ways_.size() == 1) return another_token();
  ways_.erase(ways_.begin());
  return true;
}

// Once until one was accepted.
bool OwnSecret::another_token() {
  if (ways_.front() != By::token || !options_.tokens || std::exchange(asked_anew_, true)) return false;
  return options_.tokens->refused(sent_);
}

std::string OwnSecret::advice() const {
  if (ways_.front() == By::token) return "a token with the role host is needed";
  return "join anew: on the hub's machine geres hosts invite --name " + options_.name +
         ", then here geres host --join STRING";
}

Result<void> OwnSecret::joined(const std::string& secret) {
  if (ways_.front() != By::join) return {};
  auto now = *kept_;
  now.secret = secret;
  now.since = clock_.wall();
  now.joining.clear();
  ways_ = {By::own};
  try {
    keep(std::move(now));
  } catch (const std::system_error& trouble) {
    return fail(Code::internal,
                std::string("this host's secret cannot be kept, so it could not come back: ") + trouble.what(), "data",
                "make room in " + options_.data.string() + ", and start it again within ten minutes");
  }
  return {};
}

std::optional<Millis> OwnSecret::renewal() const {
  if (ways_.front() != By::own) return std::nullopt;
  return kept_->since + options_.renew_every;
}

Result<void> OwnSecret::renewed(const std::string& secret) {
  auto now = *kept_;
  now.secret = secret;
  now.since = clock_.wall();
  try {
    keep(std::move(now));
  } catch (const std::system_error& trouble) {
    return fail(Code::internal, trouble.what());
  }
  return {};
}

}  // namespace geres::host
