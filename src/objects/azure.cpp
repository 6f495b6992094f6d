// SPDX-License-Identifier: Apache-2.0
#include "objects/azure.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <functional>
#include <map>
#include <system_error>
#include <thread>

#include "base/base64.h"
#include "base/bytes.h"
#include "base/content_disposition.h"
#include "base/origin.h"
#include "base/sha256.h"
#include "base/uuid.h"
#include "objects/address.h"
#include "objects/azure_refusal.h"
#include "objects/http_date.h"
#include "objects/md5.h"
#include "objects/shared_key.h"
#include "objects/store_url.h"
#include "objects/trying.h"
#include "objects/xml.h"

namespace geres::objects {
namespace {

using transport::Answer;
using transport::escaped;
using transport::Failure;
using transport::Reply;
using Kind = AzureCredentials::Kind;
using Headers = std::map<std::string, std::string>;

constexpr std::uint64_t kBlocksMax = 50'000;             // of a blob
constexpr std::size_t kReadBytes = 256 << 10;            // of a file at a time
constexpr std::size_t kAnswerBytesMax = 32 << 20;        // a page of 1,000 names has less than 2 MiB
constexpr Millis kCopyPatience = 5 * 60'000;             // with no progress; within an account it takes no time
constexpr Millis kDelegationLasts = 2 * 24 * 3'600'000;  // the store's limit is 7 days
constexpr Millis kLinkLastsMax = kDelegationLasts / 2;   // with a delegated key, which must last as long
constexpr Millis kDelegationAgain = 60'000;              // after a failure
constexpr Millis kClockTolerance = 15 * 60'000;
constexpr auto kBytes = "application/octet-stream";

struct Request {
  std::string method;
  std::string path;  // behind the endpoint, escaped
  transport::Query query;
  Headers headers;  // names in lower case
  std::optional<std::string> body;
  const Fd* file = nullptr;  // instead of `body`: `size` bytes from `first` on
  std::uint64_t first = 0, size = 0;
  std::function<bool(const Reply& so_far)> head;
  std::function<transport::Take(std::string_view piece)> sink;

