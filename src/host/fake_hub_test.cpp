// SPDX-License-Identifier: Apache-2.0
#include "fake_hub_test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <stdexcept>

#include "base/base64.h"
#include "base/sha256.h"
#include "base/uuid.h"
#include "package/archive.h"

namespace geres::host::test {
namespace {

constexpr auto kPatience = std::chrono::seconds(20);

std::string header(const std::string& head, const std::string& name) {
  std::string lower = head;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  const auto at = lower.find("\r\n" + name + ": ");
  if (at == std::string::npos) return {};
  const auto from = at + name.size() + 4;
  return head.substr(from, head.find("\r\n", from) - from);
}

}  // namespace

FakeHub::FakeHub() {
  listener_ = Fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) != 0 || ::listen(listener_.get(), 64) != 0 ||
      ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::runtime_error("the fake hub cannot listen");
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_loop(); });
}

FakeHub::~FakeHub() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    ::shutdown(listener_.get(), SHUT_RDWR);
    for (const int fd : sockets_) ::shutdown(fd, SHUT_RDWR);
    changed_.notify_all();
  }
  acceptor_.join();
  for (auto& thread : threads_) thread.join();
}

std::string FakeHub::blob(const std::string& bytes) {
  const std::string digest = sha256_hex(bytes);
  locked([&] { blobs[digest] = bytes; });
  return digest;
}

std::string FakeHub::package(const std::map<std::string, std::string>& files) {
  const TemporaryDirectory directory;
  std::vector<package::Item> items;
  for (const auto& [name, content] : files) items.push_back({name, {}, content});
  const auto zip = directory.path() / "p.zip";
  package::pack_items(std::move(items), zip).value();
  return blob(read_file(zip));
}

std::string FakeHub::add_job(const std::string& package_sha256, const std::function<void(wire::LeaseGrant&)>& change) {
  wire::LeaseGrant grant;
  grant.lease = random_hex(16);
  grant.ttlMs = ttl_ms;
  grant.attempt = 1;
  grant.job = {{"id", "0192f0c4-7d3a-7001-8f2e-0123456789ab"},
               {"tenant", "acme"},
               {"type", "T"},
               {"parameters", json::object{}},
               {"requires", {{"slots", 1}}}};
  grant.package = wire::PackageRef{"p", package_sha256, "/blobs/" + package_sha256};
  if (change) change(grant);
  const std::lock_guard lock(mutex_);
  waiting_.push_back(grant);
  changed_.notify_all();
  return grant.lease;
}

std::string FakeHub::add_script(const std::string& script, const std::function<void(wire::LeaseGrant&)>& change) {
  return add_job(package({{"geres.json", R"({"jobs": {"T": {"command": ["sh", "{GERES_PACKAGE_DIR}/run.sh"]}}})"},
                          {"run.sh", script}}),
                 change);
}

void FakeHub::cancel(const std::string& lease, Millis grace_ms) {
  const std::lock_guard lock(mutex_);
  cancels_[lease] = {lease, grace_ms};
  changed_.notify_all();
}

void FakeHub::set_mode(model::HostMode mode) {
  const std::lock_guard lock(mutex_);
  mode_ = mode;
  changed_.notify_all();
}

void FakeHub::let_go() {
  const std::lock_guard lock(mutex_);
  hold_downloads = hold_uploads = hold_registration = false;
  changed_.notify_all();
}

void FakeHub::set_down(bool down) {
  const std::lock_guard lock(mutex_);
  if (down) return go_down();
  down_ = false;
  changed_.notify_all();
}

// Call it with the lock held.
void FakeHub::go_down() {
  down_ = true;
  for (const int fd : sockets_) ::shutdown(fd, SHUT_RDWR);
  changed_.notify_all();
}

bool FakeHub::await(const std::function<bool()>& look) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, look);
}

wire::FinishedItem FakeHub::finished(const std::string& lease) {
  const std::lock_guard lock(mutex_);
  const auto& items = told[lease].finished;
  return items.empty() ? wire::FinishedItem{} : items.back();
}

void FakeHub::accept_loop() {
  for (;;) {
    const int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    const std::lock_guard lock(mutex_);
    if (stopping_) {
      if (fd >= 0) ::close(fd);
      return;
    }
    if (fd < 0) continue;
    if (down_) {
      ::close(fd);
      continue;
    }
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockets_.insert(fd);
    threads_.emplace_back([this, fd] {
      serve(fd);
      const std::lock_guard closing(mutex_);
      sockets_.erase(fd);
      ::close(fd);
    });
  }
}

