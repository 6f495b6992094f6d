// SPDX-License-Identifier: Apache-2.0
#include "hub/admin_token.h"

#include <fmt/format.h>

#include <algorithm>
#include <stdexcept>

#include "base/file.h"
#include "base/log.h"
#include "base/sha256.h"
#include "hub/api/access.h"
#include "hub/engine/ask_and_wait.h"

namespace geres::hub {

// The file is written first: a hub that dies in between takes the secret up again from it. A file that is gone is not
// made again unasked: whoever has moved the secret elsewhere does not want it here.
void make_admin_token(const std::filesystem::path& file, bool anew, engine::Engine& engine, store::Reads& reads) {
  const auto tokens = reads.tokens();
  const auto is_admin = [](const model::Token& token) {
    return token.tenants.empty() &&
           std::find(token.roles.begin(), token.roles.end(), model::Role::admin) != token.roles.end();
  };
  std::string secret;
  if (const auto left = read_file_if(file)) secret = left->substr(0, left->find_first_of("\r\n"));
  const auto digest = sha256_hex(secret);
  const bool good = std::any_of(tokens.begin(), tokens.end(),
                                [&](const model::Token& token) { return is_admin(token) && token.sha256 == digest; });
  if (good) return;
  if (std::any_of(tokens.begin(), tokens.end(), is_admin)) {
    if (!anew) {
      log::warn("{} holds no admin's token; whoever has none left starts once with --new-admin-token", file.string());
      return;
    }
    secret.clear();
  }
  if (secret.size() < 32) {
    secret = api::new_secret();
    replace_file(file, secret + "\n", 0600);
  }
  model::Token token;
  token.name = "admin";
  token.sha256 = sha256_hex(secret);
  token.roles = {model::Role::admin};
  for (int n = 2;; ++n) {
    const auto made = engine::ask_and_wait(engine, engine::CreateToken{token});
    if (made) {
      log::event(log::Level::info, "token made",
                 {{"token", made->name},
                  {"tokenId", made->id.str()},
                  {"roles", "admin"},
                  {"tenants", "*"},
                  {"by", "the hub"}});
      return;
    }
    if (made.error().code != Code::nameTaken || n > 100)
      throw std::runtime_error(fmt::format("the admin token could not be stored: {}", made.error().message));
    token.name = fmt::format("admin-{}", n);
  }
}

}  // namespace geres::hub
