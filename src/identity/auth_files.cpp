// SPDX-License-Identifier: Apache-2.0
// The files that the configuration of identity providers names: authorities and client secrets.
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <system_error>

#include "base/file.h"
#include "identity/auth_config.h"
#include "tls/trust.h"

namespace geres::identity {
namespace {

constexpr std::size_t kSecretBytesMax = 4'096;

std::string from(const std::filesystem::path& directory, const std::string& file) {
  return file.empty() ? file : (directory / file).lexically_normal().string();
}

}  // namespace

Result<std::string> read_secret(const std::string& file, const std::string& field) {
  struct stat found {};
  if (::stat(file.c_str(), &found) != 0)
    return fail(Code::badValue, fmt::format("{}: {}", file, std::generic_category().message(errno)), field);
  if (!S_ISREG(found.st_mode)) return fail(Code::badValue, file + " is no file", field);
  if (found.st_uid != ::geteuid() && found.st_uid != 0)
    return fail(Code::badValue, file + " belongs to another user, who can change it", field,
                "chown it to the hub's user");
  if ((found.st_mode & 0077) != 0)
    return fail(Code::badValue, file + " can be read by other users of this machine", field, "chmod 600 " + file);
  if (std::size_t(found.st_size) > kSecretBytesMax)
    return fail(Code::badValue, file + " is too large for a secret", field);
  std::string secret;
  try {
    secret = read_file(file);
  } catch (const std::system_error& trouble) {
    return fail(Code::badValue, fmt::format("{}: {}", file, trouble.code().message()), field);
  }
  while (secret.ends_with('\n') || secret.ends_with('\r')) secret.pop_back();
  if (secret.empty()) return fail(Code::badValue, file + " is empty", field);
  return secret;
}

Result<void> check_files(AuthConfig& config, const std::filesystem::path& directory) {
  for (std::size_t i = 0; i < config.providers.size(); ++i) {
    auto& provider = config.providers[i];
    const auto at = fmt::format("/providers/{}", i);
    provider.ca = from(directory, provider.ca);
    if (!provider.ca.empty()) {
      tls::Trust trust;
      trust.ca_file = provider.ca;
      if (auto ok = tls::check_trust(trust); !ok)
        return fail(Code::badValue, ok.error().message, at + "/ca", "a PEM file with certificates of authorities");
    }
    if (!provider.login || provider.login->clientSecretFile.empty()) continue;
    auto& file = provider.login->clientSecretFile;
    file = from(directory, file);
    if (auto ok = read_secret(file, at + "/login/clientSecretFile"); !ok) return ok.error();
  }
  return {};
}

}  // namespace geres::identity
