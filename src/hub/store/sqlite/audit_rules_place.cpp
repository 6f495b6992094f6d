// SPDX-License-Identifier: Apache-2.0
// Where jobs stand. A job's row says scheduled, ready or how it ended; that it is leased or running stands in its lease
// alone. So a live job has exactly one row in the hot tables, an ended one has none, and the counters say the same.
#include "hub/store/sqlite/audit.h"

namespace geres::hub::store::sqlite {
namespace {

#define GERES_PLACES                                                                          \
  "WITH placed AS MATERIALIZED (SELECT seq, count(*) AS n, max(kind) AS kind FROM"            \
  " (SELECT seq, 'ready' AS kind FROM ready UNION ALL SELECT seq, 'scheduled' FROM scheduled" \
  " UNION ALL SELECT seq, 'lease' FROM lease) GROUP BY seq) "
#define GERES_JOB "'job ' || job_id(j.seq, j.lo)"
#define GERES_NO_BATCH "x'00000000000000000000000000000000'"

const Rule kRules[] = {
    // ---- one place
    {"state-unknown", "I8", "job",
     "SELECT 'seq=' || j.seq, " GERES_JOB " || ' has the state ' || j.state || ', which no row of this table has'"
     " FROM job j WHERE j.state NOT IN (0, 2, 5, 6, 7)"},
    {"waits-nowhere", "I8", "job",
     GERES_PLACES "SELECT 'seq=' || j.seq, " GERES_JOB
                  " || ' is ' || state_text(j.state) || ', but stands in none of ready,"
                  " scheduled and lease: nothing will ever move it'"
                  " FROM job j LEFT JOIN placed p ON p.seq = j.seq WHERE j.state < 5 AND p.seq IS NULL"},
    {"waits-twice", "I8", "job",
     GERES_PLACES "SELECT 'seq=' || j.seq, " GERES_JOB
                  " || ' stands in ' || p.n || ' places of ready, scheduled and lease'"
                  " FROM placed p JOIN job j ON j.seq = p.seq WHERE p.n > 1"},
    {"waits-elsewhere", "I8", "job",
     GERES_PLACES "SELECT 'seq=' || j.seq, " GERES_JOB
                  " || ' is ' || state_text(j.state) || ', but stands in ' || p.kind"
                  " FROM placed p JOIN job j ON j.seq = p.seq WHERE p.n = 1 AND"
                  " ((j.state = 0 AND p.kind <> 'scheduled') OR (j.state = 2 AND p.kind = 'scheduled'))"},
    {"ended-but-waits", "I2", "job",
     GERES_PLACES "SELECT 'seq=' || j.seq, " GERES_JOB
                  " || ' is ' || state_text(j.state) || ', but stands in ' || p.kind ||"
                  " ': it would run again' FROM placed p JOIN job j ON j.seq = p.seq WHERE p.n = 1 AND j.state >= 5"},
    {"ready-without-job", "I8", "ready",
     "SELECT 'lane=' || r.lane || ' AND priority=' || r.priority || ' AND seq=' || r.seq, 'no such job'"
     " FROM ready r WHERE NOT EXISTS (SELECT 1 FROM job j WHERE j.seq = r.seq)"},
    {"scheduled-without-job", "I8", "scheduled",
     "SELECT 'seq=' || s.seq, 'no such job' FROM scheduled s"
     " WHERE NOT EXISTS (SELECT 1 FROM job j WHERE j.seq = s.seq)"},
    {"due-time-unknown", "I8", "job",
     "SELECT 'seq=' || j.seq, " GERES_JOB " || CASE j.state WHEN 0 THEN ' is scheduled, but for no time'"
     " ELSE ' is not scheduled, but has a due time' END"
     " FROM job j WHERE (j.state = 0) <> (j.due_at IS NOT NULL)"},

    // ---- ready rows and lanes
    {"lane-absent", "I8", "ready",
     "SELECT 'lane=' || r.lane || ' AND seq=' || r.seq, 'there is no lane ' || r.lane || ': it is never looked at'"
     " FROM ready r WHERE NOT EXISTS (SELECT 1 FROM lane l WHERE l.no = r.lane)"},
    {"lane-of-another-kind", "I8", "ready",
     "SELECT 'lane=' || r.lane || ' AND seq=' || r.seq, " GERES_JOB " || ' stands in a lane of another batch, tenant,"
     " type or need'"
     " FROM ready r JOIN job j ON j.seq = r.seq JOIN lane l ON l.no = r.lane"
     " WHERE l.batch <> coalesce(j.batch, " GERES_NO_BATCH ") OR l.tenant <> j.tenant OR l.type <> j.type"
     " OR l.packaged <> (coalesce(j.package, '') <> '')"
     " OR ((j.extras IS NULL OR json_valid(j.extras)) AND json_valid(coalesce(nullif(l.requirements, ''), '{}')) AND"
     " json_remove(coalesce(nullif(l.requirements, ''), '{}'), '$.memory') <>"
     " json_remove(coalesce(json_extract(j.extras, '$.requires'), '{}'), '$.memory'))"
     " OR ((j.extras IS NULL OR json_valid(j.extras)) AND json_valid(coalesce(nullif(l.requirements, ''), '{}')) AND"
     " coalesce(json_extract(nullif(l.requirements, ''), '$.memory'), 0) <>"
     " max(coalesce(json_extract(j.extras, '$.requires.memory'), 0), coalesce(j.memory, 0)))"
     " OR coalesce(l.avoid, '') <> coalesce(CASE WHEN json_valid(j.trouble) THEN json_extract(j.trouble, '$.avoid') "
     "END,"
     " '')"},
    {"priority-differs", "I14", "ready",
     "SELECT 'lane=' || r.lane || ' AND seq=' || r.seq, " GERES_JOB " || ' waits with priority ' || r.priority ||"
     " ' but has ' || j.priority FROM ready r JOIN job j ON j.seq = r.seq WHERE r.priority <> j.priority"},
    {"lane-twice", "I8", "lane",
     "SELECT 'no=' || max(l.no), 'lanes ' || min(l.no) || ' and ' || max(l.no) || ' are for the same jobs'"
     " FROM lane l GROUP BY l.batch, l.tenant, l.type, l.packaged, l.requirements, l.avoid HAVING count(*) > 1"},
    {"lane-without-batch", "I8", "lane",
     "SELECT 'no=' || l.no, 'there is no batch ' || id_text(l.batch) FROM lane l"
     " WHERE l.batch <> " GERES_NO_BATCH " AND NOT EXISTS (SELECT 1 FROM batch b WHERE b.id = l.batch)"},
    {"lane-without-tenant", "I8", "lane",
     "SELECT 'no=' || l.no, 'there is no tenant ' || l.tenant FROM lane l"
     " WHERE NOT EXISTS (SELECT 1 FROM tenant t WHERE t.name = l.tenant)"},
    {"deadline-absent", "I8", "queue_deadline",
     "SELECT 'seq=' || j.seq, " GERES_JOB " || ' may wait for ' || j.queue_timeout || ' ms only, but nothing ends that'"
     " FROM ready r JOIN job j ON j.seq = r.seq WHERE j.state = 2 AND coalesce(j.queue_timeout, 0) > 0"
     " AND NOT EXISTS (SELECT 1 FROM queue_deadline d WHERE d.seq = j.seq)"},
    {"deadline-of-nobody", "I8", "queue_deadline",
     "SELECT 'seq=' || d.seq, 'no job with a limit to its wait is ready under this number' FROM queue_deadline d"
     " WHERE NOT EXISTS (SELECT 1 FROM job j WHERE j.seq = d.seq AND j.state = 2 AND coalesce(j.queue_timeout, 0) > 0"
     " AND NOT EXISTS (SELECT 1 FROM lease l WHERE l.seq = j.seq))"},

    // ---- leases
    {"lease-without-job", "I5", "lease",
     "SELECT 'seq=' || l.seq, 'host ' || l.host_name || ' has a lease of a job that is not there' FROM lease l"
     " WHERE NOT EXISTS (SELECT 1 FROM job j WHERE j.seq = l.seq AND j.lo = l.lo)"},
    {"lease-of-unknown-host", "I8", "lease",
     // A lost host's name may be taken by another one; its leases then end with their time. But it did join.
     "SELECT 'seq=' || l.seq, 'host ' || l.host_name || ' (' || id_text(l.host) || ') has never joined' FROM lease l"
     " WHERE NOT EXISTS (SELECT 1 FROM host h WHERE h.id = l.host)"
     " AND NOT EXISTS (SELECT 1 FROM event e WHERE e.type BETWEEN 13 AND 16"
     "  AND job_id(e.seq, e.lo) = id_text(l.host))"
     " AND coalesce((SELECT min(no) FROM event), 1) = 1"},
    {"lease-name-foreign", "I5", "lease",
     "SELECT 'seq=' || l.seq, 'the lease of job ' || job_id(l.seq, l.lo) || ' has the name ' || id_text(l.name) ||"
     " ', which belongs to another job' FROM lease l WHERE substr(id_text(l.name), 1, 18) <>"
     " substr(job_id(l.seq, l.lo), 1, 18)"},
    {"lease-without-end", "I8", "lease",
     "SELECT 'seq=' || l.seq, 'the lease of job ' || job_id(l.seq, l.lo) || ' never ends: its time is ' || l.ttl ||"
     " ' ms' FROM lease l WHERE l.ttl <= 0"},
    {"lease-in-no-lane", "I8", "lease",
     "SELECT 'seq=' || l.seq, 'there is no lane ' || l.lane FROM lease l"
     " WHERE NOT EXISTS (SELECT 1 FROM lane WHERE lane.no = l.lane)"},
    {"lease-in-wrong-lane", "I8", "lease",
     "SELECT 'seq=' || l.seq, " GERES_JOB " || ' was taken from a lane of another batch, tenant or type'"
     " FROM lease l JOIN job j ON j.seq = l.seq JOIN lane n ON n.no = l.lane"
     " WHERE n.batch <> coalesce(j.batch, " GERES_NO_BATCH ") OR n.tenant <> j.tenant OR n.type <> j.type"},
    {"lease-version-old", "I12", "lease",
     "SELECT 'seq=' || l.seq, " GERES_JOB " || ' shows version ' || l.version || ' while leased, but had ' ||"
     " j.version || ' before' FROM lease l JOIN job j ON j.seq = l.seq WHERE l.version <= j.version"},

    // ---- batches and tenants
    {"batch-absent", "I8", "job",
     "SELECT 'seq=' || j.seq, " GERES_JOB " || ' is in the batch ' || id_text(j.batch) || ', which is not there'"
     " FROM job j WHERE j.batch IS NOT NULL AND NOT EXISTS (SELECT 1 FROM batch b WHERE b.id = j.batch)"},
    {"batch-of-another-tenant", "I13", "job",
     "SELECT 'seq=' || j.seq, " GERES_JOB " || ' of tenant ' || j.tenant || ' is in a batch of tenant ' || b.tenant"
     " FROM batch b JOIN job j ON j.batch = b.id WHERE b.tenant <> '' AND b.tenant <> j.tenant"},
    {"cancelled-batch-waits", "I9", "job",
     "SELECT 'seq=' || j.seq, " GERES_JOB " || ' waits in the cancelled batch ' || b.name || ', and nothing is under"
     " way that cancels it'"
     " FROM batch b JOIN job j ON j.batch = b.id LEFT JOIN lease l ON l.seq = j.seq WHERE b.state = 2 AND j.state < 5"
     " AND (l.seq IS NULL OR l.cancel_requested_at IS NULL) AND NOT EXISTS (SELECT 1 FROM operation o"
     " WHERE o.kind = 0 AND json_valid(o.filter) AND json_extract(o.filter, '$.batch') = id_text(b.id))"},
    {"batch-name-twice", "I13", "batch",
     "SELECT 'name=''' || b.name || '''', 'tenant ' || b.tenant || ' has ' || count(*) || ' batches ' || b.name"
     " FROM batch b GROUP BY b.tenant, b.name HAVING count(*) > 1"},
    {"tenant-absent", "I8", "job",
     "SELECT 'tenant=''' || j.tenant || '''', 'jobs belong to the tenant ' || j.tenant || ', which is not there'"
     " FROM (SELECT DISTINCT tenant FROM job) j WHERE NOT EXISTS (SELECT 1 FROM tenant t WHERE t.name = j.tenant)"},
    {"counts-differ", "I14", "batch_count",
     "SELECT 'batch=x''' || lower(hex(batch)) || ''' AND tenant=''' || tenant || '''',"
     " 'counted less than there are of each state, from scheduled to cancelled: ' || sum(s0) || ' ' || sum(s1) ||"
     " ' ' || sum(s2) || ' ' || sum(s3) || ' ' || sum(s4) || ' ' || sum(s5) || ' ' || sum(s6) || ' ' || sum(s7)"
     " FROM (SELECT coalesce(j.batch, " GERES_NO_BATCH ") AS batch, j.tenant, sum(j.state = 0) AS s0,"
     "  sum(j.state = 1) AS s1, sum(j.state = 2 AND l.seq IS NULL) AS s2,"
     "  sum(j.state = 2 AND l.seq IS NOT NULL AND l.started_at IS NULL) AS s3,"
     "  sum(j.state = 2 AND l.seq IS NOT NULL AND l.started_at IS NOT NULL) AS s4,"
     "  sum(j.state = 5) AS s5, sum(j.state = 6) AS s6, sum(j.state = 7) AS s7"
     "  FROM job j LEFT JOIN lease l ON l.seq = j.seq GROUP BY j.tenant, j.batch"
     "  UNION ALL SELECT batch, tenant, -s0, -s1, -s2, -s3, -s4, -s5, -s6, -s7 FROM batch_count)"
     " GROUP BY batch, tenant HAVING sum(s0) <> 0 OR sum(s1) <> 0 OR sum(s2) <> 0 OR sum(s3) <> 0 OR sum(s4) <> 0"
     " OR sum(s5) <> 0 OR sum(s6) <> 0 OR sum(s7) <> 0"},
    {"dead-letters-miscounted", "I14", "dead_letter",
     "SELECT 'tenant=''' || tenant || ''' AND reason=' || reason, 'tenant ' || tenant || ' has ' || sum(own) ||"
     " ' open dead letters of one reason, counted are ' || sum(counted) FROM"
     " (SELECT tenant, reason, 1 AS own, 0 AS counted FROM job WHERE state >= 6 AND state = 6 AND settled_at IS NULL"
     "  UNION ALL SELECT tenant, reason, 0, n FROM dead_letter)"
     " GROUP BY tenant, reason HAVING sum(own) <> sum(counted)"},
    {"settled-unfailed", "I8", "job",
     "SELECT 'seq=' || j.seq, " GERES_JOB " || ' is ' || state_text(j.state) || ', but settled like a dead letter'"
     " FROM job j WHERE j.settled_at IS NOT NULL AND j.state <> 6"},
    {"host-name-twice", "I5", "host",
     "SELECT 'name=''' || h.name || '''', count(*) || ' hosts of the same tenants have the name ' || h.name"
     " FROM host h GROUP BY h.name, h.tenants HAVING count(*) > 1"},
};

}  // namespace

std::span<const Rule> place_rules() {
  return kRules;
}

}  // namespace geres::hub::store::sqlite
