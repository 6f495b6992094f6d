// SPDX-License-Identifier: Apache-2.0
// A fleet that sizes itself: above all that no job is on a machine that is being taken away.
#include "hub/store/sqlite/audit.h"

namespace geres::hub::store::sqlite {
namespace {

#define GERES_MACHINE "'pool=''' || m.pool || ''' AND instance=''' || m.instance || ''''"

const Rule kRules[] = {
    {"machine-taken-from-a-job", "I4", "lease",
     "SELECT 'seq=' || l.seq, 'it runs on machine ' || m.instance || ' of pool ' || m.pool || ', which is being "
     "removed'"
     " FROM lease l JOIN host h ON h.id = l.host JOIN machine m ON m.pool = h.pool AND m.instance = h.instance"
     " WHERE m.state IN (3, 4)"},
    {"machine-gone-but-served", "I4", "host",
     "SELECT 'id=x''' || hex(h.id) || '''', 'host ' || h.name || ' may get jobs, but its machine ' || m.instance ||"
     " ' is being removed' FROM host h JOIN machine m ON m.pool = h.pool AND m.instance = h.instance"
     " WHERE m.state IN (3, 4) AND h.mode <> 2"},
    {"host-without-machine", "I4", "host",
     "SELECT 'id=x''' || hex(h.id) || '''', 'host ' || h.name || ' runs on machine ' || h.instance ||"
     " ', which pool ' || h.pool || ' has not' FROM host h JOIN pool p ON p.name = h.pool WHERE NOT EXISTS"
     " (SELECT 1 FROM machine m WHERE m.pool = h.pool AND m.instance = h.instance)"},
    {"machine-of-no-pool", "I9", "machine",
     "SELECT " GERES_MACHINE ", 'there is no such pool, and it is not gone' FROM machine m"
     " WHERE m.gone_at IS NULL AND NOT EXISTS (SELECT 1 FROM pool p WHERE p.name = m.pool)"},
    {"machine-damaged", "file", "machine",
     "SELECT " GERES_MACHINE ", 'state ' || m.state || ' cannot be' FROM machine m"
     " WHERE m.state NOT BETWEEN 0 AND 6 OR (m.state = 4) <> (m.gone_at IS NOT NULL) OR m.instance = ''"},
    {"intent-damaged", "file", "scaler_intent",
     "SELECT 'request=''' || request || '''', 'verb ' || verb || ' in state ' || state || ' cannot be'"
     " FROM scaler_intent WHERE verb NOT BETWEEN 0 AND 3 OR state NOT BETWEEN 0 AND 4 OR count < 0"
     " OR NOT json_valid(instances) OR NOT json_valid(coalesce(refusal, '{}'))"},
    {"decision-damaged", "file", "scaler_decision",
     "SELECT 'id=' || id, 'it was made ' || times || ' times from ' || at || ' to ' || last_at FROM scaler_decision"
     " WHERE times < 1 OR (times > 1 AND changes IS NOT NULL) OR NOT json_valid(input)"
     " OR NOT json_valid(coalesce(changes, '{}'))"},
    {"pool-damaged", "file", "pool",
     "SELECT 'name=''' || name || '''', 'version ' || version || ' cannot be' FROM pool"
     " WHERE version < 1 OR NOT json_valid(settings) OR (scale_wanted IS NULL) <> (scale_until IS NULL)"},
    {"scaler-row", "I4", "scaler",
     "SELECT 'id=1', 'epoch ' || epoch || ' is held by ''' || holder || '''' FROM scaler"
     " WHERE epoch < 1 OR holder = ''"},
};

}  // namespace

std::span<const Rule> scaler_rules() {
  return kRules;
}

}  // namespace geres::hub::store::sqlite
