// SPDX-License-Identifier: Apache-2.0
// geres-runner: the host's small process that starts, watches and kills attempts. Started by the host's agent
// (host/runner_client), never by people: it is handed a socket to the agent and the lock on the data directory, which
// it holds until it exits.
#include <fcntl.h>
#include <unistd.h>

#include <boost/describe/enum_from_string.hpp>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "runner/runner.h"

namespace {

int usage() {
  std::fprintf(stderr,
               "geres-runner is started by 'geres host' and 'geres up'; it has no use of its own.\n"
               "usage: geres-runner --channel FD --slots N [--lock FD] [--hide PATH]... [--reach PATH]...\n"
               "       [--containment cgroup2|freezer|pidns|bestEffort] [--users FILE] [--groups FILE]\n");
  return 2;
}

}  // namespace

int main(int argc, char** argv) {
  geres::runner::RunnerOptions options;
  for (int i = 1; i + 1 < argc; i += 2) {
    const std::string name = argv[i];
    const char* const value = argv[i + 1];
    if (name == "--channel") {
      options.channel_fd = std::atoi(value);
      fcntl(options.channel_fd, F_SETFD, FD_CLOEXEC);
    } else if (name == "--lock") {
      fcntl(std::atoi(value), F_SETFD, FD_CLOEXEC);
    } else if (name == "--slots") {
      options.slots = std::uint32_t(std::atoi(value));
    } else if (name == "--reach") {
      options.view.reach.emplace_back(value);
    } else if (name == "--users") {
      options.view.users = value;
    } else if (name == "--groups") {
      options.view.groups = value;
    } else if (name == "--hide") {
      options.hidden.emplace_back(value);
    } else if (name == "--containment") {
      geres::wire::Containment kind{};
      if (!boost::describe::enum_from_string(value, kind)) return usage();
      options.containment = kind;
    } else {
      return usage();
    }
  }
  if (argc % 2 == 0 || options.channel_fd < 3 || options.slots < 1 || options.slots > 4096) return usage();
  try {
    return geres::runner::run(options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "geres-runner: %s\n", error.what());
    return 1;
  }
}
