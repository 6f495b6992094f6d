// SPDX-License-Identifier: Apache-2.0
#include "worker/settings.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "base/uuid.h"
#include "host/link/membership.h"
#include "model/names.h"

namespace geres::worker {
namespace {

constexpr int kCapacityMax = 4'096;

std::string environment(const char* name) {
  const char* text = std::getenv(name);
  return text != nullptr ? text : "";
}

[[noreturn]] void wrong(const std::string& message, const std::string& hint) {
  throw Error(message, "badValue", hint);
}

void check_name(const std::string& name, const char* what) {
  if (const auto ok = model::check_name(name, what, ""); !ok)
    throw Error(ok.error().message, "badName", ok.error().hint);
}

std::string hub_of(const Options& options) {
  std::string hub = options.hub.empty() ? environment("GERES_HUB") : options.hub;
  if (hub.empty()) hub = "http://127.0.0.1:8080";
  if (!hub.starts_with("http://") && !hub.starts_with("https://"))
    wrong("Options::hub '" + hub + "' does not begin with http:// or https://", "http://127.0.0.1:8080, for example");
  return hub;
}

std::string drawn_name() {
  const std::string rest = "-" + std::to_string(::getpid()) + "-" + random_hex(3);
  return host::machine_name().substr(0, 62 - rest.size()) + rest;
}

Fd open_state(const std::filesystem::path& file, std::string& last_id) {
  if (file.empty()) return {};
  Fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd)
    wrong("Options::state_file " + file.string() + " cannot be opened: " + std::strerror(errno), "a file of its own");
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0)
    throw Error("Options::state_file " + file.string() + " is held by another worker that lives", "conflict",
                "give each worker a state file of its own");
  char text[128];
  const ssize_t got = ::pread(fd.get(), text, sizeof text, 0);
  last_id.assign(text, std::size_t(std::max<ssize_t>(got, 0)));
  while (!last_id.empty() && std::isspace(static_cast<unsigned char>(last_id.back())) != 0) last_id.pop_back();
  if (!last_id.empty() && !parse_uuid(last_id))
    wrong("Options::state_file " + file.string() + " is not a worker's state file", "another file, or delete this one");
  return fd;
}

}  // namespace

Settings settings_of(Options options) {
  Settings to;
  to.hub = hub_of(options);
  if (options.concurrency < 0) wrong("Options::concurrency is negative", "0 for one per processor");
  if (options.prefetch < 0) wrong("Options::prefetch is negative", "0 for as many as concurrency");
  if (options.drain.count() < 0) wrong("Options::drain is negative", "0ms to stop handlers at once");
  if (options.concurrency == 0) options.concurrency = int(std::max(1u, std::thread::hardware_concurrency()));
  if (options.prefetch == 0) options.prefetch = options.concurrency;
  if (options.concurrency > kCapacityMax || options.concurrency + options.prefetch > kCapacityMax)
    wrong("Options::concurrency and prefetch are " + std::to_string(options.concurrency) + " and " +
              std::to_string(options.prefetch),
          "at most 4096 together; start more workers for more");
  to.capacity = options.concurrency + options.prefetch;
  for (const auto& tenant : options.tenants) check_name(tenant, "tenant name");
  to.name = options.name.empty() ? drawn_name() : options.name;
  check_name(to.name, "host name");
  if (std::error_code trouble; !options.ca_file.empty() && !std::filesystem::is_regular_file(options.ca_file, trouble))
    wrong("there is no CA file " + options.ca_file.string(), "Options::ca_file: certificates in PEM");
  if (!options.token_file.empty() && options.token.empty() && read_token(options).empty())
    wrong("no token can be read from " + options.token_file.string(), "Options::token_file");
  to.state = open_state(options.state_file, to.last_id);
  to.options = std::move(options);
  return to;
}

void check_type(const std::string& type, const Handlers& known) {
  check_name(type, "job type");
  if (known.contains(type)) wrong("the type '" + type + "' has a handler already", "one handler per type");
}

std::string read_token(const Options& options) {
  if (!options.token.empty()) return options.token;
  if (options.token_file.empty()) return environment("GERES_TOKEN");
  std::string token;
  try {
    token = read_file_if(options.token_file).value_or("");
  } catch (const std::exception&) {
    return {};
  }
  while (!token.empty() && std::isspace(static_cast<unsigned char>(token.back())) != 0) token.pop_back();
  return token;
}

void remember_id(const Settings& settings, const std::string& id) {
  if (!settings.state) return;
  const std::string line = id + "\n";
  [[maybe_unused]] const ssize_t written = ::pwrite(settings.state.get(), line.data(), line.size(), 0);
}

}  // namespace geres::worker
