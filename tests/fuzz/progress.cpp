// SPDX-License-Identifier: Apache-2.0
// What a job writes to its progress pipe. Promises: a percentage is one, a message is one clean line of text, not too
// long, and the last line counts.
#include "runner/progress.h"

#include <fcntl.h>

#include "base/bytes.h"
#include "base/file.h"
#include "target.h"

using namespace geres;
using fuzz::must;

namespace {

void look_at(const std::optional<wire::RunProgress>& news) {
  if (!news) return;
  must(!news->percent || (*news->percent >= 0 && *news->percent <= 100), "a percentage is one");
  must(valid_utf8(news->message) && news->message.size() <= 4'096, "a message is text, not too long", news->message);
  for (const char c : news->message)
    must(c < 0 || (c >= ' ' && c != 0x7f), "a message is one clean line", news->message);
}

}  // namespace

GERES_FUZZ_TARGET(progress) {
  static const TemporaryDirectory directory;
  static runner::Progress progress;
  static const std::string path = directory.path() / "progress";
  must(progress.open(path, 0, 0), "a pipe can be made");
  const Fd writer(::open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
  Millis now = 1'000;
  const std::size_t step = 1 + 37 * fuzz::take_byte(bytes);
  while (!bytes.empty()) {
    const auto piece = bytes.substr(0, step);
    write_all(writer.get(), piece);
    bytes.remove_prefix(piece.size());
    while (progress.pump()) {
    }
    look_at(progress.take(now += 20));
  }
  progress.finish();
  look_at(progress.take(now, true));
  must(!progress.take(now, true), "news are told once");
}
