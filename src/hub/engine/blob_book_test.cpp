// SPDX-License-Identifier: Apache-2.0
// A blob of which somebody was told that it is there is there, whatever the sweeper does meanwhile.
#include <algorithm>

#include "hub/engine/engine_fixture.h"

namespace geres::hub::engine {
namespace {

using store::BlobKey;
using store::BlobState;

class EngineBlobs : public EngineTest {
 protected:
  template <class Verb>
  Result<typename Verb::Out> ask(Verb verb) {
    Slot<typename Verb::Out> slot;
    engine->ask(std::move(verb), slot.answer());
    tick();
    return std::move(slot.result).value();
  }
  bool claim(const BlobKey& key) { return ask(ClaimBlob{key, 5}).value().there; }
  void upload(const BlobKey& key) {
    ASSERT_FALSE(claim(key));
    ASSERT_TRUE(ask(BlobArrived{key}));
  }
  // All slices of one state; what is to be removed.
  std::vector<BlobKey> sweep(BlobState state, std::size_t max = 200) {
    std::vector<BlobKey> remove;
    SweepBlobs verb{state, clock.wall() + 1, {}, max};
    while (true) {
      const auto slice = ask(verb).value();
      remove.insert(remove.end(), slice.remove.begin(), slice.remove.end());
      if (slice.last) return remove;
      verb.after = slice.next;
    }
  }
  std::optional<BlobState> state(const BlobKey& key) {
    const auto row = store->reads().blobs(std::vector{key}).at(0);
    return row ? std::optional(row->state) : std::nullopt;
  }
  static BlobKey key(char digit = 'f') { return {"acme", std::string(64, digit)}; }
};

TEST_F(EngineBlobs, ArriveAndAreThere) {
  EXPECT_FALSE(claim(key()));
  EXPECT_EQ(state(key()), BlobState::arriving);
  EXPECT_FALSE(claim(key())) << "a second upload of the same may be the one that arrives";
  EXPECT_TRUE(ask(BlobArrived{key()}));
  EXPECT_EQ(state(key()), BlobState::there);
  EXPECT_TRUE(claim(key()));
  EXPECT_FALSE(claim({"other", key().sha256})) << "of another tenant it is another blob";
}

TEST_F(EngineBlobs, WhatNothingNamesFadesAndGoes) {
  upload(key());
  EXPECT_TRUE(sweep(BlobState::there).empty());
  EXPECT_EQ(state(key()), BlobState::fading);
  EXPECT_EQ(sweep(BlobState::fading), std::vector{key()});
  EXPECT_EQ(state(key()), BlobState::removing);
  EXPECT_EQ(sweep(BlobState::removing), std::vector{key()}) << "until somebody says that it is gone";
  EXPECT_TRUE(ask(BlobsRemoved{{key()}}));
  EXPECT_FALSE(state(key()));
}

TEST_F(EngineBlobs, WhatIsNamedStays) {
  push();
  upload(key('a'));  // as push() names it
  EXPECT_TRUE(sweep(BlobState::there).empty());
  EXPECT_EQ(state(key('a')), BlobState::there);
}

TEST_F(EngineBlobs, WhatIsNamedWhileItFadesIsThereAgain) {
  upload(key('a'));
  sweep(BlobState::there);
  ASSERT_EQ(state(key('a')), BlobState::fading);
  push();  // names it
  EXPECT_TRUE(sweep(BlobState::fading).empty());
  EXPECT_EQ(state(key('a')), BlobState::there);
}

TEST_F(EngineBlobs, WhatIsClaimedWhileItFadesIsThereAtOnce) {
  upload(key());
  sweep(BlobState::there);
  EXPECT_TRUE(claim(key()));
  EXPECT_EQ(state(key()), BlobState::there);
}

TEST_F(EngineBlobs, WhatIsBeingRemovedHasToWait) {
  upload(key());
  sweep(BlobState::there);
  sweep(BlobState::fading);
  EXPECT_EQ(ask(ClaimBlob{key(), 5}).error().code, Code::notDone);
  EXPECT_EQ(ask(BlobArrived{key()}).error().code, Code::notDone);
  ASSERT_TRUE(ask(BlobsRemoved{{key()}}));
  EXPECT_FALSE(claim(key()));
  ASSERT_TRUE(ask(BlobsRemoved{{key()}})) << "said again, when another copy arrives";
  EXPECT_EQ(state(key()), BlobState::arriving);
}

TEST_F(EngineBlobs, AnUploadThatWasSweptAwayIsToldSo) {
  EXPECT_FALSE(claim(key()));
  sweep(BlobState::arriving);
  EXPECT_TRUE(ask(BlobArrived{key()})) << "it only fades";
  EXPECT_EQ(state(key()), BlobState::there);
  EXPECT_EQ(ask(BlobArrived{key('e')}).error().code, Code::notDone) << "never claimed";
}

TEST_F(EngineBlobs, ASweepGoesThroughAllInSlices) {
  std::vector<BlobKey> all;
  for (const char digit : {'0', '1', '2', '3', '4'}) upload(all.emplace_back(key(digit)));
  EXPECT_TRUE(sweep(BlobState::there, 2).empty());
  auto gone = sweep(BlobState::fading, 2);
  std::sort(gone.begin(), gone.end());
  EXPECT_EQ(gone, all);
}

}  // namespace
}  // namespace geres::hub::engine
