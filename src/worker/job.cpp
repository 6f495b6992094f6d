// SPDX-License-Identifier: Apache-2.0
// The public Job: what a handler sees of its job.
#include <algorithm>
#include <boost/json/serialize.hpp>

#include "base/bytes.h"
#include "worker/attempt.h"
#include "worker/crew.h"

namespace geres::worker {
namespace {

constexpr std::size_t kMessageBytesMax = 1'024;

void tell(Attempt& attempt, std::optional<int> percent, std::string_view message) {
  std::string clean = replace_bad_utf8(message);
  std::erase(clean, '\0');
  attempt.crew->progress(attempt, {attempt.lease, percent, std::string(utf8_prefix(clean, kMessageBytesMax))});
}

}  // namespace

Error::Error(const std::string& message, std::string code, std::string hint)
    : std::runtime_error(message), code_(std::move(code)), hint_(std::move(hint)) {}
Error::~Error() = default;
Abort::~Abort() = default;

const std::string& Job::id() const noexcept {
  return attempt_.id;
}
const std::string& Job::type() const noexcept {
  return attempt_.type;
}
const std::string& Job::tenant() const noexcept {
  return attempt_.tenant;
}
int Job::attempt() const noexcept {
  return attempt_.number;
}
const std::string& Job::parameters() const noexcept {
  return attempt_.parameters;
}
std::string Job::json() const {
  return attempt_.job;
}

std::optional<std::string> Job::parameter(std::string_view name) const {
  const auto* members = attempt_.parameter_values.if_object();
  const auto* member = members != nullptr ? members->if_contains(name) : nullptr;
  if (member == nullptr || member->is_null() || member->is_structured()) return std::nullopt;
  if (const auto* text = member->if_string()) return std::string(*text);
  return boost::json::serialize(*member);
}

std::string Job::parameter_or(std::string_view name, std::string otherwise) const {
  return parameter(name).value_or(std::move(otherwise));
}

std::string Job::required_parameter(std::string_view name) const {
  auto text = parameter(name);
  if (!text) throw Abort("the parameter '" + std::string(name) + "' is missing");
  return *std::move(text);
}

void Job::progress(int percent, std::string_view message) {
  tell(attempt_, std::clamp(percent, 0, 100), message);
}
void Job::progress(std::string_view message) {
  tell(attempt_, std::nullopt, message);
}

std::stop_token Job::stop_token() const noexcept {
  return attempt_.stop.get_token();
}
StopReason Job::stop_reason() const noexcept {
  return attempt_.stopped;
}

}  // namespace geres::worker
