// SPDX-License-Identifier: Apache-2.0
// One client's connection from accept to close: request after request, in order, each with its body, cancellation and
// answer. Everything runs on the connection's loop.
#pragma once

#include <optional>

#include "http/chunks.h"
#include "http/connection.h"
#include "http/parser.h"
#include "http/server.h"

namespace geres::http {

class Session final : public Connection, private Body, private Cancellation, private StreamWriter {
 public:
  Session(Socket socket, std::shared_ptr<SSL_CTX> tls, std::string peer, const Options& options, const Router& router)
      : Connection(std::move(socket), std::move(tls)), options_(options), router_(router), peer_(std::move(peer)) {}

  static awaitable<void> run(std::shared_ptr<Session> self);     // never throws
  static awaitable<void> refuse(std::shared_ptr<Session> self);  // instead of run: 503
  bool idle() const { return idle_; }                            // between requests, or waiting for the rest of a head
  void finish();  // closes at once if idle, else cancels the current request and closes after it

 private:
  struct BodyState {
    std::optional<std::uint64_t> length;  // of the whole body; empty if chunked
    std::uint64_t received = 0;
    std::uint64_t unyielded = 0;
    std::uint64_t paced = 0;  // how much of `received` body_pace_ knows of
    ChunkDecoder chunks;
    bool continue_due = false;
    bool ended = true;
    std::optional<Error> error;
  };
  enum class Head { read, refused, gone };

  awaitable<bool> shake_hands();
  awaitable<bool> next_bytes();
  awaitable<bool> serve_one();
  awaitable<Head> read_head(RequestHead& head, Refusal& refusal);
  awaitable<void> answer_refusal(Refusal refusal, Headers headers);
  awaitable<Response> handle(Request& request);
  void begin_body(const RequestHead& head);
  bool may_keep_alive(const RequestHead& head, const Response& response) const;
  awaitable<void> become_websocket(const RequestHead& head, Response& response);
  awaitable<bool> reply(const Request& request, Response& response, bool http11, bool keep);
  awaitable<bool> reply_stream(Response& response, std::string head, bool chunked);
  awaitable<bool> discard_body();
  awaitable<void> linger();
  awaitable<bool> send_all(std::string_view bytes);

  std::optional<std::uint64_t> length() const override { return body_.length; }
  awaitable<Result<std::string>> read_all(std::uint64_t limit) override;
  awaitable<Result<std::string>> read_some(std::uint64_t limit) override;
  Error body_failed(Error error);
  std::optional<Error> over_limit(std::uint64_t limit);
  awaitable<std::optional<Error>> more_body();
  Result<std::string> take_received();
  Io receive_straight(std::string& piece);

  awaitable<bool> write(std::string_view bytes) override;
  void begin_watching() override {
    if (!upgraded_) look_out();
  }
  void client_went() override { cancel(Why::clientGone); }

  const Options& options_;
  const Router& router_;
  std::string peer_;
  std::unique_ptr<const tls::Certificate> client_;  // that it has shown
  BodyState body_;
  Pace body_pace_{options_.body_stall_max, options_.bytes_per_second_min};
  Pace answer_pace_{options_.write_stall_max, options_.bytes_per_second_min};
  bool first_ = true;
  bool idle_ = false;
  bool finishing_ = false;
  bool chunked_answer_ = false;
  bool upgraded_ = false;  // a WebSocket reads the socket itself
};

}  // namespace geres::http
