// SPDX-License-Identifier: Apache-2.0
// The object of a job's logs: what goes in comes out, `zcat` reads it, and damage is found.
#include "hub/logs/log_object.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <random>

#include "base/file.h"
#include "hub/logs/directory_logs.h"

namespace geres::hub::logs {
namespace {

const Uuid kJob{0x0192f0c47d3a7001, 0x8f2e0123456789ab};

std::string some_lines(std::size_t bytes, unsigned seed) {
  std::mt19937 random(seed);
  std::string text;
  while (text.size() < bytes) text += "line " + std::to_string(random()) + std::string(random() % 90, 'x') + "\n";
  text.resize(bytes);
  return text;
}

struct LogObjectTest : testing::Test {
  TemporaryDirectory directory;
  DirectoryLogs logs{directory.path() / "logs", 64 << 20};

  std::string object_of(const std::vector<LogName>& names) {
    std::string bytes;
    const auto write = [&](std::string_view piece) { return bytes += piece, Result<void>(); };
    write_log_object(logs, names, write).value();
    return bytes;
  }
  static Result<LogIndex> index_of(const std::string& object) {
    return read_log_index(std::int64_t(object.size()), [&](std::int64_t from, std::int64_t bytes) {
      return Result<std::string>(object.substr(std::size_t(from), std::size_t(bytes)));
    });
  }
  static std::string content_of(const std::string& object, const IndexedLog& log) {
    std::string all;
    for (const auto& chunk : log.chunks)
      all += read_log_chunk(chunk, std::string_view(object).substr(std::size_t(chunk.at), std::size_t(chunk.bytes)))
                 .value();
    return all;
  }
};

TEST_F(LogObjectTest, HoldsEachStreamOfEachAttempt) {
  const auto first = some_lines(1'000'000, 1), second = some_lines(700, 2);
  logs.append({kJob, 1, Stream::out}, 0, first);
  logs.append({kJob, 1, Stream::err}, 0, "oops");
  logs.append({kJob, 12, Stream::out}, 0, second);
  const auto object = object_of(logs.of(kJob));
  const auto index = index_of(object).value();
  ASSERT_EQ(index.logs().size(), 3u);
  EXPECT_EQ(content_of(object, *index.find(1, Stream::out)), first);
  EXPECT_EQ(content_of(object, *index.find(1, Stream::err)), "oops");
  EXPECT_EQ(content_of(object, *index.find(12, Stream::out)), second);
  EXPECT_EQ(index.find(12, Stream::err), nullptr);
  EXPECT_EQ(index.find(1, Stream::out)->at(262'144)->offset, 262'144);
  EXPECT_EQ(index.find(1, Stream::out)->at(1'000'000), nullptr);
  EXPECT_LT(object.size(), first.size());
}

TEST_F(LogObjectTest, IsAGzipFile) {
  const auto text = some_lines(600'000, 3);
  logs.append({kJob, 1, Stream::out}, 0, text);
  const auto path = directory.path() / "logs.gz";
  replace_file(path, object_of(logs.of(kJob)), 0600);
  FILE* zcat = ::popen(("zcat " + path.string()).c_str(), "r");
  std::string out(text.size() + 10, '\0');
  out.resize(::fread(out.data(), 1, out.size(), zcat));
  EXPECT_EQ(::pclose(zcat), 0);
  EXPECT_EQ(out, text);
}

TEST_F(LogObjectTest, AnIndexLargerThanTheFirstLookIsFound) {
  std::vector<LogName> names;
  for (int attempt = 1; attempt <= 4'000; ++attempt) {
    logs.append({kJob, attempt, Stream::out}, 0, "attempt " + std::to_string(attempt));
    names.push_back({kJob, attempt, Stream::out});
  }
  const auto object = object_of(names);
  const auto index = index_of(object).value();
  ASSERT_EQ(index.logs().size(), 4'000u);
  EXPECT_EQ(content_of(object, *index.find(3'999, Stream::out)), "attempt 3999");
}

TEST_F(LogObjectTest, DamageIsFoundWhereverItIs) {
  logs.append({kJob, 1, Stream::out}, 0, some_lines(3'000, 4));
  const auto object = object_of(logs.of(kJob));
  for (std::size_t cut = 1; cut < object.size(); cut += 7) {
    const auto half = object.substr(0, object.size() - cut);
    EXPECT_FALSE(index_of(half)) << cut;
  }
  for (std::size_t at = 0; at < object.size(); ++at) {
    auto bent = object;
    bent[at] = char(bent[at] ^ 0x41);
    const auto index = index_of(bent);
    if (!index) continue;
    const auto* log = index->find(1, Stream::out);
    if (!log || log->chunks.size() != 1) continue;
    const auto& chunk = log->chunks.front();
    const auto content =
        read_log_chunk(chunk, std::string_view(bent).substr(std::size_t(chunk.at), std::size_t(chunk.bytes)));
    if (content) {  // what was bent is not part of what was read
      EXPECT_EQ(*content, logs.read({kJob, 1, Stream::out}, 0, 10'000).value()) << at;
    }
  }
  EXPECT_FALSE(index_of(""));
  EXPECT_FALSE(index_of(std::string(10'000, 'x')));
}

}  // namespace
}  // namespace geres::hub::logs
