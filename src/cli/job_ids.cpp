// SPDX-License-Identifier: Apache-2.0
#include "cli/job_ids.h"

#include <system_error>

#include "base/bytes.h"
#include "base/file.h"
#include "base/uuid.h"
#include "cli/job_words.h"

namespace geres::cli {
namespace {

std::string last_job() {
  auto text = read_file_if(state_directory() / "last");
  while (text && !text->empty() && text->back() == '\n') text->pop_back();
  if (!text || !parse_uuid(*text))
    cannot("there is no last job", "nothing was submitted from here yet", "geres job list");
  return *text;
}

}  // namespace

std::string id_digits(std::string text) {
  if (text.starts_with("…")) text.erase(0, std::string_view("…").size());
  std::string hex;
  for (const char c : text) {
    if (c == '-') continue;
    if (hex_digit(c) < 0) return "";
    hex += c >= 'A' && c <= 'F' ? char(c + 32) : c;
  }
  return hex.size() > 32 ? "" : hex;
}

std::string resolve_job(Context& context, const std::string& text) {
  if (text == "last") return last_job();
  if (parse_uuid(text)) return text;
  const auto hex = id_digits(text);
  if (hex.size() < 4)
    usage_error("'" + text + "' is not a job",
                "a job is named by its id, or by at least four digits of its start or end",
                "geres job list, or `last`");
  const auto found = context.ask(context.hub().get("/v1/jobs", {{"id", hex}}));
  const auto& items = items_of(found);
  if (items.empty())
    throw Trouble{kFailed, "no job's id starts or ends with '" + text + "'",
                  "it may be another tenant's, or no longer kept", "geres job list", "unknownJob"};
  if (items.size() == 1) return wire::job_view(items[0]).id;
  std::string list;
  for (const auto& item : items) {
    const auto job = wire::job_view(item);
    list += (list.empty() ? "" : "\n") + job.id + "  " + job.type + "  " + job.name + "  " + job.state;
  }
  throw Trouble{kFailed, "'" + text + "' could be " + plural(std::int64_t(items.size()), "job"), list, "one digit more",
                "ambiguous"};
}

void remember_last(const std::string& id) {
  if (!parse_uuid(id)) return;
  try {
    make_private_directory(state_directory());
    replace_file(state_directory() / "last", id + "\n", 0600);
  } catch (const std::system_error&) {
  } catch (const Trouble&) {
  }
}

}  // namespace geres::cli
