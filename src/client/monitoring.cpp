// SPDX-License-Identifier: Apache-2.0
// Looking at jobs: one job, lists, attempts, history, logs, files; and short lists that are read to their end.
#include <algorithm>
#include <iterator>
#include <optional>
#include <system_error>

#include "base/new_file.h"
#include "client/ask.h"
#include "client/write.h"
#include "geres/client.h"

namespace geres::client {
namespace {

// Reads all pages of a list that is not long.
template <class T>
class WholeList : public std::enable_shared_from_this<WholeList<T>> {
 public:
  WholeList(std::shared_ptr<Core> core, std::string path, T (*read)(const json::value&))
      : core_(std::move(core)), path_(std::move(path)), read_(read), promise_(core_) {}

  Pending<std::vector<T>> start() {
    core_->run([self = this->shared_from_this()] { self->next({}); });
    return promise_.pending();
  }

 private:
  void next(const std::string& cursor) {
    transport::Query query;
    add(query, "cursor", cursor);
    core_->call(promise_.task(), get(path_, std::move(query)),
                [self = this->shared_from_this()](Answer<transport::Reply> answer) {
                  const auto document = json_of(answer);
                  document ? self->take(*document) : self->promise_.fail(document.error());
                });
  }
  void take(const json::value& document) {
    auto page = read_page(document, read_);
    std::ranges::move(page.items, std::back_inserter(all_));
    if (!page.next.empty()) return next(page.next);
    promise_.keep(std::move(all_));
  }

  std::shared_ptr<Core> core_;
  std::string path_;
  T (*read_)(const json::value&);
  Promise<std::vector<T>> promise_;
  std::vector<T> all_;
};

template <class T>
Pending<std::vector<T>> whole_list(const std::shared_ptr<Core>& core, std::string path, T (*read)(const json::value&)) {
  return std::make_shared<WholeList<T>>(core, std::move(path), read)->start();
}

std::string escaped_path(std::string_view path) {
  std::string to;
  for (const char c : path) to += c == '/' ? "/" : transport::escaped({&c, 1});
  return to;
}

// A download in progress, moved to its place when it is complete.
struct Download {
  explicit Download(const std::filesystem::path& to) : file(std::in_place, to) {}
  void discard() { file.reset(); }
  transport::Take take(std::string_view piece) {
    try {
      file->write(piece);
      bytes += std::int64_t(piece.size());
      return transport::Take::more;
    } catch (...) {
      trouble = std::current_exception();
      return transport::Take::enough;
    }
  }
  void restart() {
    bytes = 0;
    try {
      file->restart();
    } catch (...) {
      trouble = std::current_exception();
    }
  }
  void place() {
    if (trouble) std::rethrow_exception(trouble);
    file->put();
  }
  std::optional<NewFile> file;  // none: what arrives is discarded
  std::int64_t bytes = 0;
  std::exception_ptr trouble;
};

}  // namespace

Pending<std::vector<Tenant>> Async::tenants() {
  return whole_list(core_, "/v1/tenants", read_tenant);
}

Pending<std::vector<Host>> Async::hosts() {
  return whole_list(core_, "/v1/hosts", read_host);
}

Pending<Job> Async::job(std::string_view id) {
  return ask<Job>(core_, get(job_path(id)), read_job);
}

Pending<Page<Job>> Async::jobs_page(const JobFilter& filter, const JobListing& listing, std::string_view cursor) {
  if (!filter.ids.empty())
    return fail_at_once<Page<Job>>(
        core_, refused_failure(Code::notSupported, "lists are not filtered by ids", "ids", "ask for each with job()"));
  auto query = query_of(filter);
  query.emplace_back("limit", std::to_string(listing.page_size));
  if (listing.oldest_first) query.emplace_back("order", "asc");
  for (const auto& field : listing.fields) query.emplace_back("fields", field);
  add(query, "cursor", cursor);
  return ask<Page<Job>>(core_, get("/v1/jobs", std::move(query)),
                        [](const json::value& page) { return read_page(page, read_job); });
}

Pending<std::vector<Attempt>> Async::attempts(std::string_view job) {
  return whole_list(core_, job_path(job, "/attempts"), read_attempt);
}

Pending<std::vector<Event>> Async::history(std::string_view job) {
  return whole_list(core_, job_path(job, "/events"), read_event);
}

Pending<Why> Async::why(std::string_view job) {
  return ask<Why>(core_, get(job_path(job, "/why")), read_why);
}

Pending<std::string> Async::log(std::string_view job, const LogOptions& options) {
  Promise<std::string> promise(core_);
  core_->run([core = core_, promise, call = get(job_path(job, "/log"), query_of(options))]() mutable {
    core->call(promise.task(), std::move(call), [promise](Answer<transport::Reply> answer) {
      answer ? promise.keep(std::move(answer->body)) : promise.fail(answer.error());
    });
  });
  return promise.pending();
}

Pending<std::vector<File>> Async::files(std::string_view job) {
  return whole_list(core_, job_path(job, "/files"), read_file_entry);
}

Pending<std::int64_t> Async::download(std::string_view job, std::string_view path, const std::filesystem::path& to) {
  Promise<std::int64_t> promise(core_);
  std::shared_ptr<Download> download;
  try {
    download = std::make_shared<Download>(to);
  } catch (...) {
    promise.fail(std::current_exception());
    return promise.pending();
  }
  auto call = get(job_path(job, "/files/") + escaped_path(path));
  call.sink = [download](std::string_view piece) { return download->take(piece); };
  call.restart = [download] { download->restart(); };
  call.silence_max = 60'000;
  call.follow = true;
  core_->run([core = core_, promise, download, call = std::move(call)]() mutable {
    core->call(promise.task(), std::move(call), [promise, download](Answer<transport::Reply> answer) {
      // The file is put in place before the outcome is reported, so that the caller finds what it was told.
      try {
        if (answer) download->place();
      } catch (...) {
        download->discard();
        return promise.fail(std::current_exception());
      }
      if (answer) return promise.keep(download->bytes);
      download->discard();
      promise.fail(answer.error());
    });
  });
  return promise.pending();
}

}  // namespace geres::client
