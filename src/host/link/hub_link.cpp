// SPDX-License-Identifier: Apache-2.0
#include "host/link/hub_link.h"

#include <curl/curl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/sha256.h"

namespace geres::host {
namespace {

constexpr std::size_t kAnswerBytesMax = 64 << 20;
constexpr std::size_t kErrorBytesMax = 64 << 10;  // of a refused download

// One call under way: what curl's callbacks work on.
struct Transfer {
  HubCall call;
  HubAnswer answer;
  std::function<void(HubAnswer)> done;
  CURL* easy = nullptr;
  curl_slist* headers = nullptr;
  std::unique_ptr<Sha256> digest;
  std::int64_t uploaded = 0;
  bool too_large = false;
  char error[CURL_ERROR_SIZE] = {};
};

void set(CURL* easy, CURLoption option, auto value) {
  if (curl_easy_setopt(easy, option, value) != CURLE_OK) throw std::runtime_error("curl refuses an option");
}

bool keep_download(Transfer& transfer, std::string_view bytes) {
  transfer.answer.downloaded += std::int64_t(bytes.size());
  if (transfer.answer.downloaded > transfer.call.download_max) return !(transfer.too_large = true);
  transfer.digest->update(bytes);
  write_all(transfer.call.download->get(), bytes);
  return true;
}

std::size_t on_body(char* data, std::size_t, std::size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  long status = 0;
  curl_easy_getinfo(transfer.easy, CURLINFO_RESPONSE_CODE, &status);
  try {
    if (transfer.call.download && status == 200) return keep_download(transfer, {data, size}) ? size : 0;
  } catch (const std::system_error& trouble) {
    transfer.answer.trouble = trouble.what();
    transfer.answer.ours = true;
    transfer.answer.disk = trouble.code().value() != ENOSPC && trouble.code().value() != EDQUOT;
    return 0;
  }
  const std::size_t most = transfer.call.download ? kErrorBytesMax : kAnswerBytesMax;
  if (transfer.answer.body.size() + size > most) return transfer.too_large = true, 0;
  transfer.answer.body.append(data, size);
  return size;
}

std::size_t on_upload(char* data, std::size_t, std::size_t size, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const auto left = std::size_t(transfer.call.upload_bytes - transfer.uploaded);
  const ssize_t got = ::pread(transfer.call.upload->get(), data, std::min(size, left), transfer.uploaded);
  if (got < 0 || (got == 0 && left > 0)) return CURL_READFUNC_ABORT;
  transfer.uploaded += got;
  return std::size_t(got);
}

int on_seek(void* user, curl_off_t offset, int origin) {  // a second try on a fresh connection
  if (origin != SEEK_SET) return CURL_SEEKFUNC_CANTSEEK;
  static_cast<Transfer*>(user)->uploaded = offset;
  return CURL_SEEKFUNC_OK;
}

bool certainly_not_sent(CURLcode code) {
  return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST || code == CURLE_COULDNT_RESOLVE_PROXY ||
         code == CURLE_SSL_CONNECT_ERROR || code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_URL_MALFORMAT ||
         code == CURLE_UNSUPPORTED_PROTOCOL;
}

}  // namespace

class HubLink::Impl {
 public:
  Impl(Options options, const Clock& clock) : options_(std::move(options)), clock_(clock) {
    while (options_.url.ends_with('/')) options_.url.pop_back();
    multi_ = curl_multi_init();
    if (multi_ == nullptr) throw std::runtime_error("curl_multi_init failed");
    curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, 32L);
    curl_multi_setopt(multi_, CURLMOPT_PIPELINING, long(CURLPIPE_NOTHING));
  }

  ~Impl() {
    stop();
    for (CURL* easy : idle_) curl_easy_cleanup(easy);
    curl_multi_cleanup(multi_);
  }

