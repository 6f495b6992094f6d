// SPDX-License-Identifier: Apache-2.0
#include "scaler/local_provider.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdio>
#include <system_error>
#include <thread>

#include "base/duration.h"
#include "base/uuid.h"
#include "scaler/settings.h"

namespace geres::scaler {

namespace fs = std::filesystem;

// machine.json
struct LocalMachine {
  static constexpr std::string_view kRequired[] = {"pool", "request"};
  std::string pool, request;
  json::Time createdAt;
  std::int64_t pid = 0;
  std::uint64_t started = 0;
};
BOOST_DESCRIBE_STRUCT(LocalMachine, (), (pool, request, createdAt, pid, started))

struct LocalProvider::Kept {
  std::string instance;
  fs::path directory;
  LocalMachine facts;

  ProcessName process() const { return {pid_t(facts.pid), facts.started}; }
  void write() const { replace_file(directory / "machine.json", json::write_text(facts), 0600); }
};

namespace {

constexpr Millis kStartTime = 10'000;  // that a host may take to lock its data

// By the lock that a host holds: its first line is its process (host/data_lock.h).
ProcessName process_of_lock(const fs::path& directory) {
  ProcessName process;
  try {
    const auto text = read_file_if(directory / "host" / "host.lock").value_or("");
    if (std::sscanf(text.c_str(), "%d %llu", &process.pid, &process.started) != 2) return {};
  } catch (const std::system_error&) {
    return {};
  }
  return process;
}

// What machine.json says, and where that was not written in time, the host's lock.
std::optional<LocalMachine> read_machine(const fs::path& directory) {
  try {
    const auto text = read_file_if(directory / "machine.json");
    if (!text) return std::nullopt;
    auto facts = json::read_text<LocalMachine>(*text, json::Unknown::ignored);
    if (!facts) return std::nullopt;
    if (facts->pid == 0) {
      const auto found = process_of_lock(directory);
      facts->pid = found.pid, facts->started = found.started;
    }
    return std::move(*facts);
  } catch (const std::system_error&) {
    return std::nullopt;
  }
}

}  // namespace

std::vector<ProcessName> local_hosts(const fs::path& data) {
  std::vector<ProcessName> hosts;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(data / "machines", none)) {
    const auto facts = read_machine(entry.path());
    const ProcessName process = facts ? ProcessName{pid_t(facts->pid), facts->started} : ProcessName();
    if (is_alive(process)) hosts.push_back(process);
  }
  return hosts;
}

