// SPDX-License-Identifier: Apache-2.0
// The client's construction and end, and the lists that are read page by page.
#include "geres/client.h"

#include <stdexcept>

#include "client/core.h"

namespace geres::client {

Async::Async(std::shared_ptr<Core> core) noexcept : core_(std::move(core)) {}

Client::Client(Options options) : core_(std::make_shared<Core>(std::move(options))), async_(core_) {
  core_->start();
}

Client::~Client() {
  // A forked child has no threads to wait for, and the connections are the parent's, so everything is left alone.
  if (core_->forked())
    new std::shared_ptr<Core>(core_);
  else
    core_->stop();
}

Range<Job> Client::jobs(const JobFilter& filter, const JobListing& listing) {
  return Range<Job>([async = async_, filter, listing](const std::string& cursor) mutable {
    return async.jobs_page(filter, listing, cursor).get();
  });
}

Range<Batch> Client::batches(const BatchFilter& filter) {
  return Range<Batch>(
      [async = async_, filter](const std::string& cursor) mutable { return async.batches_page(filter, cursor).get(); });
}

Range<Package> Client::packages(std::string tenant, std::string name) {
  return Range<Package>(
      [async = async_, tenant = std::move(tenant), name = std::move(name)](const std::string& cursor) mutable {
        return async.packages_page(tenant, name, cursor).get();
      });
}

Job Client::follow_log(std::string_view job, const LogOptions& options, std::function<void(std::string_view)> take) {
  if (core_->on_callback_thread())
    throw std::logic_error("follow_log() in a callback would wait for callbacks: use async().follow_log()");
  return async_.follow_log(job, options, std::move(take)).get();
}

}  // namespace geres::client
