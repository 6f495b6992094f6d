// SPDX-License-Identifier: Apache-2.0
// Packages that somebody puts into an object store under readable names become packages of GeRes, and those of GeRes
// lie there under such names: users of GeRes2 deployed by a copy to blob storage, and their tools go on doing so.
//
// Both are versions of one package, and the newer one counts: an object is taken when it is new or has changed since it
// was last looked at, and given when GeRes has a version that is newer. An object that somebody removes stays removed
// until there is a new version; the package stays, because jobs may need it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/repeated.h"
#include "hub/packages/blobs.h"
#include "hub/packages/layout.h"
#include "model/batch.h"
#include "objects/object_store.h"

namespace geres::hub::packages {

class PackageImport {
 public:
  // What it works with; any thread, may block.
  struct Catalogue {
    std::function<std::vector<model::PackageVersion>()> all;
    std::function<Result<model::PackageVersion>(model::PackageVersion version)> put;  // its blob is there
  };
  struct Refused {
    std::string object, why;
  };
  struct Round {
    std::int64_t seen = 0;  // objects of the layout's shape
    std::vector<model::PackageVersion> taken, given;
    std::vector<Refused> refused;  // all that lie there and cannot be packages, also those told before
  };

  PackageImport(std::shared_ptr<objects::ObjectStore> store, Layout layout, Blobs& blobs, Catalogue catalogue,
                const Clock& clock, std::int64_t bytes_max);

  void start(Millis every);
  void stop() { repeated_.stop(); }
  // One look at everything, now. `blobStoreAway` and what the catalogue says.
  [[nodiscard]] Result<Round> sync();

 private:
  struct Seen {
    std::string etag, sha256;
    std::string refusal;  // why it is no package; empty: it is one
  };
  using Newest = std::map<PackageName, model::PackageVersion>;

  Newest newest() const;
  Result<void> take(const objects::Object& object, const PackageName& name, const Newest& newest, Round& round);
  Result<std::unique_ptr<Upload>> download(const objects::Object& object, const PackageName& name);
  Result<void> give(const PackageName& name, const model::PackageVersion& version, Round& round);

  const std::shared_ptr<objects::ObjectStore> store_;
  const Layout layout_;
  Blobs& blobs_;
  const Catalogue catalogue_;
  const Clock& clock_;
  const std::int64_t bytes_max_;
  std::mutex syncing_;
  std::map<std::string, Seen> seen_;  // by object
  bool away_ = false;
  Repeated repeated_;
};

}  // namespace geres::hub::packages
