// SPDX-License-Identifier: Apache-2.0
#include "hub/store/postgres/connection.h"

#include <poll.h>

#include <bit>
#include <cerrno>
#include <chrono>

namespace geres::hub::store::postgres {
namespace {

Millis now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

// The first line of a message of the server's or libpq's, without its prefix.
std::string sentence(const char* message) {
  std::string_view text = message == nullptr ? "" : message;
  text = text.substr(0, text.find('\n'));
  while (!text.empty() && (text.back() == ' ' || text.back() == '\r')) text.remove_suffix(1);
  return text.empty() ? "no reason given" : std::string(text);
}

std::string field(const PGresult* result, int which) {
  const char* text = PQresultErrorField(result, which);
  return text == nullptr ? std::string() : std::string(text);
}

}  // namespace

std::int64_t Result::Row::integer(int column) const {
  const auto bytes = view(column);
  std::uint64_t number = bytes.empty() || std::int8_t(bytes[0]) >= 0 ? 0 : ~0ull;
  if (bytes.size() == 1) return bytes[0];  // a flag
  for (const char byte : bytes) number = number << 8 | std::uint8_t(byte);
  return std::int64_t(number);
}

double Result::Row::real(int column) const {
  return is_null(column) ? 0 : std::bit_cast<double>(integer(column));
}

std::string_view Result::Row::view(int column) const {
  if (is_null(column)) return {};
  return {PQgetvalue(result_, row_, column), std::size_t(PQgetlength(result_, row_, column))};
}

std::int64_t Result::changed() const {
  return result_ ? std::atoll(PQcmdTuples(result_.get())) : 0;
}

// Class 08: the connection. 57P0x: the server goes down or ended the connection. 40: deadlock, or a standby in the way.
// 25006: not the primary any more. 53100: its disk is full. XX001, XX002: damaged. The rest is one statement's fault.
Failure failure_of(std::string_view state) {
  if (state == "53100") return Failure::full;
  if (state == "XX001" || state == "XX002") return Failure::fatal;
  return Failure::refused;
}

// ---- opening

Connection::Connection(const std::string& url, const std::string& application, Millis limit) : limit_(limit) {
  connect(url, application);
  PQsetNoticeReceiver(
      connection_.get(),
      [](void* self, const PGresult* notice) {
        if (field(notice, PG_DIAG_SEVERITY_NONLOCALIZED) == "WARNING")
          static_cast<Connection*>(self)->warning_ = field(notice, PG_DIAG_MESSAGE_PRIMARY);
      },
      this);
  if (PQsetnonblocking(connection_.get(), 1) != 0 || PQenterPipelineMode(connection_.get()) != 1)
    lose(sentence(PQerrorMessage(connection_.get())));
}

Connection::~Connection() = default;

void Connection::connect(const std::string& url, const std::string& application) {
  const char* const names[] = {"dbname", "fallback_application_name", "client_encoding", nullptr};
  const char* const values[] = {url.c_str(), application.c_str(), "UTF8", nullptr};
  connection_.reset(PQconnectStartParams(names, values, 1));
  if (!connection_) throw std::bad_alloc();
  const Millis deadline = now_ms() + limit_;
  auto state = PQstatus(connection_.get()) == CONNECTION_BAD ? PGRES_POLLING_FAILED : PGRES_POLLING_WRITING;
  while (state != PGRES_POLLING_OK) {
    if (state == PGRES_POLLING_FAILED) lose(sentence(PQerrorMessage(connection_.get())));
    poll_until(deadline, state == PGRES_POLLING_WRITING);
    state = PQconnectPoll(connection_.get());
  }
}

std::string Connection::server() const {
  const auto text = [](const char* part) { return part == nullptr ? std::string() : std::string(part); };
  return text(PQhost(connection_.get())) + ":" + text(PQport(connection_.get())) + "/" + text(PQdb(connection_.get()));
}

void Connection::lose(const std::string& why) {
  lost_ = true;
  expected_.clear();
  const std::string what = "PostgreSQL at " + server() + ": " + why;
  throw PostgresFailed(Failure::refused, "", what);
}

bool Connection::in_transaction() const {
  const auto state = PQtransactionStatus(connection_.get());
  return state == PQTRANS_INTRANS || state == PQTRANS_INERROR || state == PQTRANS_ACTIVE;
}

// ---- sending

const std::string& Connection::prepare(const std::string& sql, const Values& values) {
  // One text may come with parameters that it does not name, as a filter's do.
  std::string key = sql;
  for (const Oid type : values.types()) append_number(key, type, 2);
  const auto [at, fresh] = prepared_.try_emplace(std::move(key));
  if (!fresh) return at->second;
  at->second = "s" + std::to_string(++next_name_);
  if (PQsendPrepare(connection_.get(), at->second.c_str(), sql.c_str(), int(values.size()), values.types().data()) != 1)
    lose(sentence(PQerrorMessage(connection_.get())));
  expected_.push_back({Expected::Kind::prepared, &at->first});
  return at->second;
}

void Connection::send(const std::string& sql, const Values& values) {
  if (lost_) lose("the connection is lost");
  const std::string& name = prepare(sql, values);
  std::vector<const char*> data;
  std::vector<int> lengths, formats(values.size(), 1);
  for (const auto& value : values.data()) {
    data.push_back(value ? value->data() : nullptr);
    lengths.push_back(value ? int(value->size()) : 0);
  }
  if (PQsendQueryPrepared(connection_.get(), name.c_str(), int(values.size()), data.data(), lengths.data(),
                          formats.data(), 1) != 1)
    lose(sentence(PQerrorMessage(connection_.get())));
  expected_.push_back({Expected::Kind::rows});
}

void Connection::script(const std::string& sql) {
  wait();
  PQexitPipelineMode(connection_.get());
  if (PQsendQuery(connection_.get(), sql.c_str()) != 1) lose(sentence(PQerrorMessage(connection_.get())));
  const Millis deadline = now_ms() + std::max<Millis>(limit_, 600'000);
  flush(deadline);
  std::optional<PostgresFailed> failed;
  while (PGresult* next = next_result(deadline)) {
    const Result result(next);
    if (PQresultStatus(next) != PGRES_FATAL_ERROR || failed) continue;
    const std::string state = field(next, PG_DIAG_SQLSTATE);
    failed.emplace(failure_of(state), state, "PostgreSQL at " + server() + ": " + sentence(PQresultErrorMessage(next)));
  }
  if (PQenterPipelineMode(connection_.get()) != 1) lose(sentence(PQerrorMessage(connection_.get())));
  if (failed) throw *failed;
}

// ---- waiting

void Connection::poll_until(Millis deadline, bool writing) {
  const Millis left = deadline - now_ms();
  if (left <= 0) lose("no answer in time");
  pollfd socket{PQsocket(connection_.get()), short(writing ? POLLIN | POLLOUT : POLLIN), 0};
  const int ready = ::poll(&socket, 1, int(std::min<Millis>(left, 60'000)));
  if (ready < 0 && errno != EINTR) lose("poll failed");
}

void Connection::flush(Millis deadline) {
  for (;;) {
    const int left = PQflush(connection_.get());
    if (left < 0) lose(sentence(PQerrorMessage(connection_.get())));
    if (left == 0) return;
    poll_until(deadline, true);
    if (PQconsumeInput(connection_.get()) != 1) lose(sentence(PQerrorMessage(connection_.get())));
  }
}

PGresult* Connection::next_result(Millis deadline) {
  while (PQisBusy(connection_.get()) != 0) {
    poll_until(deadline, false);
    if (PQconsumeInput(connection_.get()) != 1) lose(sentence(PQerrorMessage(connection_.get())));
  }
  return PQgetResult(connection_.get());
}

Result Connection::ask(const std::string& sql, const Values& values) {
  send(sql, values);
  wait();
  return std::move(last_);
}

void Connection::wait() {
  wait(limit_);
}

void Connection::wait(Millis limit) {
  if (lost_) lose("the connection is lost");
  if (expected_.empty()) return;
  if (PQpipelineSync(connection_.get()) != 1) lose(sentence(PQerrorMessage(connection_.get())));
  expected_.push_back({Expected::Kind::synced});
  const Millis deadline = now_ms() + limit;
  flush(deadline);
  std::optional<PostgresFailed> failed;
  while (!expected_.empty()) {
    const Expected expected = expected_.front();
    Result result(next_result(deadline));
    expected_.pop_front();
    bool good = false;
    if (result.size() >= 0) {
      const PGresult* raw = result.raw();
      const auto status = PQresultStatus(raw);
      if (raw == nullptr || (status == PGRES_FATAL_ERROR && PQstatus(connection_.get()) == CONNECTION_BAD)) {
        const std::string why = raw == nullptr ? PQerrorMessage(connection_.get()) : PQresultErrorMessage(raw);
        lose(sentence(why.c_str()));
      }
      good = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK || status == PGRES_PIPELINE_SYNC;
      if (status == PGRES_FATAL_ERROR && !failed) {
        const std::string state = field(raw, PG_DIAG_SQLSTATE);
        failed.emplace(failure_of(state), state,
                       "PostgreSQL at " + server() + ": " + sentence(PQresultErrorMessage(raw)));
      }
    }
    if (!good && expected.kind == Expected::Kind::prepared) prepared_.erase(std::string(*expected.sql));
    if (good && expected.kind == Expected::Kind::rows) last_ = std::move(result);
    if (expected.kind != Expected::Kind::synced) {
      PGresult* end = next_result(deadline);  // each statement's results end with none
      if (end != nullptr) PQclear(end);
    }
  }
  if (failed) throw *failed;
}

}  // namespace geres::hub::store::postgres
