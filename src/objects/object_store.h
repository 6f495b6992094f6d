// SPDX-License-Identifier: Apache-2.0
// Objects in a store of somebody else's: Amazon S3 and servers that speak like it, Azure Blob Storage.
//
// Keys are "segment/segment/…" of what model::check_name allows in a segment; the store's own prefix is put before
// them here. All verbs may be called from any thread, any number at a time; they block. What passes by itself (no
// connection, 429, 5xx) is tried again for Patience::try_for; then, and when the store refuses us, the error is
// `blobStoreAway` with a sentence that names the store and what it said, but no secret and no signed link. Bytes that
// are not those that were announced are `badValue`. Only trouble of this machine's own (its disk) is an exception.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"

namespace geres::objects {

struct Object {
  std::string key;  // without the store's prefix
  std::uint64_t size = 0;
  std::string etag;        // as the server gave it, quotes included
  Millis modified_at = 0;  // wall, by the server's clock
};

struct ObjectPage {
  std::vector<Object> objects;  // by key, ascending bytewise
  std::string next;             // to be given as `after` for the next page; empty: that was the last
};

struct Range {
  std::uint64_t first = 0;
  std::optional<std::uint64_t> last;  // inclusive; nullopt: to the end
};

// What a signed link allows, for whoever has it, without any further secret.
struct LinkWish {
  enum class Use { download, upload };
  Use use = Use::download;
  Millis lasts = 300'000;
  std::string file_name;     // download: the answer's Content-Disposition; empty: none
  std::string content_type;  // download: the answer's; empty: application/octet-stream
  // Upload, of all or of a part: what the bytes must be, 64 hex digits. A store that can, holds them against it; no
  // store lets such a link replace an object. Needed.
  std::string sha256;
};

struct Link {
  std::string url;  // a secret while it lasts
  // What the request must carry besides, as the signature covers it.
  std::vector<std::pair<std::string, std::string>> headers;
};

// A part of an object that others bring by links, all of one size but the last.
struct UploadedPart {
  std::string etag;    // as the store answered it
  std::string sha256;  // 64 hex digits
};

class ObjectStore {
 public:
  using Take = std::function<Result<void>(std::string_view piece)>;

  virtual ~ObjectStore() = default;

  // The first `size` bytes of `file`, whose SHA-256 (64 hex digits) is `sha256`. The object is there in full or not at
  // all; one that is there already is replaced. The server checks what it received, part by part where there are parts.
  [[nodiscard]] virtual Result<void> put(const std::string& key, const Fd& file, std::uint64_t size,
                                         std::string_view sha256) = 0;
  // Gives the object's bytes to `take` in order, on this thread, and returns the object. A connection that breaks is
  // taken up again where it broke, unless the object has changed meanwhile (`blobStoreAway`). An error of `take` ends
  // it. `unknownFile` if the object is absent.
  [[nodiscard]] virtual Result<Object> get(const std::string& key, const Take& take, Range range = {}) = 0;
  // nullopt if it is absent.
  [[nodiscard]] virtual Result<std::optional<Object>> find(const std::string& key) = 0;
  // What is absent counts as removed.
  [[nodiscard]] virtual Result<void> remove(const std::string& key) = 0;
  // Within the store, without bytes passing through here. `unknownFile` if `from` is absent.
  [[nodiscard]] virtual Result<void> copy(const std::string& from, const std::string& to) = 0;
  // Objects whose keys begin with `prefix`, at most `max` (1 to 1,000) a page.
  [[nodiscard]] virtual Result<ObjectPage> list(const std::string& prefix, const std::string& after = {},
                                                int max = 1'000) = 0;
  // nullopt if this store's credentials cannot sign links, so that bytes have to pass through the hub.
  [[nodiscard]] virtual std::optional<Link> link(const std::string& key, const LinkWish& wish) = 0;

  // An upload in parts by links, for what is too large for one request: at most 10,000 parts, each of 5 MiB or more.
  // The object is there once it has been ended, not before. One that is never ended is removed by the store, if its
  // lifecycle rules say so (docs/blobs.md). Returns the upload's name, of at most 1,000 characters.
  [[nodiscard]] virtual Result<std::string> begin_parts(const std::string& key) = 0;
  // `number` counts from 1; a part that is sent again replaces the one before. nullopt as for link().
  [[nodiscard]] virtual std::optional<Link> link_part(const std::string& key, const std::string& upload, int number,
                                                      const LinkWish& wish) = 0;
  // `parts`: all of them, in order. badValue if one has not arrived, or the upload is not known.
  [[nodiscard]] virtual Result<void> end_parts(const std::string& key, const std::string& upload,
                                               const std::vector<UploadedPart>& parts) = 0;

  // Whether the store is there, the clock right, and the credentials allow what is needed (writes, reads, lists and
  // removes one object of its own). The error names what is wrong and what would be right.
  [[nodiscard]] virtual Result<void> check() = 0;
  // For people: kind, bucket or container, prefix, endpoint; no secret.
  virtual const std::string& name() const = 0;
};

// How long the verbs above try.
struct Patience {
  Millis connect = 3'000;
  Millis silence = 30'000;  // without a byte in either direction
  Millis try_for = 20'000;  // of a call that fails in passing, over all its tries
};

}  // namespace geres::objects
