// SPDX-License-Identifier: Apache-2.0
// The contract that every store keeps, run by the SQLite store on a file in memory (/dev/shm) where there is one.
#include <filesystem>

#include "base/uuid.h"
#include "hub/store/sqlite/sqlite_store.h"
#include "hub/store/store_contract_blobs_test.h"
#include "hub/store/store_contract_cursors_test.h"
#include "hub/store/store_contract_enrolments_test.h"
#include "hub/store/store_contract_queue_test.h"
#include "hub/store/store_contract_reads_test.h"
#include "hub/store/store_contract_scaler_test.h"
#include "hub/store/store_contract_test.h"
#include "hub/store/store_contract_webhooks_test.h"

namespace geres::hub::store::contract {
namespace {

class SqlitePlace final : public Place {
 public:
  explicit SqlitePlace(const SqliteOptions& options) : options_(options) {
    const std::filesystem::path memory = "/dev/shm";
    directory_ = (std::filesystem::is_directory(memory) ? memory : std::filesystem::temp_directory_path()) /
                 ("geres-store-" + random_hex(6));
    std::filesystem::create_directory(directory_);
  }
  ~SqlitePlace() override {
    std::error_code ignored;
    std::filesystem::remove_all(directory_, ignored);
  }
  std::unique_ptr<Store> open() override { return open_sqlite(directory_ / "store.db", options_); }

 private:
  SqliteOptions options_;
  std::filesystem::path directory_;
};

PlaceKind kind(const std::string& name, const SqliteOptions& options) {
  return {name, [options] { return std::make_unique<SqlitePlace>(options); }, !options.single_connection};
}

const auto kKinds =
    testing::Values(kind("file", {.lock_file = false, .reserve_bytes = 0}),
                    kind("single", {.lock_file = false, .single_connection = true, .reserve_bytes = 0}));

std::string name_of(const testing::TestParamInfo<PlaceKind>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreContract, kKinds, name_of);
INSTANTIATE_TEST_SUITE_P(Sqlite, StoreFilters, kKinds, name_of);

}  // namespace
}  // namespace geres::hub::store::contract