  void start(std::function<void()> turn) {
    turn_ = std::move(turn);
    thread_ = std::thread([this] { run(); });
  }

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    curl_multi_wakeup(multi_);
    if (thread_.joinable()) thread_.join();
    std::vector<std::function<void()>> dropped;  // destroyed after the lock is gone: what they hold may post
    const std::lock_guard lock(mutex_);
    closed_ = true;
    dropped.swap(posted_);
  }

  void post(std::function<void()> task) {
    bool first = false;
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return;
      first = posted_.empty();
      posted_.push_back(std::move(task));
    }
    if (first && std::this_thread::get_id() != loop_.load(std::memory_order_relaxed)) curl_multi_wakeup(multi_);
  }

  void after(Millis delay, std::function<void()> task) {
    timers_.emplace(clock_.monotonic() + std::max<Millis>(delay, 0), std::move(task));
  }

  void send(HubCall call, std::function<void(HubAnswer)> done) {
    auto transfer = std::make_unique<Transfer>();
    transfer->call = std::move(call);
    transfer->done = std::move(done);
    transfer->easy = take_easy();
    prepare_easy(*transfer);
    transfer->answer.sent_at = clock_.monotonic();
    CURL* easy = transfer->easy;
    flying_.emplace(easy, std::move(transfer));
    if (curl_multi_add_handle(multi_, easy) != CURLM_OK) throw std::runtime_error("curl_multi_add_handle failed");
  }

 private:
  void run() {
    loop_.store(std::this_thread::get_id(), std::memory_order_relaxed);
    for (;;) {
      bool busy = run_posted();
      busy |= run_timers();
      int running = 0;
      curl_multi_perform(multi_, &running);
      busy |= tell_finished();
      turn_();
      curl_multi_perform(multi_, &running);  // what the turn has sent goes out at once
      busy |= tell_finished();
      {
        const std::lock_guard lock(mutex_);
        if (stopping_) break;
        busy |= !posted_.empty();
      }
      if (!busy) curl_multi_poll(multi_, nullptr, 0, poll_time(), nullptr);
    }
    drop_flying();
  }

  bool run_posted() {
    std::vector<std::function<void()>> tasks;
    {
      const std::lock_guard lock(mutex_);
      tasks.swap(posted_);
    }
    for (auto& task : tasks) task();
    return !tasks.empty();
  }

  bool run_timers() {
    const Millis now = clock_.monotonic();
    bool any = false;
    while (!timers_.empty() && timers_.begin()->first <= now) {
      auto task = std::move(timers_.begin()->second);
      timers_.erase(timers_.begin());
      task();
      any = true;
    }
    return any;
  }

  int poll_time() const {
    if (timers_.empty()) return 1'000;
    return int(std::clamp<Millis>(timers_.begin()->first - clock_.monotonic(), 0, 1'000));
  }

  bool tell_finished() {
    bool any = false;
    int left = 0;
    while (CURLMsg* message = curl_multi_info_read(multi_, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      any = true;
      finish(message->easy_handle, message->data.result);
    }
    return any;
  }

  void finish(CURL* easy, CURLcode code) {
    auto node = flying_.extract(easy);
    auto transfer = std::move(node.mapped());
    curl_multi_remove_handle(multi_, easy);
    HubAnswer& answer = transfer->answer;
    if (code == CURLE_OK) {
      long status = 0;
      curl_off_t retry_after = 0;
      curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
      curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &retry_after);
      answer.status = int(status);
      answer.retry_after_ms = std::clamp<Millis>(retry_after, 0, 300) * 1'000;
      if (transfer->digest) answer.sha256 = transfer->digest->hex();
    } else {
      answer.sent = !certainly_not_sent(code);
      if (transfer->too_large) answer.trouble = "the answer is too large";
      answer.ours |= transfer->too_large && transfer->call.download != nullptr;
      if (answer.trouble.empty()) answer.trouble = transfer->error[0] != 0 ? transfer->error : curl_easy_strerror(code);
    }
    give_back(*transfer);
    transfer->done(std::move(answer));
  }

  void drop_flying() {
    for (auto& [easy, transfer] : flying_) {
      curl_multi_remove_handle(multi_, easy);
      give_back(*transfer);
    }
    flying_.clear();
    timers_.clear();
  }

  CURL* take_easy() {
    if (!idle_.empty()) {
      CURL* easy = idle_.back();
      idle_.pop_back();
      return easy;
    }
    CURL* easy = curl_easy_init();
    if (easy == nullptr) throw std::runtime_error("curl_easy_init failed");
    return easy;
  }

  void give_back(Transfer& transfer) {
    curl_slist_free_all(transfer.headers);
    curl_easy_reset(transfer.easy);
    idle_.push_back(transfer.easy);
  }

  void prepare_easy(Transfer& transfer) {
    CURL* easy = transfer.easy;
    const HubCall& call = transfer.call;
    set(easy, CURLOPT_URL, (options_.url + call.path).c_str());
    set(easy, CURLOPT_NOSIGNAL, 1L);
    set(easy, CURLOPT_TCP_NODELAY, 1L);
    set(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    set(easy, CURLOPT_TCP_KEEPIDLE, 10L);
    set(easy, CURLOPT_TCP_KEEPINTVL, 5L);
    set(easy, CURLOPT_HTTP_VERSION, long(CURL_HTTP_VERSION_1_1));
    set(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    set(easy, CURLOPT_CONNECTTIMEOUT_MS, long(options_.connect_timeout_ms));
    set(easy, CURLOPT_ERRORBUFFER, transfer.error);
    set(easy, CURLOPT_WRITEFUNCTION, &on_body);
    set(easy, CURLOPT_WRITEDATA, &transfer);
    set(easy, CURLOPT_USERAGENT, options_.agent.c_str());
    if (!options_.ca_file.empty()) set(easy, CURLOPT_CAINFO, options_.ca_file.c_str());
    set_time_limits(easy, call);
    if (call.method == "GET")
      set(easy, CURLOPT_HTTPGET, 1L);
    else if (call.upload)
      set_upload(transfer);
    else
      set_body(easy, call);
    if (call.download) transfer.digest = std::make_unique<Sha256>();
    set_headers(transfer);
  }

  static void set_time_limits(CURL* easy, const HubCall& call) {
    if (call.timeout_ms > 0) return set(easy, CURLOPT_TIMEOUT_MS, long(call.timeout_ms));
    set(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
    set(easy, CURLOPT_LOW_SPEED_TIME, 30L);
  }

  static void set_upload(Transfer& transfer) {
    set(transfer.easy, CURLOPT_UPLOAD, 1L);
    set(transfer.easy, CURLOPT_CUSTOMREQUEST, transfer.call.method.c_str());
    set(transfer.easy, CURLOPT_READFUNCTION, &on_upload);
    set(transfer.easy, CURLOPT_READDATA, &transfer);
    set(transfer.easy, CURLOPT_SEEKFUNCTION, &on_seek);
    set(transfer.easy, CURLOPT_SEEKDATA, &transfer);
    set(transfer.easy, CURLOPT_INFILESIZE_LARGE, curl_off_t(transfer.call.upload_bytes));
  }

  static void set_body(CURL* easy, const HubCall& call) {
    set(easy, CURLOPT_POST, 1L);
    if (call.method != "POST") set(easy, CURLOPT_CUSTOMREQUEST, call.method.c_str());
    set(easy, CURLOPT_POSTFIELDS, call.body.data());
    set(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(call.body.size()));
  }

  static void set_headers(Transfer& transfer) {
    const auto add = [&](const std::string& line) {
      transfer.headers = curl_slist_append(transfer.headers, line.c_str());
    };
    if (!transfer.call.bearer.empty()) add("Authorization: Bearer " + transfer.call.bearer);
    if (transfer.call.upload)
      add("Content-Type: application/octet-stream");
    else if (transfer.call.method != "GET")
      add("Content-Type: application/json");
    for (const auto& line : transfer.call.headers) add(line);
    add("Expect:");
    set(transfer.easy, CURLOPT_HTTPHEADER, transfer.headers);
  }

  Options options_;
  const Clock& clock_;
  CURLM* multi_ = nullptr;
  std::function<void()> turn_;
  std::thread thread_;
  std::atomic<std::thread::id> loop_;  // its id, known to itself before anybody asks
  std::vector<CURL*> idle_;
  std::unordered_map<CURL*, std::unique_ptr<Transfer>> flying_;
  std::multimap<Millis, std::function<void()>> timers_;
  std::mutex mutex_;
  std::vector<std::function<void()>> posted_;
  bool stopping_ = false;
  bool closed_ = false;
};

void HubLink::prepare() {
  static const CURLcode once = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (once != CURLE_OK) throw std::runtime_error("curl_global_init failed");
}

HubLink::HubLink(Options options, const Clock& clock) : impl_(std::make_unique<Impl>(std::move(options), clock)) {}
HubLink::~HubLink() = default;
void HubLink::start(std::function<void()> turn) {
  impl_->start(std::move(turn));
}
void HubLink::stop() {
  impl_->stop();
}
void HubLink::post(std::function<void()> task) {
  impl_->post(std::move(task));
}
void HubLink::send(HubCall call, std::function<void(HubAnswer)> done) {
  impl_->send(std::move(call), std::move(done));
}
void HubLink::after(Millis delay_ms, std::function<void()> task) {
  impl_->after(delay_ms, std::move(task));
}

std::string problem_of(const HubAnswer& answer) {
  if (answer.status == 0) return answer.trouble;
  const auto body = json::parse(answer.body);
  const auto* problem = body ? body->if_object() : nullptr;
  for (const char* member : {"detail", "title"})
    if (const auto* text = problem != nullptr ? problem->if_contains(member) : nullptr; text && text->is_string())
      return std::string(text->get_string());
  return "status " + std::to_string(answer.status);
}

bool host_gone(const HubAnswer& answer) {
  return answer.status == 401 || answer.status == 404 || answer.status == 410;
}

}  // namespace geres::host
