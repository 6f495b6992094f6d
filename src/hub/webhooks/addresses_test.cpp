// SPDX-License-Identifier: Apache-2.0
// Which addresses may be called, and what an operator can allow.
#include "hub/webhooks/addresses.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include "hub/webhooks/target.h"

namespace geres::hub::webhooks {
namespace {

std::string refused(const AddressRules& rules, const std::string& address, const std::string& host = "example.com") {
  return rules.refused(parse_address(address).value(), host);
}

TEST(Addresses, OnlyPublicOnesAreCalled) {
  const AddressRules rules;
  for (const char* address : {"127.0.0.1",
                              "127.255.0.3",
                              "0.0.0.0",
                              "10.0.0.1",
                              "172.16.0.1",
                              "172.31.255.255",
                              "192.168.1.1",
                              "169.254.169.254",
                              "100.64.0.1",
                              "198.18.0.1",
                              "224.0.0.1",
                              "255.255.255.255",
                              "::1",
                              "::",
                              "fe80::1",
                              "fc00::1",
                              "fd12::1",
                              "ff02::1",
                              "::ffff:127.0.0.1",
                              "::ffff:10.0.0.1",
                              "::127.0.0.1",
                              "64:ff9b::7f00:1",
                              "64:ff9b:1::1",
                              "2002:7f00:1::",
                              "2001::1",
                              "2001:db8::1",
                              "fec0::1",
                              "100::1",
                              "5f00::1"})
    EXPECT_NE(refused(rules, address), "") << address;
  for (const char* address : {"8.8.8.8", "172.32.0.1", "100.128.0.1", "1.1.1.1", "223.255.255.255", "2606:4700::1111",
                              "2a00:1450::1", "::ffff:8.8.8.8"})
    EXPECT_EQ(refused(rules, address), "") << address;
}

TEST(Addresses, AreAllowedByNetworkOrByName) {
  const auto rules = AddressRules::allowing({"10.1.0.0/16", "fd00::/8", "127.0.0.1", "Build.Example.com"}).value();
  EXPECT_EQ(refused(rules, "10.1.2.3"), "");
  EXPECT_EQ(refused(rules, "::ffff:10.1.2.3"), "");
  EXPECT_NE(refused(rules, "10.2.0.1"), "");
  EXPECT_EQ(refused(rules, "fd77::1"), "");
  EXPECT_EQ(refused(rules, "127.0.0.1"), "");
  EXPECT_NE(refused(rules, "127.0.0.2"), "");
  EXPECT_EQ(refused(rules, "127.0.0.2", "build.example.com"), "");
  EXPECT_NE(refused(rules, "127.0.0.2", "other.example.com"), "");
  for (const char* wrong : {"", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/x", "a/b", "fd00::/129", "http://x"})
    EXPECT_FALSE(AddressRules::allowing({wrong})) << wrong;
}

TEST(Addresses, AreReadAsTheKernelGivesThem) {
  sockaddr_in v4{};
  v4.sin_family = AF_INET;
  ::inet_pton(AF_INET, "10.0.0.1", &v4.sin_addr);
  EXPECT_EQ(address_of(reinterpret_cast<sockaddr*>(&v4)), parse_address("10.0.0.1"));
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  ::inet_pton(AF_INET6, "fd00::1", &v6.sin6_addr);
  EXPECT_EQ(address_of(reinterpret_cast<sockaddr*>(&v6)), parse_address("fd00::1"));
}

TEST(Targets, AreHttpAndPublic) {
  const AddressRules rules;
  for (const char* url : {"",
                          "x",
                          "/a",
                          "file:///etc/passwd",
                          "ftp://example.com/",
                          "gopher://example.com",
                          "http://",

                          "http://me@example.com/",
                          "http://me:secret@example.com/",
                          "http://127.0.0.1/",
                          "http://127.1",
                          "http://0x7f000001/",
                          "http://2130706433/",
                          "http://017700000001/",
                          "http://[::1]:80/",
                          "http://[::ffff:a00:1]/",
                          "http://localhost/",
                          "http://LOCALHOST./",
                          "http://a.localhost/",
                          "http://exa mple.com/",
                          "http://example.com/\r\nX: y",
                          "unix:/tmp/x"})
    EXPECT_FALSE(check_target(url, rules, "/url")) << url;
  const auto target = check_target("https://Example.com/hook?x=1#y", rules, "/url");
  ASSERT_TRUE(target);
  EXPECT_EQ(target->host, "example.com");
  EXPECT_EQ(target->origin, "https://example.com:443");
  EXPECT_TRUE(check_target("http://8.8.8.8:8080/", rules, "/url"));
  EXPECT_EQ(check_target("http://" + std::string(3'000, 'a'), rules, "/url").error().code, Code::tooLarge);
}

}  // namespace
}  // namespace geres::hub::webhooks
