// SPDX-License-Identifier: Apache-2.0
#include "objects/s3_multipart.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

#include "base/base64.h"
#include "base/bytes.h"
#include "base/sha256.h"
#include "objects/xml.h"

namespace geres::objects {
namespace {

constexpr std::uint64_t kPartsMax = 10'000;
constexpr std::uint64_t kPartBytesMin = 5 << 20;
constexpr std::uint64_t kMebibyte = 1 << 20;
constexpr Millis kAbortFor = 2'000;  // whoever waits has waited already
constexpr std::uint64_t kCopiedPartBytes = 1 << 30;

[[noreturn]] void unreadable() {
  throw std::system_error(errno, std::generic_category(), "a file that is to be stored cannot be read");
}

std::uint64_t part_bytes(std::uint64_t wish, std::uint64_t size) {
  const auto least = (size + kPartsMax - 1) / kPartsMax;
  return std::max({wish, kPartBytesMin, (least + kMebibyte - 1) / kMebibyte * kMebibyte});
}

// Feeds the bytes of the piece to both digests; false if there are fewer.
bool digest(const FilePiece& piece, Sha256& of_part, Sha256& of_whole) {
  std::string buffer(256 << 10, '\0');
  for (std::uint64_t done = 0; done < piece.bytes;) {
    const auto most = std::min<std::uint64_t>(buffer.size(), piece.bytes - done);
    const auto got = ::pread(piece.file->get(), buffer.data(), most, off_t(piece.from + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) unreadable();
    if (got == 0) return false;
    const std::string_view bytes(buffer.data(), std::size_t(got));
    of_part.update(bytes), of_whole.update(bytes);
    done += std::size_t(got);
  }
  return true;
}

struct Part {
  std::string etag;
  std::string checksum;  // base64 of its SHA-256; empty: a copied part
};

// An upload in parts that is taken back unless it was completed.
class Multipart {
 public:
  Multipart(S3Client& client, std::string key, S3Purpose purpose)
      : client_(client), key_(std::move(key)), purpose_(std::move(purpose)) {}
  ~Multipart() {
    try {
      abort();
    } catch (...) {
      // The lifecycle rule will.
    }
  }
  Multipart(const Multipart&) = delete;
  Multipart& operator=(const Multipart&) = delete;

  // Goes on with one that was begun before, of which all parts have arrived.
  void resume(std::string id, const std::vector<UploadedPart>& parts) {
    id_ = std::move(id);
    for (const auto& part : parts) parts_.push_back({part.etag, base64_of_hex(part.sha256)});
  }
  std::string leave() { return std::exchange(id_, {}); }  // others go on with it

  Result<void> begin(std::map<std::string, std::string> headers) {
    S3Ask ask{.purpose = purpose_, .method = "POST", .key = key_, .query = {{"uploads", ""}}};
    ask.headers = std::move(headers);
    ask.body = "";
    const auto answer = client_.ask(std::move(ask));
    if (!answer) return answer.error().error;
    const auto document = read_xml(answer->body);
    if (document) id_ = (*document)["UploadId"];
    if (id_.empty()) return strange("it does not say how the upload in parts is called");
    return {};
  }

  Result<void> send(const FilePiece& piece) {
    auto ask = part("PUT");
    const auto checksum = base64_of_hex(piece.sha256);
    ask.headers["x-amz-checksum-sha256"] = checksum;
    ask.piece = piece;
    const auto answer = client_.ask(std::move(ask));
    if (!answer) return answer.error().error;
    const auto etag = answer->headers.find("etag");
    if (etag == answer->headers.end()) return strange("its answer to a part has no ETag");
    parts_.push_back({etag->second, checksum});
    return {};
  }

  Result<void> copy(const std::string& source, const std::string& etag, std::uint64_t first, std::uint64_t last) {
    auto ask = part("PUT");
    ask.headers["x-amz-copy-source"] = source;
    ask.headers["x-amz-copy-source-if-match"] = etag;
    ask.headers["x-amz-copy-source-range"] = fmt::format("bytes={}-{}", first, last);
    ask.body = "";
    ask.late = true;
    const auto answer = client_.ask(std::move(ask));
    if (!answer) return answer.error().error;
    const auto document = read_xml(answer->body);
    if (!document || (*document)["ETag"].empty()) return strange("its answer to a copied part has no ETag");
    parts_.push_back({(*document)["ETag"], {}});
    return {};
  }

  // `size`: of the whole, by which it is known if the answer was lost; nullopt: whatever is there is the whole.
  Result<void> complete(std::optional<std::uint64_t> size) {
    S3Ask ask{.purpose = purpose_, .method = "POST", .key = key_, .query = {{"uploadId", id_}}};
    ask.body = parts_listed();
    ask.late = true;
    bool maybe_done = false;
    ask.again = [&](S3Ask&) { return maybe_done = true, false; };
    const auto answer = client_.ask(std::move(ask));
    const bool gone = !answer && answer.error().code == "NoSuchUpload";
    if (!answer && !(gone && maybe_done && is_there(size))) return answer.error().error;
    id_.clear();
    return {};
  }

 private:
  S3Ask part(const std::string& method) const {
    S3Ask ask{.purpose = purpose_, .method = method, .key = key_};
    ask.query = {{"partNumber", std::to_string(parts_.size() + 1)}, {"uploadId", id_}};
    return ask;
  }

  std::string parts_listed() const {
    std::string xml = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">";
    for (std::size_t i = 0; i < parts_.size(); ++i) {
      xml += fmt::format("<Part><PartNumber>{}</PartNumber><ETag>{}</ETag>", i + 1, xml_escaped(parts_[i].etag));
      if (!parts_[i].checksum.empty()) xml += fmt::format("<ChecksumSHA256>{}</ChecksumSHA256>", parts_[i].checksum);
      xml += "</Part>";
    }
    return xml + "</CompleteMultipartUpload>";
  }

  bool is_there(std::optional<std::uint64_t> size) {
    const auto answer = client_.ask({.purpose = purpose_, .method = "HEAD", .key = key_});
    return answer && (!size || std::uint64_t(transport::header_number(*answer, "content-length")) == *size);
  }

  void abort() {
    if (id_.empty()) return;
    S3Ask ask{.purpose = purpose_, .method = "DELETE", .key = key_, .query = {{"uploadId", id_}}};
    ask.try_for = kAbortFor;
    (void)client_.ask(std::move(ask));
  }

  Error strange(const std::string& why) const {
    return fail(Code::blobStoreAway, fmt::format("{}: {}: {}", client_.place().name(), purpose_.words, why), {},
                "is the endpoint right, and does a proxy stand before it?");
  }

  S3Client& client_;
  std::string key_;
  S3Purpose purpose_;
  std::string id_;
  std::vector<Part> parts_;
};

std::string source_of(const S3Place& place, const std::string& key) {
  auto path_style = place;
  path_style.path_style = true;
  return path_style.path(key);
}

Result<void> copy_in_parts(S3Client& client, const std::string& from, const std::string& to, std::uint64_t size,
                           const std::string& etag, const S3Purpose& purpose) {
  Multipart upload(client, to, purpose);
  if (auto begun = upload.begin({}); !begun) return begun;
  const auto at_once = part_bytes(std::min(kCopiedPartBytes, client.options().copy_bytes_max), size);
  for (std::uint64_t first = 0; first < size; first += at_once) {
    const auto last = std::min(first + at_once, size) - 1;
    if (auto copied = upload.copy(source_of(client.place(), from), etag, first, last); !copied) return copied;
  }
  return upload.complete(size);
}

}  // namespace

std::shared_ptr<const Fd> duplicate(const Fd& file) {
  auto copy = std::make_shared<Fd>(::fcntl(file.get(), F_DUPFD_CLOEXEC, 0));
  if (!*copy) unreadable();
  return copy;
}

std::uint64_t file_size(const Fd& file) {
  struct stat facts {};
  if (::fstat(file.get(), &facts) != 0) unreadable();
  return std::uint64_t(facts.st_size);
}

std::string base64_of_hex(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) bytes += char(hex_digit(hex[i]) << 4 | hex_digit(hex[i + 1]));
  return to_base64(bytes);
}

Result<void> put_in_parts(S3Client& client, const std::string& key, const std::string& shown, const FilePiece& whole) {
  Multipart upload(client, key, {shown + " cannot be written", "s3:PutObject"});
  if (auto begun = upload.begin({{"x-amz-checksum-algorithm", "SHA256"}}); !begun) return begun;
  const auto at_once = part_bytes(client.options().part_bytes, whole.bytes);
  Sha256 of_whole;
  for (std::uint64_t from = 0; from < whole.bytes; from += at_once) {
    FilePiece piece{whole.file, whole.from + from, std::min(at_once, whole.bytes - from), {}};
    Sha256 of_part;
    if (!digest(piece, of_part, of_whole))
      return fail(Code::badValue, fmt::format("{} became shorter while it was stored", shown));
    piece.sha256 = of_part.hex();
    if (auto sent = upload.send(piece); !sent) return sent;
  }
  if (of_whole.hex() != whole.sha256)
    return fail(Code::badValue, fmt::format("the bytes of {} are not those that were announced", shown), {},
                "send the whole file again");
  return upload.complete(whole.bytes);
}

Result<std::string> begin_parts(S3Client& client, const std::string& key, const std::string& shown) {
  Multipart upload(client, key, {shown + " cannot be written", "s3:PutObject"});
  if (auto begun = upload.begin({{"x-amz-checksum-algorithm", "SHA256"}}); !begun) return begun.error();
  return upload.leave();
}

Result<void> end_parts(S3Client& client, const std::string& key, const std::string& shown, const std::string& id,
                       const std::vector<UploadedPart>& parts) {
  Multipart upload(client, key, {shown + " cannot be written", "s3:PutObject"});
  upload.resume(id, parts);
  auto done = upload.complete(std::nullopt);
  upload.leave();  // whoever sends the parts may still mend what is wrong
  return done;
}

Result<void> copy_object(S3Client& client, const std::string& from, const std::string& to, const std::string& words) {
  const S3Purpose purpose{words, "s3:GetObject and s3:PutObject"};
  // Whether it is too large for one request, only the object says.
  const auto found = client.ask({.purpose = purpose, .method = "HEAD", .key = from});
  if (!found && found.error().status == 404)
    return fail(Code::unknownFile, fmt::format("{}: {}: it is not there", client.place().name(), words));
  if (found) {
    const auto size = std::uint64_t(transport::header_number(*found, "content-length"));
    const auto etag = found->headers.find("etag");
    if (size > client.options().copy_bytes_max && etag != found->headers.end())
      return copy_in_parts(client, from, to, size, etag->second, purpose);
  }
  S3Ask ask{.purpose = purpose, .method = "PUT", .key = to};
  ask.headers["x-amz-copy-source"] = source_of(client.place(), from);
  ask.body = "";
  ask.late = true;
  const auto answer = client.ask(std::move(ask));
  if (!answer) return answer.error().error;
  return {};
}

}  // namespace geres::objects
