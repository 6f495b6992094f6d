// SPDX-License-Identifier: Apache-2.0
#include "objects/s3.h"

#include <fmt/format.h>

#include <charconv>
#include <thread>

#include "base/base64.h"
#include "base/bytes.h"
#include "base/content_disposition.h"
#include "base/uuid.h"
#include "objects/s3_client.h"
#include "objects/s3_multipart.h"
#include "objects/xml.h"

namespace geres::objects {
namespace {

std::string header(const transport::Reply& reply, const std::string& name) {
  const auto found = reply.headers.find(name);
  return found == reply.headers.end() ? std::string() : found->second;
}

Object object_of(std::string key, std::uint64_t size, const transport::Reply& reply) {
  return {std::move(key), size, header(reply, "etag"),
          transport::http_time(header(reply, "last-modified")).value_or(0)};
}

std::uint64_t number(std::string_view text) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// "%2F" as "/", as S3 escapes keys when it is asked to.
std::string unescaped(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const bool hex =
        text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 && hex_digit(text[i + 2]) >= 0;
    if (hex)
      out += char(hex_digit(text[i + 1]) << 4 | hex_digit(text[i + 2])), i += 2;
    else
      out += text[i] == '+' ? ' ' : text[i];
  }
  return out;
}

// An object on its way to who wants it, over as many connections as it takes.
class Download {
 public:
  Download(const ObjectStore::Take& take, Range range) : take_(take), range_(range) {}

  S3Answer run(S3Client& client, S3Ask ask) {
    set_range(ask);
    ask.head = [this](const transport::Reply& reply) { return begin(reply); };
    ask.sink = [this](std::string_view piece) { return deliver(piece); };
    ask.again = [this](S3Ask& next) { return go_on(next); };
    return client.ask(std::move(ask));
  }

  const std::optional<Error>& refused() const { return refused_; }
  bool misled() const { return misled_; }
  // Of the whole object.
  std::uint64_t size(const transport::Reply& reply) const {
    const auto range = header(reply, "content-range");  // "bytes 0-9/100"
    if (const auto slash = range.find('/'); reply.status == 206 && slash != std::string::npos)
      return number(std::string_view(range).substr(slash + 1));
    return number(header(reply, "content-length"));
  }

 private:
  bool ranged() const { return range_.first + took_ > 0 || range_.last; }

  void set_range(S3Ask& ask) const {
    if (!ranged()) return;
    ask.headers["range"] =
        fmt::format("bytes={}-{}", range_.first + took_, range_.last ? std::to_string(*range_.last) : "");
    if (took_ > 0 && !etag_.empty()) ask.headers["if-match"] = etag_;
  }

  // A server that knows no ranges would begin at the first byte again, one that knows no If-Match give other bytes.
  bool begin(const transport::Reply& reply) {
    const auto etag = header(reply, "etag");
    const auto wanted = fmt::format("bytes {}-", range_.first + took_);
    const bool range = !ranged() || (reply.status == 206 && header(reply, "content-range").starts_with(wanted));
    const bool same = took_ == 0 || (!etag_.empty() && etag == etag_);
    etag_ = etag;
    misled_ = !range || !same;
    return !misled_;
  }

  transport::Take deliver(std::string_view piece) {
    if (auto taken = take_(piece); !taken) {
      refused_ = taken.error();
      return transport::Take::enough;
    }
    took_ += piece.size();
    return transport::Take::more;
  }

  // True if bytes have come since the last time.
  bool go_on(S3Ask& ask) {
    set_range(ask);
    return std::exchange(told_, took_) != took_;
  }

  const ObjectStore::Take& take_;
  Range range_;
  std::uint64_t took_ = 0, told_ = 0;
  std::string etag_;
  std::optional<Error> refused_;
  bool misled_ = false;
};

class S3Store final : public ObjectStore {
 public:
  S3Store(S3Place place, Environment environment, S3Options options)
      : name_(place.name()), client_(std::move(place), std::move(environment), std::move(options)) {}