Result<std::unique_ptr<Provider>> LocalProvider::make(const Pool& pool, const Join& join) {
  std::unique_ptr<LocalProvider> made(new LocalProvider(pool, join));
  const json::value all(pool.provider_settings);
  std::optional<Error> error;
  const Settings from(all, "", error);
  // More hosts than cores starve whatever else is here, a hub perhaps; but a pool may say so. (A hub makes the cores
  // the maximum of a pool of this machine that says nothing.)
  made->at_most_ = std::max<std::int64_t>(std::max(1u, std::thread::hardware_concurrency()), pool.limits.maximum);
  from.integer("atMost", made->at_most_, 1, 1'000);
  std::string data = from.text("data");
  if (error) return *error;
  if (pool.name.find('/') != std::string::npos || pool.name.starts_with('.'))
    return fail(Code::badValue, "'" + pool.name + "' cannot be a part of a directory's name", "/name");
  made->machines_ = (data.empty() ? join.data : fs::path(data)) / "machines";
  try {
    make_private_directory(made->machines_);
  } catch (const std::system_error& trouble) {
    return fail(Code::badValue, "the directory for machines cannot be made: " + std::string(trouble.what()), "/data");
  }
  return std::unique_ptr<Provider>(std::move(made));
}

std::optional<LocalProvider::Kept> LocalProvider::read(const fs::path& directory) const {
  auto facts = read_machine(directory);
  if (!facts || facts->pool != pool_.name) return std::nullopt;
  return Kept{directory.filename().string(), directory, std::move(*facts)};
}

std::vector<LocalProvider::Kept> LocalProvider::kept() const {
  std::vector<Kept> machines;
  for (const auto& entry : fs::directory_iterator(machines_))
    if (auto machine = read(entry.path())) machines.push_back(std::move(*machine));
  std::sort(machines.begin(), machines.end(), [](const Kept& a, const Kept& b) { return a.instance < b.instance; });
  return machines;
}

void LocalProvider::reap() {
  for (auto it = children_.begin(); it != children_.end();) {
    siginfo_t info{};
    if (::waitid(idtype_t(P_PIDFD), id_t(it->second.get()), &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) {
      ++it;
      continue;
    }
    ends_[it->first] =
        (info.si_code == CLD_EXITED ? "its host ended with exit code " : "its host was killed by signal ") +
        std::to_string(info.si_status);
    it = children_.erase(it);
  }
}

Machine LocalProvider::shown(const Kept& machine) {
  Machine shown{machine.instance, MachineState::running, machine.facts.createdAt.at, machine.facts.request, {}, {}};
  if (is_alive(machine.process())) return shown;
  if (machine.facts.pid == 0 && SystemClock().wall() - machine.facts.createdAt.at < kStartTime) {
    shown.state = MachineState::pending;
    return shown;
  }
  const auto end = ends_.find(pid_t(machine.facts.pid));
  shown.state = MachineState::failed;
  shown.reason = end != ends_.end() ? end->second : "its host has ended";
  return shown;
}

Told<std::vector<Machine>> LocalProvider::list() {
  reap();
  try {
    std::vector<Machine> machines;
    for (const auto& machine : kept()) machines.push_back(shown(machine));
    return machines;
  } catch (const std::exception& trouble) {
    return Refusal{Why::unknown, 0, trouble.what(), false};
  }
}

void LocalProvider::start(Kept& machine, const Order& order) {
  Program program;
  program.argv = {join_.program, "host",
                  "--hub",       join_.hub,
                  "--data",      machine.directory.string(),
                  "--name",      machine.instance,
                  "--slots",     std::to_string(pool_.what.slots)};
  const auto add = [&](const char* flag, const std::string& value) {
    program.argv.emplace_back(flag), program.argv.push_back(value);
  };
  if (pool_.what.memory_bytes > 0) add("--memory", std::to_string(pool_.what.memory_bytes));
  for (const auto& [name, value] : pool_.what.labels) add("--label", name + "=" + value);
  for (const auto& tenant : pool_.what.tenants) add("--tenant", tenant);
  if (!join_.trust.ca_file.empty()) add("--ca", join_.trust.ca_file.string());
  if (!join_.trust.pin.empty()) add("--ca-pin", join_.trust.pin);
  program.environment = plain_environment();
  program.environment["GERES_TOKEN"] = order.join_token;
  program.environment["GERES_POOL"] = pool_.name;
  program.environment["GERES_INSTANCE"] = machine.instance;
  const Fd log(::open((machine.directory / "host.log").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  const auto pid = start_program(program, -1, log.get(), log.get());
  children_[pid] = Fd(int(::syscall(SYS_pidfd_open, pid, 0)));
  ends_.erase(pid);
  const auto process = process_named(pid);
  machine.facts.pid = pid;
  machine.facts.started = process ? process->started : 0;
  machine.write();
}

Told<Ordered> LocalProvider::order(const Order& order) {
  reap();
  Ordered ordered;
  try {
    const auto there = kept();
    for (const auto& machine : there)
      if (machine.facts.request == order.request) ordered.instances.push_back(machine.instance);  // it is a repeat
    // One whose host has ended takes no room: it is a directory that waits for its removal.
    auto room = at_most_ - std::int64_t(std::count_if(there.begin(), there.end(), [&](const Kept& machine) {
                  return shown(machine).state != MachineState::failed;
                }));
    while (std::int64_t(ordered.instances.size()) < order.count && room-- > 0) {
      Kept machine{pool_.name + "-" + random_hex(4), {}, {pool_.name, order.request, {SystemClock().wall()}, 0, 0}};
      machine.directory = machines_ / machine.instance;
      make_private_directory(machine.directory);
      machine.write();
      ordered.instances.push_back(machine.instance);
      start(machine, order);
    }
  } catch (const std::exception& trouble) {
    // What was started before is listed, and what was not is listed as failed.
    ordered.refusal = Refusal{Why::unknown, 0, trouble.what(), false};
  }
  ordered.accepted = std::int64_t(ordered.instances.size());
  if (ordered.accepted < order.count && !ordered.refusal)
    ordered.refusal =
        Refusal{Why::capacity, 0,
                "this machine has " + std::to_string(at_most_) + " hosts at most (atMost of the provider)", false};
  return ordered;
}

// A host that was retired has gone already, or is about to.
void LocalProvider::end(const ProcessName& process) {
  const Fd handle = open_process(process);
  if (!handle) return;
  const auto signal = [&](int number) { ::syscall(SYS_pidfd_send_signal, handle.get(), number, nullptr, 0); };
  const auto wait = [&](Millis time) {
    const SystemClock clock;
    for (const Millis until = clock.monotonic() + time; clock.monotonic() < until && !stop_;) {
      pollfd polled{handle.get(), POLLIN, 0};
      if (::poll(&polled, 1, 100) > 0) return true;
    }
    return false;
  };
  signal(SIGTERM);
  if (wait(leave_time_)) return;
  signal(SIGKILL);
  wait(leave_time_);
}

Told<std::vector<Removed>> LocalProvider::remove(std::span<const std::string> instances, const std::string&) {
  std::vector<Removed> removed;
  for (const auto& instance : instances) {
    // Of another pool, or no name of ours (which would lead elsewhere): nothing that we have.
    const auto all = kept();
    const auto machine =
        std::find_if(all.begin(), all.end(), [&](const Kept& kept) { return kept.instance == instance; });
    if (machine == all.end()) {
      removed.push_back({instance, Removed::Outcome::not_found, {}});
      continue;
    }
    end(machine->process());
    reap();
    if (is_alive(machine->process()))
      removed.push_back({instance, Removed::Outcome::failed, "its host does not end"});
    else if (!remove_tree(machine->directory))
      removed.push_back({instance, Removed::Outcome::failed, "its directory cannot be removed"});
    else
      removed.push_back({instance, Removed::Outcome::removed, {}});
  }
  return removed;
}

Told<std::vector<Removed>> LocalProvider::wake(std::span<const std::string>, const std::string&) {
  return Refusal{Why::invalid, 0, "hosts of this machine do not sleep", false};
}

}  // namespace geres::scaler
