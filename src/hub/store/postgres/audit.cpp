// SPDX-License-Identifier: Apache-2.0
#include "hub/store/postgres/reads.h"

namespace geres::hub::store::postgres {

// audit rules come here
Audit PostgresReads::audit(const AuditOptions&) {
  throw StoreFailed(Failure::refused, "not yet");
}

}  // namespace geres::hub::store::postgres
