// SPDX-License-Identifier: Apache-2.0
// Write a job in C++: a class with `geres::Result run(geres::JobContext&)`, made known by one macro, built as a shared
// library that needs nothing but this header.
//
//   #include <geres/job.h>
//
//   class Greet {
//    public:
//     geres::Result run(geres::JobContext& context) {
//       context.progress(50, "thinking of a greeting");
//       if (context.stop_token().stop_requested()) return geres::Result::failure("stopped");
//       return geres::Result::success("hello, " + context.parameter_or("name", "world"));
//     }
//   };
//   GERES_JOB("Greet", Greet)
//
//   add_library(greet MODULE greet.cpp)
//   target_link_libraries(greet PRIVATE geres::job)
//
// The class is made anew for each attempt, in a process of its own. An exception that leaves run() is a failure with
// its what() as the reason; geres::Abort says that another try would not help. The process ends right after run(), so
// what has to be finished, run() finishes. Cancel and timeout ask through the stop token and kill after a grace.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "geres/job_abi.h"

namespace geres {

// How an attempt ended, and what the job has to say about it.
class Result {
 public:
  // The text is the job's result (up to 64 KiB).
  static Result success(std::string text = {}) { return Result(GERES_JOB_FINISHED, std::move(text)); }
  // Something went wrong that may go right the next time: the job is tried again, as often as it is allowed.
  static Result failure(std::string text) { return Result(GERES_JOB_FAILED, std::move(text)); }
  // Something is wrong that stays wrong, such as bad parameters: the job fails at once.
  static Result abort(std::string text) { return Result(GERES_JOB_ABORTED, std::move(text)); }

  int outcome() const { return outcome_; }  // geres_job_outcome_v1
  const std::string& text() const { return text_; }

 private:
  Result(int outcome, std::string text) : outcome_(outcome), text_(std::move(text)) {}
  int outcome_;
  std::string text_;
};

// Thrown from anywhere below run(): as if it had returned Result::abort(what()).
class Abort : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// What an attempt knows and may say. Any thread of the job, as long as run() has not returned.
class JobContext {
 public:
  explicit JobContext(const geres_job_context_v1& loader) : loader_(loader) {
    loader_.on_stop(
        loader_.loader, [](void* self) { static_cast<JobContext*>(self)->stop_.request_stop(); }, this);
  }
  ~JobContext() { loader_.on_stop(loader_.loader, nullptr, nullptr); }
  JobContext(const JobContext&) = delete;
  JobContext& operator=(const JobContext&) = delete;

  std::string id() const { return loader_.id; }
  std::string type() const { return loader_.type; }
  std::string tenant() const { return loader_.tenant; }
  std::uint64_t attempt() const { return loader_.attempt; }            // 1 for the first
  std::string parameters() const { return loader_.parameters; }        // JSON text, any kind of value
  std::filesystem::path job_file() const { return loader_.job_file; }  // the whole job as JSON

  // A top-level parameter that is a string, number, true or false, as text.
  std::optional<std::string> parameter(const std::string& name) const {
    const char* text = loader_.parameter(loader_.loader, name.c_str());
    return text != nullptr ? std::optional<std::string>(text) : std::nullopt;
  }
  std::string parameter_or(const std::string& name, std::string otherwise) const {
    return parameter(name).value_or(std::move(otherwise));
  }
  // Ends the job with a clear reason if it was not given.
  std::string required_parameter(const std::string& name) const {
    auto text = parameter(name);
    if (!text) throw Abort("the parameter '" + name + "' is missing");
    return *std::move(text);
  }

  std::filesystem::path package_dir() const { return loader_.package_dir; }  // read only
  std::filesystem::path work_dir() const { return loader_.work_dir; }        // the inputs lie here; gone afterwards
  std::filesystem::path output_dir() const { return loader_.output_dir; }    // files here are kept with the job

  // Never blocks; when reports come faster than they are read, some are left out.
  void progress(int percent, std::string_view message = {}) {
    loader_.progress(loader_.loader, percent < 0 ? 0 : percent > 100 ? 100 : percent, std::string(message).c_str());
  }
  void progress(std::string_view message) { loader_.progress(loader_.loader, -1, std::string(message).c_str()); }

  // Set on cancel, timeout and shutdown of the host. A while later the process is killed.
  std::stop_token stop_token() const { return stop_.get_token(); }

 private:
  const geres_job_context_v1& loader_;
  std::stop_source stop_;
};

// Hidden, so that two libraries in one process never share their lists.
#pragma GCC visibility push(hidden)
namespace job_detail {

struct Type {
  const char* name;
  Result (*run)(JobContext&);
};

inline std::vector<Type>& types() {
  static std::vector<Type> all;
  return all;
}

template <class Job>
Result run_new(JobContext& context) {
  return std::make_unique<Job>()->run(context);
}

struct Registered {
  Registered(const char* name, Result (*run)(JobContext&)) { types().push_back({name, run}); }
};

inline int end(const geres_job_context_v1& context, const Result& result) {
  context.result(context.loader, result.text().data(), result.text().size());
  return result.outcome();
}

inline int run(const char* type, const geres_job_context_v1* loader) {
  for (const auto& known : types()) {
    if (std::string_view(known.name) != type) continue;
    try {
      JobContext context(*loader);
      return end(*loader, known.run(context));
    } catch (const Abort& abort) {
      return end(*loader, Result::abort(abort.what()));
    } catch (const std::exception& error) {
      return end(*loader, Result::failure(error.what()));
    } catch (...) {
      return end(*loader, Result::failure("an exception that is not a std::exception left the job"));
    }
  }
  return GERES_JOB_NO_SUCH_TYPE;
}

inline std::size_t type_count() {
  return types().size();
}
inline const char* type_name(std::size_t index) {
  return index < types().size() ? types()[index].name : nullptr;
}

// In here and not in the door below: a static of an exported inline function would be one for the whole process.
inline const geres_job_library_v1* library() {
  static const geres_job_library_v1 only = {GERES_JOB_API_VERSION, &type_count, &type_name, &run};
  return &only;
}

}  // namespace job_detail
#pragma GCC visibility pop
}  // namespace geres

// The door of the library: emitted wherever this header is included, once in the linked library.
extern "C" __attribute__((visibility("default"), used)) inline const geres_job_library_v1* geres_job_api_v1() {
  return geres::job_detail::library();
}

// Once per job type, in any source file of the library, outside of all functions.
#define GERES_JOB(type_name, Class) GERES_JOB_AT(type_name, Class, __COUNTER__)
#define GERES_JOB_AT(type_name, Class, number) GERES_JOB_NAMED(type_name, Class, number)
#define GERES_JOB_NAMED(type_name, Class, number) \
  static const ::geres::job_detail::Registered geres_job_##number{type_name, &::geres::job_detail::run_new<Class>};
