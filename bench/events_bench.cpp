// SPDX-License-Identifier: Apache-2.0
// Measures how events reach those who listen to a whole hub, beside the limits of the machine taken in the same run:
// how late the words of a job come to a reader of server-sent events and to a SignalR client, how many events a second
// 1, 100 and 1,000 readers are told, and what 10,000 idle ones cost. `events_bench [latency] [rate] [idle]`, all
// without arguments. Prints a table in Markdown.
#include <sys/epoll.h>
#include <sys/resource.h>

#include <atomic>
#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/beast/core/buffers_to_string.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/websocket.hpp>
#include <boost/json/parse.hpp>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

#include "whole_hub.h"

namespace geres::bench {
namespace {

using boost::json::value;
using tcp = boost::asio::ip::tcp;

std::string text_of(const value& json) {
  return std::string(json.as_string());
}

// A connected socket on loopback.
Fd connect_to(std::uint16_t port) {
  Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (!fd || ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    throw std::runtime_error(std::string("connect: ") + std::strerror(errno));
  const int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return fd;
}

void send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto put = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (put <= 0) throw std::runtime_error(std::string("send: ") + std::strerror(errno));
    bytes.remove_prefix(std::size_t(put));
  }
}

Fd open_stream(const Hub& hub, const std::string& query) {
  auto fd = connect_to(hub.port());
  send_all(fd.get(), fmt::format("GET /v1/events{} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {}\r\n\r\n", query,
                                 hub.token()));
  return fd;
}

// ---- latency --------------------------------------------------------------------------------------------------------

// When a client heard what, in milliseconds after the job said it. Told by the client's thread, awaited by the bench.
class Heard {
 public:
  void in_place() {
    const std::lock_guard lock(mutex_);
    in_place_ = true;
    changed_.notify_all();
  }
  void progressed(const std::string& stamp) { add(progress_ms, stamp, {}); }
  void ended(const std::string& job, const std::string& stamp) { add(end_ms, stamp, job); }
  void wait_in_place() {
    wait([this] { return in_place_; });
  }
  void wait_for_end(const std::string& job) {
    wait([&] { return ended_.contains(job); });
  }
  std::vector<double> progress_ms, end_ms;  // once the client's thread has ended

 private:
  void add(std::vector<double>& to, const std::string& stamp, const std::string& ended) {
    const double ms = double(now_ns() - std::atoll(stamp.c_str())) / 1e6;
    const std::lock_guard lock(mutex_);
    to.push_back(ms);
    if (!ended.empty()) ended_.insert(ended);
    changed_.notify_all();
  }
  template <class Fact>
  void wait(Fact fact) {
    std::unique_lock lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(30), fact)) throw std::runtime_error("a client heard nothing");
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  bool in_place_ = false;
  std::set<std::string> ended_;
};

// Reads server-sent events line by line; what carries them in chunks has lines of its own, which mean nothing here.
class SseClient {
 public:
  SseClient(const Hub& hub, const std::string& query) : fd_(open_stream(hub, query)), thread_([this] { run(); }) {
    heard.wait_in_place();
  }
  ~SseClient() {
    ::shutdown(fd_.get(), SHUT_RDWR);
    thread_.join();
  }
  Heard heard;

 private:
  void run() {
    std::string rest;
    char piece[65536];
    for (ssize_t got; (got = ::recv(fd_.get(), piece, sizeof piece, 0)) > 0;) {
      rest.append(piece, std::size_t(got));
      std::size_t from = 0;
      for (auto end = rest.find('\n'); end != std::string::npos; end = rest.find('\n', from)) {
        take(std::string_view(rest).substr(from, end - from));
        from = end + 1;
      }
      rest.erase(0, from);
    }
  }
  void take(std::string_view line) {
    if (line.starts_with("id: ")) return heard.in_place();
    if (!line.starts_with("data: ")) return;
    const auto event = boost::json::parse(line.substr(6));
    const auto& job = event.at("data");
    if (event.at("type").as_string() == "geres.job.progressed")
      heard.progressed(text_of(job.at("progress").at("message")));
    if (event.at("type").as_string() == "geres.job.finished")
      heard.ended(text_of(job.at("id")), text_of(job.at("result")));
  }
  Fd fd_;
  std::thread thread_;
};

