// SPDX-License-Identifier: Apache-2.0
// What every store of blobs must do, written once. A store's test file includes this and provides a struct with
//     std::unique_ptr<Blobs> open();    the store; on further calls the same store, as after a restart
//     Millis now();                     a wall time after everything committed so far
// and instantiates INSTANTIATE_TYPED_TEST_SUITE_P(Directory, BlobsContract, DirectoryFixture);
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

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
  EXPECT_FALSE(this->blobs_->remove("other", blob.sha256));
  EXPECT_TRUE(this->blobs_->has("acme", blob.sha256));
}

TYPED_TEST_P(BlobsContract, TheSameContentTwiceIsOneBlob) {
  const auto first = put(*this->blobs_, "acme", "hello").value();
  auto open = this->blobs_->open("acme", first.sha256).value();
  EXPECT_EQ(put(*this->blobs_, "acme", "hello").value().sha256, first.sha256);
  EXPECT_EQ(content_of(open), "hello");
  EXPECT_TRUE(this->blobs_->remove("acme", first.sha256));
  EXPECT_FALSE(this->blobs_->remove("acme", first.sha256));
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
    EXPECT_FALSE(this->blobs_->remove("acme", digest)) << digest;
  }
}

TYPED_TEST_P(BlobsContract, SweepTakesWhatIsOldAndNotKept) {
  const auto kept = put(*this->blobs_, "acme", "kept").value().sha256;
  const auto loose = put(*this->blobs_, "acme", "loose").value().sha256;
  const auto theirs = put(*this->blobs_, "other", "loose").value().sha256;
  std::vector<std::string> asked;
  const auto keep = [&](std::string_view tenant, std::string_view sha256) {
    asked.push_back(std::string(tenant) + "/" + std::string(sha256));
    return tenant == "other" || sha256 == kept;
  };
  EXPECT_EQ(this->blobs_->sweep(this->fixture_.now() - 3'600'000, keep), 0u);  // too young, so `keep` is not asked
  EXPECT_TRUE(asked.empty());
  EXPECT_EQ(this->blobs_->sweep(this->fixture_.now(), keep), 1u);
  EXPECT_EQ(asked.size(), 3u);
  EXPECT_TRUE(this->blobs_->has("acme", kept));
  EXPECT_FALSE(this->blobs_->has("acme", loose));
  EXPECT_TRUE(this->blobs_->has("other", theirs));
}

TYPED_TEST_P(BlobsContract, ABlobCommittedAnewDuringASweepStays) {
  const auto sha = put(*this->blobs_, "acme", "hello").value().sha256;
  const auto before = this->fixture_.now();
  const auto keep = [&](std::string_view, std::string_view) {
    EXPECT_TRUE(put(*this->blobs_, "acme", "hello"));
    return false;
  };
  EXPECT_EQ(this->blobs_->sweep(before, keep), 0u);
  EXPECT_TRUE(this->blobs_->has("acme", sha));
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
                            NamesThatAreNoneAreRefused, SweepTakesWhatIsOldAndNotKept,
                            ABlobCommittedAnewDuringASweepStays, ManyThreadsAtOnce, KnowsItsSpace);

}  // namespace geres::hub::packages
