// SPDX-License-Identifier: Apache-2.0
// Hosts on this machine, each a `geres host` with a directory of its own:
//
//   DATA/machines/NAME/machine.json   what it is: pool, order, process; written before the process is started
//   DATA/machines/NAME/host/          the host's own data
//   DATA/machines/NAME/host.log       what it printed
//
// They are children of the scaler but outlive it: the next one finds them by that file, or by the lock that a host
// holds on its data if the scaler died before it had written down the process. The token to join goes into the
// environment, which only the same user can read.
#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/process.h"
#include "scaler/provider.h"

namespace geres::scaler {

// The hosts of all pools that run below `data`, so that whoever ends everything here can end them, too.
std::vector<ProcessName> local_hosts(const std::filesystem::path& data);

class LocalProvider final : public Provider {
 public:
  static Result<std::unique_ptr<Provider>> make(const Pool& pool, const Join& join);

  Capabilities capabilities() const override { return {true, false, 16}; }
  Told<std::vector<Machine>> list() override;
  Told<Ordered> order(const Order& order) override;
  Told<std::vector<Removed>> remove(std::span<const std::string> instances, const std::string& request) override;
  Told<std::vector<Removed>> wake(std::span<const std::string> instances, const std::string& request) override;
  void stop() override { stop_ = true; }

 private:
  struct Kept;
  LocalProvider(const Pool& pool, const Join& join) : pool_(pool), join_(join) {}
  std::vector<Kept> kept() const;
  std::optional<Kept> read(const std::filesystem::path& directory) const;
  void start(Kept& machine, const Order& order);
  Machine shown(const Kept& machine);
  void reap();
  void end(const ProcessName& process);

  Pool pool_;
  Join join_;
  std::filesystem::path machines_;
  std::int64_t at_most_ = 1;
  Millis leave_time_ = 15'000;
  std::map<pid_t, Fd> children_;
  std::map<pid_t, std::string> ends_;  // how those of them that have ended did
  std::atomic<bool> stop_ = false;
};

}  // namespace geres::scaler
