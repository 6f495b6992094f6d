// SPDX-License-Identifier: Apache-2.0
// Durations, sizes and times, as they come in queries, bodies and flags. Promise: what is read is written in a form
// that reads the same.
#include "base/clock.h"
#include "base/duration.h"
#include "base/uuid.h"
#include "target.h"

using namespace geres;
using fuzz::must;

GERES_FUZZ_TARGET(values) {
  if (const auto duration = parse_duration(bytes)) {
    must(*duration >= 0, "no duration is negative", bytes);
    const auto text = format_duration(*duration);
    const auto again = parse_duration(text);
    must(again && *again == *duration, "a duration reads the same when written", text);
  }
  if (const auto size = parse_size(bytes)) {
    must(*size >= 0 && !format_size(*size).empty(), "no size is negative", bytes);
    const auto exact = std::to_string(*size);
    must(parse_size(exact) && *parse_size(exact) == *size, "a size reads the same when written", exact);
  }
  if (const auto time = parse_time(bytes)) {
    const auto text = format_time(*time);
    const auto again = parse_time(text);
    must(again && *again == *time, "a time reads the same when written", text);
  }
  if (const auto id = parse_uuid(bytes)) must(parse_uuid(id->str()) == id, "an id reads the same when written");
}
