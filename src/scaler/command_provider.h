// SPDX-License-Identifier: Apache-2.0
// Machines made by a program of the user's. It is called with a verb as its last argument, reads one JSON object and
// prints one. docs/scaling.md has the shapes; examples/scaling has hooks for LXC and systemd-nspawn.
//
//   exit 0   as it says           exit 69  no capacity              exit 75  not now (retry later)
//   exit 77  not allowed          else     failed, for the reason in the last line of its standard error
//
// An order that was killed, or whose answer makes no sense, may have been done: the next list tells.
#pragma once

#include <atomic>
#include <map>
#include <string>
#include <vector>

#include "base/process.h"
#include "scaler/provider.h"

namespace geres::scaler {

class CommandProvider final : public Provider {
 public:
  static Result<std::unique_ptr<Provider>> make(const Pool& pool, const Join& join);

  Capabilities capabilities() const override { return capabilities_; }
  Told<std::vector<Machine>> list() override;
  Told<Ordered> order(const Order& order) override;
  Told<std::vector<Removed>> remove(std::span<const std::string> instances, const std::string& request) override;
  Told<std::vector<Removed>> wake(std::span<const std::string> instances, const std::string& request) override;
  void stop() override { stop_ = true; }

 private:
  CommandProvider(const Pool& pool, const Join& join) : pool_(pool), join_(join) {}
  Told<json::value> call(const char* verb, json::object input, const std::string& request);
  Told<std::vector<Removed>> change(const char* verb, std::span<const std::string> instances,
                                    const std::string& request);

  Pool pool_;
  Join join_;
  std::vector<std::string> command_;
  std::map<std::string, std::string> environment_;
  Capabilities capabilities_;
  RunLimits limits_;
  std::atomic<bool> stop_ = false;
};

}  // namespace geres::scaler