void FakeHub::serve(int fd) {
  std::string buffer;
  char chunk[65536];
  const auto more = [&] {
    const ssize_t got = ::recv(fd, chunk, sizeof chunk, 0);
    if (got > 0) buffer.append(chunk, std::size_t(got));
    return got > 0;
  };
  for (;;) {
    std::size_t end;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos)
      if (!more()) return;
    const std::string head = buffer.substr(0, end + 2);
    const std::string length = header(head, "content-length");
    const std::size_t size = length.empty() ? 0 : std::stoul(length);
    while (buffer.size() < end + 4 + size)
      if (!more()) return;
    Request request;
    request.method = head.substr(0, head.find(' '));
    request.path =
        head.substr(request.method.size() + 1, head.find(' ', request.method.size() + 1) - request.method.size() - 1);
    const std::string bearer = header(head, "authorization");
    request.bearer = bearer.starts_with("Bearer ") ? bearer.substr(7) : "";
    request.protocol = header(head, "geres-protocol");
    request.body = buffer.substr(end + 4, size);
    buffer.erase(0, end + 4 + size);
    const Response response = answer(request);
    if (response.drop) return;
    const std::string text = "HTTP/1.1 " + std::to_string(response.status) +
                             " X\r\nContent-Length: " + std::to_string(response.body.size()) + "\r\n\r\n" +
                             response.body;
    if (::send(fd, text.data(), text.size(), MSG_NOSIGNAL) != ssize_t(text.size())) return;
  }
}

FakeHub::Response FakeHub::answer(const Request& request) {
  if (request.path == "/v1/hosts") return take_registration(request);
  if (request.path.starts_with("/blobs/")) {
    std::unique_lock lock(mutex_);
    const std::string digest = request.path.substr(7);
    ++downloads[digest];
    changed_.notify_all();
    changed_.wait(lock, [&] { return !hold_downloads || stopping_ || down_; });
    if (download_status != 200) return {download_status, "{}"};
    if (!blobs.contains(digest)) return {404, "{}"};
    return {200, blobs[digest]};
  }
  const std::string base = "/v1/hosts/" + locked([&] { return host_id_; });
  if (locked([&] { return forget_host || request.bearer != secret_; }) || !request.path.starts_with(base))
    return {404, "{}"};
  if (request.path == base + "/fetch") return fetch(request);
  if (request.path == base + "/report") return report(request);
  const std::string prefix = base + "/leases/";
  if (request.path.starts_with(prefix) && request.path.ends_with("/uploads"))
    return {200, json::write_text(wire::UploadPlan{})};
  if (request.method != "PUT" || !request.path.starts_with(prefix)) return {404, "{}"};
  const std::string rest = request.path.substr(prefix.size());
  const std::string lease = rest.substr(0, rest.find('/'));
  const std::string file = rest.substr(lease.size() + 7, rest.find('?') - lease.size() - 7);
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return !hold_uploads || stopping_ || down_; });
  if (!current.contains(lease)) return {409, "{}"};
  if (!rest.ends_with("?sha256=" + sha256_hex(request.body))) return {400, "{}"};
  if (file == refused_file) return {400, R"({"code": "badValue", "detail": "the path has backslashes"})"};
  files[lease + "/" + file] = request.body;
  return {201, "{}"};
}

FakeHub::Response FakeHub::take_registration(const Request& request) {
  const auto body = json::read_text<wire::RegisterHost>(request.body);
  if (!body) return {400, R"({"detail": ")" + body.error().message + "\"}"};
  if (request.bearer != locked([&] { return token; }))
    return {401, R"({"code": "unauthenticated", "detail": "the token is not known"})"};
  std::unique_lock lock(mutex_);
  registered.push_back(*body);
  protocols_said.push_back(request.protocol);
  host_id_ = "host-" + std::to_string(++next_id_);
  secret_ = random_hex(8);
  forget_host = false;
  newest_fetch_.clear();
  current.clear();
  changed_.notify_all();
  changed_.wait(lock, [&] { return !hold_registration || stopping_ || down_; });
  return {
      201,
      with_news(json::write_text(wire::Registered{host_id_, secret_, report_seconds, old ? std::nullopt : protocol}))};
}

// Adds members, as a newer hub might.
std::string FakeHub::with_news(std::string answer) const {
  answer.insert(answer.size() - 1, news);
  return answer;
}

