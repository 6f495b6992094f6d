// SPDX-License-Identifier: Apache-2.0
// The publisher's connection to the broker and its reactions: reading ahead, sending, outcomes, retreats, the cursor.
// Everything of proton, and everything below that is not marked otherwise, runs on one thread, the container's.
#include "hub/amqp/publisher.h"

#include <fmt/format.h>
#include <proton/condition.h>
#include <proton/delivery.h>
#include <proton/disposition.h>
#include <proton/transport.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <future>
#include <mutex>
#include <optional>
#include <proton/binary.hpp>
#include <proton/connection.hpp>
#include <proton/connection_options.hpp>
#include <proton/container.hpp>
#include <proton/delivery_mode.hpp>
#include <proton/duration.hpp>
#include <proton/error_condition.hpp>
#include <proton/messaging_handler.hpp>
#include <proton/receiver.hpp>
#include <proton/sender.hpp>
#include <proton/sender_options.hpp>
#include <proton/session.hpp>
#include <proton/ssl.hpp>
#include <proton/target.hpp>
#include <proton/tracker.hpp>
#include <proton/transport.hpp>
#include <proton/work_queue.hpp>
#include <span>
#include <stdexcept>
#include <thread>

#include "base/backoff.h"
#include "base/log.h"
#include "hub/amqp/claims.h"
#include "hub/amqp/message.h"
#include "hub/amqp/token.h"
#include "hub/amqp/window.h"
#include "hub/store/store.h"

namespace geres::hub::amqp {
namespace {

constexpr std::size_t kPage = 100;  // events read ahead
// Bytes of messages prepared in advance; further ones are made when they are sent.
constexpr std::size_t kMadeAheadMax = 64 * 1024;
constexpr Millis kRound = 500;
constexpr Millis kStopRound = 20;
constexpr Millis kStopMax = 2'000;
constexpr Millis kRenewBefore = 300'000, kRenewPauseMin = 100;
constexpr Millis kStopMin = 500;  // time for storing the last cursor

// Reaches what the C++ binding keeps private.
struct Disposition : proton::tracker {
  explicit Disposition(const proton::tracker& tracker) : proton::tracker(tracker) {}
  std::string reason() const {
    auto* condition = pn_disposition_condition(pn_delivery_remote(pn_object()));
    if (condition == nullptr || !pn_condition_is_set(condition)) return {};
    const auto text = [](const char* chars) { return std::string(chars == nullptr ? "" : chars); };
    const auto name = text(pn_condition_get_name(condition)), words = text(pn_condition_get_description(condition));
    return words.empty() ? name : fmt::format("{} ({})", words, name);
  }
};

struct Transport : proton::transport {
  explicit Transport(const proton::transport& transport) : proton::transport(transport) {}
  // Without telling the peer, which may never answer.
  void cut() const {
    if (pn_object() == nullptr) return;
    pn_transport_close_tail(pn_object());
    pn_transport_close_head(pn_object());
  }
};

proton::binary tag_bytes(std::uint64_t tag) {
  proton::binary bytes(sizeof tag);
  std::memcpy(bytes.data(), &tag, sizeof tag);
  return bytes;
}

std::uint64_t tag_of(const proton::tracker& tracker) {
  const auto bytes = tracker.tag();
  std::uint64_t tag = 0;
  if (bytes.size() == sizeof tag) std::memcpy(&tag, bytes.data(), sizeof tag);
  return tag;
}

std::string words_of(const proton::error_condition& error, const std::string& otherwise) {
  return error.empty() ? otherwise : error.what();
}

Target checked(const Options& options) {
  auto target = parse_target(options.access);
  if (!target) throw std::runtime_error(fmt::format("{}: {}", target.error().field, target.error().message));
  if (const auto tokens = check_tokens(options.tokens, options.access, *target); !tokens)
    throw std::runtime_error(fmt::format("{}: {}", tokens.error().field, tokens.error().message));
  return *target;
}

}  // namespace

struct Publisher::Impl : proton::messaging_handler {
  Impl(engine::Engine& engine, store::Reads& reads, events::Tail& tail, const Clock& clock, Options given)
      : engine(engine),
        reads(reads),
        tail(tail),
        clock(clock),
        options(std::move(given)),
        target(checked(options)),
        container(*this, "geres-hub"),
        queue(container),
        claims(entity_of(target), clock) {
    connection_options = make_connection_options();
    if (options.tokens.wanted()) tokens.emplace(options.tokens, entity_of(target), clock);
    container.auto_stop(false);
  }

