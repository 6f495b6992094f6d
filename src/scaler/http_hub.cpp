// SPDX-License-Identifier: Apache-2.0
#include "scaler/http_hub.h"

#include <optional>

namespace geres::scaler {
namespace {

using transport::Call;
using transport::escaped;
using transport::Failure;

constexpr Millis kAnswerMax = 10'000;  // less than a lease lasts
constexpr std::size_t kAnswerBytesMax = 256 << 20;
constexpr Millis kTurn = 100;

transport::Options options_of(const HttpHub::Options& options) {
  transport::Options transport;
  transport.hub = options.url;
  transport.ca_file = options.trust.ca_file;
  transport.ca_pin = options.trust.pin;
  transport.answer_time_max = kAnswerMax;
  transport.patience = 0;  // the next evaluation asks again, from what is then true
  transport.wait_for_first = false;
  transport.answer_bytes_max = kAnswerBytesMax;
  transport.agent = "geres-scaler/" GERES_VERSION;
  return transport;
}

HubTrouble trouble_of(const Failure& failure) {
  std::string code;
  if (failure.problem.is_object())
    if (const auto* named = failure.problem.get_object().if_contains("code"); named != nullptr && named->is_string())
      code = std::string(named->get_string());
  HubTrouble trouble{HubTrouble::Kind::away, failure.error.message.empty() ? failure.network : failure.error.message};
  if (failure.status != 0)
    trouble.text += " (" + std::to_string(failure.status) + (code.empty() ? "" : " " + code) + ")";
  if (code == "staleScaler")
    trouble.kind = HubTrouble::Kind::stale;
  else if (code == "scalerHeld")
    trouble.kind = HubTrouble::Kind::held;
  else if (code == "hostBusy")
    trouble.kind = HubTrouble::Kind::busy;
  else if (failure.kind == Failure::Kind::problem && transport::verdict(failure.status) == transport::Verdict::refused)
    trouble.kind = HubTrouble::Kind::refused;
  return trouble;
}

HubTrouble senseless(const Error& error) {
  return {HubTrouble::Kind::away,
          "the hub's answer makes no sense: " + (error.field.empty() ? "" : error.field + ": ") + error.message};
}

const json::value* member(const json::value& from, std::string_view name) {
  return from.is_object() ? from.get_object().if_contains(name) : nullptr;
}

transport::TokenSourcePtr fixed(std::string token) {
  static const SystemClock clock;
  return std::make_shared<transport::TokenSource>(transport::TokenSource::From{.token = std::move(token)}, clock);
}

Call get(std::string path) {
  Call call;
  call.path = std::move(path);
  return call;
}

Call posting(std::string path, const json::object& body) {
  Call call;
  call.method = "POST";
  call.path = std::move(path);
  call.body = boost::json::serialize(body);
  return call;
}

}  // namespace

HttpHub::HttpHub(Options options, const std::atomic<bool>& stop)
    : tokens_(options.tokens ? options.tokens : fixed(options.token)), stop_(stop), loop_(options_of(options)) {}

transport::Answer<transport::Reply> HttpHub::send(Call call, const std::string& token) {
  call.token = token;
  std::optional<transport::Answer<transport::Reply>> answer;
  const auto id =
      loop_.start(std::move(call), [&](transport::Answer<transport::Reply> got) { answer = std::move(got); });
  while (!answer) {
    loop_.turn(kTurn);
    if (!answer && stop_) loop_.cancel(id);
  }
  return std::move(*answer);
}

FromHub<std::string> HttpHub::text(const Call& call) {
  auto token = tokens_->token();
  if (!token) return HubTrouble{HubTrouble::Kind::away, token.error().message};
  auto answer = send(call, *token);
  if (!answer && answer.error().status == 401 && tokens_->refused(*token)) {
    token = tokens_->token();
    if (token) answer = send(call, *token);
  }
  if (!answer) return trouble_of(answer.error());
  return std::move(answer->body);
}

FromHub<json::value> HttpHub::ask(Call call) {
  auto body = text(std::move(call));
  if (!body) return body.error();
  auto read = json::parse(*body);
  if (!read) return senseless(read.error());
  return std::move(*read);
}

FromHub<void> HttpHub::post(const std::string& path, json::object body) {
  const auto done = text(posting(path, body));
  if (!done) return done.error();
  return {};
}

FromHub<ScalerLease> HttpHub::lease(const std::string& holder, std::optional<std::int64_t> epoch) {
  json::object body{{"holder", holder}};
  if (epoch) body["epoch"] = *epoch;
  const auto answer = ask(posting("/v1/scaler/lease", body));
  if (!answer) return answer.error();
  const auto *number = member(*answer, "epoch"), *ttl = member(*answer, "ttlSeconds");
  if (number == nullptr || !number->is_int64()) return senseless(fail(Code::missingField, "no epoch", "/epoch"));
  ScalerLease lease;
  lease.epoch = number->get_int64();
  if (ttl != nullptr && ttl->is_number()) lease.ttl = Millis(ttl->to_number<double>() * 1000);
  return lease;
}

FromHub<std::vector<std::string>> HttpHub::pools() {
  const auto answer = ask(get("/v1/scaler/pools"));
  if (!answer) return answer.error();
  const auto* items = answer->is_array() ? &*answer : member(*answer, "items");
  if (items == nullptr || !items->is_array()) return senseless(fail(Code::missingField, "no list of pools", "/items"));
  std::vector<std::string> names;
  for (const auto& item : items->get_array())
    if (const auto* name = member(item, "name"); name != nullptr && name->is_string())
      names.emplace_back(name->get_string());
  return names;
}

FromHub<Book> HttpHub::book(const std::string& pool) {
  const auto answer = ask(get("/v1/scaler/pools/" + escaped(pool) + "/book"));
  if (!answer) return answer.error();
  auto book = read_book(*answer);
  if (!book) return senseless(book.error());
  return std::move(*book);
}

FromHub<DemandNow> HttpHub::demand(const std::string& pool) {
  auto call = get("/v1/scaler/demand");
  call.query = {{"pool", pool}};
  const auto body = text(std::move(call));
  if (!body) return body.error();
  try {
    const auto read = policy::Json::parse(*body);
    return DemandNow{policy::read_demand(read), read["hosts"]["unmanaged"].integer()};
  } catch (const std::invalid_argument& trouble) {
    return senseless(fail(Code::malformedJson, trouble.what()));
  }
}

FromHub<void> HttpHub::record(const std::string& pool, std::int64_t epoch, const Record& record) {
  auto body = json::write(record).as_object();
  body["epoch"] = epoch;
  return post("/v1/scaler/pools/" + escaped(pool) + "/record", std::move(body));
}

FromHub<void> HttpHub::drain(const std::vector<std::string>& hosts, std::int64_t epoch, const std::string& why) {
  return post("/v1/hosts/drain",
              {{"hosts", json::write(hosts)}, {"by", "scaler"}, {"epoch", epoch}, {"decision", why}});
}

FromHub<void> HttpHub::resume(const std::vector<std::string>& hosts, std::int64_t epoch) {
  return post("/v1/hosts/resume", {{"hosts", json::write(hosts)}, {"by", "scaler"}, {"epoch", epoch}});
}

FromHub<void> HttpHub::retire(const std::string& host, std::int64_t epoch) {
  return post("/v1/hosts/" + escaped(host) + "/retire", {{"epoch", epoch}});
}

FromHub<std::string> HttpHub::join_token(const std::string& pool, std::int64_t epoch, const std::string& request) {
  const auto answer =
      ask(posting("/v1/scaler/pools/" + escaped(pool) + "/joinToken", {{"epoch", epoch}, {"request", request}}));
  if (!answer) return answer.error();
  const auto* token = member(*answer, "token");
  if (token == nullptr || !token->is_string()) return senseless(fail(Code::missingField, "no token", "/token"));
  return std::string(token->get_string());
}

}  // namespace geres::scaler
