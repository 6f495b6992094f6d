// SPDX-License-Identifier: Apache-2.0
#include "cli/named.h"

#include "base/similar.h"
#include "base/uuid.h"
#include "cli/job_ids.h"
#include "cli/job_words.h"

namespace geres::cli {

std::string resolve_named(Context& context, const std::string& path, const std::string& noun, const std::string& text) {
  if (parse_uuid(text)) return text;
  const auto hex = id_digits(text);
  std::vector<std::string> found, names;
  std::string list;
  context.ask(context.hub().list(path, {}, [&](const json::value& item) {
    const auto id = text_of(item, "id"), name = text_of(item, "name");
    const auto digits = id_digits(id);
    names.push_back(name);
    if (name != text && (hex.size() < 4 || (!digits.starts_with(hex) && !digits.ends_with(hex)))) return true;
    found.push_back(id);
    list += (list.empty() ? "" : "\n") + id + "  " + clean(name);
    return true;
  }));
  if (found.size() == 1) return found.front();
  if (found.size() > 1)
    throw Trouble{kFailed, "'" + text + "' could be " + plural(std::int64_t(found.size()), noun), list, "its id",
                  "ambiguous"};
  const auto near = nearest(text, names);
  throw Trouble{kFailed,
                "there is no " + noun + " '" + text + "'",
                {},
                near.empty() ? "geres " + noun + " list" : near,
                "notFound"};
}

}  // namespace geres::cli
