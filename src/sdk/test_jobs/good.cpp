// SPDX-License-Identifier: Apache-2.0
// Jobs for the loader's test, one for each way to end.
#include <sys/wait.h>

#include <condition_variable>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <mutex>

#include "geres/job.h"

namespace {

struct Everything {
  geres::Result run(geres::JobContext& context) {
    std::ofstream(context.output_dir() / "made.txt") << "made";
    context.progress(0, "first\nline");
    context.progress(150);
    context.progress("only words");
    context.progress(7, std::string(10'000, 'x'));
    std::string text = context.id() + "|" + context.type() + "|" + context.tenant() + "|" +
                       std::to_string(context.attempt()) + "|" + context.parameters() + "|" +
                       context.parameter_or("name", "-") + "|" + context.parameter_or("absent", "-");
    text += "|" + context.package_dir().string() + "|" +
            (context.work_dir() == std::filesystem::current_path() ? "cwd" : "?");
    text += std::filesystem::exists(context.job_file()) ? "|job" : "|no job";
    return geres::Result::success(text);
  }
};

struct Fails {
  geres::Result run(geres::JobContext&) { return geres::Result::failure("try\nagain"); }
};
struct Aborts {
  geres::Result run(geres::JobContext&) { return geres::Result::abort("never again"); }
};
struct Throws {
  geres::Result run(geres::JobContext&) { throw std::runtime_error("out of luck"); }
};
struct ThrowsAbort {
  geres::Result run(geres::JobContext& context) { return geres::Result::success(context.required_parameter("must")); }
};
struct ThrowsNumber {
  geres::Result run(geres::JobContext&) { throw 5; }
};
struct Crashes {
  geres::Result run(geres::JobContext&) { std::abort(); }
};
struct Prints {
  geres::Result run(geres::JobContext&) {
    std::cout << "printed";
    return geres::Result::success();
  }
};

// Sits until it is told to stop; a program that it starts must hear the signal, too.
struct Waits {
  geres::Result run(geres::JobContext& context) {
    std::mutex mutex;
    std::condition_variable_any changed;
    std::unique_lock lock(mutex);
    context.progress(1, "waiting");
    changed.wait(lock, context.stop_token(), [] { return false; });
    return geres::Result::failure("stopped");
  }
};
struct StartsAProgram {
  geres::Result run(geres::JobContext& context) {
    context.progress(1, "waiting");
    const int status = std::system("exec sleep 60");
    return geres::Result::failure(WIFSIGNALED(status) ? "the program was signalled" : "the program went on");
  }
};
GERES_JOB("Everything", Everything)
GERES_JOB("Fails", Fails)
GERES_JOB("Aborts", Aborts)
GERES_JOB("Throws", Throws)
GERES_JOB("ThrowsAbort", ThrowsAbort)
GERES_JOB("ThrowsNumber", ThrowsNumber)
GERES_JOB("Crashes", Crashes)
GERES_JOB("Prints", Prints)
GERES_JOB("Waits", Waits)
GERES_JOB("StartsAProgram", StartsAProgram)

}  // namespace
