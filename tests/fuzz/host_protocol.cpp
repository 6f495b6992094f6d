// SPDX-License-Identifier: Apache-2.0
// What hosts send and hear, by either side's reader. Promises: a refusal of what is JSON names its field or says what
// kind it wanted; what is taken reads the same when written.
#include "wire/host/host_protocol.h"

#include "base/bytes.h"
#include "target.h"

using namespace geres;
using fuzz::must;

namespace {

template <class T>
void round_trip(std::string_view bytes) {
  const auto message = json::read_text<T>(bytes, json::Unknown::ignored);
  if (!message) {
    const auto& error = message.error();
    must(error.field.empty() || error.field.starts_with('/'), "a field is a JSON pointer", error.field);
    must(valid_utf8(error.message) && valid_utf8(error.hint), "trouble can be told");
    return;
  }
  const auto text = json::write_text(*message);
  const auto again = json::read_text<T>(text);
  must(again.has_value(), "what is written can be read", text);
  must(json::write_text(*again) == text, "and reads the same", text);
}

}  // namespace

GERES_FUZZ_TARGET(host_protocol) {
  switch (fuzz::take_byte(bytes) % 6) {
    case 0:
      return round_trip<wire::RegisterHost>(bytes);
    case 1:
      return round_trip<wire::Fetch>(bytes);
    case 2:
      return round_trip<wire::Fetched>(bytes);
    case 3:
      return round_trip<wire::Report>(bytes);
    case 4:
      return round_trip<wire::Reported>(bytes);
    default:
      return round_trip<wire::Registered>(bytes);
  }
}
