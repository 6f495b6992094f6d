// SPDX-License-Identifier: Apache-2.0
// Bytes by their SHA-256, apart for each tenant: packages, input files, artifacts.
//
// A blob is there in full or not at all. Whoever commits one names it in the store soon after; what nobody names is
// swept. Bad input is an Error, trouble with the disk or the network an exception. All verbs may be called from any
// thread; one Upload belongs to one thread at a time. A tenant or digest that is none (not a name, not 64 hex digits)
// is refused here again, whoever checked it before.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"

namespace geres::hub::packages {

struct Blob {
  std::string sha256;
  std::uint64_t size = 0;
};

// Bytes on their way in. They gather in a file of this machine, whatever store they go to, since their name is known
// only at the end. Destroyed before commit() succeeded: nothing remains.
class Upload {
 public:
  virtual ~Upload() = default;
  // `storageFull` if the disk's reserve would be touched; the upload is of no use then.
  [[nodiscard]] virtual Result<void> write(std::string_view bytes) = 0;
  virtual std::uint64_t size() const = 0;
  // Where the bytes lie until commit(), complete up to the last write(): to look into a package before it is taken in.
  virtual const std::filesystem::path& file() const = 0;
  // Durable and visible when it returns; at most once. A blob that exists already counts as new from now on.
  // `badValue` if `expected_sha256` is not empty and another digest came out.
  [[nodiscard]] virtual Result<Blob> commit(std::string_view expected_sha256 = {}) = 0;
};

struct OpenBlob {
  Fd fd;  // at its beginning; stays readable when the blob is removed meanwhile
  std::uint64_t size = 0;
};

struct Space {
  std::uint64_t free_bytes = 0;  // what we may use
  std::uint64_t total_bytes = 0;
};

class Blobs {
 public:
  using Keep = std::function<bool(std::string_view tenant, std::string_view sha256)>;

  virtual ~Blobs() = default;
  // `announced` bytes are expected (0: unknown). `badValue` for a bad tenant name, `storageFull` if they would not fit.
  [[nodiscard]] virtual Result<std::unique_ptr<Upload>> begin(std::string_view tenant, std::uint64_t announced = 0) = 0;
  // `unknownFile` if it is absent.
  [[nodiscard]] virtual Result<OpenBlob> open(std::string_view tenant, std::string_view sha256) = 0;
  virtual std::optional<Blob> find(std::string_view tenant, std::string_view sha256) = 0;
  bool has(std::string_view tenant, std::string_view sha256) { return find(tenant, sha256).has_value(); }
  virtual bool remove(std::string_view tenant, std::string_view sha256) = 0;  // false if it was absent
  // Removes what was committed before `before` (wall time) and what `keep` does not want kept; returns how many. `keep`
  // is called without locks, blob by blob. A blob that is committed again meanwhile stays.
  virtual std::size_t sweep(Millis before, const Keep& keep) = 0;
  virtual Space space() = 0;  // throws std::system_error where the place is gone or does not answer
  virtual std::filesystem::path place() const = 0;
};

}  // namespace geres::hub::packages