// A client of /hubs/jobs over a WebSocket, without negotiation.
class SignalrClient {
 public:
  SignalrClient(const Hub& hub, const std::string& batch) : socket_(context_) {
    socket_.next_layer().connect({boost::asio::ip::address_v4::loopback(), hub.port()});
    socket_.next_layer().set_option(tcp::no_delay(true));
    socket_.handshake("bench", "/hubs/jobs?access_token=" + hub.token());
    say(R"({"protocol":"json","version":1})");
    say(R"({"type":1,"invocationId":"1","target":"SubscribeToBatch","arguments":[")" + batch + R"("]})");
    thread_ = std::thread([this] { run(); });
    heard.wait_in_place();
  }
  ~SignalrClient() {
    ::shutdown(socket_.next_layer().native_handle(), SHUT_RDWR);
    thread_.join();
  }
  Heard heard;

 private:
  void say(const std::string& record) { socket_.write(boost::asio::buffer(record + '\x1e')); }
  void run() {
    boost::beast::flat_buffer bytes;
    boost::system::error_code error;
    while (socket_.read(bytes, error), !error) {
      std::string text = boost::beast::buffers_to_string(bytes.data());
      bytes.clear();
      for (std::size_t from = 0, end; (end = text.find('\x1e', from)) != std::string::npos; from = end + 1)
        take(boost::json::parse(std::string_view(text).substr(from, end - from)).as_object());
    }
  }
  void take(const boost::json::object& message) {
    const auto* type = message.if_contains("type");
    if (type == nullptr) return;  // the handshake's answer
    if (type->as_int64() == 3) return heard.in_place();
    if (type->as_int64() != 1) return;
    const auto& arguments = message.at("arguments").as_array();
    if (message.at("target").as_string() == "JobProgressed") heard.progressed(text_of(arguments[1].at("message")));
    if (message.at("target").as_string() == "JobCompleted")
      heard.ended(text_of(arguments[0].at("id")), text_of(arguments[0].at("result")));
  }
  boost::asio::io_context context_;
  boost::beast::websocket::stream<tcp::socket> socket_;
  std::thread thread_;
};

