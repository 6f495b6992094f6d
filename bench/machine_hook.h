// SPDX-License-Identifier: Apache-2.0
// A provider of machines that are files: the hook that a scaler's pool calls (docs/scaling.md), and what the bench
// reads of it. In its directory each machine is a file, which says the request that ordered it and the token to join
// with; what was asked is a line of the file `calls`: the verb, how many machines, and `again` for a request that had
// come before.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <string>

#include "base/file.h"
#include "base/uuid.h"

namespace geres::bench {

struct Machine {
  std::string request, token;
};

inline std::map<std::string, Machine> machines_in(const std::filesystem::path& directory) {
  std::map<std::string, Machine> found;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() != ".machine") continue;
    std::ifstream file(entry.path());
    Machine machine;
    if (file >> machine.request >> machine.token) found.emplace(entry.path().stem().string(), machine);
  }
  return found;
}

struct HookCalls {
  std::map<std::string, std::int64_t> verbs;
  std::int64_t machines = 0, repeats = 0;
  std::int64_t of(const std::string& verb) const { return verbs.contains(verb) ? verbs.at(verb) : 0; }
};

inline HookCalls hook_calls(const std::filesystem::path& directory) {
  HookCalls calls;
  std::ifstream file(directory / "calls");
  std::string verb, which;
  for (std::int64_t count = 0; file >> verb >> count >> which;) {
    ++calls.verbs[verb];
    if (verb == "order" && which == "first") calls.machines += count;
    if (which == "again") ++calls.repeats;
  }
  return calls;
}

// What the scaler runs. Its exit status.
inline int hook(const std::filesystem::path& directory, const std::string& verb) {
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  const auto asked = boost::json::parse(text).as_object();
  const auto there = machines_in(directory);
  boost::json::object answer;
  std::int64_t count = 0;
  bool again = false;
  if (verb == "list") {
    auto& machines = answer["machines"].emplace_array();
    for (const auto& [name, machine] : there)
      machines.push_back({{"instance", name}, {"state", "running"}, {"request", machine.request}});
    count = std::int64_t(machines.size());
  } else if (verb == "order") {
    const std::string request(asked.at("request").as_string()), token(asked.at("joinToken").as_string());
    auto& instances = answer["instances"].emplace_array();
    for (const auto& [name, machine] : there)
      if (machine.request == request) instances.emplace_back(name);
    again = !instances.empty();
    for (count = asked.at("count").to_number<std::int64_t>(); std::int64_t(instances.size()) < count;) {
      const auto name = "m-" + random_hex(6);
      const auto made = directory / (name + ".new");
      std::ofstream(made) << request << ' ' << token << '\n';
      std::filesystem::rename(made, directory / (name + ".machine"));
      instances.emplace_back(name);
    }
  } else if (verb == "remove") {
    auto& instances = answer["instances"].emplace_array();
    for (const auto& instance : asked.at("instances").as_array()) {
      const std::string name(instance.as_string());
      const bool was = std::filesystem::remove(directory / (name + ".machine"));
      instances.push_back({{"instance", name}, {"outcome", was ? "removed" : "notFound"}});
      ++count;
    }
  } else {
    return 64;
  }
  std::ofstream(directory / "calls", std::ios::app)
      << verb << ' ' << count << ' ' << (again ? "again" : "first") << '\n';
  std::cout << boost::json::serialize(answer) << '\n';
  return 0;
}

}  // namespace geres::bench
