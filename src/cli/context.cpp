// SPDX-License-Identifier: Apache-2.0
#include "cli/context.h"

#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <cstdlib>

#include "base/file.h"
#include "base/origin.h"
#include "base/similar.h"
#include "cli/answer_fields.h"
#include "cli/credentials.h"
#include "cli/terminal_state.h"
#include "cli/text.h"

namespace geres::cli {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::filesystem::path home_directory(const char* variable, const char* below_home) {
  std::filesystem::path base = environment(variable);
  if (!base.is_absolute()) base = std::filesystem::path(environment("HOME")) / below_home;
  if (!base.is_absolute())
    cannot(std::string("there is no home directory: neither ") + variable + " nor HOME is set", {},
           std::string(variable) + "=/some/directory");
  return base / "geres";
}

LeftToken left_token() {
  try {
    return read_left_token(data_directory());
  } catch (const Trouble&) {
    return {};  // there is no home directory
  }
}

struct Credential {
  std::string flag, variable;
};
const std::vector<Credential>& credentials() {
  static const std::vector<Credential> all = {
      {"token", "GERES_TOKEN"}, {"token-file", "GERES_TOKEN_FILE"}, {"token-command", "GERES_TOKEN_COMMAND"}};
  return all;
}

[[noreturn]] void two_credentials(const std::string& one, const std::string& other) {
  usage_error(one + " and " + other + " do not go together", "each says by itself who asks", "one of them", other);
}

// The flag whose value counts: the one that was typed, else the one whose variable is set. Empty: none.
std::string given_credential(const Context& context) {
  const Credential* typed = nullptr;
  const Credential* set = nullptr;
  for (const auto& one : credentials())
    if (context.has(one.flag)) {
      if (typed != nullptr) two_credentials("--" + typed->flag, "--" + one.flag);
      typed = &one;
    }
  if (typed != nullptr) return typed->flag;
  for (const auto& one : credentials())
    if (!environment(one.variable.c_str()).empty()) {
      if (set != nullptr) two_credentials(set->variable, one.variable);
      set = &one;
    }
  return set != nullptr ? set->flag : std::string();
}

std::vector<std::string> known_words(const json::value& problem) {
  std::vector<std::string> words;
  const auto& known = member_of(problem, "known");
  if (known.is_array())
    for (const auto& word : known.get_array())
      if (word.is_string() && !word.get_string().starts_with("cmd-")) words.emplace_back(word.get_string());
  return words;
}

// The value that the problem is about: the first quoted text in its message.
std::string quoted_word(const std::string& message) {
  const auto start = message.find('\'');
  const auto end = start == std::string::npos ? start : message.find('\'', start + 1);
  return end == std::string::npos ? "" : message.substr(start + 1, end - start - 1);
}

std::string known_are(Code code) {
  switch (code) {
    case Code::unknownType:
      return "the package has ";
    case Code::unknownPackage:
      return "the tenant has ";
    default:
      return "known are ";
  }
}

std::string flag_for(Code code) {
  switch (code) {
    case Code::unknownType:
      return "--type ";
    case Code::unknownPackage:
      return "--package ";
    case Code::unknownBatch:
      return "--batch ";
    default:
      return "";
  }
}

std::atomic<bool> g_interrupted{false};
std::atomic<int> g_interrupt_signal{0};
void on_interrupt(int signal) {
  g_interrupt_signal = signal;
  g_interrupted = true;
}

}  // namespace

std::atomic<bool>& interrupted() {
  return g_interrupted;
}

int interrupt_signal() {
  return g_interrupt_signal;
}

void catch_interrupts() {
  struct sigaction action {};
  action.sa_handler = on_interrupt;
  for (const int signal : {SIGINT, SIGTERM, SIGQUIT, SIGHUP}) {
    struct sigaction before {};
    // Keep ignoring a signal that was ignored before: under nohup, or in the background of a shell without job control.
    if (::sigaction(signal, nullptr, &before) == 0 && before.sa_handler == SIG_IGN) continue;
    ::sigaction(signal, &action, nullptr);
  }
  mind_stops();
}

std::filesystem::path default_data() {
  return home_directory("XDG_DATA_HOME", ".local/share");
}

std::filesystem::path data_directory() {
  const auto given = environment("GERES_DATA");
  return given.empty() ? default_data() : std::filesystem::absolute(given).lexically_normal();
}

std::filesystem::path state_directory() {
  return home_directory("XDG_STATE_HOME", ".local/state");
}

