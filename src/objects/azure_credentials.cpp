// SPDX-License-Identifier: Apache-2.0
#include "objects/azure_credentials.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <map>

#include "base/base64.h"
#include "base/file.h"
#include "base/json.h"
#include "objects/address.h"
#include "objects/trying.h"

namespace geres::objects {
namespace {

constexpr Millis kRenewBefore = 5 * 60'000;
constexpr Millis kRenewAgain = 30'000;
constexpr auto kConnection = "AZURE_STORAGE_CONNECTION_STRING";
constexpr auto kKey = "AZURE_STORAGE_KEY";
constexpr auto kSas = "AZURE_STORAGE_SAS_TOKEN";
constexpr auto kTokenFile = "AZURE_FEDERATED_TOKEN_FILE";

Error bad(const std::string& variable, const std::string& why, std::string hint = {}) {
  return fail(Code::badValue, fmt::format("{} {}", variable, why), "--blobs", std::move(hint));
}

using Parts = std::map<std::string, std::string>;

// "AccountName=…;AccountKey=…;…"
Result<Parts> read_connection(std::string_view text) {
  Parts parts;
  while (!text.empty()) {
    const auto end = text.find(';');
    const auto part = text.substr(0, end);
    const auto equals = part.find('=');
    if (equals == std::string_view::npos && !part.empty())
      return bad(kConnection, "cannot be read: it is no list of NAME=VALUE with ';' between");
    if (!part.empty()) parts.emplace(part.substr(0, equals), part.substr(equals + 1));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return parts;
}

std::string endpoint_of(const Parts& parts, const std::string& account) {
  if (const auto whole = parts.find("BlobEndpoint"); whole != parts.end()) return whole->second;
  const auto suffix = parts.find("EndpointSuffix");
  if (suffix == parts.end()) return {};
  const auto protocol = parts.find("DefaultEndpointsProtocol");
  return fmt::format("{}://{}.blob.{}", protocol != parts.end() ? protocol->second : "https", account, suffix->second);
}

Result<void> set_key(AzureCredentials& to, const std::string& variable, const std::string& value) {
  auto key = from_base64(value);
  if (!key || key->empty()) return bad(variable, "is no key of a storage account: it is not base64", "copy it anew");
  to.kind = AzureCredentials::Kind::key;
  to.key = std::move(*key);
  return {};
}

Result<void> set_sas(AzureCredentials& to, const std::string& variable, std::string value) {
  if (value.starts_with('?')) value.erase(0, 1);
  const bool plain =
      std::all_of(value.begin(), value.end(), [](char c) { return c > ' ' && c < '\x7f' && c != '#' && c != '?'; });
  if (!plain || ("&" + value).find("&sig=") == std::string::npos)
    return bad(variable, "is no shared access signature", "it looks like sv=…&se=…&sp=…&sig=…");
  to.kind = AzureCredentials::Kind::sas;
  to.sas = std::move(value);
  return {};
}

Result<void> take_connection(AzureCredentials& to, const std::string& account, const std::string& auth,
                             const std::string& text) {
  const auto parts = read_connection(text);
  if (!parts) return parts.error();
  const auto name = parts->find("AccountName");
  if (name != parts->end() && name->second != account)
    return bad(kConnection, fmt::format("is of the account '{}', but the place names '{}'", name->second, account));
  to.endpoint = endpoint_of(*parts, account);
  const auto key = parts->find("AccountKey"), sas = parts->find("SharedAccessSignature");
  if (key != parts->end() && auth != "sas") return set_key(to, kConnection, key->second);
  if (sas != parts->end() && auth != "key") return set_sas(to, kConnection, sas->second);
  return bad(kConnection, fmt::format("has no {}", auth == "sas"   ? "SharedAccessSignature"
                                                   : auth == "key" ? "AccountKey"
                                                                   : "AccountKey and no SharedAccessSignature"));
}

Result<void> take_identity(AzureCredentials& to, const std::string& client_id, const Environment& environment) {
  to.kind = AzureCredentials::Kind::identity;
  to.client_id = client_id.empty() ? environment("AZURE_CLIENT_ID") : client_id;
  if (auto host = environment("AZURE_POD_IDENTITY_AUTHORITY_HOST"); !host.empty()) to.metadata = without_slash(host);
  to.federated_token_file = environment(kTokenFile);
  if (to.federated_token_file.empty()) return {};
  to.tenant_id = environment("AZURE_TENANT_ID");
  if (to.tenant_id.empty() || to.client_id.empty())
    return bad(kTokenFile, "is set, but not AZURE_CLIENT_ID and AZURE_TENANT_ID, which belong to it");
  to.authority = environment("AZURE_AUTHORITY_HOST");
  if (to.authority.empty()) to.authority = "https://login.microsoftonline.com";
  to.authority = without_slash(to.authority);
  if (!to.authority.starts_with("https://") && !on_loopback(to.authority))
    return bad("AZURE_AUTHORITY_HOST", "is no https:// address");
  return {};
}

// Seconds, as a number or as text.
Millis seconds(const json::object& from, std::string_view name) {
  const auto* found = from.if_contains(name);
  if (found == nullptr) return 0;
  if (found->is_int64()) return found->get_int64() * 1'000;
  if (found->is_uint64()) return Millis(found->get_uint64()) * 1'000;
  Millis value = 0;
  if (found->is_string()) {
    const auto& text = found->get_string();
    std::from_chars(text.data(), text.data() + text.size(), value);
  }
  return value * 1'000;
}

std::string text_of(const json::object& from, std::string_view name) {
  const auto* found = from.if_contains(name);
  return found != nullptr && found->is_string() ? std::string(found->get_string()) : std::string();
}

// What the service that gives tokens said, without what comes behind its first line (ids for its own logs).
std::string said(const transport::Failure& failure) {
  if (failure.status == 0) return failure.network.empty() ? failure.error.message : failure.network;
  const auto document = json::parse(failure.body);
  std::string words;
  if (document && document->is_object()) words = text_of(document->get_object(), "error_description");
  if (words.empty() && document && document->is_object()) words = text_of(document->get_object(), "error");
  words = words.substr(0, words.find_first_of("\r\n"));
  return fmt::format("HTTP {}{}{}", failure.status, words.empty() ? "" : ": ", words);
}

}  // namespace

Result<AzureCredentials> read_azure_credentials(const std::string& account, const std::string& auth,
                                                const std::string& client_id, const Environment& environment) {
  AzureCredentials to;
  const auto connection = environment(kConnection), key = environment(kKey), sas = environment(kSas);
  Result<void> done;
  if (auth == "identity" ||
      (auth.empty() && connection.empty() && key.empty() && sas.empty() && !environment(kTokenFile).empty())) {
    done = take_identity(to, client_id, environment);
  } else if (!auth.empty() && auth != "key" && auth != "sas") {
    return fail(Code::badValue, fmt::format("there is no auth '{}'", auth), "--blobs", "key, sas or identity");
  } else if (auth != "sas" && !key.empty() && connection.empty()) {
    done = set_key(to, kKey, key);
  } else if (auth != "key" && !sas.empty() && connection.empty()) {
    done = set_sas(to, kSas, sas);
  } else if (!connection.empty()) {
    done = take_connection(to, account, auth, connection);
  } else {
    return fail(Code::badValue,
                fmt::format("no credentials for the storage account '{}' are in the environment", account), "--blobs",
                fmt::format("set {}, {} or {}; or give the place the option auth=identity, for the identity that Azure "
                            "has given to this machine",
                            kKey, kSas, kConnection));
  }
  if (!done) return done.error();
  return to;
}

AzureIdentity::AzureIdentity(AzureCredentials credentials, const Patience& patience, const std::string& ca_file,
                             const Clock& clock)
    : credentials_(std::move(credentials)),
      patience_(patience),
      clock_(clock),
      calls_({.ca_file = ca_file,
              .connect_time_max = patience.connect,
              .answer_time_max = patience.silence,
              .answer_bytes_max = 1 << 20,
              // The metadata service is of this machine, and what it gives is for nobody else.
              .proxies = !credentials_.federated_token_file.empty()}) {}

Result<std::string> AzureIdentity::token() {
  const std::lock_guard lock(mutex_);
  const auto now = clock_.wall();
  const bool good = now < token_.ends_at;
  if (good && (now < token_.ends_at - kRenewBefore || now < next_fetch_at_)) return token_.text;
  auto fetched = fetch();
  if (fetched) {
    token_ = std::move(*fetched);
    return token_.text;
  }
  if (!good) return fetched.error();
  next_fetch_at_ = now + kRenewAgain;
  return token_.text;
}

void AzureIdentity::forget(const std::string& token) {
  const std::lock_guard lock(mutex_);
  if (token_.text == token) token_ = {};
}

Result<transport::Call> AzureIdentity::call() const {
  transport::Call call;
  if (credentials_.federated_token_file.empty()) {
    call.other = credentials_.metadata + "/metadata/identity/oauth2/token";
    call.query = {{"api-version", "2018-02-01"}, {"resource", "https://storage.azure.com/"}};
    if (!credentials_.client_id.empty()) call.query.emplace_back("client_id", credentials_.client_id);
    call.headers = {{"Metadata", "true"}};
    return call;
  }
  // Read each time, because the cluster renews it.
  auto assertion = read_file_if(credentials_.federated_token_file);
  if (!assertion)
    return fail(Code::blobStoreAway,
                fmt::format("{}, which {} names, is absent", credentials_.federated_token_file, kTokenFile));
  while (!assertion->empty() && (assertion->back() == '\n' || assertion->back() == '\r')) assertion->pop_back();
  call.method = "POST";
  call.repeatable = true;
  call.other =
      fmt::format("{}/{}/oauth2/v2.0/token", credentials_.authority, transport::escaped(credentials_.tenant_id));
  call.content_type = "application/x-www-form-urlencoded";
  call.body = fmt::format(
      "grant_type=client_credentials&client_id={}&scope={}&client_assertion_type={}&client_assertion={}",
      transport::escaped(credentials_.client_id), transport::escaped("https://storage.azure.com/.default"),
      transport::escaped("urn:ietf:params:oauth:client-assertion-type:jwt-bearer"), transport::escaped(*assertion));
  return call;
}

Result<AzureIdentity::Token> AzureIdentity::fetch() {
  const auto who = credentials_.federated_token_file.empty() ? credentials_.metadata : credentials_.authority;
  const auto away = [&](const std::string& why) {
    return fail(Code::blobStoreAway, fmt::format("{} gives this machine's identity no token: {}", who, why), {},
                credentials_.federated_token_file.empty()
                    ? "that service is there only on machines of Azure, and answers only those that have been given an "
                      "identity; which of several is said by the option client_id"
                    : "AZURE_CLIENT_ID must be an identity with a federated credential for this service account");
  };
  Trying trying(patience_);
  for (;;) {
    auto wanted = call();
    if (!wanted) return wanted.error();
    const auto answer = calls_.make(std::move(*wanted));
    if (!answer) {
      if (trying.again(answer.error())) continue;
      return away(said(answer.error()));
    }
    const auto document = json::parse(answer->body);
    if (!document || !document->is_object()) return away("its answer cannot be read");
    const auto& object = document->get_object();
    Token token{text_of(object, "access_token"), 0};
    const auto lasts = seconds(object, "expires_in");
    token.ends_at = lasts > 0 ? clock_.wall() + lasts : seconds(object, "expires_on");
    if (token.text.empty() || token.ends_at <= 0) return away("its answer has no token");
    return token;
  }
}

}  // namespace geres::objects
