// SPDX-License-Identifier: Apache-2.0
// What every store of blobs must do, written once. A store's test file includes this and provides a struct with
//     std::unique_ptr<Blobs> open();    the store; on further calls the same store, as after a restart
//     void name(tenant, sha256);        from now on something names that blob
//     Millis now();                     a wall time after everything committed so far
//     std::size_t sweep(Blobs&, Millis before, const std::function<void()>& meanwhile = {});
//                                       as often as it takes until what can go is gone; returns how many went.
//                                       `meanwhile` is called when the sweep has found what it wants to remove
// and instantiates INSTANTIATE_TYPED_TEST_SUITE_P(Directory, BlobsContract, DirectoryFixture);
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/sha256.h"
#include "hub/packages/blobs.h"

namespace geres::hub::packages {

inline std::string content_of(OpenBlob& blob) {
  std::string content(blob.size, '\0');
  std::size_t done = 0;
  while (done < content.size()) {
    const auto got = ::read(blob.fd.get(), content.data() + done, content.size() - done);
    if (got <= 0) break;
    done += std::size_t(got);
  }
  content.resize(done);
  return content;
}

inline Result<Blob> put(Blobs& blobs, std::string_view tenant, std::string_view content) {
  auto upload = blobs.begin(tenant);
  if (!upload) return upload.error();
  if (auto written = (*upload)->write(content); !written) return written.error();
  return (*upload)->commit();
}

template <class Fixture>
class BlobsContract : public ::testing::Test {
 protected:
  Fixture fixture_;
  std::unique_ptr<Blobs> blobs_ = fixture_.open();
};
TYPED_TEST_SUITE_P(BlobsContract);

TYPED_TEST_P(BlobsContract, WhatIsCommittedIsThereAlsoAfterARestart) {
  auto upload = this->blobs_->begin("acme").value();
  ASSERT_TRUE(upload->write("hello "));
  ASSERT_TRUE(upload->write("world"));
  EXPECT_EQ(upload->size(), 11u);
  EXPECT_EQ(read_file(upload->file()), "hello world");
  const auto sha = sha256_hex("hello world");
  EXPECT_FALSE(this->blobs_->has("acme", sha));  // not before the commit
  const auto blob = upload->commit(sha).value();
  upload.reset();
  EXPECT_EQ(blob.sha256, sha);
  EXPECT_EQ(blob.size, 11u);
  this->blobs_.reset();
  this->blobs_ = this->fixture_.open();
  EXPECT_EQ(this->blobs_->find("acme", sha).value().size, 11u);
  auto open = this->blobs_->open("acme", sha).value();
  EXPECT_EQ(content_of(open), "hello world");
}

TYPED_TEST_P(BlobsContract, AnotherDigestThanAnnouncedIsRefusedAndLeavesNothing) {
  {
    auto upload = this->blobs_->begin("acme").value();
    ASSERT_TRUE(upload->write("hello"));
    const auto refused = upload->commit(sha256_hex("other"));
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, Code::badValue);
  }
  EXPECT_FALSE(this->blobs_->has("acme", sha256_hex("hello")));
  EXPECT_FALSE(this->blobs_->has("acme", sha256_hex("other")));
}

TYPED_TEST_P(BlobsContract, AnAbandonedUploadLeavesNothing) {
  std::filesystem::path file;
  {
    auto upload = this->blobs_->begin("acme").value();
    file = upload->file();
    ASSERT_TRUE(upload->write("hello"));
    ASSERT_TRUE(std::filesystem::exists(file));
  }
  EXPECT_FALSE(std::filesystem::exists(file));
  EXPECT_FALSE(this->blobs_->has("acme", sha256_hex("hello")));
}

TYPED_TEST_P(BlobsContract, TenantsAreApart) {
  const auto blob = put(*this->blobs_, "acme", "hello").value();
  EXPECT_FALSE(this->blobs_->has("other", blob.sha256));
  EXPECT_EQ(this->blobs_->open("other", blob.sha256).error().code, Code::unknownFile);
  EXPECT_TRUE(this->blobs_->has("acme", blob.sha256));
}

TYPED_TEST_P(BlobsContract, TheSameContentTwiceIsOneBlob) {
  const auto first = put(*this->blobs_, "acme", "hello").value();
  auto open = this->blobs_->open("acme", first.sha256).value();
  EXPECT_EQ(put(*this->blobs_, "acme", "hello").value().sha256, first.sha256);
  EXPECT_EQ(content_of(open), "hello");
  EXPECT_EQ(this->fixture_.sweep(*this->blobs_, this->fixture_.now()), 1u);
  EXPECT_FALSE(this->blobs_->has("acme", first.sha256));
}