bool FakeHub::something_for(const wire::Fetch& call) const {
  if (stopping_ || down_ || newest_fetch_ != call.fetchId || mode_ != mode_told_) return true;
  for (const auto& [lease, order] : cancels_)
    if (!cancels_told_.contains(lease)) return true;
  return call.slots > 0 && !waiting_.empty() && mode_ == model::HostMode::run;
}

FakeHub::Response FakeHub::fetch(const Request& request) {
  const auto call = json::read_text<wire::Fetch>(request.body);
  if (!call) return {400, R"({"detail": ")" + call.error().message + "\"}"};
  std::unique_lock lock(mutex_);
  if (down_) return {503, "{}", true};
  fetches.push_back(*call);
  changed_.notify_all();
  if (const auto before = answers_.find(call->fetchId); before != answers_.end())
    return {200, json::write_text(before->second)};
  newest_fetch_ = call->fetchId;
  if (fetches.size() == deaf_fetch) {
    changed_.wait(lock, [&] { return down_ || stopping_; });
    return {503, "{}", true};
  }
  const auto began = std::chrono::steady_clock::now();
  changed_.wait_for(lock, std::chrono::milliseconds(call->wait.ms), [&] { return something_for(*call); });
  if (down_ || stopping_) return {503, "{}", true};
  wire::Fetched answer;
  answer.heldMs =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - began).count();
  answer.mode = mode_told_ = mode_;
  for (const auto& [lease, order] : cancels_)
    if (cancels_told_.insert(lease).second) answer.cancel.push_back(order);
  while (newest_fetch_ == call->fetchId && !waiting_.empty() && int(answer.leases.size()) < call->slots) {
    current.insert(waiting_.front().lease);
    answer.leases.push_back(std::move(waiting_.front()));
    waiting_.pop_front();
  }
  answers_[call->fetchId] = answer;
  changed_.notify_all();
  if (!answer.leases.empty() && drop_fetch_answers > 0) {
    if (down_after_drop) go_down();
    return --drop_fetch_answers, Response{0, "", true};
  }
  return {200, with_news(json::write_text(answer))};
}

void FakeHub::take_finished(const wire::FinishedItem& item, wire::Reported& answer) {
  if (!current.contains(item.lease) && item.outcome != model::Outcome::released)
    return answer.refused.push_back({item.lease, "stale"});
  if (files_missing > 0) {
    --files_missing;
    return answer.refused.push_back({item.lease, "filesMissing"});
  }
  current.erase(item.lease);
  answer.accepted.push_back(item.lease);
}

void FakeHub::take_report(const wire::Report& report, wire::Reported& answer) {
  for (const auto& lease : report.started) told[lease].started = true;
  for (const auto& item : report.progress) told[item.lease].progress.push_back(item);
  for (const auto& item : report.log) {
    std::string& log = told[item.lease].log[item.stream];
    const std::string bytes = from_base64(item.data).value_or("?");
    if (std::size_t(item.offset) > log.size()) log += "<gap>";
    log.resize(std::min<std::size_t>(log.size(), item.offset));
    log += bytes;
  }
  for (const auto& item : report.finished) {
    auto& about = told[item.lease];
    about.finished.push_back(item);
    for (const auto& [path, bytes] : files)
      if (path.starts_with(item.lease + "/")) about.files_at_finish[path.substr(item.lease.size() + 1)] = bytes;
    take_finished(item, answer);
  }
  for (const auto& lease : report.running)
    if (!current.contains(lease)) answer.lost.push_back(lease);
  if (report.leaving) {  // the open fetch ends without a job
    left = true;
    newest_fetch_.clear();
    changed_.notify_all();
  }
}

FakeHub::Response FakeHub::report(const Request& request) {
  const auto body = json::read_text<wire::Report>(request.body);
  if (!body) return {400, R"({"detail": ")" + body.error().message + "\"}"};
  const std::lock_guard lock(mutex_);
  if (down_) return {503, "{}", true};
  for (const auto& item : body->finished)
    if (item.result == poison || (old && item.filesLeftOut)) return {400, "{}"};
  wire::Reported answer;
  answer.mode = mode_;
  take_report(*body, answer);
  reports.push_back(*body);
  changed_.notify_all();
  if (!body->finished.empty() && drop_report_answers > 0) return --drop_report_answers, Response{0, "", true};
  return {200, with_news(json::write_text(answer))};
}

}  // namespace geres::host::test
