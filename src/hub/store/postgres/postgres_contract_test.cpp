// SPDX-License-Identifier: Apache-2.0
// The contract that every store keeps, run on a PostgreSQL server of the tests' own.
#include "hub/store/postgres/postgres_server.h"
#include "hub/store/postgres/postgres_store.h"
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

class PostgresPlace final : public Place {
 public:
  PostgresPlace() : url_(postgres::test_server().new_database()) {}
  std::unique_ptr<Store> open() override {
    return open_postgres({.url = url_, .stands_still = 20, .unsafe_allowed = true});
  }

 private:
  std::string url_;
};

const auto kKinds = testing::Values(PlaceKind{"server", [] { return std::make_unique<PostgresPlace>(); }});

std::string name_of(const testing::TestParamInfo<PlaceKind>& info) {
  return info.param.name;
}

INSTANTIATE_TEST_SUITE_P(Postgres, StoreContract, kKinds, name_of);
INSTANTIATE_TEST_SUITE_P(Postgres, StoreFilters, kKinds, name_of);

}  // namespace
}  // namespace geres::hub::store::contract