  // ---- any thread
  void begin();
  void stop(Millis deadline);
  Status status() const;

  // ---- what proton tells
  void on_container_start(proton::container&) override {
    connect();
    round();
  }
  void on_connection_open(proton::connection& which) override;
  void on_sender_open(proton::sender& which) override;
  void on_sendable(proton::sender& which) override {
    if (which == sender) pump();
  }
  void on_tracker_accept(proton::tracker& tracker) override;
  void on_tracker_reject(proton::tracker& tracker) override { refused(tracker, true, "rejected"); }
  void on_tracker_release(proton::tracker& tracker) override { refused(tracker, false, "gave back"); }
  void on_tracker_settle(proton::tracker& tracker) override { refused(tracker, false, "gave no outcome for"); }
  void on_receiver_open(proton::receiver& which) override {
    if (claims.has(which)) claims.opened(which);
  }
  void on_message(proton::delivery& delivery, proton::message& message) override;
  void on_receiver_error(proton::receiver& which) override { claims_lost(which, words_of(which.error(), "")); }
  void on_receiver_close(proton::receiver& which) override { claims_lost(which, "the broker closed the link"); }
  void on_receiver_detach(proton::receiver& which) override { claims_lost(which, "the broker detached the link"); }
  void on_sender_error(proton::sender& which) override {
    claims.has(which) ? claims_lost(which, words_of(which.error(), ""))
                      : lost(which.connection(), words_of(which.error(), ""));
  }
  void on_sender_close(proton::sender& which) override { lost(which.connection(), "the broker closed the link"); }
  void on_sender_detach(proton::sender& which) override { lost(which.connection(), "the broker detached the link"); }
  void on_session_error(proton::session& which) override { lost(which.connection(), words_of(which.error(), "")); }
  void on_session_close(proton::session& which) override { lost(which.connection(), "the broker ended the session"); }
  void on_connection_error(proton::connection& which) override { lost(which, words_of(which.error(), "")); }
  void on_connection_close(proton::connection& which) override { lost(which, "the broker closed the connection"); }
  void on_transport_error(proton::transport& which) override {
    lost(which.connection(), words_of(which.error(), "the connection failed"));
  }
  void on_transport_close(proton::transport& which) override { lost(which.connection(), "the connection ended"); }
  void on_error(const proton::error_condition& error) override { lost(connection, error.what()); }

  // ---- the connection
  proton::connection_options make_connection_options() const;
  void connect();
  void connect_with(Token token);
  void begin_sending();
  void renew();
  void renewed(Result<Token> token, std::uint64_t number);
  void renew_in_time();
  template <class Link>
  void claims_lost(const Link& which, const std::string& why) {
    lost(which.connection(), "its node $cbs, which takes tokens: " + why);
  }
  void lost(const proton::connection& which, const std::string& why);
  void trouble(const std::string& why);
  void well();

  struct Item {
    std::optional<events::Told> told;
    store::EventNo after = 0, until = 0;  // of a gap
  };
  void pump();
  bool read_on();
  void send(const Item& item);
  void send_loss_of_log();
  proton::message message_of(const Item& item) const;
  void refused(proton::tracker& tracker, bool for_good, std::string_view what);
  bool leave_out(std::uint64_t tag, store::EventNo no, const std::string& reason);
  void retreat();
  void pause(Millis length);
  Millis next_pause() { return backoff(++failures, options.retry_first, options.retry_max); }

