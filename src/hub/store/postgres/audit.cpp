// SPDX-License-Identifier: Apache-2.0
#include "hub/store/postgres/reads.h"

namespace geres::hub::store::postgres {

// The rules are written for SQLite so far.
Audit PostgresReads::audit(const AuditOptions&) {
  throw StoreFailed(Failure::refused, "a store on PostgreSQL cannot be audited by this version");
}

}  // namespace geres::hub::store::postgres
