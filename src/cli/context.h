// SPDX-License-Identifier: Apache-2.0
// What a command works with: its words, a hub to talk to, and where to write. Answers are unwrapped here, so that a
// failure of the hub ends the command with the right exit code and message.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "cli/client/client.h"
#include "cli/output.h"
#include "cli/serve.h"
#include "cli/trouble.h"
#include "cli/words.h"

namespace geres::cli {

using client::items_of;
using client::member_of;
using client::number_of;
using client::text_of;

class Context {
 public:
  Context(const Words& words, Output& output, const Services& services)
      : words(words), output(output), services(services) {}

  const Words& words;
  Output& output;
  const Services& services;

  bool has(const std::string& flag) const { return words.has(flag); }
  // From the command line, else from the flag's environment variable. A time is RFC 3339, whatever was typed.
  std::optional<std::string> value(const std::string& flag) const;
  std::optional<std::string> value_as_typed(const std::string& name) const;
  std::string value_or(const std::string& flag, const std::string& otherwise) const {
    return value(flag).value_or(otherwise);
  }
  std::vector<std::string> values(const std::string& flag) const;
  std::optional<std::int64_t> integer(const std::string& flag) const;
  std::string tenant();  // --tenant, GERES_TENANT, or the hub's default for this token; else a usage error
  std::optional<std::string> tenant_if() const;  // the first two only; may be absent

  client::Client& hub();
  std::string hub_url() const;               // with http:// if no scheme was given
  std::string called_hub() const;            // the same; throws the usage error if it is not an address
  tls::Trust trust() const;                  // for https: what was given, else what a hub of this user left here
  transport::TokenSourcePtr tokens() const;  // what was given, else the token left for this hub
  std::string hub_source() const;            // "--hub", "GERES_HUB" or "the default"

  // The value of an answer; ends the command if it is a failure.
  template <class T>
  T ask(client::Answer<T> answer) {
    if (!answer) stop(answer.error());
    return std::move(*answer);
  }
  [[noreturn]] void stop(const client::Failure& failure);
  Trouble trouble_of(const client::Failure& failure);

  // Prints an answer as JSON, with --fields only those members. `schema`: of what, as in answer_fields(); of lists, of
  // each item.
  void show_json(const json::value& v, const std::string& schema = {});
  // Prints a table of the chosen fields if --fields was given without JSON. True: it did.
  bool show_fields(const json::value& list, const std::string& schema = {});
  Millis now() const { return SystemClock().wall(); }

 private:
  std::optional<std::string> tenant_;  // the token's or the hub's default, once asked for
  std::unique_ptr<client::Client> client_;
};

// Set by SIGINT, SIGTERM, SIGQUIT and SIGHUP; calls to the hub end soon after. Ctrl-Z is handled too, but is not an
// end.
std::atomic<bool>& interrupted();
int interrupt_signal();  // which signal it was; 0: none
void catch_interrupts();

std::filesystem::path data_directory();   // GERES_DATA, else $XDG_DATA_HOME/geres
std::filesystem::path state_directory();  // $XDG_STATE_HOME/geres

}  // namespace geres::cli
