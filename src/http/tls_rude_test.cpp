// SPDX-License-Identifier: Apache-2.0
// What only clients of TLS can do wrong, and what a server over TLS must not get wrong.
#include <openssl/ssl.h>

#include "base/file.h"
#include "http/http_fixture.h"

namespace geres::http {
namespace {

using SslPtr = std::unique_ptr<SSL, tls::Freed<SSL_free>>;
using ContextPtr = std::unique_ptr<SSL_CTX, tls::Freed<SSL_CTX_free>>;

class TlsRude : public Http {
 protected:
  TlsRude() {
    router_.add(Method::get, "/large", [](Request&) -> awaitable<Response> { co_return ok(large()); });
  }
  static const std::string& large() {
    static const std::string bytes(8 << 20, 'x');
    return bytes;
  }
  Fd connected() const {
    Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(server_->port());
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    return fd;
  }
  static std::string read_all(const Fd& fd) {
    std::string all;
    char piece[4096];
    for (ssize_t n = 0; (n = ::recv(fd.get(), piece, sizeof piece, 0)) > 0;) all.append(piece, std::size_t(n));
    return all;
  }
  ContextPtr context() const {
    ContextPtr made(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_load_verify_file(made.get(), TestIdentity::get().authority.certificate_file().c_str());
    SSL_CTX_set_verify(made.get(), SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_security_level(made.get(), 0);
    return made;
  }
  // "TLSv1.3 TLS_AES_128_GCM_SHA256"; empty: no handshake.
  std::string agreed(SSL_CTX* with) const {
    const auto fd = connected();
    const SslPtr ssl(SSL_new(with));
    SSL_set_fd(ssl.get(), fd.get());
    if (SSL_connect(ssl.get()) != 1) return "";
    return std::string(SSL_get_version(ssl.get())) + " " + SSL_get_cipher(ssl.get());
  }
  void expect_that_others_are_served() { EXPECT_THAT(Client(*server_).ask(get("/hello")), testing::EndsWith("hello")); }
};

TEST_F(TlsRude, SpeaksNothingOldOrWeak) {
  start();
  const auto at_most = [&](int version) {
    const auto with = context();
    SSL_CTX_set_min_proto_version(with.get(), TLS1_VERSION);
    SSL_CTX_set_max_proto_version(with.get(), version);
    return agreed(with.get());
  };
  EXPECT_EQ(at_most(TLS1_3_VERSION), "TLSv1.3 TLS_AES_128_GCM_SHA256");
  EXPECT_THAT(at_most(TLS1_2_VERSION), StartsWith("TLSv1.2 ECDHE-ECDSA-AES"));
  EXPECT_EQ(at_most(TLS1_1_VERSION), "");
  EXPECT_EQ(at_most(TLS1_VERSION), "");
  for (const auto* weak : {"AES128-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-SHA256",
                           "aNULL", "eNULL", "PSK"}) {
    const auto with = context();
    SSL_CTX_set_max_proto_version(with.get(), TLS1_2_VERSION);
    SSL_CTX_set_cipher_list(with.get(), weak);
    EXPECT_EQ(agreed(with.get()), "") << weak;
  }
  expect_that_others_are_served();
}

TEST_F(TlsRude, ResumesAndDoesNotRenegotiate) {
  start();
  const auto with = context();
  SSL_CTX_set_max_proto_version(with.get(), TLS1_2_VERSION);
  SSL_CTX_set_session_cache_mode(with.get(), SSL_SESS_CACHE_CLIENT);
  SSL_SESSION* session = nullptr;
  for (const bool again : {false, true}) {
    const auto fd = connected();
    const SslPtr ssl(SSL_new(with.get()));
    SSL_set_fd(ssl.get(), fd.get());
    if (again) SSL_set_session(ssl.get(), session);
    ASSERT_EQ(SSL_connect(ssl.get()), 1);
    EXPECT_EQ(SSL_session_reused(ssl.get()), again ? 1 : 0);
    if (!again) {
      session = SSL_get1_session(ssl.get());
      SSL_shutdown(ssl.get());  // without it, OpenSSL does not take it up again
      continue;
    }
    EXPECT_EQ(SSL_get_secure_renegotiation_support(ssl.get()), 1);
    SSL_renegotiate(ssl.get());
    EXPECT_NE(SSL_do_handshake(ssl.get()), 1);
  }
  SSL_SESSION_free(session);
}

TEST_F(TlsRude, SaysInPlainHttpThatThisPortSpeaksHttps) {
  start();
  const auto fd = connected();
  const auto request = get("/hello");
  ASSERT_GT(::send(fd.get(), request.data(), request.size(), MSG_NOSIGNAL), 0);
  const auto answer = read_all(fd);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(answer, HasSubstr("this port speaks HTTPS"));
  expect_that_others_are_served();
}

TEST_F(TlsRude, EndsHandshakesThatBreakOff) {
  options_.header_time_max = 300;
  start();
  const std::string shapes[] = {
      std::string("\x16\x03\x01", 3),                               // a hello that does not come
      std::string("\x16\x03\x01\xff\xff", 5) + "garbage",           // a record longer than records can be
      std::string("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", 10),  // a truncated hello
      std::string("\x16\x03\x01\x00\x00", 5),                       // an empty record
      std::string("\x15\x03\x01\x00\x02\x02\x28", 7),               // an alert first: not TLS for us
      std::string("\x16", 1),
  };
  for (const auto& bytes : shapes) {
    const auto fd = connected();
    ASSERT_GT(::send(fd.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), 0);
    read_all(fd);  // returns only because the server closes
  }
  {
    const auto silent = connected();
    EXPECT_EQ(read_all(silent), "");
  }
  expect_that_others_are_served();
}

TEST_F(TlsRude, ManySlowHandshakesKeepNobodyOut) {
  options_.connections_max = 200;
  start();
  std::vector<Fd> slow;
  for (int i = 0; i < 400; ++i) {
    slow.push_back(connected());
    ::send(slow.back().get(), "\x16\x03\x01", 3, MSG_NOSIGNAL);
    if (i % 100 == 0) expect_that_others_are_served();
  }
  expect_that_others_are_served();
}

TEST_F(TlsRude, ServesAClientThatSendsByteByByteInRecordsOfOne) {
  start();
  const auto with = context();
  const auto fd = connected();
  const SslPtr ssl(SSL_new(with.get()));
  SSL_set_fd(ssl.get(), fd.get());
  ASSERT_EQ(SSL_connect(ssl.get()), 1);
  for (const char c : post("/echo", "twenty bytes of body")) ASSERT_EQ(SSL_write(ssl.get(), &c, 1), 1);
  std::string answer;
  char piece[4096];
  while (!answer.ends_with("body"))
    if (const int n = SSL_read(ssl.get(), piece, sizeof piece); n > 0)
      answer.append(piece, std::size_t(n));
    else
      break;
  EXPECT_THAT(answer, testing::EndsWith("twenty bytes of body"));
}

// What was decrypted at once and not yet read must not wait for the socket, which has nothing more.
TEST_F(TlsRude, SeesWhatIsLeftOfARecord) {
  start();
  Client client(*server_);
  const std::string body(900, 'b');
  client.send(post("/echo", body) + post("/echo", body) + get("/hello"));
  EXPECT_THAT(client.response(), testing::EndsWith(body));
  EXPECT_THAT(client.response(), testing::EndsWith(body));
  EXPECT_THAT(client.response(), testing::EndsWith("hello"));
}

TEST_F(TlsRude, KeysMayChangeInTheMidstOfAnAnswer) {
  start();
  const auto with = context();
  const auto fd = connected();
  const SslPtr ssl(SSL_new(with.get()));
  SSL_set_fd(ssl.get(), fd.get());
  ASSERT_EQ(SSL_connect(ssl.get()), 1);
  const auto request = get("/large");
  ASSERT_GT(SSL_write(ssl.get(), request.data(), int(request.size())), 0);
  std::string answer;
  std::vector<char> piece(64 * 1024);
  const auto body = [&] {
    const auto head = answer.find("\r\n\r\n");
    return head == std::string::npos ? 0 : answer.size() - head - 4;
  };
  for (int reads = 0; body() < large().size(); ++reads) {
    const int n = SSL_read(ssl.get(), piece.data(), int(piece.size()));
    ASSERT_GT(n, 0) << body();
    answer.append(piece.data(), std::size_t(n));
    if (reads % 20 == 0) {
      ASSERT_EQ(SSL_key_update(ssl.get(), SSL_KEY_UPDATE_REQUESTED), 1);
      ASSERT_EQ(SSL_do_handshake(ssl.get()), 1);
    }
  }
  EXPECT_EQ(body(), large().size());
  const auto last = get("/hello", "Connection: close\r\n");
  ASSERT_GT(SSL_write(ssl.get(), last.data(), int(last.size())), 0);
  int n = 0;
  while ((n = SSL_read(ssl.get(), piece.data(), int(piece.size()))) > 0) continue;
  EXPECT_EQ(SSL_get_error(ssl.get(), n), SSL_ERROR_ZERO_RETURN) << "the end is said";
}

TEST_F(TlsRude, CutOffInEachStateItLosesNothingButThatClient) {
  start();
  for (const int bytes : {1, 5, 50, 300}) {
    const auto with = context();
    const auto fd = connected();
    const SslPtr ssl(SSL_new(with.get()));
    BIO *here = nullptr, *wire = nullptr;
    BIO_new_bio_pair(&here, 0, &wire, 0);
    SSL_set_bio(ssl.get(), here, here);
    SSL_connect(ssl.get());
    char hello[4096];
    const int size = BIO_read(wire, hello, sizeof hello);
    ASSERT_GT(size, 0);
    ::send(fd.get(), hello, std::size_t(std::min(bytes, size)), MSG_NOSIGNAL);
    BIO_free(wire);
  }
  {
    Client client(*server_);
    client.send(get("/large"));
    client.read_bytes(100'000);
    client.reset();
  }
  {
    Client client(*server_);
    client.send("GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(diary_.next(), "waiting");
    client.close();
    EXPECT_EQ(diary_.next(), "client gone");
  }
  expect_that_others_are_served();
}

TEST_F(TlsRude, ACertificateIsChangedUnderManyConnectionsWithoutALostRequest) {
  TemporaryDirectory directory;
  const Millis now = SystemClock().wall();
  const auto authority = tls::Authority::open(directory.path(), now).value();
  const auto files = authority.server_files({"127.0.0.1"}, now).value();
  options_.tls = std::make_shared<tls::ServerContext>(files, tls::load_server_identity(files, now).value());
  options_.listen.front().tls = true;
  router_.add(Method::get, "/hello", [](Request&) -> awaitable<Response> { co_return ok("hello"); });
  server_.emplace(options_, router_);
  server_->start();
  ContextPtr with(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_load_verify_file(with.get(), authority.certificate_file().c_str());
  SSL_CTX_set_verify(with.get(), SSL_VERIFY_PEER, nullptr);
  std::vector<std::pair<Fd, SslPtr>> clients;
  const auto join = [&] {
    auto fd = connected();
    SslPtr ssl(SSL_new(with.get()));
    SSL_set_fd(ssl.get(), fd.get());
    EXPECT_EQ(SSL_connect(ssl.get()), 1);
    const tls::X509Ptr shown(SSL_get1_peer_certificate(ssl.get()));
    clients.emplace_back(std::move(fd), std::move(ssl));
    return tls::describe(shown.get()).pin;
  };
  const auto ask_all = [&] {
    int answered = 0;
    const auto request = get("/hello");
    for (auto& [fd, ssl] : clients) EXPECT_GT(SSL_write(ssl.get(), request.data(), int(request.size())), 0);
    char piece[4096];
    for (auto& [fd, ssl] : clients) {
      const int n = SSL_read(ssl.get(), piece, sizeof piece);
      answered += n > 0 && std::string_view(piece, std::size_t(n)).ends_with("hello");
    }
    return answered;
  };
  std::string first;
  for (int i = 0; i < 1'000; ++i) first = join();
  EXPECT_EQ(ask_all(), 1'000);
  std::filesystem::remove(files.certificate);
  EXPECT_FALSE(options_.tls->reload(now));
  EXPECT_EQ(join(), first) << "the old one goes on";
  ASSERT_TRUE(authority.server_files({"127.0.0.1"}, now));
  ASSERT_TRUE(options_.tls->reload(now));
  EXPECT_NE(join(), first);
  EXPECT_EQ(ask_all(), 1'002);
}

}  // namespace
}  // namespace geres::http
