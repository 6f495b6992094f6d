// SPDX-License-Identifier: Apache-2.0
// Times as HTTP writes them, and addresses that look like this machine.
#include "objects/http_date.h"

#include <gtest/gtest.h>

#include "objects/address.h"
#include "transport/call.h"

namespace geres::objects {
namespace {

TEST(HttpDate, ReadsWhatItWrites) {
  EXPECT_EQ(http_date(1'796'045'957'999), "Mon, 30 Nov 2026 13:39:17 GMT");
  EXPECT_EQ(http_date(784'111'777'000), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(transport::http_time(http_date(1'796'045'957'000)), 1'796'045'957'000);
}

TEST(Address, LoopbackIsAnAddressNotAName) {
  for (const auto* url : {"http://127.0.0.1", "http://127.1.2.3:80/a", "http://localhost:1", "http://[::1]:80/"})
    EXPECT_TRUE(on_loopback(url)) << url;
  for (const auto* url : {"http://127.0.0.1.example", "http://localhost.example", "http://10.0.0.1", "http://[::2]",
                          "http://localhost@a.example", "http://a.example/127.0.0.1", "http://127.x"})
    EXPECT_FALSE(on_loopback(url)) << url;
}

}  // namespace
}  // namespace geres::objects