TYPED_TEST_P(BlobsContract, AnEmptyBlobIsABlob) {
  const auto blob = put(*this->blobs_, "acme", "").value();
  EXPECT_EQ(blob.sha256, sha256_hex(""));
  EXPECT_EQ(this->blobs_->find("acme", blob.sha256).value().size, 0u);
}

TYPED_TEST_P(BlobsContract, NamesThatAreNoneAreRefused) {
  const auto sha = put(*this->blobs_, "acme", "hello").value().sha256;
  for (const std::string tenant : {"", "..", "../acme", "a/b", ".hidden", "acme/", "acme\n", "a..b"}) {
    EXPECT_EQ(this->blobs_->begin(tenant).error().code, Code::badValue) << tenant;
    EXPECT_FALSE(this->blobs_->has(tenant, sha)) << tenant;
  }
  EXPECT_FALSE(this->blobs_->has(std::string("acme\0x", 6), sha));
  for (const auto& digest : std::vector<std::string>{std::string(), std::string("../../x"), sha + "0", sha.substr(1),
                                                     std::string(64, 'g'), std::string(64, 'A')}) {
    EXPECT_FALSE(this->blobs_->has("acme", digest)) << digest;
    EXPECT_EQ(this->blobs_->open("acme", digest).error().code, Code::unknownFile) << digest;
  }
}

TYPED_TEST_P(BlobsContract, ASweepTakesWhatIsOldAndNotNamed) {
  const auto kept = put(*this->blobs_, "acme", "kept").value().sha256;
  const auto loose = put(*this->blobs_, "acme", "loose").value().sha256;
  const auto theirs = put(*this->blobs_, "other", "loose").value().sha256;
  this->fixture_.name("acme", kept);
  this->fixture_.name("other", theirs);
  EXPECT_EQ(this->fixture_.sweep(*this->blobs_, this->fixture_.now() - 3'600'000), 0u) << "too young";
  EXPECT_EQ(this->fixture_.sweep(*this->blobs_, this->fixture_.now()), 1u);
  EXPECT_TRUE(this->blobs_->has("acme", kept));
  EXPECT_FALSE(this->blobs_->has("acme", loose));
  EXPECT_EQ(this->blobs_->open("acme", loose).error().code, Code::unknownFile);
  EXPECT_TRUE(this->blobs_->has("other", theirs));
  EXPECT_EQ(put(*this->blobs_, "acme", "loose").value().sha256, loose);
  auto again = this->blobs_->open("acme", loose).value();
  EXPECT_EQ(content_of(again), "loose") << "it can come again";
}

TYPED_TEST_P(BlobsContract, ABlobCommittedAnewDuringASweepStays) {
  const auto sha = put(*this->blobs_, "acme", "hello").value().sha256;
  const auto before = this->fixture_.now();
  bool called = false;
  EXPECT_EQ(this->fixture_.sweep(*this->blobs_, before,
                                 [&] {
                                   called = true;
                                   EXPECT_TRUE(put(*this->blobs_, "acme", "hello"));
                                 }),
            0u);
  EXPECT_TRUE(called);
  EXPECT_TRUE(this->blobs_->has("acme", sha));
  auto open = this->blobs_->open("acme", sha).value();
  EXPECT_EQ(content_of(open), "hello");
}

TYPED_TEST_P(BlobsContract, ManyThreadsAtOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([this, t] {
      for (int i = 0; i < 20; ++i)
        EXPECT_TRUE(put(*this->blobs_, "acme", std::to_string(i % 2 ? i : i + 100 * t)));  // some shared, some not
    });
  for (auto& thread : threads) thread.join();
  for (int i = 1; i < 20; i += 2) EXPECT_TRUE(this->blobs_->has("acme", sha256_hex(std::to_string(i))));
}

TYPED_TEST_P(BlobsContract, KnowsItsSpace) {
  const auto space = this->blobs_->space();
  EXPECT_GT(space.total_bytes, 0u);
  EXPECT_LE(space.free_bytes, space.total_bytes);
}

REGISTER_TYPED_TEST_SUITE_P(BlobsContract, WhatIsCommittedIsThereAlsoAfterARestart,
                            AnotherDigestThanAnnouncedIsRefusedAndLeavesNothing, AnAbandonedUploadLeavesNothing,
                            TenantsAreApart, TheSameContentTwiceIsOneBlob, AnEmptyBlobIsABlob,
                            NamesThatAreNoneAreRefused, ASweepTakesWhatIsOldAndNotNamed,
                            ABlobCommittedAnewDuringASweepStays, ManyThreadsAtOnce, KnowsItsSpace);

}  // namespace geres::hub::packages
