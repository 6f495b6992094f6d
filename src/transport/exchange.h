// SPDX-License-Identifier: Apache-2.0
// One try of one call on one libcurl handle: what is sent, what is taken in, and what its end means.
#pragma once

#include <curl/curl.h>

#include <memory>
#include <optional>
#include <string>

#include "transport/call.h"
#include "transport/failure.h"
#include "transport/loop.h"
#include "transport/upload.h"

namespace geres::transport {

class Try {
 public:
  // Throws when the file to send cannot be read; `easy` has to be reset then.
  Try(CURL* easy, const Call& call, const Options& options);
  ~Try();
  Try(const Try&) = delete;
  Try& operator=(const Try&) = delete;

  struct End {
    Answer<Reply> answer;
    bool never_sent = false;  // the hub cannot have seen it
    bool answered = false;    // something spoke HTTP
    Millis retry_after = 0;
  };
  End end(CURLcode code);

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
  bool good() const;
  Failure broken(CURLcode code, unsigned status);

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
  bool got_bytes_ = false;
  bool enough_ = false;
  bool too_large_ = false;
  bool paused_ = false;
  Millis heard_at_ = 0;
};

}  // namespace geres::transport
