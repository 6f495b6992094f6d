// SPDX-License-Identifier: Apache-2.0
// One request to S3, signed anew for each of its tries, and tried again while what is wrong may pass by itself.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "objects/calls.h"
#include "objects/credentials.h"
#include "objects/s3.h"
#include "objects/s3_place.h"
#include "objects/s3_refusal.h"

namespace geres::objects {

// The bytes of a file that are a request's body.
struct FilePiece {
  std::shared_ptr<const Fd> file;
  std::uint64_t from = 0;
  std::uint64_t bytes = 0;
  std::string sha256;  // hex
};

struct S3Ask {
  S3Purpose purpose;
  std::string method = "GET";
  std::string key;  // with the store's prefix; empty: the bucket
  transport::Query query;
  std::map<std::string, std::string> headers;  // names in lower case; all are signed
  std::optional<std::string> body;
  std::optional<FilePiece> piece;  // instead of `body`
  bool late = false;               // the server works on it for long; 200 may still be an error, which is in the body
  std::optional<Millis> try_for;   // instead of Patience's
  std::function<bool(const transport::Reply& so_far)> head;
  std::function<transport::Take(std::string_view)> sink;
  // Before another try, which may need other headers. True: so much has been done meanwhile that patience begins anew.
  std::function<bool(S3Ask& ask)> again;
};

using S3Answer = boost::system::result<transport::Reply, S3Refusal>;
[[noreturn]] void throw_exception_from_error(const S3Refusal& refusal, const boost::source_location& where);

class S3Client {
 public:
  // `options` with a clock and a pause.
  S3Client(S3Place place, Environment environment, S3Options options);

  // Blocks; any thread.
  S3Answer ask(S3Ask ask);
  // A link's URL; nullopt if there are no keys, or none for long enough.
  // `headers` (names in lower case) must come with the request. With `payload`, 64 hex digits, so must these bytes.
  std::optional<std::string> presigned(const std::string& method, const std::string& key, transport::Query query,
                                       Millis lasts, std::map<std::string, std::string> headers = {},
                                       const std::string& payload = {});

  const S3Place& place() const { return place_; }
  const S3Options& options() const { return options_; }

 private:
  AwsRequest signed_request(const S3Ask& ask, const AwsKeys& keys, Millis wall) const;
  transport::Call call(const S3Ask& ask, const AwsKeys& keys, Millis wall) const;
  S3Answer once(const S3Ask& ask);

  S3Place place_;
  S3Options options_;
  AwsCredentials credentials_;
  Calls calls_;
};

}  // namespace geres::objects
