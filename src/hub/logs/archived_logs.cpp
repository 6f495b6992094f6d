// SPDX-License-Identifier: Apache-2.0
#include "hub/logs/archived_logs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <thread>

#include "base/log.h"
#include "base/sha256.h"

namespace geres::hub::logs {
namespace {

constexpr Millis kDay = 86'400'000;
constexpr std::size_t kMovers = 8;
constexpr std::int64_t kIndex = -1;  // in place of a chunk's offset

Fd nameless_file(const std::filesystem::path& directory) {
  make_private_directory(directory);
  Fd file(::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!file) throw std::system_error(errno, std::generic_category(), "make a file in " + directory.string());
  return file;
}

}  // namespace

std::string log_object_of(Uuid job) {
  return kLogsPrefix + job.str();
}

ArchivedLogs::ArchivedLogs(std::unique_ptr<DirectoryLogs> here, std::shared_ptr<objects::ObjectStore> store, Ask ask,
                           const Clock& clock, Options options)
    : here_(std::move(here)),
      store_(std::move(store)),
      ask_(std::move(ask)),
      clock_(clock),
      options_(std::move(options)) {}

// ---- reading

Result<std::int64_t> ArchivedLogs::size(const LogName& log) {
  if (here_->has(log)) return here_->size(log);
  const auto index = index_of(log.job);
  if (!index) return index.error();
  const auto* found = (*index)->find(log.attempt, log.stream);
  return found ? found->size() : 0;
}

Result<std::string> ArchivedLogs::read(const LogName& log, std::int64_t offset, std::size_t bytes_max) {
  if (here_->has(log)) return here_->read(log, offset, bytes_max);
  const auto index = index_of(log.job);
  if (!index) return index.error();
  const auto* found = (*index)->find(log.attempt, log.stream);
  const auto* chunk = found ? found->at(offset) : nullptr;
  if (!chunk) return std::string();
  const auto content = content_of(log.job, *chunk);
  if (!content) return content.error();
  return (*content)->substr(std::size_t(offset - chunk->offset), bytes_max);
}

Result<std::int64_t> ArchivedLogs::tail_offset(const LogName& log, std::int64_t lines) {
  if (here_->has(log)) return here_->tail_offset(log, lines);
  const auto index = index_of(log.job);
  if (!index) return index.error();
  const auto* found = (*index)->find(log.attempt, log.stream);
  if (!found || lines <= 0) return found ? found->size() : 0;
  // A last line that does not end counts as one; the newline of one that does ends no line before it.
  std::int64_t wanted = lines;
  for (auto chunk = found->chunks.rbegin(); chunk != found->chunks.rend(); ++chunk) {
    const bool last = chunk == found->chunks.rbegin();
    if (!last && chunk->lines < wanted) {
      wanted -= chunk->lines;
      continue;
    }
    const auto content = content_of(log.job, *chunk);
    if (!content) return content.error();
    for (std::size_t i = (*content)->size(); i-- > 0;)
      if ((**content)[i] == '\n' && chunk->offset + std::int64_t(i) + 1 < found->size() && --wanted == 0)
        return chunk->offset + std::int64_t(i) + 1;
  }
  return 0;
}

Result<ArchivedLogs::IndexPtr> ArchivedLogs::index_of(Uuid job) {
  if (auto known = kept(job, kIndex)) return known->index;
  const auto told = ask_(job);
  if (told.there && told.ended_at == 0) return std::make_shared<const LogIndex>();
  const auto object = store_->find(log_object_of(job));
  if (!object) return object.error();
  if (!*object) return std::make_shared<const LogIndex>();  // not kept: it may come
  auto read = [&](std::int64_t from, std::int64_t bytes) { return read_range(job, from, bytes); };
  auto index = read_log_index(std::int64_t((*object)->size), read);
  if (!index) return explained(job, index.error());
  const auto shared = std::make_shared<const LogIndex>(std::move(*index));
  keep({job, kIndex, shared, nullptr});
  return shared;
}

Result<ArchivedLogs::ContentPtr> ArchivedLogs::content_of(Uuid job, const LogChunk& chunk) {
  if (auto known = kept(job, chunk.at)) return known->content;
  const auto bytes = read_range(job, chunk.at, chunk.bytes);
  if (!bytes) return bytes.error();
  auto content = read_log_chunk(chunk, *bytes);
  if (!content) return explained(job, content.error());
  const auto shared = std::make_shared<const std::string>(std::move(*content));
  keep({job, chunk.at, nullptr, shared});
  return shared;
}

Result<std::string> ArchivedLogs::read_range(Uuid job, std::int64_t from, std::int64_t bytes) {
  std::string all;
  const objects::Range range{std::uint64_t(from), std::uint64_t(from + bytes - 1)};
  const auto got = store_->get(
      log_object_of(job),
      [&](std::string_view piece) -> Result<void> {
        all += piece;
        return {};
      },
      range);
  if (got) return all;
  return got.error().code == Code::unknownFile ? explained(job, fail(Code::badValue, "the logs' object is gone"))
                                               : got.error();
}

// What is damaged is no bad input of whoever asks for it.
Error ArchivedLogs::explained(Uuid job, Error error) const {
  if (error.code != Code::badValue) return error;
  return fail(Code::blobStoreAway, fmt::format("{}: {} in {}", error.message, log_object_of(job), store_->name()), {},
              "restore the object there; without it this log is lost");
}

// ---- the cache

std::optional<ArchivedLogs::Kept> ArchivedLogs::kept(Uuid job, std::int64_t at) {
  const std::lock_guard lock(mutex_);
  const auto found =
      std::find_if(cache_.begin(), cache_.end(), [&](const Kept& item) { return item.job == job && item.at == at; });
  if (found == cache_.end()) return std::nullopt;
  cache_.splice(cache_.begin(), cache_, found);
  return *found;
}

void ArchivedLogs::keep(Kept item) {
  const std::lock_guard lock(mutex_);
  cached_ += item.bytes();
  cache_.push_front(std::move(item));
  for (; cached_ > options_.cache_bytes && cache_.size() > 1; cache_.pop_back()) cached_ -= cache_.back().bytes();
}

void ArchivedLogs::forget(Uuid job) {
  const std::lock_guard lock(mutex_);
  cache_.remove_if([&](const Kept& item) {
    if (item.job != job) return false;
    cached_ -= item.bytes();
    return true;
  });
}

// ---- moving

void ArchivedLogs::remove(Uuid job) noexcept {
  try {
    here_->remove(job);
    forget(job);
    (void)store_->remove(log_object_of(job));  // else sweep() does it
  } catch (const std::exception& error) {
    log::warn("logs of job {} not removed: {}", job.str(), error.what());
  }
}

Result<std::size_t> ArchivedLogs::archive() {
  std::vector<Uuid> rested, gone;
  here_->each_job([&](Uuid job) {
    const auto told = ask_(job);
    if (!told.there)
      gone.push_back(job);
    else if (told.ended_at > 0 && clock_.wall() - told.ended_at >= options_.rest)
      rested.push_back(job);
  });
  for (const auto job : gone) here_->remove(job);
  return move_all(rested);
}

// Several at a time: most of the time of one is the way to the store and back.
Result<std::size_t> ArchivedLogs::move_all(const std::vector<Uuid>& jobs) {
  std::atomic<std::size_t> next = 0, moved = 0;
  std::mutex mutex;
  std::optional<Error> failed;
  const auto work = [&] {
    for (std::size_t i; (i = next++) < jobs.size();) {
      auto ok = moved_or_why(jobs[i]);
      if (ok) {
        ++moved;
        continue;
      }
      const std::lock_guard lock(mutex);
      failed = ok.error();
      next = jobs.size();
    }
  };
  std::vector<std::thread> movers(std::min(kMovers, jobs.size()));
  for (auto& mover : movers) mover = std::thread(work);
  for (auto& mover : movers) mover.join();
  if (failed) return *failed;
  return moved.load();
}

// On a thread of its own, which no exception may leave.
Result<void> ArchivedLogs::moved_or_why(Uuid job) {
  try {
    return move(job);
  } catch (const std::exception& error) {
    return fail(Code::internal, error.what());
  }
}

// An object that is there already is whole: we died before the directory forgot the job.
Result<void> ArchivedLogs::move(Uuid job) {
  const auto logs = here_->of(job);
  const auto there = store_->find(log_object_of(job));
  if (!there) return there.error();
  if (!logs.empty() && !*there)
    if (auto put = upload(job, logs); !put) return put;
  forget(job);
  here_->remove(job);
  return {};
}

Result<void> ArchivedLogs::upload(Uuid job, const std::vector<LogName>& logs) {
  const Fd file = nameless_file(options_.gather);
  Sha256 digest;
  std::uint64_t size = 0;
  const auto write = [&](std::string_view bytes) -> Result<void> {
    write_all(file.get(), bytes);
    digest.update(bytes);
    size += bytes.size();
    return {};
  };
  if (auto made = write_log_object(*here_, logs, write); !made) return made;
  return store_->put(log_object_of(job), file, size, digest.hex());
}

Result<std::size_t> ArchivedLogs::sweep() {
  std::size_t removed = 0;
  std::string after;
  do {
    const auto page = store_->list(kLogsPrefix, after);
    if (!page) return page.error();
    for (const auto& object : page->objects) {
      const auto job = parse_uuid(object.key.substr(std::string_view(kLogsPrefix).size()));
      if (!job || ask_(*job).there) continue;
      if (auto ok = store_->remove(object.key); !ok) return ok.error();
      ++removed;
    }
    after = page->next;
  } while (!after.empty());
  return removed;
}

void ArchivedLogs::start(Millis every) {
  swept_at_ = clock_.monotonic();
  mover_.start(every, [this] { look(); });
}

void ArchivedLogs::stop() {
  mover_.stop();
}

void ArchivedLogs::look() {
  try {
    const auto moved = archive();
    if (!moved && !failing_)
      log::event(log::Level::warn, "logs wait for the store",
                 {{"store", store_->name()}, {"why", moved.error().message}});
    failing_ = !moved;
    if (failing_ || clock_.monotonic() - swept_at_ < kDay) return;
    swept_at_ = clock_.monotonic();
    (void)sweep();
  } catch (const std::exception& error) {
    log::event(log::Level::err, "logs cannot be moved", {{"error", std::string(error.what())}});
  }
}

}  // namespace geres::hub::logs
