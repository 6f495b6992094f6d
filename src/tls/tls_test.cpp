// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/file.h"
#include "tls/authority.h"
#include "tls/openssl.h"
#include "tls/trust.h"

namespace geres::tls {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr Millis kDay = 86'400'000;
const std::vector<std::string> kNames = {"hub.example", "192.0.2.7"};

class Tls : public testing::Test {
 protected:
  // What the openssl command makes; `more` goes to `openssl req`.
  ServerFiles made(const std::string& name, const std::string& more) {
    const auto file = (directory_.path() / name).string();
    const auto command = "openssl req -x509 -newkey " + more + " -nodes -keyout " + file + ".key -out " + file +
                         ".pem -subj /CN=hub.example >/dev/null 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0) << command;
    return {file + ".pem", file + ".key", {}};
  }
  static std::string good_key() { return "ec -pkeyopt ec_paramgen_curve:P-256"; }
  static std::string named() { return " -addext subjectAltName=DNS:hub.example -days 30"; }
  std::string refusal(const ServerFiles& files, Millis now) {
    const auto loaded = load_server_identity(files, now);
    return loaded ? "" : loaded.error().field + ": " + loaded.error().message;
  }
  // One handshake in memory.
  std::string verdict(SSL_CTX* server, const Trust& trust, const std::string& host) {
    const std::unique_ptr<SSL_CTX, Freed<SSL_CTX_free>> client(SSL_CTX_new(TLS_client_method()));
    SSL_CTX_set_verify(client.get(), SSL_VERIFY_PEER, nullptr);
    if (!trust.ca_file.empty()) SSL_CTX_load_verify_file(client.get(), trust.ca_file.c_str());
    ServerCheck check(trust.ca_file.empty() ? trust.pin : "");
    check.watch(client.get());
    const std::unique_ptr<SSL, Freed<SSL_free>> here(SSL_new(client.get())), there(SSL_new(server));
    BIO *to_client = nullptr, *to_server = nullptr;
    BIO_new_bio_pair(&to_client, 0, &to_server, 0);
    SSL_set_bio(here.get(), to_client, to_client);
    SSL_set_bio(there.get(), to_server, to_server);
    SSL_set_connect_state(here.get());
    SSL_set_accept_state(there.get());
    // As libcurl does, the name is compared after the handshake.
    int result = 0;
    for (int i = 0; i < 20 && result != 1; ++i) result = SSL_do_handshake(here.get()), SSL_do_handshake(there.get());
    ERR_clear_error();
    const X509Ptr shown(SSL_get1_peer_certificate(here.get()));
    const bool named = shown && (X509_check_host(shown.get(), host.data(), host.size(), 0, nullptr) == 1 ||
                                 X509_check_ip_asc(shown.get(), host.c_str(), 0) == 1);
    if (result == 1 && named) return "trusted";
    const auto why = check.refusal(host);
    return why ? why->message + " | " + why->hint : "nothing was shown";
  }
  std::string verdict(const ServerFiles& files, const Trust& trust, const std::string& host = "hub.example") {
    return verdict(load_server_identity(files, now_).value().context.get(), trust, host);
  }

