// SPDX-License-Identifier: Apache-2.0
// Signatures that AWS has published, of S3's documentation ("Signature Calculations for the Authorization Header" and
// "Authenticating Requests: Using Query Parameters"), of the general test suite and of IAM's.
#include "objects/sigv4.h"

#include <gtest/gtest.h>

#include "base/sha256.h"

namespace geres::objects {
namespace {

const AwsKeys kExample{"AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", {}, {}};
const Millis kDay = parse_time("2013-05-24T00:00:00Z").value();

AwsRequest example(std::string method, std::string path, std::string_view body = {}) {
  AwsRequest request{std::move(method), std::move(path), {}, {{"host", "examplebucket.s3.amazonaws.com"}}, {}};
  request.payload = sha256_hex(body);
  request.headers["x-amz-content-sha256"] = request.payload;
  return request;
}

std::string signature_of(AwsRequest request, const AwsKeys& keys = kExample, Millis at = kDay,
                         const std::string& service = "s3") {
  sign(request, keys, {"us-east-1", service}, at);
  const auto& header = request.headers.at("authorization");
  return header.substr(header.find("Signature=") + 10);
}

TEST(SigV4, AnObjectWithARange) {
  auto request = example("GET", "/test.txt");
  request.headers["range"] = "bytes=0-9";
  sign(request, kExample, {"us-east-1"}, kDay);
  EXPECT_EQ(request.headers.at("authorization"),
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
            "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
            "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
  EXPECT_EQ(request.headers.at("x-amz-date"), "20130524T000000Z");
}

TEST(SigV4, AnUploadWhosePathIsEscaped) {
  auto request = example("PUT", "/" + transport::escaped("test$file.text"), "Welcome to Amazon S3.");
  request.headers["date"] = "Fri, 24 May 2013 00:00:00 GMT";
  request.headers["x-amz-storage-class"] = "REDUCED_REDUNDANCY";
  EXPECT_EQ(signature_of(request), "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
}

TEST(SigV4, AQueryIsSortedAndItsNamesWithoutValueKeepTheirEqualsSign) {
  auto request = example("GET", "/");
  request.query = {{"lifecycle", ""}};
  EXPECT_EQ(canonical_query(request.query), "lifecycle=");
  EXPECT_EQ(signature_of(request), "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
  request.query = {{"prefix", "J"}, {"max-keys", "2"}};
  EXPECT_EQ(canonical_query(request.query), "max-keys=2&prefix=J");
  EXPECT_EQ(signature_of(request), "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

TEST(SigV4, ALink) {
  const AwsRequest request{"GET", "/test.txt", {}, {{"host", "examplebucket.s3.amazonaws.com"}}, {}};
  EXPECT_EQ(presigned_query(request, kExample, {"us-east-1"}, kDay, 86'400),
            "X-Amz-Algorithm=AWS4-HMAC-SHA256"
            "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
            "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
            "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
}

TEST(SigV4, OtherServicesToo) {
  const AwsKeys keys{"AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", {}, {}};
  const auto at = parse_time("2015-08-30T12:36:00Z").value();
  AwsRequest vanilla{"GET", "/", {}, {{"host", "example.amazonaws.com"}}, kEmptyPayload};
  EXPECT_EQ(signature_of(vanilla, keys, at, "service"),
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
  AwsRequest users{
      "GET",
      "/",
      {{"Version", "2010-05-08"}, {"Action", "ListUsers"}},
      {{"host", "iam.amazonaws.com"}, {"content-type", "application/x-www-form-urlencoded; charset=utf-8"}},
      kEmptyPayload};
  EXPECT_EQ(signature_of(users, keys, at, "iam"), "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7");
}

TEST(SigV4, TemporaryKeysBringTheirToken) {
  auto keys = kExample;
  keys.session_token = "a/token==";
  auto request = example("GET", "/test.txt");
  sign(request, keys, {"us-east-1"}, kDay);
  EXPECT_EQ(request.headers.at("x-amz-security-token"), "a/token==");
  EXPECT_NE(request.headers.at("authorization").find("x-amz-date;x-amz-security-token,"), std::string::npos);
  const auto query = presigned_query(example("GET", "/test.txt"), keys, {"us-east-1"}, kDay, 60);
  EXPECT_NE(query.find("&X-Amz-Security-Token=a%2Ftoken%3D%3D&"), std::string::npos) << query;
}

TEST(SigV4, BlanksInAHeaderDoNotCount) {
  auto one = example("GET", "/"), other = example("GET", "/");
  one.headers["x-amz-meta-words"] = "two words";
  other.headers["x-amz-meta-words"] = "  two    words ";
  EXPECT_EQ(signature_of(one), signature_of(other));
}

}  // namespace
}  // namespace geres::objects
