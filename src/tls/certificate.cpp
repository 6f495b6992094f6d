// SPDX-License-Identifier: Apache-2.0
#include "tls/certificate.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <ctime>
#include <system_error>

#include "base/file.h"
#include "base/sha256.h"
#include "tls/openssl.h"

namespace geres::tls {
namespace {

std::string name_text(const X509_NAME* name) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  return text_of(bio.get());
}

std::string string_text(const ASN1_STRING* raw) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(raw)), std::size_t(ASN1_STRING_length(raw))};
}

std::string common_name_of(const X509_NAME* name) {
  int last = -1;
  for (int at = -1; (at = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0;) last = at;
  return last < 0 ? std::string() : string_text(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last)));
}

Millis wall_of(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return Millis(::timegm(&parts)) * 1'000;
}

std::string address_text(const ASN1_OCTET_STRING* raw) {
  char text[INET6_ADDRSTRLEN] = "";
  const int family = ASN1_STRING_length(raw) == 4 ? AF_INET : AF_INET6;
  if (ASN1_STRING_length(raw) != 4 && ASN1_STRING_length(raw) != 16) return {};
  return ::inet_ntop(family, ASN1_STRING_get0_data(raw), text, sizeof text) == nullptr ? "" : text;
}

void add_names(X509* from, Certificate& to) {
  const std::unique_ptr<GENERAL_NAMES, Freed<GENERAL_NAMES_free>> names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(from, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_DNS) to.names.push_back(string_text(name->d.dNSName));
    if (name->type == GEN_IPADD) to.names.push_back(address_text(name->d.iPAddress));
    if (name->type == GEN_URI) to.uris.push_back(string_text(name->d.uniformResourceIdentifier));
  }
}

std::string pin_of(X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
  if (size <= 0) return {};
  const std::string_view bytes(reinterpret_cast<const char*>(der), std::size_t(size));
  auto pin = "sha256:" + sha256_hex(bytes);
  OPENSSL_free(der);
  return pin;
}

}  // namespace

std::string host_named(const Certificate& certificate) {
  constexpr std::string_view kHost = "geres://host/";
  for (const auto& uri : certificate.uris)
    if (uri.starts_with(kHost)) return uri.substr(kHost.size());
  return certificate.common_name;
}

Certificate describe(X509* certificate) {
  Certificate said;
  said.subject = name_text(X509_get_subject_name(certificate));
  said.common_name = common_name_of(X509_get_subject_name(certificate));
  said.issuer = name_text(X509_get_issuer_name(certificate));
  said.from = wall_of(X509_get0_notBefore(certificate));
  said.until = wall_of(X509_get0_notAfter(certificate));
  said.pin = pin_of(certificate);
  add_names(certificate, said);
  return said;
}

bool is_pin(std::string_view text) {
  return text.starts_with("sha256:") && is_sha256_hex(text.substr(7));
}

Result<std::vector<Certificate>> read_certificates(const std::filesystem::path& file) {
  std::string text;
  try {
    text = read_file(file);
  } catch (const std::system_error& error) {
    return fail(Code::unknownFile, fmt::format("'{}' cannot be read: {}", file.string(), error.code().message()));
  }
  std::vector<Certificate> all;
  const auto bio = bio_of(text);
  while (const X509Ptr certificate{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)})
    all.push_back(describe(certificate.get()));
  ERR_clear_error();
  if (all.empty()) return fail(Code::badValue, fmt::format("'{}' has no certificate in PEM", file.string()));
  return all;
}

std::string day_of(Millis wall) {
  const std::time_t seconds = wall / 1'000;
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday);
}

std::string listed(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 4;
  if (names.empty()) return "no name";
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kMost); ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kMost) text += fmt::format(" and {} more", names.size() - kMost);
  return text;
}

}  // namespace geres::tls
