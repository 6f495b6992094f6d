// SPDX-License-Identifier: Apache-2.0
// What any store must do, part seven: which blobs there are.
#pragma once

#include "hub/store/store_fixture.h"

namespace geres::hub::store::contract {

TEST_P(StoreContract, KeepsBlobs) {
  const BlobKey one{"acme", std::string(64, 'a')}, two{"acme", std::string(64, 'b')}, other{"other", one.sha256};
  const BlobRow arriving{one, 10, BlobState::arriving, 100}, there{one, 10, BlobState::there, 300};
  tick({.blobs = {arriving, {two, 20, BlobState::there, 200}, {other, 10, BlobState::there, 200}}});
  const std::vector<BlobKey> keys{one, {"nobody", one.sha256}, other};
  reopen();
  EXPECT_EQ(reads().blobs(keys).at(0), arriving);
  EXPECT_FALSE(reads().blobs(keys).at(1));
  EXPECT_EQ(reads().blobs(keys).at(2).value().size, 10);
  tick({.blobs = {there}});
  EXPECT_EQ(inside([&] { return store->blob(one); }), there) << "the newer one counts";
  tick({.blobs_removed = {one}});
  EXPECT_FALSE(inside([&] { return store->blob(one); }));
  EXPECT_TRUE(inside([&] { return store->blob(other); })) << "another tenant's";
}

TEST_P(StoreContract, WalksBlobsByStateAndTime) {
  const auto row = [](char digit, BlobState state, Millis at, const char* tenant = "acme") {
    return BlobRow{{tenant, std::string(64, digit)}, 1, state, at};
  };
  const auto first = row('c', BlobState::there, 100), second = row('a', BlobState::there, 200),
             third = row('b', BlobState::there, 200), fourth = row('a', BlobState::there, 200, "bcme");
  tick({.blobs = {fourth, third, second, first, row('d', BlobState::fading, 50), row('e', BlobState::there, 300)}});
  const auto since = [&](Millis before, const BlobRow& after, std::size_t max) {
    return inside([&] { return store->blobs_since(BlobState::there, before, after, max); });
  };
  EXPECT_EQ(since(300, {}, 10), (std::vector{first, second, third, fourth}));
  EXPECT_EQ(since(300, {}, 2), (std::vector{first, second}));
  EXPECT_EQ(since(300, second, 10), (std::vector{third, fourth}));
  EXPECT_EQ(since(200, {}, 10), std::vector{first});
  EXPECT_TRUE(since(300, fourth, 10).empty());
}

}  // namespace geres::hub::store::contract
