// SPDX-License-Identifier: Apache-2.0
// A hub over HTTP. Calls are made one after another on the thread that asks, and end early when the scaler stops.
#pragma once

#include <atomic>
#include <filesystem>
#include <string>

#include "scaler/hub.h"
#include "tls/trust.h"
#include "transport/loop.h"
#include "transport/token_source.h"

namespace geres::scaler {

class HttpHub final : public Hub {
 public:
  struct Options {
    std::string url;
    tls::Trust trust;
    std::string token;                      // of the role operator, bound to no tenant
    transport::TokenSourcePtr tokens = {};  // set: in its place
  };

  HttpHub(Options options, const std::atomic<bool>& stop);

  FromHub<ScalerLease> lease(const std::string& holder, std::optional<std::int64_t> epoch) override;
  FromHub<std::vector<std::string>> pools() override;
  FromHub<Book> book(const std::string& pool) override;
  FromHub<DemandNow> demand(const std::string& pool) override;
  FromHub<void> record(const std::string& pool, std::int64_t epoch, const Record& record) override;
  FromHub<void> drain(const std::vector<std::string>& hosts, std::int64_t epoch, const std::string& why) override;
  FromHub<void> resume(const std::vector<std::string>& hosts, std::int64_t epoch) override;
  FromHub<void> retire(const std::string& host, std::int64_t epoch) override;
  FromHub<std::string> join_token(const std::string& pool, std::int64_t epoch, const std::string& request) override;

 private:
  FromHub<std::string> text(const transport::Call& call);
  transport::Answer<transport::Reply> send(transport::Call call, const std::string& token);
  FromHub<json::value> ask(transport::Call call);
  FromHub<void> post(const std::string& path, json::object body);

  const transport::TokenSourcePtr tokens_;
  const std::atomic<bool>& stop_;
  transport::Loop loop_;
};

}  // namespace geres::scaler
