// SPDX-License-Identifier: Apache-2.0
#include "objects/credentials.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <sstream>

#include "base/backoff.h"
#include "base/bytes.h"
#include "base/file.h"
#include "base/json.h"
#include "objects/endpoint.h"
#include "objects/xml.h"

namespace geres::objects {
namespace {

constexpr Millis kRenewBefore = 300'000;
constexpr Millis kRenewAgain = 30'000;  // after a renewal that failed, or that gave keys about to end
constexpr Millis kFilesAreGoodFor = 60'000;
constexpr Millis kNever = std::numeric_limits<Millis>::max();
constexpr Millis kMachineAnswers = 2'000;
constexpr int kTries = 3;
constexpr Millis kFirstPause = 200, kLongestPause = 1'000;
constexpr auto kHint =
    "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with ?profile=P; docs/blobs.md lists all ways";

Error without_keys(std::string message, std::string hint = kHint) {
  return fail(Code::blobStoreAway, std::move(message), {}, std::move(hint));
}

std::string trimmed(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

// The settings of one section of an INI file as AWS's tools write it. Indented lines are settings within settings,
// which mean nothing here.
void read_section(const std::string& text, const std::string& section, std::map<std::string, std::string>& to) {
  std::istringstream lines(text);
  bool within = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#' || line[0] == ';') continue;
    if (line[0] == '[') {
      within = trimmed(std::string_view(line).substr(1, line.find(']') - 1)) == section;
      continue;
    }
    const auto equals = line.find('=');
    if (!within || equals == std::string::npos || line[0] == ' ' || line[0] == '\t') continue;
    auto name = trimmed(std::string_view(line).substr(0, equals));
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return char(std::tolower(c)); });
    to[name] = trimmed(std::string_view(line).substr(equals + 1));
  }
}

std::string in_home(const Environment& environment, const std::string& variable, const std::string& name) {
  if (const auto given = environment(variable); !given.empty()) return given;
  const auto home = environment("HOME");
  return home.empty() ? std::string() : home + "/.aws/" + name;
}

std::string setting(const AwsProfile& profile, const std::string& name) {
  const auto found = profile.settings.find(name);
  return found == profile.settings.end() ? std::string() : found->second;
}

std::string said(const transport::Failure& failure) {
  if (failure.kind == transport::Failure::Kind::foreign) {
    const auto document = read_xml(failure.body);
    const auto* error = document ? document->find("Error") : nullptr;
    if (error != nullptr)
      return fmt::format("{}: {}", (*error)["Code"], utf8_prefix(plain_line((*error)["Message"]), 300));
    return fmt::format("HTTP {}", failure.status);
  }
  return failure.network.empty() ? failure.error.message : failure.network;
}

// On a link of the container's own, where plain text is all they speak.
bool one_of_containers(std::string_view server) {
  return server == "http://169.254.170.2" || server == "http://169.254.170.23" || server == "http://[fd00:ec2::23]";
}

std::optional<Millis> time_in(const std::string& text) {
  const auto time = parse_time(text);
  return time ? std::optional(*time) : std::nullopt;
}

transport::Options for_sts(const Environment& environment) {
  transport::Options options;
  options.ca_file = environment("AWS_CA_BUNDLE");
  options.answer_bytes_max = 64 << 10;
  return options;
}

transport::Options for_machine() {
  transport::Options options;
  options.connect_time_max = options.answer_time_max = kMachineAnswers;
  options.proxies = false;
  options.answer_bytes_max = 64 << 10;
  return options;
}

}  // namespace

