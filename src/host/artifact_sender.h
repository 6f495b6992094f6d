// SPDX-License-Identifier: Apache-2.0
// Brings a job's files to where they are kept. Small ones go to the hub at once. For others the hub is asked how: it
// has the file, or part of it from a try that broke off; or it names a store elsewhere with a link that takes all of
// it, or one for each part. What cannot be brought by links goes through the hub.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/file.h"
#include "base/worker_pool.h"
#include "host/link/hub_link.h"
#include "host/link/membership.h"

namespace geres::host {

struct ArtifactFile {
  std::string lease;
  std::string path;  // its name, within the output directory
  std::shared_ptr<Fd> fd;
  std::int64_t size = 0;
  std::string sha256;
};

// The loop's thread.
class ArtifactSender {
 public:
  // The answer to the call that was the last for this file: the hub has it, or why not.
  using Done = std::function<void(const HubAnswer& answer)>;

  // Digests of parts are computed in `pool`.
  ArtifactSender(HubLink& link, WorkerPool& pool, const Clock& clock) : link_(link), pool_(pool), clock_(clock) {}

  void send(const Membership& membership, ArtifactFile file, Done done);

 private:
  struct Transfer;
  using TransferPtr = std::shared_ptr<Transfer>;

  void ask(const TransferPtr& transfer);
  void planned(const TransferPtr& transfer, const HubAnswer& answer);
  void send_whole(const TransferPtr& transfer, const wire::LinkShape& link);
  void next_part(const TransferPtr& transfer);
  void ask_for_link(const TransferPtr& transfer);
  void send_part(const TransferPtr& transfer, const wire::LinkShape& link);
  void part_failed(const TransferPtr& transfer, const HubAnswer& answer);
  void say_arrived(const TransferPtr& transfer);
  void send_through_hub(const TransferPtr& transfer, std::int64_t from);
  static HubCall hub_call(const Transfer& transfer, const std::string& rest);

  HubLink& link_;
  WorkerPool& pool_;
  const Clock& clock_;
};

}  // namespace geres::host
