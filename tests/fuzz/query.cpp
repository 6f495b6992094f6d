// SPDX-License-Identifier: Apache-2.0
// The query of a list: decoded, then every kind of parameter. Promises: trouble names the parameter, numbers and times
// keep within their bounds, a cursor that was given reads the same.
#include "hub/api/query.h"

#include "base/bytes.h"
#include "target.h"

using namespace geres;
using fuzz::must;

namespace {

template <class T>
void must_name(const Result<T>& result, std::string_view name) {
  if (!result) must(result.error().field == name && valid_utf8(result.error().message), "trouble names the parameter");
}

}  // namespace

GERES_FUZZ_TARGET(query) {
  using namespace hub::api;
  std::vector<std::string> path;
  http::Query query;
  const std::string target = "/v1/jobs?" + std::string(bytes);
  if (!http::decode_target(target, path, query)) return;
  const auto known = only_parameters(query, {"limit", "cursor", "wait", "after", "state", "follow", "tag."}, {"state"});
  if (!known) must(valid_utf8(known.error().field) && valid_utf8(known.error().message), "trouble can be told");
  const auto number = number_parameter(query, "limit", 1, 100);
  must_name(number, "limit");
  if (number && *number) must(**number >= 1 && **number <= 100, "a number keeps within its bounds");
  const auto wait = duration_parameter(query, "wait", 60'000);
  must_name(wait, "wait");
  if (wait && *wait) must(**wait >= 0 && **wait <= 60'000, "a duration keeps within its bounds");
  must_name(time_parameter(query, "after"), "after");
  must_name(flag_parameter(query, "follow"), "follow");
  for (const auto& word : words_parameter(query, "state"))
    must(word.find(',') == std::string::npos, "words are taken apart", word);
  const auto page = page_parameters(query);
  if (!page) must(!page.error().field.empty(), "trouble names the parameter");
  const auto position = read_cursor(text_parameter(query, "cursor"));
  if (!position) return;
  const auto again = read_cursor(cursor_after(*position));
  must(again && *again == *position, "a cursor reads the same");
}