AwsProfile read_profile(const Environment& environment, const std::string& named) {
  AwsProfile profile{named, !named.empty(), {}, {}};
  if (profile.name.empty()) profile.name = environment("AWS_PROFILE");
  if (profile.name.empty()) profile.name = "default";
  const auto config = in_home(environment, "AWS_CONFIG_FILE", "config");
  const auto credentials = in_home(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials");
  if (!config.empty())
    if (const auto text = read_file_if(config)) {
      if (profile.name == "default") read_section(*text, "default", profile.settings);
      read_section(*text, "profile " + profile.name, profile.settings);
    }
  if (!credentials.empty())
    if (const auto text = read_file_if(credentials)) read_section(*text, profile.name, profile.settings);
  profile.files = credentials + " and " + config;
  return profile;
}

AwsCredentials::AwsCredentials(Options options)
    : options_(std::move(options)), calls_(for_sts(options_.environment)), machine_(for_machine()) {}

// What passes by itself should not be the store's failure.
transport::Answer<transport::Reply> AwsCredentials::ask(Calls& calls, const transport::Call& call) const {
  for (int tries = 1;; ++tries) {
    auto answer = calls.make(call);
    const bool again = !answer && answer.error().status > 0 && transport::passing(answer.error());
    if (!again || tries == kTries) return answer;
    options_.pause(backoff(tries, kFirstPause, kLongestPause));
  }
}

Millis AwsCredentials::renew_at(const AwsKeys& keys) const {
  if (!keys.ends_at) return kNever;
  return std::max(*keys.ends_at - kRenewBefore, std::min(options_.clock->wall() + kRenewAgain, *keys.ends_at));
}

Result<AwsKeys> AwsCredentials::get() {
  std::optional<AwsKeys> good;  // until others come
  const auto look = [&] {
    const std::lock_guard lock(mutex_);
    const auto now = options_.clock->wall();
    good.reset();
    if (held_ && held_->keys.ends_at.value_or(kNever) > now) good = held_->keys;
    return good && held_->renew_at > now;
  };
  if (look()) return *good;
  std::unique_lock renewing(renewing_, std::defer_lock);
  if (good) {
    if (!renewing.try_lock()) return *good;
  } else {
    renewing.lock();
  }
  if (look()) return *good;
  auto loaded = load();
  const std::lock_guard lock(mutex_);
  if (loaded) {
    held_ = std::move(*loaded);
    return held_->keys;
  }
  if (!good) return loaded.error();
  held_->renew_at = options_.clock->wall() + kRenewAgain;
  return *good;
}

bool AwsCredentials::refused(const AwsKeys& keys) {
  const std::lock_guard lock(mutex_);
  if (held_ && held_->renew_at == kNever) return false;
  if (held_ && held_->keys.id == keys.id && held_->keys.session_token == keys.session_token) held_.reset();
  return true;
}

std::string AwsCredentials::source() const {
  const std::lock_guard lock(mutex_);
  return held_ ? held_->source : "no source";
}

Result<AwsCredentials::Held> AwsCredentials::load() {
  const auto& environment = options_.environment;
  AwsProfile profile;
  try {
    profile = read_profile(environment, options_.profile);
  } catch (const std::system_error& trouble) {
    return without_keys(fmt::format("the AWS profile's file cannot be read: {}", trouble.what()));
  }
  if (profile.named) {
    if (auto keys = from_profile(profile)) return std::move(*keys);
    return without_keys(fmt::format("the AWS profile '{}' has no keys ({})", profile.name, profile.files));
  }
  if (auto keys = from_environment()) return std::move(*keys);
  const auto session = environment("AWS_ROLE_SESSION_NAME");
  if (auto keys = from_web_identity(environment("AWS_WEB_IDENTITY_TOKEN_FILE"), environment("AWS_ROLE_ARN"), session))
    return std::move(*keys);
  if (auto keys = from_profile(profile)) return std::move(*keys);
  if (auto keys = from_container()) return std::move(*keys);
  return from_machine();
}

std::optional<Result<AwsCredentials::Held>> AwsCredentials::from_environment() const {
  const auto value = [&](const char* name) { return trimmed(options_.environment(name)); };
  AwsKeys keys{value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY"), value("AWS_SESSION_TOKEN"), {}};
  if (keys.id.empty() && keys.secret.empty()) return std::nullopt;
  if (keys.id.empty() || keys.secret.empty())
    return without_keys(fmt::format("of AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY only the {} is set",
                                    keys.id.empty() ? "second" : "first"),
                        "set both, or neither");
  return Held{std::move(keys), "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY", kNever};
}

std::optional<Result<AwsCredentials::Held>> AwsCredentials::from_profile(const AwsProfile& profile) {
  AwsKeys keys{setting(profile, "aws_access_key_id"),
               setting(profile, "aws_secret_access_key"),
               setting(profile, "aws_session_token"),
               {}};
  if (!keys.id.empty() && !keys.secret.empty())
    return Held{std::move(keys), fmt::format("the profile '{}' of {}", profile.name, profile.files),
                options_.clock->wall() + kFilesAreGoodFor};
  if (auto role = from_web_identity(setting(profile, "web_identity_token_file"), setting(profile, "role_arn"),
                                    setting(profile, "role_session_name")))
    return role;
  for (const auto* name : {"credential_process", "sso_session", "sso_start_url", "source_profile", "credential_source"})
    if (!setting(profile, name).empty())
      return without_keys(
          fmt::format("the AWS profile '{}' gets its keys by {}, which is not supported here", profile.name, name));
  return std::nullopt;
}

std::optional<Result<AwsCredentials::Held>> AwsCredentials::from_web_identity(const std::string& token_file,
                                                                              const std::string& role,
                                                                              const std::string& session) {
  if (token_file.empty()) return std::nullopt;
  if (role.empty())
    return without_keys("AWS_WEB_IDENTITY_TOKEN_FILE is set, but not whose role its token is for", "set AWS_ROLE_ARN");
  try {
    return from_sts(trimmed(read_file(token_file)), role, session.empty() ? "geres" : session);
  } catch (const std::system_error& trouble) {
    return without_keys(fmt::format("the web identity's token cannot be read: {}", trouble.what()));
  }
}

Result<AwsCredentials::Held> AwsCredentials::from_sts(const std::string& token, const std::string& role,
                                                      const std::string& session) {
  auto url = options_.environment("AWS_ENDPOINT_URL_STS");
  if (url.empty()) url = fmt::format("https://sts.{}.{}", options_.region, aws_domain(options_.region));
  const auto endpoint = read_endpoint(url, options_.plaintext);
  if (!endpoint) return without_keys("AWS_ENDPOINT_URL_STS: " + endpoint.error().message, endpoint.error().hint);
  transport::Call call{.method = "POST", .other = endpoint->url() + "/"};
  call.content_type = "application/x-www-form-urlencoded";
  call.body = canonical_query({{"Action", "AssumeRoleWithWebIdentity"},
                               {"Version", "2011-06-15"},
                               {"RoleArn", role},
                               {"RoleSessionName", session},
                               {"WebIdentityToken", token}});
  const auto answer = ask(calls_, call);
  if (!answer)
    return without_keys(
        fmt::format("STS at {} gives no keys for the role {}: {}", endpoint->url(), role, said(answer.error())),
        "does the role trust this identity? docs/blobs.md shows how");
  const auto document = read_xml(answer->body);
  const auto* result = document ? document->find("AssumeRoleWithWebIdentityResult") : nullptr;
  const auto* given = result != nullptr ? result->find("Credentials") : nullptr;
  if (given == nullptr || (*given)["AccessKeyId"].empty() || !time_in((*given)["Expiration"]))
    return without_keys(fmt::format("STS at {} answers with something that is no keys", endpoint->url()));
  AwsKeys keys{(*given)["AccessKeyId"], (*given)["SecretAccessKey"], (*given)["SessionToken"],
               time_in((*given)["Expiration"])};
  const auto renewal = renew_at(keys);
  return Held{std::move(keys), fmt::format("the role {} by STS", role), renewal};
}

Result<AwsCredentials::Held> AwsCredentials::from_machine() {
  const auto& environment = options_.environment;
  const std::string none =
      "there are no AWS keys: not in the environment, not in a profile, and this machine has no role";
  if (environment("AWS_EC2_METADATA_DISABLED") == "true")
    return without_keys(
        "there are no AWS keys: not in the environment, not in a profile, and "
        "AWS_EC2_METADATA_DISABLED forbids to ask for the machine's role");
  auto base = environment("AWS_EC2_METADATA_SERVICE_ENDPOINT");
  if (base.empty()) base = "http://169.254.169.254";
  while (base.ends_with('/')) base.pop_back();
  const auto ask = [&](const std::string& method, const std::string& path, std::string header, std::string value) {
    transport::Call call{.method = method, .other = base + "/latest/" + path};
    call.headers = {{std::move(header), std::move(value)}};
    if (method == "PUT") call.body = "", call.content_type = "text/plain";
    return this->ask(machine_, call);
  };
  const auto token = ask("PUT", "api/token", "X-aws-ec2-metadata-token-ttl-seconds", "21600");
  if (!token) return without_keys(fmt::format("{} ({})", none, said(token.error())));
  const std::string roles = "meta-data/iam/security-credentials/";
  const auto listed = ask("GET", roles, "X-aws-ec2-metadata-token", trimmed(token->body));
  const auto role = listed ? trimmed(listed->body.substr(0, listed->body.find('\n'))) : std::string();
  if (role.empty()) return without_keys(none, "give the machine an instance profile, or set other keys");
  const auto answer = ask("GET", roles + transport::escaped(role), "X-aws-ec2-metadata-token", trimmed(token->body));
  return read_role(answer, "the machine's role " + role);
}

std::optional<Result<AwsCredentials::Held>> AwsCredentials::from_container() {
  const auto& environment = options_.environment;
  auto url = environment("AWS_CONTAINER_CREDENTIALS_FULL_URI");
  if (const auto path = environment("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); !path.empty())
    url = "http://169.254.170.2" + path;
  if (url.empty()) return std::nullopt;
  const auto server = url.substr(0, url.find('/', url.find("://") + 3));
  if (const auto endpoint = read_endpoint(server, one_of_containers(server)); !endpoint)
    return without_keys("AWS_CONTAINER_CREDENTIALS_FULL_URI: " + endpoint.error().message);
  transport::Call call{.other = url};
  auto token = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN");
  if (const auto file = environment("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"); !file.empty()) try {
      token = read_file(file);
    } catch (const std::system_error& trouble) {
      return without_keys(fmt::format("the container's token cannot be read: {}", trouble.what()));
    }
  if (!trimmed(token).empty()) call.headers = {{"Authorization", trimmed(token)}};
  return read_role(ask(machine_, call), "the container's role");
}

Result<AwsCredentials::Held> AwsCredentials::read_role(const transport::Answer<transport::Reply>& answer,
                                                       const std::string& whose) {
  if (!answer) return without_keys(fmt::format("{} gives no keys: {}", whose, said(answer.error())));
  const auto document = json::parse(answer->body);
  const auto text = [&](const char* name) {
    const auto* value = document && document->is_object() ? document->get_object().if_contains(name) : nullptr;
    return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
  };
  AwsKeys keys{text("AccessKeyId"), text("SecretAccessKey"), text("Token"), time_in(text("Expiration"))};
  const bool well = text("Code").empty() || text("Code") == "Success";
  if (!well || keys.id.empty() || keys.secret.empty() || !keys.ends_at)
    return without_keys(fmt::format("{} gives no keys: {}", whose, well ? "its answer has none" : text("Code")));
  const auto renewal = renew_at(keys);
  return Held{std::move(keys), whose, renewal};
}

}  // namespace geres::objects
