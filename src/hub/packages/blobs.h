// SPDX-License-Identifier: Apache-2.0
// Bytes by their SHA-256, apart for each tenant: packages, input files, artifacts.
//
// A blob is there in full or not at all. After committing one, its name must soon be put into the store, because blobs
// that nothing names are swept. Bad input is an Error, and so is a store elsewhere that is
// away (`blobStoreAway`); trouble with this machine's disk is an exception. All verbs may
// be called from any thread; one Upload belongs to one thread at a time. A malformed tenant or digest (not a name, not
// 64 hex digits) is refused here even if somebody checked it before.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "objects/object_store.h"

namespace geres::hub::packages {

struct Blob {
  std::string sha256;
  std::uint64_t size = 0;
};

// Bytes being received. They are collected in a file of this machine, wherever blobs are stored, because their name is
// known only at the end. If destroyed before commit() has succeeded, nothing remains.
class Upload {
 public:
  virtual ~Upload() = default;
  // `storageFull` if the disk's reserve would be used; the upload cannot be continued then.
  [[nodiscard]] virtual Result<void> write(std::string_view bytes) = 0;
  virtual std::uint64_t size() const = 0;
  // The bytes so far, complete up to the last write(); serves to check a package before it is committed.
  virtual const std::filesystem::path& file() const = 0;
  // The blob is durable and visible when this returns. Call it once at most. A blob that already exists counts as new
  // from now on. `badValue` if `expected_sha256` is not empty and the digest is another one.
  [[nodiscard]] virtual Result<Blob> commit(std::string_view expected_sha256 = {}) = 0;
};

struct OpenBlob {
  Fd fd;  // at its beginning; stays readable even if the blob is removed
  std::uint64_t size = 0;
};

struct Space {
  std::uint64_t free_bytes = 0;  // that we may use
  std::uint64_t total_bytes = 0;
};

// How whoever has a file's bytes brings them to a store elsewhere without the hub. Either the blob is there already, or
// the link takes all of it, or `parts` names an upload in parts of `part_bytes` each.
struct DirectUpload {
  bool there = false;
  std::optional<objects::Link> link;
  std::string parts;
  std::uint64_t part_bytes = 0;
};

// Whether something names a blob: a package, a job's input, an artifact. Any thread.
using Named = std::function<bool(std::string_view tenant, std::string_view sha256)>;

class Blobs {
 public:
  virtual ~Blobs() = default;
  // `announced`: the number of bytes expected (0: unknown). `badValue` for a malformed tenant, `storageFull` if they
  // would not fit.
  [[nodiscard]] virtual Result<std::unique_ptr<Upload>> begin(std::string_view tenant, std::uint64_t announced = 0) = 0;
  // `unknownFile` if it is absent.
  [[nodiscard]] virtual Result<OpenBlob> open(std::string_view tenant, std::string_view sha256) = 0;
  // Those that are there, in the order asked for.
  virtual std::vector<std::optional<Blob>> find(std::string_view tenant, std::span<const std::string> digests) = 0;
  std::optional<Blob> find(std::string_view tenant, const std::string& sha256) {
    return std::move(find(tenant, std::span(&sha256, 1)).front());
  }
  bool has(std::string_view tenant, const std::string& sha256) { return find(tenant, sha256).has_value(); }
  // Where whoever has this link gets the blob's bytes for a while, without the hub; nullopt: only from the hub. Whoever
  // follows it must check the digest. It is not asked whether the blob is there.
  virtual std::optional<objects::Link> link(std::string_view tenant, std::string_view sha256,
                                            const objects::LinkWish& wish) {
    (void)tenant, (void)sha256, (void)wish;
    return std::nullopt;
  }
  // What it is called and how large it is, its bringer has said: a store may hold the bytes against that or not, and
  // whoever downloads them must (objects::LinkWish). nullopt: this store takes bytes from the hub alone.
  [[nodiscard]] virtual Result<std::optional<DirectUpload>> begin_direct(std::string_view tenant,
                                                                         const std::string& sha256,
                                                                         std::uint64_t size) {
    (void)tenant, (void)sha256, (void)size;
    return std::nullopt;
  }
  // A link for one part, counted from 1, with this digest of its own.
  [[nodiscard]] virtual Result<objects::Link> link_part(std::string_view tenant, const std::string& sha256,
                                                        const std::string& parts, int number,
                                                        const std::string& part_sha256) {
    (void)tenant, (void)sha256, (void)parts, (void)number, (void)part_sha256;
    return fail(Code::badValue, "no upload in parts has been begun", "/upload");
  }
  // The bytes are there, as their bringer says; `parts` and `sent` of an upload in parts. `badValue` if they are not.
  [[nodiscard]] virtual Result<Blob> end_direct(std::string_view tenant, const std::string& sha256, std::uint64_t size,
                                                const std::string& parts,
                                                const std::vector<objects::UploadedPart>& sent) {
    (void)tenant, (void)sha256, (void)size, (void)parts, (void)sent;
    return fail(Code::badValue, "no upload by a link has been begun");
  }
  // Removes what was committed before `before` (wall time) and nothing names, and what earlier sweeps have marked;
  // returns how many are gone. One that is committed again in the meantime stays.
  virtual std::size_t sweep(Millis before) = 0;
  // Of this machine's disk, where uploads gather. Throws std::system_error if that place is gone or does not answer.
  virtual Space space() = 0;
  virtual std::filesystem::path place() const = 0;  // likewise
  // Why a store elsewhere is out of reach, as last seen; empty: it is not. Does not block.
  virtual std::string trouble() const { return {}; }
  virtual std::string name() const { return "dir:" + place().string(); }  // for people
};

}  // namespace geres::hub::packages
