// SPDX-License-Identifier: Apache-2.0
// The event log: no holes, per job in an order that a job can live through, and at one with the state. Only a prefix of
// the log is ever dropped, and a purged job's events may outlive its row.
#include "hub/store/sqlite/audit.h"

namespace geres::hub::store::sqlite {
namespace {

#define GERES_JOB "'job ' || job_id(j.seq, j.lo)"
#define GERES_EVENT_JOB "'job ' || job_id(e.seq, e.lo)"
// Nothing has been dropped from the log.
#define GERES_WHOLE_LOG                                                                                  \
  "(SELECT CASE WHEN m.last_event = 0 THEN 1 ELSE coalesce((SELECT min(no) FROM event), 0) END = 1 FROM" \
  " meta m)"
#define GERES_NEWEST(column)                                                   \
  "(SELECT e." column                                                          \
  " FROM event e WHERE e.seq = j.seq AND e.lo = j.lo AND e.type <= 8 ORDER BY" \
  " e.no DESC LIMIT 1)"

const Rule kRules[] = {
    {"event-data-damaged", "I11", "event",
     "SELECT 'no=' || e.no, 'what it tells is not JSON' FROM event e WHERE NOT json_valid(coalesce(e.data, '{}'))"
     " OR (e.type <= 8 AND e.data IS NULL) OR e.type NOT BETWEEN 0 AND 19"},
    {"event-gap", "I11", "event",
     "SELECT 'no=' || no, 'the event before it is ' || before || ', and between them there is none'"
     " FROM (SELECT no, lag(no) OVER (ORDER BY no) AS before FROM event) WHERE no <> before + 1"},
    {"event-mark-wrong", "I11", "meta",
     "SELECT 'id=1', 'the newest event ever is said to be ' || m.last_event || ', but the log ends with ' || max(e.no)"
     " FROM meta m, event e HAVING m.last_event <> max(e.no)"},
    {"event-first-wrong", "I11", "event",
     "SELECT 'no=' || e.no, " GERES_EVENT_JOB " || ' begins with ' || event_text(e.type) ||"
     " ', though nothing was dropped from the log'"
     " FROM (SELECT seq, lo, min(no) AS no FROM event WHERE type <= 8 GROUP BY seq, lo) f JOIN event e ON e.no = f.no"
     " WHERE e.type <> 0 AND " GERES_WHOLE_LOG},
    {"event-order", "I11", "event",
     // What may follow what: type of the one before, type of the next.
     "WITH may(before, after) AS (VALUES (0,1),(0,2),(0,7),(0,8),(1,1),(1,2),(1,7),(1,8),(2,1),(2,3),(2,4),(2,5),(2,6),"
     "(2,7),(2,8),(3,1),(3,4),(3,5),(3,6),(3,7),(3,8),(4,1),(4,3),(4,4),(4,5),(4,6),(4,7),(4,8),(5,1),(5,8))"
     " SELECT 'no=' || e.no, " GERES_EVENT_JOB
     " || ': ' || event_text(e.type) || ' follows on ' || event_text(e.before)"
     " FROM (SELECT no, type, seq, lo, lag(type) OVER (PARTITION BY seq, lo ORDER BY no) AS before"
     "  FROM event WHERE type <= 8) e"
     " WHERE e.before IS NOT NULL AND NOT EXISTS (SELECT 1 FROM may WHERE may.before = e.before AND may.after = "
     "e.type)"},
    {"event-goes-back", "I11", "event",
     "SELECT 'no=' || e.no, " GERES_EVENT_JOB " || ': version and attempt go back from ' || e.v0 || ', ' || e.a0 ||"
     " ' to ' || e.v || ', ' || e.a FROM (SELECT no, seq, lo, v, a, lag(v) OVER w AS v0, lag(a) OVER w AS a0 FROM"
     "  (SELECT no, seq, lo, json_extract(data, '$.version') AS v, json_extract(data, '$.attempt') AS a"
     "   FROM event WHERE type <= 8 AND json_valid(data)) WINDOW w AS (PARTITION BY seq, lo ORDER BY no)) e"
     " WHERE e.v <= e.v0 OR e.a < e.a0"},
    {"event-tells-another-state", "I11", "event",
     "SELECT 'no=' || e.no, " GERES_EVENT_JOB " || ': ' || event_text(e.type) || ' tells the state ' || s FROM"
     " (SELECT no, seq, lo, type, json_extract(data, '$.state') AS s FROM event WHERE type <= 8 AND json_valid(data)) e"
     " WHERE s IS NULL OR s NOT IN (SELECT value FROM json_each(CASE e.type WHEN 0 THEN '[\"scheduled\",\"ready\"]'"
     " WHEN 1 THEN '[\"ready\"]' WHEN 2 THEN '[\"leased\"]' WHEN 3 THEN '[\"running\"]'"
     " WHEN 4 THEN '[\"leased\",\"running\"]' WHEN 5 THEN '[\"scheduled\"]' WHEN 6 THEN '[\"finished\"]'"
     " WHEN 7 THEN '[\"failed\"]' ELSE '[\"cancelled\"]' END))"},
    {"events-absent", "I11", "job",
     "SELECT 'seq=' || j.seq, " GERES_JOB " || ' has no event, though nothing was dropped from the log' FROM job j"
     " WHERE " GERES_WHOLE_LOG " AND NOT EXISTS (SELECT 1 FROM event e WHERE e.seq = j.seq AND e.lo = j.lo)"},
    {"event-not-the-state", "I11", "job",
     // With event-order, where nothing follows on an end: exactly one terminal event for each ended job.
     "SELECT 'seq=' || seq, 'job ' || job_id(seq, lo) || ' is ' || state_text(state) || ', but its newest event is ' ||"
     " event_text(type) FROM (SELECT j.seq, j.lo, " GERES_NEWEST(
         "type") " AS type,"
                 "  CASE WHEN l.seq IS NULL OR j.state <> 2 THEN j.state WHEN l.started_at IS NULL THEN 3 ELSE 4 END "
                 "AS state"
                 "  FROM job j LEFT JOIN lease l ON l.seq = j.seq)"
                 " WHERE type IS NOT NULL AND state IN (0, 2, 3, 4, 5, 6, 7) AND CASE state WHEN 0 THEN type NOT IN "
                 "(0, 1, 5)"
                 " WHEN 2 THEN type NOT IN (0, 1) WHEN 3 THEN type NOT IN (2, 4) WHEN 4 THEN type NOT IN (3, 4)"
                 " ELSE type <> state + 1 END"},
    {"event-ahead", "I12", "job",
     "SELECT 'seq=' || seq, 'job ' || job_id(seq, lo) || ' has version ' || version || ', but its newest event tells '"
     " || told FROM (SELECT j.seq, j.lo, coalesce(l.version, j.version) AS version,"
     "  (SELECT CASE WHEN json_valid(e.data) THEN json_extract(e.data, '$.version') END FROM event e"
     "   WHERE e.seq = j.seq AND e.lo = j.lo AND e.type <= 8 ORDER BY e.no DESC LIMIT 1) AS told"
     "  FROM job j LEFT JOIN lease l ON l.seq = j.seq) WHERE told > version"},
    {"event-of-another-tenant", "I13", "event",
     "SELECT 'no=' || e.no, " GERES_JOB " || ' belongs to tenant ' || j.tenant || ', the event to ' ||"
     " coalesce(e.tenant, 'everybody') FROM event e JOIN job j ON j.seq = e.seq AND j.lo = e.lo"
     " WHERE e.type <= 8 AND (e.tenant IS NOT j.tenant OR e.batch IS NOT j.batch)"},
    {"batch-never-completed", "I11", "batch",
     "SELECT 'id=x''' || hex(b.id) || '''', 'batch ' || b.name || ' takes no jobs and has none left, but no event tells"
     " that it is complete' FROM batch b WHERE b.state <> 0 AND " GERES_WHOLE_LOG
     " AND NOT EXISTS (SELECT 1 FROM job j WHERE j.batch = b.id AND j.state < 5)"
     " AND NOT EXISTS (SELECT 1 FROM event e WHERE e.seq = seq_of(b.id) AND e.type = 12)"},
};

}  // namespace

std::span<const Rule> event_rules() {
  return kRules;
}

}  // namespace geres::hub::store::sqlite
