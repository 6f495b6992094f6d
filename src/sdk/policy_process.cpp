// SPDX-License-Identifier: Apache-2.0
#include "sdk/policy_process.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "geres/policy_abi.h"
#include "geres/policy_json.h"

namespace geres::sdk {
namespace {

using policy::Json;

constexpr rlim_t kMemoryMax = 256 << 20;
constexpr uid_t kNobody = 65534;
constexpr std::size_t kAnswerMax = 64 * 1024;

void limit(int what, rlim_t most) {
  const rlimit both{most, most};
  if (::setrlimit(__rlimit_resource_t(what), &both) != 0)
    throw std::runtime_error("setrlimit: " + std::string(std::strerror(errno)));
}

void take_limits() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // those map terabytes
  limit(RLIMIT_AS, kMemoryMax);
#endif
  limit(RLIMIT_CORE, 0);
  limit(RLIMIT_FSIZE, 0);
  // As far as this machine lets us: not everybody may make namespaces.
  const bool root = ::geteuid() == 0;
  if (::unshare(root ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET) != 0) errno = 0;
  if (!root) return;
  if (::setgroups(0, nullptr) != 0 || ::setresgid(kNobody, kNobody, kNobody) != 0 ||
      ::setresuid(kNobody, kNobody, kNobody) != 0)
    throw std::runtime_error("cannot become nobody: " + std::string(std::strerror(errno)));
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a change of user takes it back
}

class Library {
 public:
  explicit Library(const char* path) {
    void* const handle = ::dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) throw std::runtime_error(::dlerror());
    find(handle, "geres_policy_abi", abi_);
    find(handle, "geres_policy_create", create_);
    find(handle, "geres_policy_decide", decide_);
    find(handle, "geres_policy_destroy", destroy_);
    if (const int number = abi_(); number != GERES_POLICY_ABI)
      throw std::runtime_error("the library was built for policy interface " + std::to_string(number) + ", this is " +
                               std::to_string(GERES_POLICY_ABI));
  }

  // The answer's line.
  std::string answer(const std::string& line) {
    const auto request = Json::parse(line);
    const auto settings = request["settings"].write();
    std::vector<char> out(kAnswerMax);
    if (policy_ == nullptr || settings != settings_) {
      if (policy_ != nullptr) destroy_(policy_);
      settings_ = settings;
      policy_ = create_(settings.c_str(), out.data(), out.size());
      if (policy_ == nullptr) throw std::runtime_error(text(out));
    }
    if (decide_(policy_, request["load"].write().c_str(), out.data(), out.size()) != 0)
      throw std::runtime_error(text(out));
    return text(out);
  }

 private:
  template <class F>
  static void find(void* handle, const char* name, F& to) {
    to = reinterpret_cast<F>(::dlsym(handle, name));
    if (to == nullptr) throw std::runtime_error(std::string("this is no policy library: it has no ") + name);
  }
  static std::string text(const std::vector<char>& out) { return {out.data(), ::strnlen(out.data(), out.size())}; }

  decltype(&::geres_policy_abi) abi_ = nullptr;
  decltype(&::geres_policy_create) create_ = nullptr;
  decltype(&::geres_policy_decide) decide_ = nullptr;
  decltype(&::geres_policy_destroy) destroy_ = nullptr;
  void* policy_ = nullptr;
  std::string settings_;
};

std::string error_line(const char* what) {
  return Json::object().set("error", what).write();
}

// What the library prints for people must not come between the answers.
int move_output() {
  const int answers = ::fcntl(1, F_DUPFD_CLOEXEC, 3);
  if (answers < 0 || ::dup2(2, 1) < 0) throw std::runtime_error("no standard output");
  return answers;
}

void say(int answers, std::string line) {
  line += '\n';
  for (std::size_t at = 0; at < line.size();) {
    const auto n = ::write(answers, line.data() + at, line.size() - at);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) ::_exit(1);  // the scaler has gone
    at += std::size_t(n);
  }
}

int serve(const char* path) {
  const int answers = move_output();
  std::unique_ptr<Library> library;
  for (std::string line; std::getline(std::cin, line);) {
    try {
      if (!library) library = std::make_unique<Library>(path);
      say(answers, library->answer(line));
    } catch (const std::exception& trouble) {
      say(answers, error_line(trouble.what()));
    }
  }
  return 0;
}

}  // namespace

int run_policy(int argc, char** argv) {
  const bool program = argc > 2 && std::strcmp(argv[1], "--") == 0;
  if (!program && argc != 2) {
    std::fprintf(stderr,
                 "geres-policy is started by the scaler; it has no use of its own.\n"
                 "usage: geres-policy LIBRARY\n"
                 "       geres-policy -- PROGRAM [ARG...]\n");
    return 64;
  }
  try {
    take_limits();
    if (!program) return serve(argv[1]);
    ::execvp(argv[2], argv + 2);
    throw std::runtime_error(std::string(argv[2]) + ": " + std::strerror(errno));
  } catch (const std::exception& trouble) {
    std::puts(error_line(trouble.what()).c_str());
    return 1;
  }
}

}  // namespace geres::sdk