  std::uint64_t content_length() const { return file != nullptr ? size : body ? body->size() : 0; }
};

std::string header_of(const Headers& headers, const char* name) {
  const auto found = headers.find(name);
  return found != headers.end() ? found->second : std::string();
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto end = text.data() + text.size();
  const auto [at, trouble] = std::from_chars(text.data(), end, value);
  if (text.empty() || at != end || trouble != std::errc()) return std::nullopt;
  return value;
}

std::string quoted(std::string etag) {
  return etag.empty() || etag.starts_with('"') ? etag : '"' + etag + '"';
}

std::string escaped_path(std::string_view key) {
  std::string path;
  for (;;) {
    const auto slash = key.find('/');
    path += escaped(key.substr(0, slash));
    if (slash == std::string_view::npos) return path;
    path += '/';
    key.remove_prefix(slash + 1);
  }
}

Object object_of(const std::string& key, const Headers& headers) {
  Object object{key, 0, header_of(headers, "etag"), 0};
  // "bytes 100-199/10000" of a part
  const auto range = header_of(headers, "content-range");
  const auto slash = range.rfind('/');
  object.size =
      number(slash == std::string::npos ? header_of(headers, "content-length") : range.substr(slash + 1)).value_or(0);
  object.modified_at = transport::http_time(header_of(headers, "last-modified")).value_or(0);
  return object;
}

// What a file's bytes from `first` on are; feeds `whole` with them. False: the file ends before.
bool digest(const Fd& file, std::uint64_t first, std::uint64_t size, Sha256& whole, std::string& md5_base64) {
  Md5 md5;
  std::string buffer(std::min<std::uint64_t>(size, kReadBytes), '\0');
  for (std::uint64_t done = 0; done < size;) {
    const auto wanted = std::min<std::uint64_t>(size - done, buffer.size());
    const auto got = ::pread(file.get(), buffer.data(), wanted, off_t(first + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw std::system_error(errno, std::generic_category(), "cannot read what is to be stored");
    if (got == 0) return false;
    const std::string_view piece(buffer.data(), std::size_t(got));
    whole.update(piece), md5.update(piece);
    done += std::uint64_t(got);
  }
  md5_base64 = md5.base64();
  return true;
}

// The end that a SAS names.
std::optional<Millis> sas_ends(const std::string& sas) {
  const auto at = ("&" + sas).find("&se=");
  if (at == std::string::npos) return std::nullopt;
  auto value = sas.substr(at + 3, sas.find('&', at + 3) - (at + 3));
  for (std::size_t colon;
       (colon = value.find("%3A")) != std::string::npos || (colon = value.find("%3a")) != std::string::npos;)
    value.replace(colon, 3, ":");
  if (value.size() == 10) value += "T00:00:00Z";
  const auto time = parse_time(value);
  return time ? std::optional(*time) : std::nullopt;
}

struct Place {
  std::string account, container, prefix;
  std::string endpoint;  // without a '/' at its end
  std::string endpoint_path() const {
    const auto slash = endpoint.find('/', endpoint.find("://") + 3);
    return slash == std::string::npos ? "" : endpoint.substr(slash);
  }
};

class AzureStore final : public ObjectStore {
 public:
  AzureStore(Place place, AzureCredentials credentials, const std::string& ca_file, AzureOptions options)
      : place_(std::move(place)),
        name_(fmt::format("azure:{}/{}{} ({})", place_.account, place_.container,
                          place_.prefix.empty() ? "" : "/" + without_slash(place_.prefix), place_.endpoint)),
        credentials_(std::move(credentials)),
        options_(options),
        clock_(options.clock != nullptr ? *options.clock : system_clock_),
        calls_({.ca_file = ca_file,
                .connect_time_max = options.patience.connect,
                .answer_time_max = options.patience.silence,
                .answer_bytes_max = kAnswerBytesMax}) {
    if (credentials_.kind == Kind::identity)
      identity_ = std::make_unique<AzureIdentity>(credentials_, options.patience, ca_file, clock_);
  }

  Result<void> put(const std::string& key, const Fd& file, std::uint64_t size, std::string_view sha256) override;
  Result<Object> get(const std::string& key, const Take& take, Range range) override;
  Result<std::optional<Object>> find(const std::string& key) override;
  Result<void> remove(const std::string& key) override;
  Result<void> copy(const std::string& from, const std::string& to) override;
  Result<ObjectPage> list(const std::string& prefix, const std::string& after, int max) override;
  std::optional<Link> link(const std::string& key, const LinkWish& wish) override;
  Result<std::string> begin_parts(const std::string& key) override;
  std::optional<Link> link_part(const std::string& key, const std::string& upload, int number,
                                const LinkWish& wish) override;
  Result<void> end_parts(const std::string& key, const std::string& upload,
                         const std::vector<UploadedPart>& parts) override;
  Result<void> check() override;
  const std::string& name() const override { return name_; }

 private:
  struct Download;

  std::string container_path() const { return "/" + place_.container; }
  std::string path_of(const std::string& key) const {
    return container_path() + "/" + escaped_path(place_.prefix + key);
  }
  std::string url_of(const Request& request) const;
  Answer<Reply> send(const Request& request);
  Answer<Reply> send_once(const Request& request);
  Result<void> authorize(transport::Call& call, const Request& request, Headers headers);
  Error error_of(const Failure& failure) const;
  Failure own(const Error& error) const;
  Result<void> put_whole(const std::string& key, const Fd& file, std::uint64_t size, std::string_view sha256);
  Result<bool> put_blocks(const std::string& key, const Fd& file, std::uint64_t size, std::string_view sha256);
  std::optional<Link> signed_link(const std::string& key, const std::string& permissions, const LinkWish& wish);
  Request block_list(const std::string& key, const std::string& blocks) const;
  Request rest_of(Download& download) const;
  Error ended(const Download& download, const Failure& failure) const;
  Result<void> settled_put(const Answer<Reply>& answer) const;
  Result<void> wait_for_copy(const std::string& key);
  Result<ObjectPage> read_page(const std::string& body) const;
  std::optional<UserDelegationKey> delegation(Millis until);
  std::optional<UserDelegationKey> fetch_delegation();

  const Place place_;
  const std::string name_;
  const AzureCredentials credentials_;
  const AzureOptions options_;
  const SystemClock system_clock_;
  const Clock& clock_;
  Calls calls_;
  std::unique_ptr<AzureIdentity> identity_;
  std::mutex delegation_mutex_;
  std::optional<UserDelegationKey> delegation_;
  Millis delegation_again_at_ = 0;  // wall
};

// ---- requests -------------------------------------------------------------------------------------------------------

std::string AzureStore::url_of(const Request& request) const {
  auto url = place_.endpoint + request.path;
  char separator = '?';
  for (const auto& [name, value] : request.query) {
    url += separator + name + "=" + escaped(value);
    separator = '&';
  }
  return url;
}

Result<void> AzureStore::authorize(transport::Call& call, const Request& request, Headers headers) {
  call.other = url_of(request);
  headers["x-ms-version"] = kAzureVersion;
  headers["x-ms-date"] = http_date(clock_.wall());
  if (request.content_length() > 0 || request.body) headers.emplace("content-type", kBytes);
  if (credentials_.kind == Kind::key) {
    headers["authorization"] =
        shared_key(place_.account, credentials_.key,
                   {request.method, place_.endpoint_path() + (request.path.empty() ? "/" : request.path), request.query,
                    headers, request.content_length()});
  } else if (credentials_.kind == Kind::sas) {
    call.other += (request.query.empty() ? "?" : "&") + credentials_.sas;
  } else {
    auto token = identity_->token();
    if (!token) return token.error();
    call.token = std::move(*token);
  }
  for (auto& header : headers) call.headers.push_back(header);
  return {};
}

Answer<Reply> AzureStore::send_once(const Request& request) {
  transport::Call call;
  call.method = request.method;
  call.content_type.clear();  // among the headers
  call.body = request.body;
  call.repeatable = true;
  call.silence_max = std::max<Millis>(options_.patience.silence, 1'000);
  if (request.file != nullptr) {
    // Not owned: this call ends before `put` does.
    call.upload_fd = std::shared_ptr<const Fd>(std::shared_ptr<const Fd>(), request.file);
    call.upload_from = std::int64_t(request.first);
    call.upload_bytes = std::int64_t(request.size);
  }
  call.sink = request.sink;
  call.head = request.head;
  if (const auto authorized = authorize(call, request, request.headers); !authorized) return own(authorized.error());
  const auto token = call.token;
  auto answer = calls_.make(std::move(call));
  if (!answer && answer.error().status == 401 && identity_) identity_->forget(token);
  return answer;
}

Answer<Reply> AzureStore::send(const Request& request) {
  Trying trying(options_.patience);
  bool renewed = false;
  for (;;) {
    auto answer = send_once(request);
    if (answer) return answer;
    // An identity's token that was taken back before its end.
    if (answer.error().status == 401 && identity_ && !std::exchange(renewed, true)) continue;
    if (!trying.again(answer.error())) return answer;
  }
}

// What is wrong on our side of the call, as its answer.
Failure AzureStore::own(const Error& error) const {
  return Failure{Failure::Kind::stopped, 0, error, nullptr};
}

Error AzureStore::error_of(const Failure& failure) const {
  if (failure.kind == Failure::Kind::stopped) {
    auto error = failure.error;
    error.message = fmt::format("{}: {}", name_, error.message);
    return error;
  }
  AzureCaller caller{name_, credentials_.kind, clock_.wall(), {}};
  if (credentials_.kind == Kind::sas) caller.ends = sas_ends(credentials_.sas);
  return azure_error(read_azure_refusal(failure), caller);
}

// A missing container is trouble with the store, not with the object.
bool absent(const Failure& failure) {
  return failure.status == 404 && read_azure_refusal(failure).code != "ContainerNotFound";
}

bool has_code(const Failure& failure, std::string_view code) {
  return read_azure_refusal(failure).code == code;
}

Error unknown_object(const std::string& key) {
  return fail(Code::unknownFile, fmt::format("there is no object '{}'", key));
}

// ---- writing --------------------------------------------------------------------------------------------------------

Error other_bytes(std::uint64_t size) {
  return fail(Code::badValue, fmt::format("the {} bytes are not those whose SHA-256 was announced", size));
}

Error too_short(std::uint64_t size) {
  return fail(Code::badValue, fmt::format("the file has less than the {} bytes that were announced", size));
}

Result<void> AzureStore::settled_put(const Answer<Reply>& answer) const {
  if (answer) return {};
  // The store has held them against their MD5, which was computed just before: they changed in between, or on the way.
  if (has_code(answer.error(), "Md5Mismatch"))
    return fail(Code::badValue, "the bytes that arrived at the store are not those that were in the file");
  return error_of(answer.error());
}

Result<void> AzureStore::put(const std::string& key, const Fd& file, std::uint64_t size, std::string_view sha256) {
  if (size <= options_.part_bytes) return put_whole(key, file, size, sha256);
  // Whoever stores under the same name meanwhile ends our blocks with his. That name has his bytes then; ours follow.
  for (int tries = 0;; ++tries) {
    const auto done = put_blocks(key, file, size, sha256);
    if (!done) return done.error();
    if (*done) return {};
    if (tries == 2)
      return fail(Code::blobStoreAway,
                  fmt::format("{}: others store under the name '{}' at the same time", name_, key));
  }
}

Result<void> AzureStore::put_whole(const std::string& key, const Fd& file, std::uint64_t size,
                                   std::string_view sha256) {
  Sha256 whole;
  std::string md5;
  if (!digest(file, 0, size, whole, md5)) return too_short(size);
  if (whole.hex() != sha256) return other_bytes(size);
  Request request{.method = "PUT", .path = path_of(key)};
  request.headers = {{"x-ms-blob-type", "BlockBlob"}, {"content-md5", md5}};
  if (size == 0)
    request.body = "";
  else
    request.file = &file, request.size = size;
  return settled_put(send(request));
}

// False: the blocks are gone, because another blob of that name was written meanwhile.
Result<bool> AzureStore::put_blocks(const std::string& key, const Fd& file, std::uint64_t size,
                                    std::string_view sha256) {
  const auto part = std::max(options_.part_bytes, (size + kBlocksMax - 1) / kBlocksMax);
  const auto mine = random_hex(16);  // blocks belong to a name, under which others may be at work
  Sha256 whole;
  std::string blocks;
  for (std::uint64_t first = 0, n = 0; first < size; first += part, ++n) {
    const auto length = std::min(part, size - first);
    const auto id = to_base64(fmt::format("{}{:08}", mine, n));
    std::string md5;
    if (!digest(file, first, length, whole, md5)) return too_short(size);
    Request request{.method = "PUT", .path = path_of(key), .query = {{"comp", "block"}, {"blockid", id}}};
    request.headers = {{"content-md5", md5}};
    request.file = &file, request.first = first, request.size = length;
    if (const auto done = settled_put(send(request)); !done) return done.error();
    blocks += "<Latest>" + id + "</Latest>";
  }
  // Blocks that no list names are no object; the store removes them after a week.
  if (whole.hex() != sha256) return other_bytes(size);
  const auto answer = send(block_list(key, blocks));
  if (!answer && has_code(answer.error(), "InvalidBlockList")) return false;
  if (const auto done = settled_put(answer); !done) return done.error();
  return true;
}

Request AzureStore::block_list(const std::string& key, const std::string& blocks) const {
  Request request{.method = "PUT", .path = path_of(key), .query = {{"comp", "blocklist"}}};
  request.headers = {{"content-type", "application/xml"}, {"x-ms-blob-content-type", kBytes}};
  request.body = R"(<?xml version="1.0" encoding="utf-8"?><BlockList>)" + blocks + "</BlockList>";
  return request;
}

Result<void> AzureStore::remove(const std::string& key) {
  const auto answer = send({.method = "DELETE", .path = path_of(key)});
  if (answer || absent(answer.error())) return {};
  return error_of(answer.error());
}

Result<void> AzureStore::copy(const std::string& from, const std::string& to) {
  Request request{.method = "PUT", .path = path_of(to)};
  auto source = url_of({.path = path_of(from)});
  if (credentials_.kind == Kind::sas) source += "?" + credentials_.sas;
  request.headers = {{"x-ms-copy-source", source}};
  request.body = "";
  const auto answer = send(request);
  if (!answer) return absent(answer.error()) ? unknown_object(from) : error_of(answer.error());
  if (header_of(answer->headers, "x-ms-copy-status") == "pending") return wait_for_copy(to);
  return {};
}

Result<void> AzureStore::wait_for_copy(const std::string& key) {
  std::string progress = "none yet";
  Millis moved_at = SystemClock().monotonic();
  for (Millis pause = 50;; pause = std::min<Millis>(pause * 2, 2'000)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(pause));
    const auto answer = send({.method = "HEAD", .path = path_of(key)});
    if (!answer) return absent(answer.error()) ? unknown_object(key) : error_of(answer.error());
    const auto status = header_of(answer->headers, "x-ms-copy-status");
    if (status == "success" || status.empty()) return {};
    if (status != "pending")
      return fail(Code::blobStoreAway, fmt::format("{}: the copy was ended there ({})", name_, plain_line(status)));
    if (auto now = header_of(answer->headers, "x-ms-copy-progress"); now != progress)
      progress = std::move(now), moved_at = SystemClock().monotonic();
    if (SystemClock().monotonic() - moved_at > kCopyPatience)
      return fail(Code::blobStoreAway, fmt::format("{}: a copy makes no progress there", name_));
  }
}

// ---- reading --------------------------------------------------------------------------------------------------------

// One download over all its tries.
struct AzureStore::Download {
  const std::string& key;
  const Take& take;
  const Range range;
  std::uint64_t done = 0;
  std::optional<Object> object = {};  // as the first answer described it
  std::optional<Error> refused = {};  // by the taker, or because the answer is not what was asked for
  bool moved = false;                 // in this try
  std::uint64_t first() const { return range.first + done; }
};

// For what has not come yet.
Request AzureStore::rest_of(Download& download) const {
  Request request{.method = "GET", .path = path_of(download.key)};
  const bool part = download.first() > 0 || download.range.last;
  if (part)
    request.headers["range"] =
        fmt::format("bytes={}-{}", download.first(), download.range.last ? std::to_string(*download.range.last) : "");
  if (download.object) request.headers["if-match"] = download.object->etag;
  download.moved = false;
  request.head = [this, &download, part](const Reply& so_far) {
    if (!download.object) download.object = object_of(download.key, so_far.headers);
    if (part && so_far.status != 206)
      download.refused =
          fail(Code::blobStoreAway, fmt::format("{} gave all of '{}' instead of a part", name_, download.key));
    return !download.refused;
  };
  request.sink = [&download](std::string_view piece) {
    if (const auto taken = download.take(piece); !taken) download.refused = taken.error();
    download.done += piece.size();
    download.moved = true;
    return download.refused ? transport::Take::enough : transport::Take::more;
  };
  return request;
}

Error AzureStore::ended(const Download& download, const Failure& failure) const {
  const auto away = [&](const char* what) {
    return fail(Code::blobStoreAway, fmt::format("{}: '{}' was {} while it was read", name_, download.key, what));
  };
  if (absent(failure)) return download.object ? away("removed") : unknown_object(download.key);
  if (failure.status == 412) return away("replaced");
  if (failure.status == 416)
    return fail(Code::badValue, fmt::format("'{}' has no byte number {}", download.key, download.first()));
  return error_of(failure);
}

Result<Object> AzureStore::get(const std::string& key, const Take& take, Range range) {
  Download download{key, take, range};
  Trying trying(options_.patience);
  bool renewed = false;
  for (;;) {
    const auto answer = send_once(rest_of(download));
    if (download.refused) return *download.refused;
    if (answer) return download.object ? *download.object : object_of(key, answer->headers);
    if (answer.error().status == 401 && identity_ && !std::exchange(renewed, true)) continue;
    if (download.moved) trying.well();
    if (!trying.again(answer.error())) return ended(download, answer.error());
  }
}

Result<std::optional<Object>> AzureStore::find(const std::string& key) {
  const auto answer = send({.method = "HEAD", .path = path_of(key)});
  if (answer) return std::optional(object_of(key, answer->headers));
  if (absent(answer.error())) return std::optional<Object>();
  return error_of(answer.error());
}

Result<ObjectPage> AzureStore::list(const std::string& prefix, const std::string& after, int max) {
  Request request{.method = "GET", .path = container_path(), .query = {{"restype", "container"}, {"comp", "list"}}};
  request.query.emplace_back("maxresults", std::to_string(std::clamp(max, 1, 1'000)));
  if (const auto whole = place_.prefix + prefix; !whole.empty()) request.query.emplace_back("prefix", whole);
  for (auto marker = after;;) {
    auto once = request;
    if (!marker.empty()) once.query.emplace_back("marker", marker);
    const auto answer = send(once);
    if (!answer) return error_of(answer.error());
    auto page = read_page(answer->body);
    // A page may be empty although others follow.
    if (!page || !page->objects.empty() || page->next.empty()) return page;
    marker = page->next;
  }
}

Result<ObjectPage> AzureStore::read_page(const std::string& body) const {
  const auto document = read_xml(body);
  const auto* blobs = document ? document->find("Blobs") : nullptr;
  const auto* next = document ? document->find("NextMarker") : nullptr;
  if (blobs == nullptr || next == nullptr)
    return fail(Code::blobStoreAway, fmt::format("{} gave a list that cannot be read", name_), {},
                "does the endpoint belong to Azure Blob Storage?");
  ObjectPage page;
  page.next = next->text;
  for (const auto& blob : blobs->children) {
    const auto* properties = blob.find("Properties");
    const auto name = blob["Name"];
    if (blob.name != "Blob" || properties == nullptr || !name.starts_with(place_.prefix)) continue;
    // Accounts with a hierarchical namespace list these too.
    if ((*properties)["ResourceType"] == "directory") continue;
    page.objects.push_back({name.substr(place_.prefix.size()), number((*properties)["Content-Length"]).value_or(0),
                            quoted((*properties)["Etag"]),
                            transport::http_time((*properties)["Last-Modified"]).value_or(0)});
  }
  std::sort(page.objects.begin(), page.objects.end(), [](const auto& a, const auto& b) { return a.key < b.key; });
  return page;
}

// ---- links ----------------------------------------------------------------------------------------------------------

std::optional<Link> AzureStore::link(const std::string& key, const LinkWish& wish) {
  const bool download = wish.use == LinkWish::Use::download;
  auto link = signed_link(key, download ? "r" : "c", wish);
  if (link && !download) link->headers.emplace_back("x-ms-blob-type", "BlockBlob");
  return link;
}

std::optional<Link> AzureStore::signed_link(const std::string& key, const std::string& permissions,
                                            const LinkWish& wish) {
  if (credentials_.kind == Kind::sas) return std::nullopt;  // it would give all that we may do
  BlobSas sas{place_.account, place_.container, place_.prefix + key, permissions, 0, true, {}, {}};
  // Rounded up, as its times have no fractions.
  const auto lasts = identity_ ? std::min(wish.lasts, kLinkLastsMax) : wish.lasts;
  sas.expires_at = clock_.wall() + lasts + 999;
  sas.https_only = place_.endpoint.starts_with("https://");
  if (permissions == "r") {
    sas.content_type = wish.content_type.empty() ? kBytes : wish.content_type;
    if (!wish.file_name.empty()) sas.content_disposition = content_disposition(wish.file_name);
  }
  std::string query;
  if (identity_) {
    const auto delegated = delegation(sas.expires_at);
    if (!delegated) return std::nullopt;
    query = blob_sas(sas, *delegated);
  } else {
    query = blob_sas(sas, credentials_.key);
  }
  return Link{place_.endpoint + path_of(key) + "?" + query, {}};
}

// ---- parts by links: blocks, which the last step lists --------------------------------------------------------------

// A SAS that takes blocks would also let its holder replace the blob that they belong to. So they gather under a name
// of the upload's own, and are copied from there, which within an account takes no time.
std::string gathered(const std::string& upload) {
  return "geres.parts/" + upload;
}

// Who brings the parts says which upload they are of. No other name may become a part of a path here.
bool is_upload(std::string_view upload) {
  return upload.size() == 32 && std::all_of(upload.begin(), upload.end(), [](char c) { return hex_digit(c) >= 0; });
}

std::string block_id(std::size_t number) {
  return to_base64(fmt::format("{:08}", number));
}

Result<std::string> AzureStore::begin_parts(const std::string&) {
  return random_hex(16);
}

std::optional<Link> AzureStore::link_part(const std::string&, const std::string& upload, int number,
                                          const LinkWish& wish) {
  if (!is_upload(upload)) return std::nullopt;
  auto link = signed_link(gathered(upload), "w", wish);
  if (link) link->url += "&comp=block&blockid=" + escaped(block_id(std::size_t(number)));
  return link;
}

Result<void> AzureStore::end_parts(const std::string& key, const std::string& upload,
                                   const std::vector<UploadedPart>& parts) {
  if (!is_upload(upload)) return fail(Code::badValue, "this names no upload in parts");
  std::string blocks;
  for (std::size_t number = 1; number <= parts.size(); ++number) blocks += "<Latest>" + block_id(number) + "</Latest>";
  const auto answer = send(block_list(gathered(upload), blocks));
  if (!answer && has_code(answer.error(), "InvalidBlockList"))
    return fail(Code::badValue, "a part of the upload has not arrived");
  if (auto done = settled_put(answer); !done) return done;
  if (auto copied = copy(gathered(upload), key); !copied) return copied;
  return remove(gathered(upload));
}

std::optional<UserDelegationKey> AzureStore::delegation(Millis until) {
  const std::lock_guard lock(delegation_mutex_);
  if (delegation_ && until < delegation_->ends_at) return delegation_;
  const auto now = clock_.wall();
  if (now < delegation_again_at_) return std::nullopt;
  auto fetched = fetch_delegation();
  if (fetched)
    delegation_ = fetched;
  else
    delegation_again_at_ = now + kDelegationAgain;
  return fetched;
}

std::optional<UserDelegationKey> AzureStore::fetch_delegation() {
  const auto now = clock_.wall();
  Request request{.method = "POST", .path = "/", .query = {{"restype", "service"}, {"comp", "userdelegationkey"}}};
  request.headers = {{"content-type", "application/xml"}};
  request.body =
      fmt::format(R"(<?xml version="1.0" encoding="utf-8"?><KeyInfo><Start>{}</Start><Expiry>{}</Expiry></KeyInfo>)",
                  sas_time(now - kClockTolerance), sas_time(now + kDelegationLasts));
  const auto answer = send(request);
  const auto document = answer ? read_xml(answer->body) : std::nullopt;
  if (!document) return std::nullopt;
  const auto text = [&](const char* name) { return (*document)[name]; };
  auto key = from_base64(text("Value"));
  const auto ends = parse_time(text("SignedExpiry"));
  if (!key || !ends) return std::nullopt;
  return UserDelegationKey{text("SignedOid"),     text("SignedTid"),     text("SignedStart"), text("SignedExpiry"),
                           text("SignedService"), text("SignedVersion"), std::move(*key),     *ends};
}

// ---- the whole ------------------------------------------------------------------------------------------------------

Result<void> AzureStore::check() {
  const auto key = "geres-check-" + random_hex(16);
  Request write{.method = "PUT", .path = path_of(key)};
  write.headers = {{"x-ms-blob-type", "BlockBlob"}};
  write.body = key;
  const auto step = [&](const char* doing, const Result<void>& done) -> Result<void> {
    if (done) return {};
    auto error = done.error();
    error.message += fmt::format(" (while {} an object of the check)", doing);
    return error;
  };
  if (const auto answer = send(write); !answer) return step("writing", error_of(answer.error()));
  std::string bytes;
  const auto got = get(key, [&](std::string_view piece) { return bytes += piece, Result<void>(); }, {});
  const auto listed = list(key, {}, 1);
  // What was written is removed whatever came of it.
  const auto removed = remove(key);
  if (!got) return step("reading", got.error());
  if (bytes != key) return fail(Code::blobStoreAway, name_ + " gave other bytes than it was given");
  if (!listed) return step("listing", listed.error());
  if (listed->objects.size() != 1) return fail(Code::blobStoreAway, name_ + " does not list what it was given");
  return step("removing", removed);
}

Error wrong(std::string why, std::string hint) {
  return fail(Code::badValue, std::move(why), "--blobs", std::move(hint));
}

bool letters_digits(std::string_view name, bool dashes) {
  return std::all_of(name.begin(), name.end(),
                     [&](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (dashes && c == '-'); });
}

Result<void> set_endpoint(Place& place, std::string endpoint, bool own, bool plaintext) {
  if (!own && (place.account.size() < 3 || place.account.size() > 24 || !letters_digits(place.account, false)))
    return wrong(fmt::format("'{}' is no name of a storage account", place.account),
                 "3 to 24 lower-case letters and digits");
  if (endpoint.empty()) endpoint = fmt::format("https://{}.blob.core.windows.net", place.account);
  if (!names_server(endpoint) || endpoint.find_first_of("?#@") != std::string::npos)
    return wrong("the endpoint of the place for blobs is no http or https address without anything behind its path",
                 "for example http://127.0.0.1:10000/devstoreaccount1");
  if (endpoint.starts_with("http://") && !plaintext && !on_loopback(endpoint))
    return wrong(fmt::format("'{}' would send everything, links too, where others can read it", endpoint),
                 "use https://, or add the option plaintext=yes");
  place.endpoint = without_slash(std::move(endpoint));
  return {};
}

}  // namespace

const std::vector<std::string>& azure_options() {
  static const std::vector<std::string> options{"endpoint", "auth", "client_id", "plaintext"};
  return options;
}

Result<std::unique_ptr<ObjectStore>> open_azure(const StoreUrl& url, const Environment& environment,
                                                AzureOptions options) {
  const auto option = [&](const char* name) {
    const auto found = url.options.find(name);
    return found != url.options.end() ? found->second : std::string();
  };
  if (url.kind != "azure" || url.names.size() < 2)
    return wrong("a place in Azure names a storage account and a container",
                 "azure:ACCOUNT/CONTAINER[/PREFIX][?option=value&…]");
  Place place{url.names[0], url.names[1], url.prefix(2), {}};
  if (place.container.size() < 3 || place.container.size() > 63 || !letters_digits(place.container, true))
    return wrong(fmt::format("'{}' is no name of a container", place.container),
                 "3 to 63 lower-case letters, digits and '-'");
  const auto plaintext = option("plaintext");
  if (!plaintext.empty() && plaintext != "yes" && plaintext != "no")
    return wrong(fmt::format("plaintext is yes or no, not '{}'", plaintext), "plaintext=yes");
  auto credentials = read_azure_credentials(place.account, option("auth"), option("client_id"), environment);
  if (!credentials) return credentials.error();
  const auto endpoint = option("endpoint").empty() ? credentials->endpoint : option("endpoint");
  if (const auto set = set_endpoint(place, endpoint, !endpoint.empty(), plaintext == "yes"); !set) return set.error();
  return std::unique_ptr<ObjectStore>(
      std::make_unique<AzureStore>(std::move(place), std::move(*credentials), environment("SSL_CERT_FILE"), options));
}

}  // namespace geres::objects
