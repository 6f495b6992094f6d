// SPDX-License-Identifier: Apache-2.0
#include "sdk/loader.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "sdk/library.h"
#include "sdk/stop_signal.h"
#include "wire/job_channel.h"

namespace geres::sdk {
namespace {

constexpr char kUsage[] = "usage: geres-job [--else PROGRAM] LIBRARY... TYPE, or geres-job --list LIBRARY...";

// One line on standard error; the host shows the last one as the job's error.
int complain(int code, std::string text) {
  std::replace(text.begin(), text.end(), '\n', ' ');
  std::fflush(nullptr);
  std::fprintf(stderr, "%s\n", text.c_str());
  return code;
}

bool write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return false;
    bytes.remove_prefix(std::size_t(put));
  }
  return true;
}

const char* environment(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

// Cut so that no UTF-8 character is torn.
std::string_view cut(std::string_view text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return text;
  while (bytes_max > 0 && (static_cast<unsigned char>(text[bytes_max]) & 0xc0) == 0x80) --bytes_max;
  return text.substr(0, bytes_max);
}

// The other end of geres_job_context_v1.
class Attempt {
 public:
  explicit Attempt(const std::string& type) : type_(type) {
    // For reading, too: then opening never waits for a reader and writing never raises SIGPIPE.
    const char* fifo = environment(wire::kEnvProgress);
    if (*fifo != 0) progress_ = ::open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC);
  }

  int run(const Library& library) {
    const geres_job_context_v1 context = {
        this,
        environment(wire::kEnvJobId),
        type_.c_str(),
        environment(wire::kEnvTenant),
        std::strtoull(environment(wire::kEnvAttempt), nullptr, 10),
        environment(wire::kEnvParameters),
        environment(wire::kEnvJobFile),
        environment(wire::kEnvPackageDir),
        environment(wire::kEnvWorkDir),
        environment(wire::kEnvOutputDir),
        &parameter,
        &progress,
        [](void*) { return int(stop_signalled()); },
        [](void*, void (*stop)(void*), void* argument) { on_stop_signal(stop, argument); },
        &result};
    const int outcome = library.api->run(type_.c_str(), &context);
    if (!write_result())
      return complain(wire::kExitFailed, "the result cannot be written: " + std::string(std::strerror(errno)));
    switch (outcome) {
      case GERES_JOB_FINISHED:
        return wire::kExitFinished;
      case GERES_JOB_ABORTED:
        return complain(wire::kExitAborted, result_.empty() ? "aborted" : result_);
      default:
        return complain(wire::kExitFailed, result_.empty() ? "failed" : result_);
    }
  }

 private:
  static const char* parameter(void*, const char* name) {
    return std::getenv((std::string(wire::kEnvParameterPrefix) + name).c_str());
  }

  static void progress(void* self, int percent, const char* message) {
    const int fd = static_cast<Attempt*>(self)->progress_;
    if (fd < 0) return;
    std::string line = percent >= 0 ? std::to_string(percent) : std::string();
    if (percent >= 0 && *message != 0) line += ' ';
    line += message;
    std::replace_if(
        line.begin(), line.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
    line = std::string(cut(line, wire::kProgressLineMax - 1)) + "\n";
    // In one piece or, when the pipe is full, not at all.
    while (::write(fd, line.data(), line.size()) < 0 && errno == EINTR) continue;
  }

  static void result(void* self, const char* text, std::size_t length) {
    static_cast<Attempt*>(self)->result_.assign(text, length);
  }

  bool write_result() const {
    const char* path = environment(wire::kEnvResult);
    if (*path == 0 || result_.empty()) return true;  // without a result, what was printed is the result
    const int fd = ::open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return false;
    const bool written = write_all(fd, result_);
    return ::close(fd) == 0 && written;
  }

  const std::string& type_;
  int progress_ = -1;
  std::string result_;
};

int list(const std::vector<std::string>& paths) {
  for (const auto& path : paths) {
    const auto library = load_library(path);
    if (library.api == nullptr) return complain(wire::kExitPackage, library.trouble);
    for (const auto& type : library.types()) std::printf("%s\n", type.c_str());
  }
  return 0;
}

// Files beside a job library may be libraries of other kinds, so only when none fits is the first trouble told.
int run_job(const std::vector<std::string>& paths, const std::string& type, const char* otherwise) {
  if (*environment(wire::kEnvJobId) == 0)
    return complain(wire::kExitLoader,
                    "geres-job runs inside of an attempt: " + std::string(wire::kEnvJobId) + " is not set");
  start_stop_signal();
  std::string known, trouble;
  for (const auto& path : paths) {
    const auto library = load_library(path);
    if (library.has(type)) return Attempt(type).run(library);
    for (const auto& other : library.types()) known += (known.empty() ? "" : ", ") + other;
    if (trouble.empty()) trouble = library.trouble;
  }
  if (otherwise != nullptr) {
    ::execl(otherwise, otherwise, static_cast<char*>(nullptr));
    return complain(wire::kExitPackage,
                    "the program '" + std::string(otherwise) + "' cannot be started: " + std::strerror(errno));
  }
  if (!trouble.empty()) return complain(wire::kExitPackage, trouble);
  return complain(wire::kExitType, "no library of the package registers the job type '" + type + "'; " +
                                       (known.empty() ? "there are none" : "there is " + known));
}

}  // namespace

int run_loader(int argc, char** argv) {
  std::vector<std::string> words(argv + 1, argv + argc);
  if (words.size() >= 2 && words[0] == "--list") return list({words.begin() + 1, words.end()});
  const char* otherwise = nullptr;
  if (words.size() >= 2 && words[0] == "--else") {
    otherwise = argv[2];
    words.erase(words.begin(), words.begin() + 2);
  }
  if (words.size() < 2 || words[0].starts_with("--")) return complain(wire::kExitLoader, kUsage);
  const auto type = words.back();
  words.pop_back();
  return run_job(words, type, otherwise);
}

}  // namespace geres::sdk