  Result<void> put(const std::string& key, const Fd& file, std::uint64_t size, std::string_view sha256) override {
    const FilePiece piece{duplicate(file), 0, size, std::string(sha256)};
    if (const auto there = file_size(file); there < size)
      return fail(Code::badValue, fmt::format("{} has {} bytes, not the {} announced", key, there, size));
    if (size > client_.options().single_bytes_max) return put_in_parts(client_, full(key), key, piece);
    S3Ask ask{.purpose = {key + " cannot be written", "s3:PutObject"}, .method = "PUT", .key = full(key)};
    ask.headers["x-amz-checksum-sha256"] = base64_of_hex(sha256);
    ask.piece = piece;
    return done(client_.ask(std::move(ask)));
  }

  Result<Object> get(const std::string& key, const Take& take, Range range) override {
    S3Ask ask{.purpose = {key + " cannot be read", "s3:GetObject"}, .key = full(key)};
    Download download(take, range);
    const auto answer = download.run(client_, std::move(ask));
    if (download.refused()) return *download.refused();
    if (!answer) return answer.error().error;
    if (download.misled())
      return fail(Code::blobStoreAway,
                  fmt::format("{}: {} cannot be read: what comes is not what was asked for", name_, key));
    return object_of(key, download.size(*answer), *answer);
  }

  Result<std::optional<Object>> find(const std::string& key) override {
    const S3Purpose purpose{key + " cannot be looked up", "s3:GetObject"};
    const auto answer = client_.ask({.purpose = purpose, .method = "HEAD", .key = full(key)});
    if (answer) return object_of(key, number(header(*answer, "content-length")), *answer);
    if (answer.error().status == 404) return std::optional<Object>();
    return explained(purpose, key, answer.error()).error;
  }

  Result<void> remove(const std::string& key) override {
    const S3Purpose purpose{key + " cannot be removed", "s3:DeleteObject"};
    const auto answer = client_.ask({.purpose = purpose, .method = "DELETE", .key = full(key)});
    if (!answer && answer.error().code == "NoSuchKey") return {};
    return done(answer);
  }

  Result<void> copy(const std::string& from, const std::string& to) override {
    return copy_object(client_, full(from), full(to), fmt::format("{} cannot be copied to {}", from, to));
  }

  Result<ObjectPage> list(const std::string& prefix, const std::string& after, int max) override {
    const auto below = full(prefix);
    S3Ask ask{.purpose = {fmt::format("what is below '{}' cannot be listed", prefix), "s3:ListBucket"}};
    ask.query = {{"list-type", "2"}, {"encoding-type", "url"}, {"max-keys", std::to_string(max)}, {"prefix", below}};
    if (!after.empty()) ask.query.emplace_back("start-after", full(after));
    const auto answer = client_.ask(std::move(ask));
    if (!answer) return answer.error().error;
    return read_page(answer->body);
  }

  std::optional<Link> link(const std::string& key, const LinkWish& wish) override {
    if (wish.use == LinkWish::Use::upload) return upload_link(key, {}, {{"if-none-match", "*"}}, wish);
    transport::Query query;
    query.emplace_back("response-content-type",
                       wish.content_type.empty() ? "application/octet-stream" : wish.content_type);
    if (!wish.file_name.empty())
      query.emplace_back("response-content-disposition", content_disposition(wish.file_name));
    auto url = client_.presigned("GET", full(key), std::move(query), wish.lasts);
    if (!url) return std::nullopt;
    return Link{std::move(*url), {}};
  }

  Result<std::string> begin_parts(const std::string& key) override {
    return objects::begin_parts(client_, full(key), key);
  }
  std::optional<Link> link_part(const std::string& key, const std::string& upload, int number,
                                const LinkWish& wish) override {
    return upload_link(key, {{"partNumber", std::to_string(number)}, {"uploadId", upload}}, {}, wish);
  }
  Result<void> end_parts(const std::string& key, const std::string& upload,
                         const std::vector<UploadedPart>& parts) override {
    return objects::end_parts(client_, full(key), key, upload, parts);
  }