  TemporaryDirectory directory_;
  Millis now_ = SystemClock().wall();
};

TEST_F(Tls, AnAuthorityIsMadeOnceAndSignsForTheNamesThatItIsGiven) {
  const auto authority = Authority::open(directory_.path() / "tls", now_).value();
  EXPECT_TRUE(is_pin(authority.pin()));
  const auto files = authority.server_files(kNames, now_).value();
  const auto chain = read_certificates(files.certificate).value();
  ASSERT_EQ(chain.size(), 2u);
  EXPECT_THAT(chain[0].names, ElementsAre("hub.example", "192.0.2.7"));
  EXPECT_EQ(chain[1].pin, authority.pin());
  EXPECT_EQ(Authority::open(directory_.path() / "tls", now_).value().pin(), authority.pin());
  for (const auto* key : {"ca.key", "server.key"}) {
    struct stat about {};
    ASSERT_EQ(::stat((directory_.path() / "tls" / key).c_str(), &about), 0);
    EXPECT_EQ(about.st_mode & 07777, 0600u) << key;
  }
}

TEST_F(Tls, ItsServerCertificateIsRenewedInTimeAndForOtherNames) {
  const auto authority = Authority::open(directory_.path(), now_).value();
  const auto key_of = [&](const std::vector<std::string>& names, Millis now) {
    return read_certificates(authority.server_files(names, now).value().certificate).value().front().pin;
  };
  const auto first = key_of(kNames, now_);
  EXPECT_EQ(key_of(kNames, now_ + 59 * kDay), first);
  EXPECT_EQ(key_of({"192.0.2.7", "hub.example"}, now_), first) << "in another order";
  EXPECT_NE(key_of(kNames, now_ + 61 * kDay), first);
  const auto second = key_of(kNames, now_ + 61 * kDay);
  EXPECT_NE(key_of({"hub.example"}, now_ + 61 * kDay), second);
}

TEST_F(Tls, ADamagedAuthorityIsSaidAndNotReplaced) {
  const auto pin = Authority::open(directory_.path(), now_).value().pin();
  const auto good = read_file(directory_.path() / "ca.key");
  replace_file(directory_.path() / "ca.key", "no key", 0600);
  const auto opened = Authority::open(directory_.path(), now_);
  ASSERT_FALSE(opened);
  EXPECT_THAT(opened.error().message, HasSubstr("damaged"));
  replace_file(directory_.path() / "ca.key", good, 0600);
  EXPECT_EQ(Authority::open(directory_.path(), now_).value().pin(), pin);
}

TEST_F(Tls, SaysWhatIsWrongWithAServersFiles) {
  const auto good = made("good", good_key() + named());
  const auto other = made("other", good_key() + named());
  now_ += kDay;  // later than the certificates' first second, whatever the time
  EXPECT_EQ(refusal(good, now_), "");
  EXPECT_THAT(refusal({good.certificate, other.key, {}}, now_), HasSubstr("tls-key: the key in"));
  EXPECT_THAT(refusal({good.certificate, good.certificate, {}}, now_), HasSubstr("no private key in PEM"));
  EXPECT_THAT(refusal({good.key, good.key, {}}, now_), HasSubstr("tls-cert: "));
  EXPECT_THAT(refusal({directory_.path() / "absent.pem", good.key, {}}, now_), HasSubstr("cannot be read"));
  EXPECT_THAT(refusal({good.certificate, directory_.path() / "absent.key", {}}, now_), HasSubstr("tls-key: "));
  EXPECT_THAT(refusal(good, now_ + 31 * kDay), HasSubstr("expired on 20"));
  EXPECT_THAT(refusal(good, now_ - 2 * kDay), HasSubstr("is not valid before 20"));
  EXPECT_THAT(refusal(made("short", "rsa:1024" + named()), now_), HasSubstr("an RSA key of 1024 bits"));
  EXPECT_THAT(refusal(made("small", "ec -pkeyopt ec_paramgen_curve:P-192" + named()), now_),
              HasSubstr("an elliptic key of 192 bits"));
  EXPECT_THAT(refusal(made("old", good_key() + " -sha1" + named()), now_), HasSubstr("signed with"));
  EXPECT_THAT(refusal(made("nameless", good_key() + " -days 30"), now_), HasSubstr("names no host"));
  EXPECT_THAT(refusal({good.certificate, good.key, good.key}, now_), HasSubstr("tls-client-ca: "));
  EXPECT_EQ(refusal(made("rsa", "rsa:2048" + named()), now_), "");
}

TEST_F(Tls, AKeyWithAPassphraseIsRefusedAndNotAskedFor) {
  const auto good = made("good", good_key() + named());
  const auto locked = directory_.path() / "locked.key";
  const auto command = "openssl pkey -in " + good.key.string() + " -aes128 -passout pass:x -out " + locked.string();
  ASSERT_EQ(std::system(command.c_str()), 0);
  EXPECT_THAT(refusal({good.certificate, locked, {}}, now_), HasSubstr("without a passphrase"));
}

TEST_F(Tls, AReloadIsAllOrNothing) {
  const auto files = made("one", good_key() + named());
  now_ += kDay;
  const auto other = made("two", good_key() + named());
  ServerContext context(files, load_server_identity(files, now_).value());
  const auto first = context.current();
  const auto first_pin = context.certificate().pin;
  EXPECT_FALSE(context.files_changed());

  std::filesystem::copy_file(other.certificate, files.certificate, std::filesystem::copy_options::overwrite_existing);
  EXPECT_TRUE(context.files_changed());
  EXPECT_FALSE(context.reload(now_)) << "the key is the old one";
  EXPECT_FALSE(context.files_changed()) << "said once";
  EXPECT_EQ(context.current(), first);
  EXPECT_EQ(context.certificate().pin, first_pin);

  std::filesystem::copy_file(other.key, files.key, std::filesystem::copy_options::overwrite_existing);
  EXPECT_TRUE(context.files_changed());
  ASSERT_TRUE(context.reload(now_));
  EXPECT_NE(context.current(), first);
  EXPECT_NE(context.certificate().pin, first_pin);
  std::filesystem::remove(files.key);
  EXPECT_FALSE(context.reload(now_));
  EXPECT_NE(context.current(), nullptr);
}

TEST_F(Tls, AClientTrustsByFileOrByPinAndOnlyForTheNameThatItCalled) {
  const auto authority = Authority::open(directory_.path() / "tls", now_).value();
  const auto files = authority.server_files(kNames, now_).value();
  const Trust by_file{authority.certificate_file(), {}}, by_pin{{}, authority.pin()};
  EXPECT_EQ(verdict(files, by_file), "trusted");
  EXPECT_EQ(verdict(files, by_pin), "trusted");
  EXPECT_EQ(verdict(files, by_pin, "192.0.2.7"), "trusted");
  EXPECT_EQ(verdict(files, {{}, read_certificates(files.certificate).value().front().pin}), "trusted") << "its own key";
  EXPECT_THAT(verdict(files, by_file, "other.example"),
              HasSubstr("the certificate is not for 'other.example', but for hub.example, 192.0.2.7"));
  EXPECT_THAT(verdict(files, by_pin, "192.0.2.8"), HasSubstr("but for hub.example, 192.0.2.7"));
}

TEST_F(Tls, AClientSaysWhatWasExpectedAndWhatCame) {
  const auto authority = Authority::open(directory_.path() / "tls", now_).value();
  const auto files = authority.server_files(kNames, now_).value();
  const auto other = Authority::open(directory_.path() / "other", now_).value();
  const auto wrong_pin = verdict(files, {{}, other.pin()});
  EXPECT_THAT(wrong_pin, HasSubstr(other.pin() + " is pinned, "));
  EXPECT_THAT(wrong_pin, HasSubstr(authority.pin() + " (CN=GeRes hub at "));
  EXPECT_THAT(verdict(files, {other.certificate_file(), {}}), HasSubstr("--ca FILE with the certificate"));
  EXPECT_THAT(verdict(files, {}), HasSubstr("is not trusted: it comes from CN=GeRes hub at "));
  // What is pinned must have signed the server's certificate; that it comes along proves nothing.
  const auto foreign = made("foreign", good_key() + named());
  now_ += kDay;
  const auto text = read_file(foreign.certificate) + read_file(authority.certificate_file());
  replace_file(directory_.path() / "both.pem", text);
  EXPECT_THAT(verdict({directory_.path() / "both.pem", foreign.key, {}}, {{}, authority.pin()}),
              HasSubstr("is not trusted"));
  // Its own key is pinned, but the day has passed.
  const auto expired = authority.server_files({"hub.example"}, now_ - 100 * kDay).value();
  const auto pin = read_certificates(expired.certificate).value().front().pin;
  const auto old = load_server_identity(expired, now_ - 100 * kDay).value();
  EXPECT_THAT(verdict(old.context.get(), {{}, authority.pin()}, "hub.example"), HasSubstr("is out of date"));
  EXPECT_THAT(verdict(old.context.get(), {{}, pin}, "hub.example"), HasSubstr("is out of date"));
}

TEST_F(Tls, ChecksWhatAClientIsToTrust) {
  replace_file(directory_.path() / "empty.pem", "");
  EXPECT_EQ(check_trust({directory_.path() / "absent.pem", {}}).error().field, "ca");
  EXPECT_EQ(check_trust({directory_.path() / "empty.pem", {}}).error().field, "ca");
  EXPECT_EQ(check_trust({{}, "sha256:12"}).error().field, "ca-pin");
  EXPECT_EQ(check_trust({{}, "sha1:" + std::string(64, 'a')}).error().field, "ca-pin");
  EXPECT_TRUE(check_trust({{}, "sha256:" + std::string(64, 'a')}));
  EXPECT_TRUE(check_trust({}));
}

}  // namespace
}  // namespace geres::tls
