// SPDX-License-Identifier: Apache-2.0
// Webhooks and other readers: none may be ahead of the log, and what was told in vain belongs to one of them.
#include "hub/store/sqlite/audit.h"

namespace geres::hub::store::sqlite {
namespace {

#define GERES_DELIVERY "'webhook=x''' || hex(d.webhook) || ''' AND event=' || d.event"

const Rule kRules[] = {
    {"webhook-ahead", "I11", "webhook",
     "SELECT 'id=x''' || hex(w.id) || '''', 'webhook ' || id_text(w.id) || ' has read up to event ' || w.cursor ||"
     " ', but the newest ever is ' || m.last_event FROM webhook w, meta m WHERE w.cursor > m.last_event"},
    {"webhook-damaged", "file", "webhook",
     "SELECT 'id=x''' || hex(id) || '''', 'webhook ' || id_text(id) || ' cannot be one' FROM webhook"
     " WHERE length(id) <> 16 OR secret NOT LIKE 'whsec_%' OR (for_jobs = 0) <> (url IS NOT NULL)"
     " OR NOT json_valid(coalesce(types, '[]')) OR length(coalesce(batches, x'')) % 16 <> 0"},
    {"webhooks-for-jobs", "I13", "webhook",
     "SELECT 'tenant=''' || tenant || '''', 'tenant ' || tenant || ' has ' || count(*) || ' webhooks for its jobs'"
     " FROM webhook WHERE for_jobs = 1 AND removed = 0 GROUP BY tenant HAVING count(*) > 1"},
    {"delivery-of-no-webhook", "I11", "webhook_delivery",
     "SELECT " GERES_DELIVERY ", 'it belongs to no webhook' FROM webhook_delivery d"
     " WHERE NOT EXISTS (SELECT 1 FROM webhook w WHERE w.id = d.webhook)"},
    {"delivery-damaged", "file", "webhook_delivery",
     "SELECT " GERES_DELIVERY ", 'state ' || d.state || ' after ' || d.attempts || ' attempts cannot be'"
     " FROM webhook_delivery d WHERE d.state NOT IN (0, 1) OR d.attempts < 0"},
    {"delivery-ahead", "I11", "webhook_delivery",
     "SELECT " GERES_DELIVERY ", 'it tells an event that has not been' FROM webhook_delivery d, meta m"
     " WHERE d.event > m.last_event"},
    {"delivery-of-another-tenant", "I13", "webhook_delivery",
     "SELECT " GERES_DELIVERY ", 'the event belongs to tenant ' || e.tenant || ', the webhook to ' || w.tenant"
     " FROM webhook_delivery d JOIN webhook w ON w.id = d.webhook JOIN event e ON e.no = d.event"
     " WHERE e.tenant IS NOT NULL AND e.tenant <> w.tenant"},
    {"cursor-ahead", "I11", "cursor",
     // Of a log that was before a restore nothing is known.
     "SELECT 'name=''' || c.name || '''', 'the cursor ' || c.name || ' stands at event ' || c.at ||"
     " ', but the newest ever is ' || m.last_event FROM cursor c, meta m"
     " WHERE c.at < 0 OR (c.log = m.log AND c.at > m.last_event)"},
};

}  // namespace

std::span<const Rule> webhook_rules() {
  return kRules;
}

}  // namespace geres::hub::store::sqlite
