// SPDX-License-Identifier: Apache-2.0
// Calls to a hub by a command that has nothing else to do meanwhile: one at a time, on the calling thread, ended by
// Ctrl-C. src/transport makes the calls.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include "transport/loop.h"
#include "transport/token_source.h"

namespace geres::cli::client {

using transport::Answer;
using transport::escaped;
using transport::Failure;
using transport::Query;
using transport::Reply;

struct Options : transport::Options {
  // Does not wait for a hub that has never answered, so that a wrong address is reported at once.
  Options() { wait_for_first = false; }
  std::string token;                        // the one sent now; empty: none is sent
  transport::TokenSourcePtr tokens;         // set: says before each call what `token` is, and once more at a 401
  const std::atomic<bool>* stop = nullptr;  // set: calls end soon with Failure::Kind::stopped
};

struct Call : transport::Call {
  // Takes the body of a 2xx answer in pieces, instead of transport::Call::sink. false ends the call (which then counts
  // as answered). May throw.
  std::function<bool(std::string_view piece)> take;
  std::function<void()> idle;  // called at least ten times a second during the call
};

class Transport {
 public:
  explicit Transport(Options options) : options_(std::move(options)), loop_(options_) {}

  Answer<Reply> send(const Call& call);  // an error for every status but 2xx
  const Options& options() const { return options_; }
  Options& options() { return options_; }
  bool contacted() const { return loop_.contacted(); }  // something has answered before

 private:
  Answer<Reply> send_once(const Call& call);
  Options options_;
  transport::Loop loop_;
};

}  // namespace geres::cli::client
