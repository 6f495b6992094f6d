// SPDX-License-Identifier: Apache-2.0
#include "worker/settings.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <thread>

#include "base/origin.h"
#include "base/uuid.h"
#include "host/link/membership.h"
#include "host/link/remembered.h"
#include "model/names.h"
#include "tls/trust.h"

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
  hub = hub_address(hub.empty() ? "127.0.0.1:8080" : hub);
  if (!hub.starts_with("http://") && !hub.starts_with("https://"))
    wrong("Options::hub '" + hub + "' does not begin with http:// or https://", "http://127.0.0.1:8080, for example");
  return hub;
}

std::string drawn_name() {
  const std::string rest = "-" + std::to_string(::getpid()) + "-" + random_hex(3);
  return host::machine_name().substr(0, 62 - rest.size()) + rest;
}

// The id that an earlier life kept in the file. Empty: none, or the file is a copy of another worker's.
std::string last_id_of(const std::string& text, int file, const std::string& name, const Options& options) {
  if (text.empty() || parse_uuid(text)) return text;  // version 0.1.0 wrote the id alone
  struct stat facts {};
  if (::fstat(file, &facts) != 0) return {};
  const auto found = host::read_remembered(text, facts);
  if (!found || !parse_uuid(found->id))
    wrong(name + " is not a worker's state file", "another file, or delete this one");
  if (!found->copied) return found->id;
  const std::string line = name + " is a copy of another worker's: this is a new worker";
  if (options.log)
    options.log(line);
  else
    std::fprintf(stderr, "geres worker: %s\n", line.c_str());
  return {};
}

Fd open_state(const Options& options, std::string& last_id) {
  const auto& file = options.state_file;
  if (file.empty()) return {};
  const std::string name = "Options::state_file " + file.string();
  Fd fd(::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd) wrong(name + " cannot be opened: " + std::strerror(errno), "a file of its own");
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0)
    throw Error(name + " is held by another worker that lives", "conflict", "give each worker a state file of its own");
  char bytes[1'024];
  const ssize_t got = ::pread(fd.get(), bytes, sizeof bytes, 0);
  std::string text(bytes, std::size_t(std::max<ssize_t>(got, 0)));
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.pop_back();
  last_id = last_id_of(text, fd.get(), name, options);
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
  if (const auto ok = tls::check_trust(tls::or_environment({options.ca_file, options.ca_pin})); !ok)
    wrong(ok.error().message, "Options::ca_file: certificates in PEM; or Options::ca_pin: sha256: and 64 hex digits");
  if (!options.token_file.empty() && options.token.empty() && read_token(options).empty())
    wrong("no token can be read from " + options.token_file.string(), "Options::token_file");
  to.state = open_state(options, to.last_id);
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
  struct stat facts {};
  if (!settings.state || ::fstat(settings.state.get(), &facts) != 0) return;
  const std::string text = host::remembered_text(id, facts) + "\n";
  const ssize_t written = ::pwrite(settings.state.get(), text.data(), text.size(), 0);
  if (written == ssize_t(text.size())) [[maybe_unused]]
    const int cut = ::ftruncate(settings.state.get(), written);
}

}  // namespace geres::worker
