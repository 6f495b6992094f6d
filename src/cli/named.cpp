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

namespace {

struct FoundHosts {
  std::vector<json::value> meant;  // the best matches: by name, else by id, else by the start of the name
  std::vector<std::string> names;
};

FoundHosts find_hosts(Context& context, const std::string& text) {
  std::vector<json::value> by_name, by_id, by_start;
  FoundHosts found;
  const auto hex = id_digits(text);
  context.ask(context.hub().list("/v1/hosts", {}, [&](const json::value& host) {
    const auto name = text_of(host, "name"), digits = id_digits(text_of(host, "id"));
    found.names.push_back(name);
    if (name == text) by_name.push_back(host);
    if (hex.size() >= 4 && (digits.starts_with(hex) || digits.ends_with(hex))) by_id.push_back(host);
    if (name.starts_with(text)) by_start.push_back(host);
    return true;
  }));
  found.meant = !by_name.empty() ? by_name : !by_id.empty() ? by_id : by_start;
  if (found.meant.size() > 1) {
    auto live = found.meant;
    std::erase_if(live, [](const json::value& host) { return text_of(host, "state") != "live"; });
    if (live.size() == 1) found.meant = live;
  }
  return found;
}

[[noreturn]] void ambiguous_host(const std::string& text, const std::vector<json::value>& hosts) {
  std::string list;
  for (const auto& host : hosts)
    list += (list.empty() ? "" : "\n") + text_of(host, "id") + "  " + clean(text_of(host, "name")) + "  " +
            text_of(host, "state");
  throw Trouble{kFailed, "'" + text + "' could be " + plural(std::int64_t(hosts.size()), "host"), list, "its id",
                "ambiguous"};
}

}  // namespace

json::value resolve_host(Context& context, const std::string& text) {
  const auto found = find_hosts(context, text);
  if (found.meant.size() > 1) ambiguous_host(text, found.meant);
  if (found.meant.size() == 1) return found.meant.front();
  const auto near = nearest(text, found.names);
  throw Trouble{kFailed, "there is no host '" + text + "'", {}, near.empty() ? "geres hosts" : near, "notFound"};
}

std::string host_name(Context& context, const std::string& text) {
  const auto found = find_hosts(context, text);
  const bool gone = found.meant.empty() || text_of(found.meant.front(), "name") == text;
  if (!gone && found.meant.size() > 1) ambiguous_host(text, found.meant);
  return gone ? text : text_of(found.meant.front(), "name");
}

}  // namespace geres::cli