std::optional<std::string> Context::value(const std::string& name) const {
  auto text = value_as_typed(name);
  if (!text || words.command == nullptr) return text;
  for (const auto* flag : all_flags(*words.command))
    if (flag->name == name && (flag->kind == Kind::time || flag->kind == Kind::past_time))
      return format_time(moment_of(*text, now(), toward_of(*flag)).value());
  return text;
}

std::optional<std::string> Context::value_as_typed(const std::string& name) const {
  if (auto given = words.value(name)) return given;
  if (words.command == nullptr) return std::nullopt;
  for (const auto* flag : all_flags(*words.command)) {
    if (flag->name != name || flag->environment.empty()) continue;
    const auto text = environment(flag->environment.c_str());
    if (text.empty()) return std::nullopt;
    check_value(*flag, text, flag->environment);
    return text;
  }
  return std::nullopt;
}

std::vector<std::string> Context::values(const std::string& flag) const {
  const auto found = words.flags.find(flag);
  return found == words.flags.end() ? std::vector<std::string>() : found->second;
}

std::optional<std::int64_t> Context::integer(const std::string& flag) const {
  const auto text = value(flag);
  if (!text) return std::nullopt;
  std::int64_t n = 0;
  std::from_chars(text->data(), text->data() + text->size(), n);
  return n;
}

std::optional<std::string> Context::tenant_if() const {
  return value("tenant");
}

std::string Context::tenant() {
  if (auto given = tenant_if()) return *given;
  if (!tenant_) {
    const auto info = ask(hub().get("/v1/info"));
    const auto& caller = member_of(info, "caller");
    tenant_ = text_of(caller, "tenant");
    const auto& tenants = items_of(member_of(caller, "tenants"));
    if (tenant_->empty() && tenants.size() == 1 && tenants[0].is_string()) tenant_ = tenants[0].get_string();
  }
  if (tenant_->empty())
    usage_error("no tenant is given", "a job and all it needs belong to a tenant",
                "--tenant NAME, or once for all: export GERES_TENANT=NAME", "--tenant");
  return *tenant_;
}

std::string Context::hub_url() const {
  return hub_address(value_or("hub", "127.0.0.1:8080"));
}

std::string Context::hub_source() const {
  if (words.has("hub")) return "--hub";
  return environment("GERES_HUB").empty() ? "the default" : "GERES_HUB";
}

std::string Context::called_hub() const {
  auto url = hub_url();
  if (!names_server(url))
    usage_error("the hub's address '" + url + "' (from " + hub_source() + ") is not an http or https address", {},
                "--hub 127.0.0.1:8080", "--hub");
  return url;
}

tls::Trust Context::trust() const {
  const auto file = value_as_typed("ca-file").value_or(value_or("ca", ""));
  const auto pin = value_or("ca-pin", "");
  const bool file_typed = words.has("ca") || words.has("ca-file");
  if (file_typed && words.has("ca-pin"))
    usage_error("--ca and --ca-pin do not go together", "the hub is trusted by one of them", "leave out --ca-pin",
                "--ca-pin");
  // What was typed goes before what the environment says.
  tls::Trust trust{file, pin, value_or("cert", ""), value_or("key", "")};
  if (words.has("ca-pin")) trust.ca_file.clear();
  if (!trust.ca_file.empty()) trust.pin.clear();
  if (const auto ok = tls::check_trust(trust); !ok)
    usage_error("--" + ok.error().field + ": " + ok.error().message, {},
                "--" + ok.error().field + " " + ok.error().hint, "--" + ok.error().field);
  if (!trust.ca_file.empty() || !trust.pin.empty()) return trust;
  const auto left = left_token();
  std::error_code ignored;
  const auto own = left.file.parent_path() / "tls" / "ca.pem";
  if (left.belongs_to(hub_url()) && std::filesystem::exists(own, ignored)) trust.ca_file = own;
  return trust;
}

transport::TokenSourcePtr Context::tokens() const {
  static const SystemClock clock;
  transport::TokenSource::From from;
  const auto flag = given_credential(*this);
  const auto given = flag.empty() ? std::string() : value_or(flag, "");
  if (flag == "token-file")
    from.file = given;
  else if (flag == "token-command")
    from.command = given;
  else if (flag == "token")
    from.token = given;
  else if (auto left = left_token(); left.belongs_to(hub_url()))
    from.token = std::move(left.token);
  if (flag.starts_with("token-") && given.empty())
    usage_error("--" + flag + " has no value", {}, "--" + flag + " " + (from.file.empty() ? "COMMAND" : "FILE"),
                "--" + flag);
  return std::make_shared<transport::TokenSource>(std::move(from), clock, &interrupted());
}

