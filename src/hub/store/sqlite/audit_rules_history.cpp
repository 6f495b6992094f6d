// SPDX-License-Identifier: Apache-2.0
// What has become of jobs: attempts and their outcomes, the limits they keep, and what names what: keys, files,
// packages, operations, jobs that were run again. An attempt's row is written when it ends; the current one is the
// lease.
#include "hub/store/sqlite/audit.h"

namespace geres::hub::store::sqlite {
namespace {

#define GERES_JOB "'job ' || job_id(j.seq, j.lo)"
// How the newest ended attempt of job j ended.
#define GERES_LAST "(SELECT a.outcome FROM attempt a WHERE a.seq = j.seq ORDER BY a.attempt DESC LIMIT 1)"

const Rule kRules[] = {
    // ---- the job's own row
    {"reason-misplaced", "I3", "job",
     "SELECT 'seq=' || j.seq, " GERES_JOB " || ' is ' || state_text(j.state) || CASE j.reason WHEN 0 THEN ' for no"
     " reason' ELSE ', but has a reason to have failed' END FROM job j WHERE (j.state = 6) <> (j.reason <> 0)"},
    {"end-time-misplaced", "I2", "job",
     "SELECT 'seq=' || j.seq, " GERES_JOB " || ' is ' || state_text(j.state) || CASE WHEN j.finished_at IS NULL THEN"
     " ' without a time when it ended' ELSE ', but has a time when it ended' END"
     " FROM job j WHERE (j.state >= 5) <> (j.finished_at IS NOT NULL)"},
    {"cancel-forgotten", "I9", "job",
     "SELECT 'seq=' || j.seq, " GERES_JOB " || CASE j.state WHEN 7 THEN ' is cancelled, but nobody asked for it'"
     " ELSE ' waits, though its cancel was acknowledged' END FROM job j"
     " WHERE (j.state = 7 AND j.cancel_requested_at IS NULL) OR (j.state < 5 AND j.cancel_requested_at IS NOT NULL)"},

    // ---- attempts
    {"attempts-have-gaps", "I4", "attempt",
     "SELECT 'seq=' || j.seq, " GERES_JOB " || ' has had ' || j.attempt || ' attempts, but the rows are of ' ||"
     " coalesce((SELECT group_concat(a.attempt) FROM attempt a WHERE a.seq = j.seq), 'none')"
     " FROM job j WHERE j.attempt <> (SELECT count(*) FROM attempt a WHERE a.seq = j.seq)"
     " OR EXISTS (SELECT 1 FROM attempt a WHERE a.seq = j.seq AND (a.attempt < 1 OR a.attempt > j.attempt))"},
    {"attempt-without-job", "I4", "attempt",
     "SELECT 'seq=' || a.seq || ' AND attempt=' || a.attempt, 'no such job' FROM attempt a"
     " WHERE NOT EXISTS (SELECT 1 FROM job j WHERE j.seq = a.seq)"},
    {"attempt-number-wrong", "I4", "lease",
     "SELECT 'seq=' || l.seq, " GERES_JOB
     " || ' has ended ' || j.attempt || ' attempts, but the current one is number '"
     " || l.attempt FROM lease l JOIN job j ON j.seq = l.seq WHERE l.attempt <> j.attempt + 1"},
    {"attempt-without-outcome", "I3", "attempt",
     "SELECT 'seq=' || a.seq || ' AND attempt=' || a.attempt, 'it ended, but when and how is not known'"
     " FROM attempt a WHERE a.outcome IS NULL OR a.ended_at IS NULL OR a.outcome NOT BETWEEN 0 AND 9"},
    {"lease-name-twice", "I5", "attempt",
     "SELECT 'seq=' || a.seq || ' AND attempt=' || a.attempt, 'another attempt ran under the same lease'"
     " FROM attempt a JOIN attempt b ON b.seq = a.seq AND b.attempt < a.attempt AND b.lease_lo = a.lease_lo"},
    {"outcome-against-state", "I3", "attempt",
     "SELECT 'seq=' || a.seq || ' AND attempt=' || a.attempt, 'attempt ' || a.attempt || ' ended as ' ||"
     " outcome_text(a.outcome) || ', which ends a job, but ' || " GERES_JOB " || ' is ' || state_text(j.state) ||"
     " ' after ' || j.attempt || ' attempts'"
     " FROM attempt a JOIN job j ON j.seq = a.seq WHERE a.outcome IN (0, 2, 5, 6) AND a.attempt <= j.attempt"
     " AND (a.attempt <> j.attempt OR EXISTS (SELECT 1 FROM lease l WHERE l.seq = j.seq)"
     "  OR (a.outcome = 0 AND j.state <> 5) OR (a.outcome = 2 AND (j.state <> 6 OR j.reason <> 2))"
     "  OR (a.outcome = 5 AND (j.state <> 6 OR j.reason <> 6)) OR (a.outcome = 6 AND (j.state <> 6 OR j.reason <> "
     "7)))"},
    {"state-against-outcome", "I3", "job",
     "SELECT 'seq=' || j.seq, " GERES_JOB " || ' is ' || state_text(j.state) || ', but its last attempt ' ||"
     " coalesce('ended as ' || outcome_text(" GERES_LAST "), 'is not there') FROM job j WHERE CASE"
     " WHEN j.state = 5 THEN coalesce(" GERES_LAST ", -1) <> 0"
     " WHEN j.state <> 6 THEN 0"
     " WHEN j.reason IN (1, 3) THEN coalesce(" GERES_LAST ", -1) NOT IN (1, 3, 4)"
     " WHEN j.reason = 2 THEN coalesce(" GERES_LAST ", -1) <> 2"
     " WHEN j.reason = 4 THEN coalesce(" GERES_LAST ", -1) <> 4"
     " WHEN j.reason = 6 THEN coalesce(" GERES_LAST ", -1) <> 5"
     " WHEN j.reason = 7 THEN coalesce(" GERES_LAST ", -1) <> 6"
     " WHEN j.reason = 9 THEN coalesce(" GERES_LAST ", -1) NOT IN (8, 9)"
     " ELSE 0 END"},

    // ---- limits
    {"failures-miscounted", "I10", "job",
     // A cancelled attempt is a failure unless it was asked for, and then it ended the job.
     "SELECT 'seq=' || j.seq, " GERES_JOB " || ' has ' || j.failures || ' failures, but ' || n || ' attempts failed'"
     " FROM (SELECT j.seq, j.lo, j.failures, j.state = 7 AND " GERES_LAST " = 3 AS asked,"
     "  (SELECT count(*) FROM attempt a WHERE a.seq = j.seq AND a.outcome IN (1, 3, 4)) AS n"
     "  FROM job j WHERE j.attempt > 0 OR j.failures <> 0) j"
     " WHERE j.failures <> n AND NOT (coalesce(asked, 0) AND j.failures = n - 1)"},
    {"losses-miscounted", "I10", "job",
     "SELECT 'seq=' || j.seq, " GERES_JOB " || ' has ' || j.host_losses || ' host losses, but ' || n ||"
     " ' attempts were lost' FROM (SELECT j.seq, j.lo, j.host_losses,"
     "  (SELECT count(*) FROM attempt a WHERE a.seq = j.seq AND a.outcome IN (8, 9)) AS n"
     "  FROM job j WHERE j.attempt > 0 OR j.host_losses <> 0) j WHERE j.host_losses <> n"},
    {"too-many-failures", "I10", "job",
     "SELECT 'seq=' || j.seq, " GERES_JOB " || ' is ' || state_text(j.state) || ' after ' || j.failures ||"
     " ' failures of at most ' || coalesce(j.max_attempts, 5) FROM job j"
     " WHERE j.failures > coalesce(j.max_attempts, 5) - (j.state < 5)"},
    {"too-many-losses", "I10", "job",
     "SELECT 'seq=' || j.seq, " GERES_JOB " || ' is ' || state_text(j.state) || ' after ' || j.host_losses ||"
     " ' host losses of at most :losses' FROM job j WHERE j.host_losses > :losses - (j.state < 5) AND"
     // While all were on one host it may be that host's fault, and another try elsewhere shows: so twice as many then.
     " (j.host_losses > 2 * :losses - (j.state < 5) OR (SELECT count(DISTINCT coalesce(a.host, '')) FROM attempt a"
     "  WHERE a.seq = j.seq AND a.outcome IN (8, 9) AND (j.state < 5 OR a.attempt < (SELECT max(l.attempt)"
     "   FROM attempt l WHERE l.seq = j.seq AND l.outcome IN (8, 9)))) > 1)"},

    // ---- keys and links
    {"key-without-digest", "I7", "job",
     "SELECT 'seq=' || j.seq, " GERES_JOB " || ' has a key, but not what was submitted under it' FROM job j"
     " WHERE j.key IS NOT NULL AND j.key_digest IS NULL"},
    {"list-key-names-nothing", "I7", "list_key",
     // A key may outlive jobs that were kept no longer than it must answer.
     "WITH RECURSIVE named(scope, key, ids, at) AS (SELECT scope, key, ids, 1 FROM list_key WHERE at >= :old"
     " UNION ALL SELECT scope, key, ids, at + 16 FROM named WHERE at + 16 <= length(ids))"
     " SELECT 'scope=''' || scope || ''' AND key=''' || key || '''', 'it answers with job ' ||"
     " id_text(substr(ids, at, 16)) || ', which is not there' FROM named WHERE NOT EXISTS (SELECT 1 FROM job j"
     " WHERE j.seq = seq_of(substr(ids, at, 16)) AND job_id(j.seq, j.lo) = id_text(substr(ids, at, 16))"
     " AND (scope LIKE 'token:%' OR j.tenant = scope))"},
    {"run-again-one-sided", "I2", "job",
     "SELECT 'seq=' || j.seq, " GERES_JOB " || ' was run again as ' || job_id(n.seq, n.lo) ||"
     " ', which does not say so' FROM job j JOIN job n ON n.seq = seq_of(j.redriven_as)"
     " WHERE j.redriven_as IS NOT NULL AND (n.redrive_of IS NULL OR id_text(n.redrive_of) <> job_id(j.seq, j.lo)"
     " OR n.tenant <> j.tenant)"},
    {"run-again-unended", "I2", "job",
     "SELECT 'seq=' || j.seq, " GERES_JOB " || ' is ' || state_text(j.state) || ', but says that it was run again'"
     " FROM job j WHERE j.redriven_as IS NOT NULL AND j.state < 5"},

    // ---- files
    {"input-of-nobody", "I13", "job_input",
     "SELECT 'seq=' || i.seq || ' AND sha256=x''' || hex(i.sha256) || '''', 'tenant ' || i.tenant ||"
     " ' has no such job' FROM job_input i"
     " WHERE NOT EXISTS (SELECT 1 FROM job j WHERE j.seq = i.seq AND j.tenant = i.tenant)"},
    {"input-not-kept", "I1", "job",
     "SELECT 'seq=' || j.seq, " GERES_JOB " || ' needs the file ' || json_extract(i.value, '$.sha256') ||"
     " ', which nothing keeps' FROM job j, json_each(CASE WHEN json_valid(j.extras) THEN j.extras END, '$.inputs') i"
     " WHERE j.extras IS NOT NULL AND json_extract(i.value, '$.sha256') IS NOT NULL AND NOT EXISTS (SELECT 1 FROM"
     " job_input k WHERE k.tenant = j.tenant AND k.sha256 = digest(json_extract(i.value, '$.sha256'))"
     " AND k.seq = j.seq)"},
    {"file-of-nobody", "I4", "job_file",
     "SELECT 'seq=' || f.seq || ' AND path=''' || f.path || '''', 'tenant ' || f.tenant || ' has no job that ended"
     " after an attempt under this number' FROM job_file f WHERE NOT EXISTS (SELECT 1 FROM job j"
     " WHERE j.seq = f.seq AND j.tenant = f.tenant AND j.state >= 5 AND j.attempt > 0)"},
    {"result-of-nobody", "I4", "job",
     "SELECT 'seq=' || j.seq, " GERES_JOB " || ' is ' || state_text(j.state) || ' after ' || j.attempt ||"
     " ' attempts, but has a result' FROM job j WHERE j.result IS NOT NULL AND (j.state < 5 OR j.attempt = 0)"},

    // ---- packages
    {"package-absent", "I1", "job",
     "SELECT 'seq=' || j.seq, " GERES_JOB " || ' needs a version of package ' || j.package || ', which is not there'"
     " FROM job j WHERE j.state < 5 AND j.package_sha256 IS NOT NULL AND NOT EXISTS (SELECT 1 FROM package p"
     " WHERE p.tenant = j.tenant AND p.name = j.package AND p.sha256 = j.package_sha256)"},
    {"package-use-miscounted", "I1", "package_use",
     "SELECT 'tenant=''' || tenant || ''' AND sha256=x''' || hex(sha256) || '''', 'counted ' || -sum(n) || ' more live"
     " jobs than need it' FROM (SELECT tenant, package_sha256 AS sha256, count(*) AS n, 1 AS jobs FROM job"
     "  WHERE state < 5 AND package_sha256 IS NOT NULL GROUP BY tenant, package_sha256"
     "  UNION ALL SELECT tenant, sha256, -jobs, jobs FROM package_use)"
     " GROUP BY tenant, sha256 HAVING sum(n) <> 0 OR min(jobs) <= 0"},
    {"package-version-twice", "I1", "package",
     "SELECT 'tenant=''' || tenant || ''' AND name=''' || name || ''' AND version=' || version, count(*) ||"
     " ' versions have this number' FROM package GROUP BY tenant, name, version HAVING count(*) > 1"},

    // ---- operations, high marks, texts
    {"operation-astray", "I9", "operation",
     "SELECT 'id=x''' || hex(o.id) || '''', 'its cursor ' || o.cursor || ' lies beyond its end ' || o.bound ||"
     " ', or it is of no kind, or its batch is not there' FROM operation o WHERE o.cursor > o.bound"
     " OR o.kind NOT BETWEEN 0 AND 5 OR (o.kind = 0 AND json_valid(o.filter) AND NOT EXISTS"
     " (SELECT 1 FROM batch b WHERE id_text(b.id) = json_extract(o.filter, '$.batch')))"},
    {"meta-row", "I11", "meta",
     "SELECT 'id=1', 'there are ' || count(*) || ' rows instead of one that names the log'"
     " FROM meta HAVING count(*) <> 1 OR max(log) = ''"},
    {"tick-low", "I12", "meta",
     "SELECT 'id=1', 'the tick is ' || m.tick || ', but there is something that a tick has written' FROM meta m"
     " WHERE m.tick < 0 OR (m.tick = 0 AND EXISTS (SELECT 1 FROM job))"},
    {"id-mark-low", "I7", "meta",
     "SELECT 'id=1', 'the highest id ever is said to start with ' || m.last_id || ', but there is ' || seen.seq"
     " FROM meta m, (SELECT max(seq) AS seq FROM (SELECT max(seq) AS seq FROM job UNION ALL"
     "  SELECT seq_of(max(id)) FROM batch UNION ALL SELECT seq_of(max(id)) FROM host UNION ALL"
     "  SELECT seq_of(max(id)) FROM token UNION ALL SELECT seq_of(max(id)) FROM operation UNION ALL"
     "  SELECT seq_of(max(id)) FROM join_token UNION ALL SELECT seq_of(max(id)) FROM enrolment)) seen"
     " WHERE m.last_id < seen.seq"},
    {"lane-mark-low", "I8", "meta",
     "SELECT 'id=1', 'the highest lane ever is said to be ' || m.last_lane || ', but there is ' || max(l.no)"
     " FROM meta m, lane l HAVING m.last_lane < max(l.no)"},
    {"backdated-mark-low", "file", "meta",
     "SELECT 'id=1', 'the last job submitted before its id is said to be ' || m.last_backdated || ', but there is '"
     " || max(j.seq) FROM meta m, job j WHERE j.submitted_at < (j.seq >> 16) HAVING m.last_backdated < max(j.seq)"},
    {"blob-taken-from-its-name", "I9", "blob",
     "SELECT 'tenant=''' || b.tenant || ''' AND sha256=x''' || hex(b.sha256) || '''', 'it is being removed, but'"
     " || ' something names it' FROM blob b WHERE b.state = 3"
     " AND (EXISTS (SELECT 1 FROM package p WHERE p.tenant = b.tenant AND p.sha256 = b.sha256)"
     " OR EXISTS (SELECT 1 FROM package_use u WHERE u.tenant = b.tenant AND u.sha256 = b.sha256)"
     " OR EXISTS (SELECT 1 FROM job_input i WHERE i.tenant = b.tenant AND i.sha256 = b.sha256)"
     " OR EXISTS (SELECT 1 FROM job_file f WHERE f.tenant = b.tenant AND f.sha256 = b.sha256))"},
    {"blob-damaged", "file", "blob",
     "SELECT 'tenant=''' || tenant || ''' AND sha256=x''' || hex(sha256) || '''', 'state ' || state || ', '"
     " || size || ' bytes cannot be' FROM blob"
     " WHERE state NOT BETWEEN 0 AND 3 OR size < 0 OR length(sha256) <> 32"},
    {"text-is-no-json", "file", "",
     "SELECT place, 'this is not JSON' FROM ("
     " SELECT 'job tags, seq=' || seq AS place, tags AS text FROM job WHERE tags IS NOT NULL"
     " UNION ALL SELECT 'job extras, seq=' || seq, extras FROM job WHERE extras IS NOT NULL"
     " UNION ALL SELECT 'job trouble, seq=' || seq, trouble FROM job WHERE trouble IS NOT NULL"
     " UNION ALL SELECT 'lane requirements, no=' || no, requirements FROM lane WHERE requirements <> ''"
     " UNION ALL SELECT 'host labels, name=''' || name || '''', labels FROM host WHERE labels <> ''"
     " UNION ALL SELECT 'host types, name=''' || name || '''', types FROM host WHERE types IS NOT NULL"
     " UNION ALL SELECT 'host tenants, name=''' || name || '''', tenants FROM host WHERE tenants IS NOT NULL"
     " UNION ALL SELECT 'package types, name=''' || name || '''', types FROM package"
     " UNION ALL SELECT 'token roles, name=''' || name || '''', roles FROM token"
     " UNION ALL SELECT 'token tenants, name=''' || name || '''', tenants FROM token"
     " UNION ALL SELECT 'operation filter, id=x''' || hex(id) || '''', filter FROM operation"
     ") WHERE NOT json_valid(text)"},
};

}  // namespace

std::span<const Rule> history_rules() {
  return kRules;
}

}  // namespace geres::hub::store::sqlite
