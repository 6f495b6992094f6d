// SPDX-License-Identifier: Apache-2.0
// One try of one call on one libcurl handle: what is sent, what is received, and what its end means.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <optional>
#include <string>

#include "tls/trust.h"
#include "transport/call.h"
#include "transport/failure.h"
#include "transport/loop.h"
#include "transport/upload.h"

namespace geres::transport {

class Try {
 public:
  // Throws when the file to send cannot be read; then `easy` must be reset.
  Try(CURL* easy, const Call& call, const Options& options);
  ~Try();
  Try(const Try&) = delete;
  Try& operator=(const Try&) = delete;

  Answer<Reply> end(CURLcode code);

  bool got_bytes() const { return got_bytes_; }
  Millis heard_at() const { return heard_at_; }
  bool paused() const { return paused_; }
  void go_on() { paused_ = false, hear(); }

 private:
  static std::size_t take_body(char* data, std::size_t, std::size_t n, void* to);
  static std::size_t take_header(char* data, std::size_t, std::size_t n, void* to);
  void add_header(const std::string& header);
  void set_body();
  void hear();
  static curl_socket_t open_socket(void* to, curlsocktype purpose, curl_sockaddr* address);
  static CURLcode set_trust(CURL*, void* context, void* to);
  void set_tls();
  Error untrusted();
  void set_network();
  void set_time_limits();
  unsigned status() const;
  bool admitted();
  std::size_t take_enough();
  std::size_t take_too_much(std::string words);
  Failure broken(CURLcode code);

  CURL* easy_;
  const Call& call_;
  const Options& options_;
  Reply reply_;
  struct Free {
    void operator()(curl_slist* list) const { curl_slist_free_all(list); }
  };
  std::unique_ptr<curl_slist, Free> headers_;
  std::optional<Upload> upload_;
  std::string url_;
  tls::ServerCheck server_check_;
  bool got_bytes_ = false;
  bool enough_ = false;
  bool headed_ = false;    // the caller has seen the headers
  std::string too_large_;  // the message, if the answer was too large
  std::string refused_;    // why no connection was made
  char network_[CURL_ERROR_SIZE] = {};
  bool paused_ = false;
  std::size_t header_bytes_ = 0, body_bytes_ = 0;
  Millis heard_at_ = 0;
};

}  // namespace geres::transport