  // ---- rounds
  void round();
  void watch();
  void commit();
  void stop_round();
  template <class F>
  void later(Millis delay, F work) {
    container.schedule(proton::duration(std::uint64_t(delay)), proton::work(work));
  }
  // Work on the connection that does not start in one of its own events.
  template <class F>
  void outside(F work) {
    work();
    if (connection.active()) connection.wake();
  }

  engine::Engine& engine;
  store::Reads& reads;
  events::Tail& tail;
  const Clock& clock;
  const Options options;
  const Target target;
  events::Teller* teller = nullptr;
  Figures figures;

  mutable std::mutex status_mutex;
  std::string error;  // see Status
  std::atomic<bool> connected{false};
  std::atomic<store::EventNo> cursor{0};
  std::atomic<Millis> stop_wait{0};

  std::optional<TokenSource> tokens;

  proton::container container;
  proton::work_queue queue;
  proton::connection_options connection_options;
  std::thread thread;

  // Only the container's thread, once it runs.
  enum class Phase { away, asking, connecting, open };  // asking: for a token
  Phase phase = Phase::away;
  proton::connection connection;
  Claims claims;
  proton::sender sender;
  std::optional<Token> first_token;
  std::uint64_t connection_no = 0;  // which renewals are for
  // Not a task of the container's: it would not end before that is due.
  std::optional<Millis> renew_at;  // monotonic
  int renewals_failed = 0;
  Millis since = 0;      // of the phase, or of the newest outcome; monotonic
  bool paused = false;   // during a pause nothing is sent
  int failures = 0;      // since a message was accepted
  bool careful = false;  // send one at a time, until one is accepted
  Window window;
  std::unique_ptr<events::Reader> reader;
  std::deque<Item> pending;                   // read, not sent
  std::optional<store::CursorRow> other_log;  // the cursor in a log that no longer exists: a gap, to be reported first
  std::uint64_t other_log_tag = 0;
  store::EventNo rejected_no = 0;  // the last event that was rejected, and how often
  int rejections = 0;
  store::CursorRow stored;
  bool storing = false;
  bool stopping = false;
  Millis stop_at = 0;
};

// ---- start and stop, any thread ------------------------------------------------------------------------------------

void Publisher::Impl::begin() {
  const auto found = reads.cursor(kCursorName);
  const std::string log = teller->log();
  stored = found.value_or(store::CursorRow{});
  if (!found) {
    const auto [first, last] = reads.event_range();
    stored = {kCursorName, log, options.from_start && first > 0 ? first - 1 : tail.last()};
    std::promise<Result<bool>> promise;
    engine.ask(engine::StoreCursor{stored}, [&promise](Result<bool> done) { promise.set_value(std::move(done)); });
    if (const auto done = promise.get_future().get(); !done)
      throw std::runtime_error("where AMQP begins could not be stored: " + done.error().message);
  }
  if (stored.log != log) other_log = stored;
  window = Window(std::min(stored.at, tail.last()));
  cursor = window.cursor();
  thread = std::thread([this] {
    try {
      container.run();
    } catch (const std::exception& failed) {
      log::error("AMQP has ended, until the hub is started again: {}", failed.what());
      trouble(failed.what());
    }
  });
}

void Publisher::Impl::stop(Millis deadline) {
  if (!thread.joinable()) return;
  stop_wait = deadline;
  queue.add([this] {
    stopping = true;
    stop_at = clock.monotonic() + std::clamp<Millis>(stop_wait, kStopMin, kStopMax);
    stop_round();
  });
  if (tokens) tokens->stop();
  thread.join();
}

Status Publisher::Impl::status() const {
  Status now;
  now.target = target.text();
  now.connected = connected;
  now.cursor = cursor;
  now.behind = std::max<store::EventNo>(0, tail.last() - now.cursor);
  const std::lock_guard lock(status_mutex);
  now.error = error;
  return now;
}

// ---- the connection ------------------------------------------------------------------------------------------------

proton::connection_options Publisher::Impl::make_connection_options() const {
  proton::connection_options to;
  to.idle_timeout(proton::duration(std::uint64_t(options.answer_time_max)));
  if (options.access.user.empty()) {
    to.sasl_allowed_mechs("ANONYMOUS");
  } else {
    to.user(options.access.user);
    to.password(options.access.password);
    to.sasl_allowed_mechs("PLAIN");
    // Safe because of TLS, or because the broker is on this machine: see parse_target.
    to.sasl_allow_insecure_mechs(true);
  }
  if (!target.tls) return to;
  try {
    to.ssl_client_options(options.access.ca_file.empty()
                              ? proton::ssl_client_options()
                              : proton::ssl_client_options(options.access.ca_file, proton::ssl::VERIFY_PEER_NAME));
  } catch (const proton::error&) {
    throw std::runtime_error(fmt::format("'{}' holds no certificates that can be read", options.access.ca_file));
  }
  return to;
}

void Publisher::Impl::connect() {
  if (stopping || phase != Phase::away) return;
  sender = {};
  if (!tokens) return connect_with({});
  phase = Phase::asking;
  tokens->ask([this](Result<Token> token) {
    queue.add([this, token = std::move(token)] {
      if (stopping || phase != Phase::asking) return;
      if (token) return connect_with(*token);
      phase = Phase::away;
      trouble("there is no token: " + token.error().message);
      later(next_pause(), [this] { connect(); });
    });
  });
}

void Publisher::Impl::connect_with(Token token) {
  phase = Phase::connecting;
  since = clock.monotonic();
  first_token = std::move(token);
  ++connection_no;
  try {
    connection = container.connect(target.server(), connection_options);
  } catch (const proton::error& failed) {
    lost(connection, failed.what());
  }
}

void Publisher::Impl::on_connection_open(proton::connection& which) {
  if (which != connection || phase != Phase::connecting) return;
  if (!tokens) return begin_sending();
  claims.open(connection, std::move(*first_token));
}

void Publisher::Impl::begin_sending() {
  proton::sender_options link;
  link.delivery_mode(proton::delivery_mode::AT_LEAST_ONCE);
  sender = connection.open_sender(target.address, link);
}

// ---- tokens --------------------------------------------------------------------------------------------------------

void Publisher::Impl::on_message(proton::delivery& delivery, proton::message& message) {
  if (!claims.has(delivery.receiver())) return;
  const auto answer = claims.answered(message);
  if (!answer) return;
  if (!*answer) return lost(connection, answer->error().message);
  renewals_failed = 0;
  renew_in_time();
  if (phase == Phase::connecting && !sender) begin_sending();
}

// While half of the time is left, or five minutes: a provider that is away for a moment costs nothing.
void Publisher::Impl::renew_in_time() {
  const Millis left = claims.expires() - clock.wall();
  const Millis early = std::min(left / 2, kRenewBefore);
  renew_at = clock.monotonic() + std::max(left - early, kRenewPauseMin);
}

void Publisher::Impl::renew() {
  renew_at.reset();
  if (stopping || (phase != Phase::open && phase != Phase::connecting)) return;
  tokens->ask([this, number = connection_no](Result<Token> token) {
    queue.add([this, number, token = std::move(token)] { renewed(token, number); });
  });
}

// Without a new token the broker will end the link; until then what is to be sent goes on.
void Publisher::Impl::renewed(Result<Token> token, std::uint64_t number) {
  if (stopping || number != connection_no || (phase != Phase::open && phase != Phase::connecting)) return;
  if (token) return outside([&] { claims.put(*token); });
  trouble("there is no new token: " + token.error().message);
  renew_at = clock.monotonic() + backoff(++renewals_failed, options.retry_first, options.retry_max);
}

void Publisher::Impl::on_sender_open(proton::sender& which) {
  if (claims.has(which)) return claims.opened(which);
  if (which != sender || phase != Phase::connecting) return;
  if (which.target().address().empty()) return;  // refused; the reason comes next
  phase = Phase::open;
  since = clock.monotonic();
  connected = true;
  ++figures.connections;
  const auto behind = tail.last() - window.cursor();
  log::info("AMQP: connected to {}, {} events behind", target.text(), behind);
  if (behind == 0) well();
}

void Publisher::Impl::lost(const proton::connection& which, const std::string& why) {
  if (which != connection || phase == Phase::away || phase == Phase::asking) return;
  phase = Phase::away;
  connected = false;
  retreat();
  if (stopping) return;
  const Millis length = next_pause();
  trouble(fmt::format("{}: {}", target.server(), why));
  claims.end();
  renew_at.reset();
  if (connection.active()) connection.close();
  sender = {};
  later(length, [this] { connect(); });
}

// Logged once, and again when the trouble changes.
void Publisher::Impl::trouble(const std::string& why) {
  const std::lock_guard lock(status_mutex);
  if (error != why) log::warn("AMQP: {}; it is tried again, nothing is left out", why);
  error = why;
}

void Publisher::Impl::well() {
  const std::lock_guard lock(status_mutex);
  if (error.empty()) return;
  log::info("AMQP: all is well again, {} events behind", tail.last() - window.cursor());
  error.clear();
}

// ---- sending -------------------------------------------------------------------------------------------------------

void Publisher::Impl::pump() {
  if (stopping || phase != Phase::open || paused) return;
  try {
    while (sender.credit() > 0 && window.size() < (careful ? 1 : options.in_flight_max)) {
      if (other_log && other_log_tag == 0) {
        send_loss_of_log();
        continue;
      }
      if (pending.empty() && !read_on()) return;
      if (window.size() == 0) since = clock.monotonic();
      send(pending.front());
      pending.pop_front();
    }
  } catch (const store::StoreFailed& failed) {
    retreat();
    trouble(failed.what());
    pause(next_pause());
  }
}

// False: there is nothing more. Where memory does not reach back far enough it reads the store, which may take some
// milliseconds; the broker can wait.
bool Publisher::Impl::read_on() {
  if (!reader) {
    events::Filter all;
    all.hosts = true;
    reader = std::make_unique<events::Reader>(tail, all, window.cursor(),
                                              [this] { queue.add([this] { outside([this] { pump(); }); }); });
  }
  while (pending.empty()) {
    const auto before = reader->position();
    auto page = reader->read(kPage);
    if (page.gap_until) {
      pending.push_back({std::nullopt, before, *page.gap_until});
      break;
    }
    teller->texts(page.events, kMadeAheadMax);
    for (auto& told : page.events) pending.push_back({std::move(told), 0, 0});
    if (!page.more) break;
  }
  return !pending.empty();
}

proton::message Publisher::Impl::message_of(const Item& item) const {
  const auto& log = teller->log();
  if (item.told) return event_message(log, item.told->row(), teller->text(*item.told)->data());
  return gap_message({events::event_id(log, item.after), events::event_id(log, item.until)}, clock.wall());
}

void Publisher::Impl::send(const Item& item) {
  const auto message = message_of(item);
  const auto tag = window.add(item.told ? item.told->row().no : item.until);
  sender.send(message, tag_bytes(tag));
  ++figures.sent;
  if (!item.told) ++figures.gaps;
}

void Publisher::Impl::send_loss_of_log() {
  const auto message =
      gap_message({events::event_id(other_log->log, other_log->at), events::event_id(teller->log(), window.cursor())},
                  clock.wall());
  other_log_tag = window.add(window.cursor());
  since = clock.monotonic();
  sender.send(message, tag_bytes(other_log_tag));
  ++figures.sent;
  ++figures.gaps;
}

void Publisher::Impl::on_tracker_accept(proton::tracker& tracker) {
  const auto tag = tag_of(tracker);
  if (!tracker.settled()) tracker.settle();
  if (!window.waits(tag)) return;
  window.accept(tag);
  if (tag == other_log_tag) other_log.reset();
  cursor = window.cursor();
  ++figures.accepted;
  careful = false;
  failures = 0;
  rejections = 0;
  since = clock.monotonic();
  well();
  pump();
}

void Publisher::Impl::refused(proton::tracker& tracker, bool for_good, std::string_view what) {
  const auto tag = tag_of(tracker);
  const auto no = window.waits(tag);
  const auto reason = Disposition(tracker).reason();
  if (!tracker.settled()) tracker.settle();
  if (!no) return;
  ++figures.refused;
  since = clock.monotonic();
  const auto words = fmt::format("the broker {} event {}{}{}", what, events::event_id(teller->log(), *no),
                                 reason.empty() ? "" : ": ", reason);
  if (for_good && leave_out(tag, *no, words)) return pump();
  retreat();
  trouble(words);
  pause(next_pause());
}

// True: it was rejected as often as the operator allows, and now counts as accepted.
bool Publisher::Impl::leave_out(std::uint64_t tag, store::EventNo no, const std::string& words) {
  rejections = no == rejected_no ? rejections + 1 : 1;
  rejected_no = no;
  if (options.tries_max == 0 || rejections < options.tries_max) return false;
  log::error("AMQP: {}, {} times: it is LEFT OUT (--amqp-tries)", words, rejections);
  window.accept(tag);
  if (tag == other_log_tag) other_log.reset();
  cursor = window.cursor();
  ++figures.left_out;
  rejections = 0;
  return true;
}

void Publisher::Impl::retreat() {
  window.retreat();
  pending.clear();
  reader.reset();
  other_log_tag = 0;
  careful = true;
}

void Publisher::Impl::pause(Millis length) {
  paused = true;
  later(length, [this] {
    paused = false;
    outside([this] { pump(); });
  });
}

// ---- rounds --------------------------------------------------------------------------------------------------------

void Publisher::Impl::round() {
  if (stopping) return;
  watch();
  if (renew_at && clock.monotonic() >= *renew_at) renew();
  commit();
  later(std::min(kRound, options.commit_every), [this] { round(); });
}

// Ends a connection whose peer is there but does not answer.
void Publisher::Impl::watch() {
  const bool claim = claims.waits_since() && clock.monotonic() - *claims.waits_since() >= options.answer_time_max;
  const bool waiting = phase == Phase::connecting || (phase == Phase::open && window.size() > 0);
  if (!claim && (!waiting || clock.monotonic() - since < options.answer_time_max)) return;
  const auto which = connection;
  lost(which, claim                        ? "the broker does not answer to the token that its node $cbs was given"
              : phase == Phase::connecting ? "the broker does not answer"
                                           : "the broker accepts nothing any more");
  Transport(which.transport()).cut();
  which.wake();
}

void Publisher::Impl::commit() {
  if (storing || other_log) return;
  const store::CursorRow now{kCursorName, teller->log(), window.cursor()};
  if (now == stored) return;
  storing = true;
  engine.ask(engine::StoreCursor{now}, [this, now](Result<bool> done) {
    const bool good = done.has_value();
    queue.add([this, now, good] {
      storing = false;
      if (good) stored = now;
    });
  });
}

void Publisher::Impl::stop_round() {
  const bool late = clock.monotonic() >= stop_at;
  const bool quiet = window.size() == 0 || phase != Phase::open;
  if (quiet || late) commit();
  const bool kept = other_log || stored == store::CursorRow{kCursorName, teller->log(), window.cursor()};
  if (late || (quiet && kept && !storing)) {
    if (connection.active()) outside([this] { connection.close(); });
    connected = false;
    container.stop();
    return;
  }
  later(kStopRound, [this] { stop_round(); });
}

// ---- the door ------------------------------------------------------------------------------------------------------

Publisher::Publisher(engine::Engine& engine, store::Reads& reads, events::Tail& tail, const Clock& clock,
                     Options options)
    : impl_(std::make_unique<Impl>(engine, reads, tail, clock, std::move(options))) {}

Publisher::~Publisher() {
  stop(0);
}

void Publisher::start(events::Teller& teller) {
  impl_->teller = &teller;
  impl_->begin();
}

void Publisher::stop(Millis deadline) {
  impl_->stop(deadline);
}

const Figures& Publisher::figures() const {
  return impl_->figures;
}

Status Publisher::status() const {
  return impl_->status();
}

}  // namespace geres::hub::amqp
