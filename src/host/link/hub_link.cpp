// SPDX-License-Identifier: Apache-2.0
#include "host/link/hub_link.h"

#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <system_error>
#include <utility>

#include "base/sha256.h"

namespace geres::host {
namespace {

constexpr Millis kAnswerTimeMax = 10'000;
constexpr Millis kTransferSilenceMax = 30'000;
constexpr Millis kWaitMax = 1'000;

// Takes a download into its file.
struct Download {
  transport::Take take(std::string_view piece) {
    bytes += std::int64_t(piece.size());
    if (bytes > most) return fail("the answer is too large", false);
    try {
      digest->update(piece);
      write_all(to->get(), piece);
    } catch (const std::system_error& failed) {
      return fail(failed.what(), failed.code().value() != ENOSPC && failed.code().value() != EDQUOT);
    }
    return transport::Take::more;
  }
  void restart() {
    if (::ftruncate(to->get(), 0) != 0 || ::lseek(to->get(), 0, SEEK_SET) != 0)
      trouble = std::strerror(errno), disk = true;
    bytes = 0;
    digest.emplace();
  }
  transport::Take fail(std::string why, bool of_disk) {
    trouble = std::move(why), disk = of_disk;
    return transport::Take::enough;
  }
  std::shared_ptr<Fd> to;
  std::int64_t most = 0;
  std::int64_t bytes = 0;
  std::optional<Sha256> digest{std::in_place};
  std::string trouble;
  bool disk = false;
};

HubAnswer read(transport::Answer<transport::Reply> got) {
  HubAnswer answer;
  if (got) {
    answer.status = int(got->status);
    answer.body = std::move(got->body);
    if (const auto etag = got->headers.find("etag"); etag != got->headers.end()) answer.etag = etag->second;
    answer.trouble = "status " + std::to_string(answer.status);  // if the body says nothing useful
    return answer;
  }
  const auto& failure = got.error();
  answer.status = int(failure.status);
  if (answer.ok()) answer.status = 0;  // the download was too large
  answer.sent = !failure.unseen;
  answer.trouble = failure.network.empty() ? failure.error.message : failure.network;
  if (const auto* problem = failure.problem.if_object())
    if (const auto* id = problem->if_contains("requestId"); id != nullptr && id->is_string())
      answer.request_id = std::string_view(id->get_string());
  answer.retry_after_ms = failure.retry_after;
  return answer;
}

transport::Options loop_options(const HubLink::Options& options) {
  transport::Options to;
  to.hub = options.url;
  to.ca_file = options.trust.ca_file;
  to.ca_pin = options.trust.pin;
  to.certificate = options.trust.certificate;
  to.key = options.trust.key;
  to.agent = options.agent;
  to.connect_time_max = 5'000;
  to.answer_time_max = kAnswerTimeMax;
  to.answer_bytes_max = 64 << 20;
  to.retry_after_max = 300'000;
  to.patience = 0;
  to.http1 = true;
  return to;
}

}  // namespace

HubLink::HubLink(Options options, const Clock& clock) : clock_(clock), loop_(loop_options(options)) {}

HubLink::~HubLink() {
  stop();
}

void HubLink::start(std::function<void()> turn) {
  turn_ = std::move(turn);
  thread_ = std::thread([this] { run(); });
}

void HubLink::stop() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  loop_.wake();
  if (thread_.joinable()) thread_.join();
  std::vector<std::function<void()>> dropped;  // destroyed outside of the lock, because what they hold may post
  const std::lock_guard lock(mutex_);
  closed_ = true;
  dropped.swap(posted_);
}

void HubLink::post(std::function<void()> task) {
  bool first = false;
  {
    const std::lock_guard lock(mutex_);
    if (closed_) return;
    first = posted_.empty();
    posted_.push_back(std::move(task));
  }
  if (first && std::this_thread::get_id() != own_.load(std::memory_order_relaxed)) loop_.wake();
}

void HubLink::run() {
  own_.store(std::this_thread::get_id(), std::memory_order_relaxed);
  for (;;) {
    std::vector<std::function<void()>> tasks;
    {
      const std::lock_guard lock(mutex_);
      tasks.swap(posted_);
    }
    for (auto& task : tasks) task();
    turn_();
    bool more = false, stopping = false;
    {
      const std::lock_guard lock(mutex_);
      stopping = stopping_;
      more = !posted_.empty();
    }
    loop_.turn(more || stopping ? 0 : kWaitMax);  // so that calls made in this turn go out at once
    if (stopping) break;
  }
  loop_.drop();
}

void HubLink::send(HubCall call, std::function<void(HubAnswer)> done) {
  call.repeatable = true;  // only after a kept connection turned out to be dead
  call.lasting = true;     // never waits for another call's end
  std::shared_ptr<Download> download;
  if (call.download) {
    download = std::make_shared<Download>();
    download->to = std::move(call.download);
    download->most = call.download_max;
    call.sink = [download](std::string_view piece) { return download->take(piece); };
    call.restart = [download] { download->restart(); };
    call.follow = true;
  }
  if (call.sink || call.uploads()) call.silence_max = kTransferSilenceMax;
  if (call.uploads()) call.content_type = "application/octet-stream";
  auto take = [this, done = std::move(done), download, token = call.token, sent_at = clock_.monotonic()](auto got) {
    auto answer = read(std::move(got));
    if (answer.status == 401 && token == superseded_) answer.status = 503;
    answer.sent_at = sent_at;
    if (download && answer.status == 200) answer.sha256 = download->digest->hex();
    if (download && !download->trouble.empty()) {
      answer.status = 0;
      answer.ours = true;
      answer.disk = download->disk;
      answer.trouble = download->trouble;
    }
    done(std::move(answer));
  };
  loop_.start(std::move(call), std::move(take));
}

bool host_gone(const HubAnswer& answer) {
  return answer.status == 401 || answer.status == 404 || answer.status == 410;
}

}  // namespace geres::host
