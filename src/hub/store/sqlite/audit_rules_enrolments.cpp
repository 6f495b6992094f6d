// SPDX-License-Identifier: Apache-2.0
// Hosts that enrol: no join token makes more of them than it has uses, and no host stands in another's name.
#include "hub/store/sqlite/audit.h"

namespace geres::hub::store::sqlite {
namespace {

const Rule kRules[] = {
    {"join-token-overused", "I5", "join_token",
     "SELECT 'id=x''' || hex(t.id) || '''', 'it is for ' || t.uses || ' hosts, of which ' || t.uses_left ||"
     " ' are left, and ' || n || ' have joined' FROM (SELECT t.*, (SELECT count(*) FROM enrolment e"
     "  WHERE e.join_token = t.id) AS n FROM join_token t) t WHERE t.uses_left < 0 OR n > t.uses - t.uses_left"},
    {"join-token-damaged", "file", "join_token",
     "SELECT 'id=x''' || hex(id) || '''', 'this cannot be: ' || uses || ' uses, tenants ' || tenants FROM join_token"
     " WHERE uses < 1 OR uses_left > uses OR length(sha256) <> 64 OR NOT json_valid(tenants)"},
    {"enrolment-name-twice", "I5", "enrolment",
     "SELECT 'name=''' || name || '''', count(*) || ' hosts of the same tenants have joined as ' || name"
     " FROM enrolment GROUP BY name, tenants HAVING count(*) > 1"},
    {"enrolment-with-two-hosts", "I5", "host",
     "SELECT 'enrolment=x''' || hex(enrolment) || '''', count(*) || ' hosts use its secret' FROM host"
     " WHERE enrolment IS NOT NULL GROUP BY enrolment HAVING count(*) > 1"},
    {"host-of-no-enrolment", "I5", "host",
     "SELECT 'id=x''' || hex(h.id) || '''', 'host ' || h.name || ' uses a secret that is not kept' FROM host h"
     " WHERE h.enrolment IS NOT NULL AND NOT EXISTS (SELECT 1 FROM enrolment e WHERE e.id = h.enrolment)"},
    {"host-in-another-name", "I5", "host",
     "SELECT 'id=x''' || hex(h.id) || '''', 'the name ' || h.name || ' belongs to another host' FROM host h"
     " JOIN enrolment e ON e.name = h.name AND e.tenants IS h.tenants WHERE h.enrolment IS NOT e.id"},
    {"enrolment-damaged", "file", "enrolment",
     "SELECT 'id=x''' || hex(id) || '''', 'its secrets or tenants cannot be' FROM enrolment"
     " WHERE length(secret_sha256) <> 64 OR length(earlier_sha256) NOT IN (0, 64) OR length(joining) NOT IN (0, 64)"
     " OR secret_sha256 = earlier_sha256 OR NOT json_valid(coalesce(tenants, '[]'))"},
};

}  // namespace

std::span<const Rule> enrolment_rules() {
  return kRules;
}

}  // namespace geres::hub::store::sqlite
