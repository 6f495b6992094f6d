// SPDX-License-Identifier: Apache-2.0
// The body of a submit. Promises: a refusal of what is JSON names its field; what is taken means the same when it is
// written out and read again.
#include "wire/api/job_spec.h"
#include "base/bytes.h"
#include "target.h"
#include "wire/api/job_json.h"

using namespace geres;
using fuzz::must;

GERES_FUZZ_TARGET(job_spec) {
  const auto document = json::parse(bytes);
  if (!document) {
    must(document.error().code == Code::malformedJson && valid_utf8(document.error().message),
         "bad JSON is called that");
    return;
  }
  const auto plain = boost::json::serialize(*document);
  const auto again = json::parse(plain);
  must(again && *again == *document, "JSON reads the same when written", plain);
  const wire::SpecRules rules{.default_tenant = "demo", .digest = true};
  const auto job = wire::read_job_spec(*document, rules);
  if (!job) {
    must(job.error().field.empty() || job.error().field.starts_with('/'), "a field is a JSON pointer",
         job.error().field);
    must(!job.error().field.empty() || !document->is_object() || job.error().code == Code::tooLarge,
         "a refusal names its field", plain);
    return;
  }
  const auto shape = json::read<wire::JobSpecShape>(*document);
  must(shape.has_value(), "a job has the shape of one", plain);
  const auto written = json::write_text(*shape);
  const auto reread = json::parse(written);
  must(reread.has_value(), "what is written is JSON", written);
  const auto same = wire::read_job_spec(*reread, rules);
  must(same.has_value(), "what was taken is taken again", written);
  must(same->digest == job->digest && same->batch == job->batch && same->package_sha256 == job->package_sha256,
       "it means the same", written);
}