client::Client& Context::hub() {
  if (client_) return *client_;
  client::Options options;
  options.hub = called_hub();
  options.tokens = tokens();
  if (auto token = options.tokens->token())
    options.token = *token;
  else if (interrupted())
    throw Trouble{kInterrupted, "interrupted", {}, {}, "interrupted"};
  else
    throw Trouble{kNotAllowed, token.error().message, {}, token.error().hint, "unauthenticated"};
  if (options.hub.starts_with("https://")) {
    const auto whom = trust();
    options.ca_file = whom.ca_file;
    options.ca_pin = whom.pin;
  }
  options.stop = &interrupted();
  client_ = std::make_unique<client::Client>(std::move(options));
  return *client_;
}

void Context::stop(const client::Failure& failure) {
  throw trouble_of(failure);
}

Trouble Context::trouble_of(const client::Failure& failure) {
  using Kind = client::Failure::Kind;
  const auto& error = failure.error;
  if (failure.kind == Kind::stopped) return {kInterrupted, "interrupted", {}, {}, "interrupted"};
  if (failure.kind == Kind::unreachable) {
    if (error.code == Code::badValue)
      return {kUsage, error.message + " (from " + hub_source() + ")", {}, "--hub http://127.0.0.1:8080", "usage",
              "--hub"};
    const bool local =
        hub_url().find("//127.") != std::string::npos || hub_url().find("//localhost") != std::string::npos;
    return {kUnreachable, "no hub at " + hub_url() + " (from " + hub_source() + ")", error.message,
            local ? "start one: geres up" : "look at the address, or start one here: geres up", "unreachable"};
  }
  if (failure.kind == Kind::untrusted)
    return {kUnreachable, error.message, "the hub's address is " + hub_url() + " (from " + hub_source() + ")",
            error.hint, "untrusted"};
  if (failure.kind == Kind::foreign) {
    const bool refused = failure.status == 401 || failure.status == 403;
    return {refused ? kNotAllowed : kFailed,
            "what answers at " + hub_url() + " (from " + hub_source() + ") is not a GeRes hub", error.message,
            "geres doctor", "foreign"};
  }
  Trouble trouble{exit_of_refusal(unsigned(failure.status)),
                  error.message,
                  {},
                  error.hint,
                  std::string(error_name(error.code)),
                  error.field,
                  failure.problem};
  if (trouble.exit == kNotAllowed) {
    const bool sent = !hub().transport().options().token.empty();
    if (failure.status == 401) {
      const auto left = left_token();
      trouble.why = sent                 ? ""
                    : left.token.empty() ? "no token was sent"
                                         : "no token was sent: the one in " + home_short(left.file.string()) +
                                               " belongs to " + (left.hub.empty() ? "a hub on this machine" : left.hub);
      trouble.next = "--token TOKEN or GERES_TOKEN";
      if (hub().transport().options().tokens->may_change())
        trouble.next = "look at what --" + given_credential(*this) + " gives: geres auth test";
      else if (!left.file.empty())
        trouble.next += "; where `geres up` runs, its user has one in " + home_short(left.file.string());
    } else if (trouble.next.empty()) {
      trouble.next = "a token that may: geres token create (needs an admin)";
    }
    return trouble;
  }
  const auto known = known_words(failure.problem);
  if (!known.empty()) {
    if (error.message.find(joined(known)) == std::string::npos) trouble.why = known_are(error.code) + joined(known);
    const auto near = nearest(quoted_word(error.message), known);
    if (!near.empty()) trouble.next = flag_for(error.code) + near;
  }
  return trouble;
}

void Context::show_json(const json::value& v, const std::string& schema) {
  output.json(with_fields(v, output.look.fields, answer_fields(schema)));
}

bool Context::show_fields(const json::value& list, const std::string& schema) {
  if (output.look.fields.empty()) return false;
  const json::value picked = with_fields(list, output.look.fields, answer_fields(schema));
  std::vector<Column> columns;
  for (const auto& name : output.look.fields) {
    std::string title = name;
    for (auto& c : title)
      if (c >= 'a' && c <= 'z') c = char(c - 32);
    columns.push_back({title, false, true});
  }
  Table table(std::move(columns));
  const auto row_of = [&](const json::value& item) {
    std::vector<Cell> row;
    for (const auto& name : output.look.fields) {
      const auto& v = member_of(item, name);
      row.emplace_back(v.is_null()     ? std::string()
                       : v.is_string() ? std::string(v.get_string())
                                       : boost::json::serialize(v));
    }
    table.add(std::move(row));
  };
  if (picked.is_array() || member_of(picked, "items").is_array())
    for (const auto& item : items_of(picked)) row_of(item);
  else
    row_of(picked);
  output.out(table.text(output.look, terminal_width(1)));
  return true;
}

}  // namespace geres::cli
