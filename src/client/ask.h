// SPDX-License-Identifier: Apache-2.0
// From a call to a Pending: asked on a user's thread, done on the network thread, and handed back.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "client/core.h"
#include "client/read.h"

namespace geres::client {

// The side of a Pending that fulfils it, once; later outcomes are ignored. Network thread only, except pending().
template <class T>
class Promise {
 public:
  explicit Promise(const std::shared_ptr<Core>& core) : state_(std::make_shared<detail::State<T>>()) {
    state_->post = [core](std::function<void()> words) { core->tell(std::move(words)); };
    state_->cancel = [core, task = task_] { core->run([task] { task->cancel(); }); };
  }
  void keep(T value) const {
    if (std::exchange(*settled_, true)) return;
    state_->promise.set_value(std::move(value));
    state_->finished();
  }
  void fail(std::exception_ptr why) const {
    if (std::exchange(*settled_, true)) return;
    state_->promise.set_exception(std::move(why));
    state_->finished();
  }
  void fail(const Failure& failure) const { fail(exception_of(failure)); }
  bool settled() const { return *settled_; }
  const std::shared_ptr<Task>& task() const { return task_; }
  Pending<T> pending() const { return Pending<T>(state_); }

 private:
  std::shared_ptr<detail::State<T>> state_;
  std::shared_ptr<Task> task_ = std::make_shared<Task>();
  std::shared_ptr<bool> settled_ = std::make_shared<bool>(false);
};

// The answer as JSON; null if it is empty.
inline Answer<json::value> json_of(const Answer<transport::Reply>& answer) {
  if (!answer) return answer.error();
  if (answer->body.empty()) return json::value(nullptr);
  auto document = json::parse(answer->body);
  if (!document) return foreign_failure(answer->status, document.error().message);
  return std::move(*document);
}

// One call; `read` turns its JSON into the outcome.
template <class T, class Read>
Pending<T> ask(const std::shared_ptr<Core>& core, transport::Call call, Read read) {
  Promise<T> promise(core);
  core->run([core, promise, call = std::move(call), read = std::move(read)]() mutable {
    core->call(promise.task(), std::move(call), [promise, read](Answer<transport::Reply> answer) {
      const auto document = json_of(answer);
      if (!document) return promise.fail(document.error());
      promise.keep(read(*document));
    });
  });
  return promise.pending();
}

template <class T>
Pending<T> fail_at_once(const std::shared_ptr<Core>& core, Failure failure) {
  Promise<T> promise(core);
  promise.fail(failure);
  return promise.pending();
}

inline transport::Call get(std::string path, transport::Query query = {}) {
  transport::Call call;
  call.path = std::move(path);
  call.query = std::move(query);
  return call;
}

inline transport::Call send(std::string method, std::string path, const json::value& body) {
  transport::Call call;
  call.method = std::move(method);
  call.path = std::move(path);
  call.body = boost::json::serialize(body);
  return call;
}

inline std::string job_path(std::string_view id, std::string_view more = {}) {
  return "/v1/jobs/" + transport::escaped(id) + std::string(more);
}

}  // namespace geres::client