  Result<void> check() override {
    const auto key = "geres-check-" + random_hex(8);
    const auto body = "written to see whether this place can be used";
    S3Ask ask{.purpose = {"nothing can be written", "s3:PutObject"}, .method = "PUT", .key = full(key), .body = body};
    if (const auto written = client_.ask(std::move(ask)); !written) return written.error().error;
    auto seen = check_reading(key, body);
    auto removed = remove(key);
    if (!seen || !removed) return seen ? removed : seen;
    const auto still = find(key);  // without the right to list, what is absent is forbidden
    return still ? Result<void>() : still.error();
  }

  const std::string& name() const override { return name_; }

 private:
  std::string full(const std::string& key) const { return client_.place().prefix + key; }

  // Whoever has it must send the bytes that it is for. Ceph's radosgw checks the first header, AWS the second as well.
  std::optional<Link> upload_link(const std::string& key, transport::Query query,
                                  std::map<std::string, std::string> headers, const LinkWish& wish) {
    headers["x-amz-content-sha256"] = wish.sha256;
    headers["x-amz-checksum-sha256"] = base64_of_hex(wish.sha256);
    auto url = client_.presigned("PUT", full(key), std::move(query), wish.lasts, headers, wish.sha256);
    if (!url) return std::nullopt;
    return Link{std::move(*url), {headers.begin(), headers.end()}};
  }

  static Result<void> done(const S3Answer& answer) {
    if (!answer) return answer.error().error;
    return {};
  }

  // The answer to HEAD has no body, so whoever wants to know why asks for a byte.
  S3Refusal explained(const S3Purpose& purpose, const std::string& key, const S3Refusal& refusal) {
    if (refusal.status < 300 || refusal.status >= 500) return refusal;
    const auto answer = client_.ask({.purpose = purpose, .key = full(key), .headers = {{"range", "bytes=0-0"}}});
    return answer || answer.error().code.empty() ? refusal : answer.error();
  }

  Result<void> check_reading(const std::string& key, const std::string& body) {
    std::string read;
    const auto got = get(key, [&](std::string_view piece) { return read += piece, Result<void>(); }, {});
    if (!got) return got.error();
    const auto page = list(key, {}, 1);
    if (!page) return page.error();
    if (read == body && page->objects.size() == 1 && page->objects[0].key == key) return {};
    return fail(Code::blobStoreAway, fmt::format("{}: what has just been written is not what is read or listed", name_),
                {}, "a store that shows at once what was written is needed, as S3 is");
  }

  Result<ObjectPage> read_page(const std::string& body) const {
    const auto document = read_xml(body);
    if (!document || document->name != "ListBucketResult")
      return fail(Code::blobStoreAway, fmt::format("{}: its answer is no list of objects", name_), {},
                  "is the endpoint right, and does a proxy stand before it?");
    ObjectPage page;
    const auto& prefix = client_.place().prefix;
    for (const auto& item : document->children) {
      if (item.name != "Contents") continue;
      const auto key = unescaped(item["Key"]);
      if (!key.starts_with(prefix)) continue;
      const auto time = parse_time(item["LastModified"]);
      page.objects.push_back({key.substr(prefix.size()), number(item["Size"]), item["ETag"], time ? *time : 0});
    }
    if ((*document)["IsTruncated"] == "true" && !page.objects.empty()) page.next = page.objects.back().key;
    return page;
  }

  std::string name_;
  S3Client client_;
};

S3Options filled(S3Options options) {
  static const SystemClock system;
  if (options.clock == nullptr) options.clock = &system;
  if (!options.pause)
    options.pause = [](Millis pause) { std::this_thread::sleep_for(std::chrono::milliseconds(pause)); };
  return options;
}

}  // namespace

const std::vector<std::string>& s3_options() {
  static const std::vector<std::string> options{"region", "endpoint", "style", "profile", "plaintext"};
  return options;
}

Result<std::unique_ptr<ObjectStore>> open_s3(const StoreUrl& url, Environment environment, S3Options options) {
  auto place = read_s3_place(url, environment);
  if (!place) return place.error();
  return std::make_unique<S3Store>(std::move(*place), std::move(environment), filled(std::move(options)));
}

}  // namespace geres::objects
