// SPDX-License-Identifier: Apache-2.0
// A user's own policy, in a process of its own (geres-policy) that may take so long for a decision and no longer. It is
// kept between decisions. When it fails, by whatever way a program can, it is ended, and started again after a pause.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "scaler/keeper.h"

namespace geres::scaler {

class PolicyHelper final : public Decider {
 public:
  // `program`: geres-policy. `pool.policy` is library or command. The error's field is relative to the settings.
  static Result<std::unique_ptr<Decider>> make(const Pool& pool, const std::filesystem::path& program,
                                               const Clock& clock);
  ~PolicyHelper() override;

  // The answer as it came: the planner clamps it. badValue for anything that is no answer.
  Result<policy::Wanted> decide(const policy::Load& load) override;

  pid_t pid() const { return pid_; }  // 0: it does not run

 private:
  explicit PolicyHelper(const Clock& clock) : clock_(clock) {}
  void start();
  void end();
  bool send(const std::string& line, Millis until);
  std::optional<std::string> receive(Millis until, std::string& why);
  Result<policy::Wanted> failed(const std::string& why);
  std::string how_it_ended();

  const Clock& clock_;
  std::vector<std::string> argv_;
  std::string pool_, settings_;
  Millis time_max_ = 2'000;
  pid_t pid_ = 0;
  Fd in_, out_;
  std::string received_;
  int failures_ = 0;  // in a row
  Millis again_at_ = 0;
  std::string last_;
};

// For the pool's policy, whichever it is.
Result<std::unique_ptr<Decider>> make_decider(const Pool& pool, const std::filesystem::path& program,
                                              const Clock& clock);

}  // namespace geres::scaler
