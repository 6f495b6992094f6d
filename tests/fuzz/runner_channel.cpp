// SPDX-License-Identifier: Apache-2.0
// Frames between a host's agent and its runner. Promises: one outcome however the bytes are cut; what is taken reads
// the same when written, bytes that are no text included.
#include "wire/runner/runner_channel.h"

#include "target.h"

using namespace geres;
using fuzz::must;

namespace {

template <class T>
std::string rewritten(const Result<T>& message) {
  std::string frame;
  if (message) wire::put_frame(frame, *message);
  return frame;
}

template <class Read>
void round_trip(std::string_view document, Read read) {
  const std::string frame = rewritten(read(document));
  if (frame.empty()) return;
  wire::FrameReader reader;
  reader.add(frame);
  const auto written = reader.next();
  must(written && *written, "a frame holds a document", frame);
  must(rewritten(read(**written)) == frame, "a message reads the same when written", frame);
}

std::string read(std::string_view bytes, std::size_t step, bool look) {
  std::string outcome;
  wire::FrameReader reader;
  while (!bytes.empty()) {
    reader.add(bytes.substr(0, step));
    bytes.remove_prefix(std::min(step, bytes.size()));
    while (true) {
      const auto document = reader.next();
      if (!document) return outcome + "broken";
      if (!*document) break;
      outcome.append(**document).push_back('\n');
      if (!look) continue;
      round_trip(**document, wire::read_to_runner);
      round_trip(**document, wire::read_from_runner);
    }
  }
  return outcome;
}

}  // namespace

GERES_FUZZ_TARGET(runner_channel) {
  const auto whole = read(bytes, bytes.size(), true);
  must(read(bytes, 3, false) == whole, "one outcome however the bytes are cut");
  // Most bytes are no frame: take them as a document, too.
  round_trip(bytes, wire::read_to_runner);
  round_trip(bytes, wire::read_from_runner);
}