// The least that such a word costs on this machine: through a pipe, onto the disk, through a socket.
std::vector<double> floor_ms(const Setting& setting, int n) {
  int words[2];
  if (::pipe2(words, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
  const Fd file(::open((setting.work / "words").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  const Fd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  socklen_t size = sizeof address;
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ::bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
  ::listen(listener.get(), 1);
  ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
  const auto out = connect_to(ntohs(address.sin_port));
  const Fd in(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  std::vector<double> ms;
  std::thread hub([&] {
    std::int64_t stamp = 0;
    while (::read(words[0], &stamp, sizeof stamp) == sizeof stamp) {
      if (::write(file.get(), &stamp, sizeof stamp) != sizeof stamp || ::fdatasync(file.get()) != 0) break;
      ::send(out.get(), &stamp, sizeof stamp, MSG_NOSIGNAL);
    }
    ::shutdown(out.get(), SHUT_WR);
  });
  std::thread client([&] {
    std::int64_t stamp = 0;
    while (::recv(in.get(), &stamp, sizeof stamp, MSG_WAITALL) == sizeof stamp)
      ms.push_back(double(now_ns() - stamp) / 1e6);
  });
  for (int i = 0; i < n; ++i) {
    const auto stamp = now_ns();
    if (::write(words[1], &stamp, sizeof stamp) != sizeof stamp) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  ::close(words[1]);
  hub.join();
  client.join();
  ::close(words[0]);
  return ms;
}

std::string both(const std::vector<double>& ms) {
  return fmt::format("p50 {:.2f} ms, p99 {:.2f} ms", percentile(ms, 0.5), percentile(ms, 0.99));
}

void bench_latency(const Setting& setting) {
  constexpr int kJobs = 220, kWarmUp = 20;
  Hub hub(setting.bin / "geres", "up", fresh(setting), {"--slots", "2"});
  push(setting, hub, R"({"jobs":{"Stamp":{"command":["./hub_bench_stamp","progress"]}}})", setting.stamp);
  auto connection = hub.connect();
  must(connection.call("POST", "/v1/batches", R"({"name":"news","tenant":"bench"})"), 201);
  auto sse = std::make_unique<SseClient>(hub, "?batch=news");
  auto signalr = std::make_unique<SignalrClient>(hub, "news");
  for (int i = 0; i < kJobs; ++i) {
    const auto made =
        connection.call("POST", "/v1/jobs", R"({"tenant":"bench","type":"Stamp","package":"tools","batch":"news"})");
    must(made, 201);
    const auto id = text_of(boost::json::parse(made.body).at("id"));
    sse->heard.wait_for_end(id);
    signalr->heard.wait_for_end(id);
    std::this_thread::sleep_for(std::chrono::milliseconds(60));  // idle: a host tells progress at most every 50 ms
  }
  const auto limit = "a pipe, one sync and a socket: " + both(floor_ms(setting, 300));
  const auto tell = [&](const char* who, const Heard& heard) {
    for (const auto& [what, ms] : {std::pair("progress", &heard.progress_ms), std::pair("end", &heard.end_ms)}) {
      if (ms->size() < kJobs) throw std::runtime_error(fmt::format("{} words of {}", ms->size(), kJobs));
      row(fmt::format("a job's {} to {}, idle", what, who), both({ms->begin() + kWarmUp, ms->end()}), limit);
    }
  };
  tell("a reader of server-sent events", sse->heard);
  tell("a SignalR client", signalr->heard);
}

// ---- many readers ---------------------------------------------------------------------------------------------------

// Readers of event streams, all on one thread that only counts.
class Crowd {
 public:
  ~Crowd() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  void add(Fd fd) {
    epoll_event event{EPOLLIN, {.u64 = readers_.size()}};
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd.get(), &event) != 0) throw std::runtime_error("epoll");
    readers_.emplace_back().fd = std::move(fd);
  }
  void start() {
    thread_ = std::thread([this] { run(); });
  }
  std::size_t in_place() const { return in_place_; }
  std::int64_t events() const { return events_; }
  std::size_t readers() const { return readers_.size(); }
  // Once all have come: when each reader had its newest one.
  std::vector<std::int64_t> newest_ns() const {
    std::vector<std::int64_t> all;
    for (const auto& reader : readers_) all.push_back(reader.newest_ns);
    return all;
  }
  void check() const {
    if (ended_) throw std::runtime_error("the hub closed a stream");
  }

 private:
  static constexpr std::string_view kData = "\ndata: ", kId = "\nid: ";
  static constexpr std::size_t kKept = kData.size() - 1;  // a mark may be cut in two
  struct Reader {
    Fd fd;
    char last[kKept] = {};
    bool in_place = false;
    std::int64_t newest_ns = 0;
  };
  void run() {
    std::vector<char> piece(kKept + 256 * 1024);
    epoll_event ready[256];
    while (!stop_) {
      const int n = ::epoll_wait(epoll_.get(), ready, 256, 50);
      for (int i = 0; i < n; ++i) take(readers_[ready[i].data.u64], piece);
    }
  }
  void take(Reader& reader, std::vector<char>& piece) {
    std::memcpy(piece.data(), reader.last, kKept);
    const auto got = ::recv(reader.fd.get(), piece.data() + kKept, piece.size() - kKept, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (got <= 0) {
      ended_ = true;
      ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, reader.fd.get(), nullptr);
      return;
    }
    const std::size_t size = kKept + std::size_t(got);
    const char* const end = piece.data() + size;
    const auto find = [&](const char* from, std::string_view mark) {
      return static_cast<const char*>(::memmem(from, std::size_t(end - from), mark.data(), mark.size()));
    };
    if (!reader.in_place && find(piece.data(), kId) != nullptr) reader.in_place = true, ++in_place_;
    std::int64_t count = 0;
    for (const char* at = piece.data(); (at = find(at, kData)) != nullptr; at += kData.size()) ++count;
    if (count > 0) reader.newest_ns = now_ns(), events_ += count;
    std::memcpy(reader.last, end - kKept, kKept);
  }
  Fd epoll_{::epoll_create1(EPOLL_CLOEXEC)};
  std::vector<Reader> readers_;
  std::atomic<std::size_t> in_place_{0};
  std::atomic<std::int64_t> events_{0};
  std::atomic<bool> stop_{false}, ended_{false};
  std::thread thread_;
};

template <class Fact>
void wait_until(const Crowd& crowd, Fact fact, double seconds = 120) {
  const auto start = now_ns();
  while (!fact()) {
    crowd.check();
    if (seconds_since(start) > seconds)
      throw std::runtime_error(
          fmt::format("{} of {} readers in place, {} events", crowd.in_place(), crowd.readers(), crowd.events()));
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

// ---- rate -----------------------------------------------------------------------------------------------------------

// What one thread puts through as many plain sockets, in pieces as large as the hub's, with the same reader.
double raw_per_second(int readers, const std::string& page, int events_in_page, int rounds) {
  Crowd crowd;
  std::vector<Fd> out;
  for (int i = 0; i < readers; ++i) {
    int pair[2];
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) throw std::runtime_error("socketpair");
    out.emplace_back(pair[0]);
    crowd.add(Fd(pair[1]));
  }
  crowd.start();
  const auto start = now_ns();
  for (int round = 0; round < rounds; ++round)
    for (const auto& fd : out) send_all(fd.get(), page);
  const std::int64_t all = std::int64_t(readers) * rounds * events_in_page;
  wait_until(crowd, [&] { return crowd.events() >= all; });
  return double(all) / seconds_since(start);
}

// All events that are kept, as the hub sends them.
std::string kept_events(const Hub& hub) {
  const auto fd = open_stream(hub, "?lastEventId=start&follow=false");
  std::string text;
  char piece[65536];
  for (ssize_t got; !text.ends_with("\r\n0\r\n\r\n") && (got = ::recv(fd.get(), piece, sizeof piece, 0)) > 0;)
    text.append(piece, std::size_t(got));
  return text;
}

// 200 events as the hub sends them. An answered submit may be told a moment later.
std::string one_page(const Hub& hub) {
  const auto start = now_ns();
  while (true) {
    const auto text = kept_events(hub);
    std::size_t to = 0;
    int events = 0;
    for (; events < 200 && (to = text.find("\ndata: ", to)) != std::string::npos; ++events) ++to;
    if (events == 200) {
      const auto from = text.rfind("\nid: ", text.find("\ndata: "));
      return text.substr(from, text.find("\n\n", to) + 1 - from);
    }
    if (seconds_since(start) > 10) throw std::runtime_error("the hub keeps no events");
  }
}

// Jobs a second that a hub takes in as lists when nobody listens.
double unheard_per_second(const Setting& setting, int jobs) {
  Hub hub(setting.bin / "geres", "hub", fresh(setting));
  auto connection = hub.connect();
  const auto list = noop_list(0, 1'000);
  const auto start = now_ns();
  for (int done = 0; done < jobs; done += 1'000) must(connection.call("POST", "/v1/jobs", list), 201);
  return jobs / seconds_since(start);
}

void bench_rate(const Setting& setting) {
  const double unheard = unheard_per_second(setting, 50'000);
  for (const auto& [readers, jobs] : {std::pair(1, 100'000), std::pair(100, 20'000), std::pair(1'000, 3'000)}) {
    Hub hub(setting.bin / "geres", "hub", fresh(setting));
    auto connection = hub.connect();
    must(connection.call("POST", "/v1/jobs", noop_list(0, 1'000)), 201);
    const auto page = one_page(hub);
    Crowd crowd;
    for (int i = 0; i < readers; ++i) crowd.add(open_stream(hub, "?tenant=bench"));
    crowd.start();
    wait_until(crowd, [&] { return crowd.in_place() == std::size_t(readers); });
    std::vector<std::string> lists;
    for (int done = 0; done < jobs; done += 1'000) lists.push_back(noop_list(done, 1'000));
    const auto start = now_ns();
    for (const auto& list : lists) must(connection.call("POST", "/v1/jobs", list), 201);
    const double submitted = seconds_since(start);
    const std::int64_t all = std::int64_t(readers) * jobs;
    wait_until(crowd, [&] { return crowd.events() >= all; });
    const double rate = double(all) / seconds_since(start);
    hub.stop();
    const double raw = raw_per_second(readers, page, 200, std::max(1, int(2'000'000 / 200 / readers)));
    row(fmt::format("events told to {} reader{} of server-sent events", readers, readers == 1 ? "" : "s"),
        fmt::format("{:.0f}/s ({:.0f} MB/s); {} jobs were handed in at {:.0f}/s, {:.0f}/s when nobody listens", rate,
                    rate * double(page.size()) / 200 / 1e6, jobs, jobs / submitted, unheard),
        fmt::format("{:.0f}/s by one thread over as many bare sockets (ratio {:.2f})", raw, rate / raw));
  }
}

// ---- idle -----------------------------------------------------------------------------------------------------------

void bench_idle(const Setting& setting) {
  constexpr int kReaders = 10'000;
  Hub hub(setting.bin / "geres", "hub", fresh(setting), {"--connections", "20000"});
  auto connection = hub.connect();
  must(connection.call("POST", "/v1/jobs", noop_spec(0)), 201);
  const auto before = hub.rss_kib();
  Crowd crowd;
  for (int i = 0; i < kReaders; ++i) crowd.add(open_stream(hub, "?tenant=bench"));
  crowd.start();
  wait_until(crowd, [&] { return crowd.in_place() == kReaders; });
  const auto opened = hub.rss_kib();
  std::this_thread::sleep_for(std::chrono::seconds(20));  // each has been told once that the hub is still here
  crowd.check();
  const auto after = hub.rss_kib();
  const auto start = now_ns();
  must(connection.call("POST", "/v1/jobs", noop_spec(1)), 201);
  wait_until(crowd, [&] { return crowd.events() >= kReaders; });
  std::vector<double> ms;
  for (const auto at : crowd.newest_ns()) ms.push_back(double(at - start) / 1e6);
  const auto told = hub.rss_kib();
  hub.stop();
  row(fmt::format("{} idle readers of server-sent events on one hub", kReaders),
      fmt::format("{:.1f} KiB of the hub's memory each ({:.1f} when just opened, {:.1f} after an event for all)",
                  double(after - before) / kReaders, double(opened - before) / kReaders,
                  double(told - before) / kReaders),
      fmt::format("the hub alone: {} MiB", before / 1024));
  const auto event = std::string(650, 'x') + "\ndata: \n\n";
  row("one event to all of them, from the submit call on",
      fmt::format("first {:.1f} ms, half {:.1f} ms, last {:.1f} ms", percentile(ms, 0), percentile(ms, 0.5),
                  percentile(ms, 1)),
      fmt::format("{:.1f} ms for as many by one thread over bare sockets",
                  1e3 * kReaders / raw_per_second(1'000, event, 1, kReaders / 1'000)));
}

}  // namespace

}  // namespace geres::bench

int main(int argc, char** argv) {
  using namespace geres::bench;
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  return run_parts(argc, argv, {{"latency", bench_latency}, {"rate", bench_rate}, {"idle", bench_idle}});
}
