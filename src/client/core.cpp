// SPDX-License-Identifier: Apache-2.0
#include "client/core.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "base/origin.h"
#include "base/uuid.h"
#include "tls/trust.h"

namespace geres::client {
namespace {

constexpr Millis kTurn = 10'000;  // posting wakes the loop earlier

std::string hub_of(const Options& options) {
  std::string hub = options.hub;
  if (const char* from_environment = std::getenv("GERES_HUB"); hub.empty() && from_environment != nullptr)
    hub = from_environment;
  hub = hub_address(hub.empty() ? "127.0.0.1:8080" : hub);
  if (!hub.starts_with("http://") && !hub.starts_with("https://"))
    throw std::invalid_argument("the hub's address '" + hub + "' does not begin with http:// or https://");
  return hub;
}

transport::Options transport_options(const Options& options) {
  transport::Options to;
  to.hub = hub_of(options);
  const auto trust = tls::or_environment({options.ca_file, options.ca_pin});
  if (const auto ok = tls::check_trust(trust); !ok)
    throw std::invalid_argument(ok.error().message + "; right is: " + ok.error().hint);
  to.ca_file = trust.ca_file;
  to.ca_pin = trust.pin;
  to.connect_time_max = options.connect_timeout.count();
  to.answer_time_max = options.answer_timeout.count();
  to.patience = options.patience.count();
  to.connections_max = std::size_t(std::max(1, options.connections_max));
  return to;
}

}  // namespace

Core::Core(Options options) : loop_(transport_options(options)), tokens_(options, loop_) {
  if (options.on_retry)
    loop_.options().on_retry = [this, on_retry = std::move(options.on_retry)](const std::string& why) {
      if (!why.empty()) tell([on_retry, why] { on_retry(why); });
    };
}

void Core::start() {
  auto self = shared_from_this();
  callback_thread_ = std::thread([self] { self->callbacks(); });
  try {
    network_thread_ = std::thread([self] { self->network(); });
  } catch (...) {  // the system gives no more threads
    stop();
    throw;
  }
}

void Core::stop() {
  const std::lock_guard lock(stop_mutex_);
  {
    const std::lock_guard post(post_mutex_);
    stop_asked_ = true;
  }
  loop_.wake();
  if (network_thread_.joinable()) network_thread_.join();
  {
    const std::lock_guard tell(tell_mutex_);
    callbacks_end_ = true;
  }
  told_.notify_one();
  if (!callback_thread_.joinable()) return;
  if (on_callback_thread())
    callback_thread_.detach();  // this object lives until the current callback returns
  else
    callback_thread_.join();
}

void Core::run(std::function<void()> work) {
  if (forked()) throw std::logic_error("this client was made before fork(): make another one in the child");
  {
    const std::lock_guard lock(post_mutex_);
    if (!network_ended_) {
      posted_.push_back(std::move(work));
      loop_.wake();
      return;
    }
  }
  const std::lock_guard lock(afterlife_);
  work();
}

void Core::tell(std::function<void()> words) {
  {
    const std::lock_guard lock(tell_mutex_);
    if (!callbacks_ended_) {
      words_.push_back(std::move(words));
      told_.notify_one();
      return;
    }
  }
  words();
}

// True: it is time to end.
bool Core::run_posted() {
  std::deque<std::function<void()>> posted;
  bool end = false;
  {
    const std::lock_guard lock(post_mutex_);
    posted.swap(posted_);
    end = stop_asked_;
  }
  for (auto& work : posted) work();
  return end;
}

void Core::network() {
  network_id_ = std::this_thread::get_id();
  while (!run_posted()) loop_.turn(kTurn);
  stopping_ = true;
  while (true) {
    loop_.cancel_all();
    loop_.hurry();  // so that calls in a pause end, too
    run_posted();
    const std::lock_guard lock(post_mutex_);
    if (!posted_.empty() || !loop_.idle()) continue;
    network_ended_ = true;
    return;
  }
}

void Core::callbacks() {
  callback_id_ = std::this_thread::get_id();
  std::unique_lock lock(tell_mutex_);
  while (true) {
    told_.wait(lock, [&] { return !words_.empty() || callbacks_end_; });
    if (words_.empty()) break;
    auto words = std::move(words_.front());
    words_.pop_front();
    lock.unlock();
    try {
      words();
    } catch (const Stopped&) {  // from a verb that the callback had called when the client was ended
    }
    words = nullptr;  // what it holds may be destroyed here, and may call back in
    lock.lock();
  }
  callbacks_ended_ = true;
}

void Core::call(const std::shared_ptr<Task>& task, transport::Call call, transport::Loop::Done done) {
  if (stopping_ || task->cancelled()) return done(stopped_failure());
  tokens_.with([this, task, call = std::move(call), done = std::move(done)](Answer<std::string> token) mutable {
    if (!token) return done(token.error());
    if (stopping_ || task->cancelled()) return done(stopped_failure());
    send(task, std::move(call), std::move(*token), tokens_.may_change(), std::move(done));
  });
}

void Core::send(const std::shared_ptr<Task>& task, transport::Call call, std::string token, bool again,
                transport::Loop::Done done) {
  call.token = token;
  transport::Loop::Done end = done;
  if (again)
    end = [this, task, call, token, done = std::move(done)](Answer<transport::Reply> answer) {
      if (answer || answer.error().status != 401 || stopping_ || task->cancelled() || !tokens_.refused(token))
        return done(std::move(answer));
      tokens_.with([this, task, call, done](Answer<std::string> fresh) {
        if (!fresh) return done(fresh.error());
        send(task, call, std::move(*fresh), false, done);
      });
    };
  const auto id = loop_.start(std::move(call), std::move(end));
  task->on_cancel([this, id] { loop_.cancel(id); });
}

std::string Core::new_key() {
  SystemRandom random;
  return random_name(random).str();
}

}  // namespace geres::client
