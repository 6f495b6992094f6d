// SPDX-License-Identifier: Apache-2.0
// The runner's parts, each alone. Tests with real processes go through the runner's client (host/runner_client), as the
// host does.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "base/file.h"
#include "runner/cgroup_directory.h"
#include "runner/memory_group.h"
#include "runner/output.h"
#include "runner/progress.h"
#include "wire/runner/runner_channel.h"

namespace geres::runner {
namespace {

struct Fifo {
  TemporaryDirectory directory;
  std::string path = directory.path() / "progress";
  Progress progress;
  Fifo() { EXPECT_TRUE(progress.open(path, 0, 0)); }
  void write(std::string_view text) {
    const Fd fd(open(path.c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC));
    write_all(fd.get(), text);
    progress.pump();
  }
  wire::RunProgress line(std::string_view text) {
    write(text);
    return progress.take(0, true).value_or(wire::RunProgress{});
  }
};

TEST(Progress, ReadsPercentAndMessage) {
  Fifo fifo;
  const auto expect = [&](std::string_view text, std::optional<std::int32_t> percent, std::string_view message) {
    const auto news = fifo.line(text);
    EXPECT_EQ(news.percent, percent) << text;
    EXPECT_EQ(news.message, message) << text;
  };
  expect("42 resizing\n", 42, "resizing");
  expect("resizing\n", std::nullopt, "resizing");
  expect("42\n", 42, "");
  expect("42%\n", 42, "");
  expect("7.9% of it\r\n", 7, "of it");
  expect("-5 below\n", 0, "below");
  expect("1000\n", 100, "");
  expect("99999999999999999999999999\n", 100, "");
  expect("3rd picture\n", std::nullopt, "3rd picture");
  expect("a\tb\x01\n", std::nullopt, "a b");
  expect("\xff\n", std::nullopt, "\xEF\xBF\xBD");
  expect("10 a\n20\n", 20, "a");
  expect("nan\n", std::nullopt, "nan");
  expect("\r 16% of 3\r 17% of 3\r", 17, "of 3");
  expect("\x1b[32m18%\x1b[0m \x1b[1mgreen\x1b[0m\n", 18, "green");
  expect("\x1b[2K\r\n", std::nullopt, "");
}

TEST(Progress, PausesBetweenNewsAndKeepsTheNewest) {
  Fifo fifo;
  EXPECT_FALSE(fifo.progress.take(1000));
  fifo.write("1 a\n");
  EXPECT_TRUE(fifo.progress.take(1000));
  fifo.write("2 b\n3 c\n");
  EXPECT_FALSE(fifo.progress.take(1049));
  EXPECT_EQ(fifo.progress.due(), 1050);
  EXPECT_EQ(fifo.progress.take(1050)->message, "c");
  EXPECT_EQ(fifo.progress.due(), 0);
}

TEST(Progress, CutsEndlessLinesAndMendsSplitOnes) {
  Fifo fifo;
  for (int i = 0; i < 20; ++i) fifo.write(std::string(1000, 'x'));
  EXPECT_LE(fifo.line("\n").message.size(), 4096u);
  fifo.write("55 spl");
  EXPECT_FALSE(fifo.progress.take(0, true));
  EXPECT_EQ(fifo.line("it\n").message, "split");
  fifo.write("66 last");  // no newline, and the attempt ends
  fifo.progress.finish();
  EXPECT_EQ(fifo.progress.take(0, true)->percent, 66);
}

TEST(Progress, UsesItsFifoAgainUnlessSomebodyReplacedIt) {
  Fifo fifo;
  const auto inode = [&] { return std::filesystem::hard_link_count(fifo.path); };
  fifo.write("1 old\n");
  ASSERT_TRUE(fifo.progress.open(fifo.path, 0, 0));
  EXPECT_FALSE(fifo.progress.take(0, true));  // not the news of the earlier attempt
  EXPECT_EQ(inode(), 1u);
  std::filesystem::remove(fifo.path);
  std::ofstream(fifo.path) << "a file";
  ASSERT_TRUE(fifo.progress.open(fifo.path, 0, 0));
  EXPECT_TRUE(std::filesystem::is_fifo(fifo.path));
  EXPECT_EQ(fifo.line("2 new\n").message, "new");
  ASSERT_TRUE(fifo.progress.open("", 0, 0));
  EXPECT_FALSE(std::filesystem::exists(fifo.path));
}

struct Stream {
  TemporaryDirectory directory;
  std::string path = directory.path() / "out";
  Output output;
  void print(std::string_view text) {
    write_all(output.job_end(), text);
    output.pump();
  }
};

struct Stream8 : Stream {  // the first four bytes and the last four
  Stream8() { EXPECT_TRUE(output.open(path, 8)); }
  std::string end() {
    output.close_job_end();
    EXPECT_FALSE(output.pump());
    output.finish();
    const std::string kept = read_file(path);
    EXPECT_EQ(std::int64_t(kept.size()), output.result().keptBytes);
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.path()), {}), 1);
    return kept;
  }
};

TEST(Output, KeepsAllUpToItsCap) {
  Stream8 stream;
  EXPECT_FALSE(std::filesystem::exists(stream.path));
  stream.print("0123");
  stream.print("45");
  EXPECT_EQ(read_file(stream.path), "0123");
  stream.print("67");
  EXPECT_EQ(stream.end(), "01234567");
  EXPECT_FALSE(stream.output.result().cut);
  EXPECT_EQ(stream.output.last_line(), "01234567");
}

TEST(Output, KeepsTheBeginningAndTheEndBeyondIt) {
  Stream8 stream;
  stream.print("01234567");
  stream.print("x");
  stream.print("yz, and so on until the end\n");
  EXPECT_EQ(stream.end(), "0123\n[geres: 29 bytes are left out here]\nend\n");
  EXPECT_TRUE(stream.output.result().cut);
  EXPECT_EQ(stream.output.result().printedBytes, 37);
}

TEST(Output, KeepsTheEndOfWhatGoesRoundManyTimes) {
  Stream stream;
  ASSERT_TRUE(stream.output.open(stream.path, 400'000));
  std::string printed;
  for (int i = 0; printed.size() < 2'000'000; ++i) {
    const std::string piece = std::to_string(i) + std::string(std::size_t(i % 977), '.') + "\n";
    printed += piece;
    stream.print(piece);
  }
  stream.output.finish();
  const std::string kept = read_file(stream.path);
  EXPECT_TRUE(kept.starts_with(printed.substr(0, 300'000)));
  EXPECT_TRUE(kept.ends_with(printed.substr(printed.size() - 100'000)));
  EXPECT_EQ(kept.substr(300'000, kept.size() - 400'000),
            "\n[geres: " + std::to_string(printed.size() - 400'000) + " bytes are left out here]\n");
}

TEST(Output, NeverWritesThroughWhatLiesThere) {
  Stream stream;
  std::ofstream(stream.directory.path() / "victim") << "mine";
  std::filesystem::create_symlink(stream.directory.path() / "victim", stream.path);
  ASSERT_TRUE(stream.output.open(stream.path, 100));
  stream.print("theirs");
  stream.output.finish();
  EXPECT_EQ(read_file(stream.directory.path() / "victim"), "mine");
  EXPECT_TRUE(stream.output.result().cut);
  EXPECT_EQ(stream.output.result().keptBytes, 0);
}

TEST(Output, LastLineIsShortAndClean) {
  Stream stream;
  ASSERT_TRUE(stream.output.open("", 0));
  EXPECT_EQ(stream.output.last_line(), "");
  stream.print("first\nsecond \xfe \x1b[31mred\n\n  \n");
  EXPECT_EQ(stream.output.last_line(), "second \xEF\xBF\xBD red");
  stream.print("\x1b[1;31merror:\x1b[0m gone\x1b]0;title\x07\x1b(B\n\x1b[0m\r\n\x1b[");
  EXPECT_EQ(stream.output.last_line(), "error: gone");
  stream.print(std::string(10'000, 'a') + "\xC3\xBC");
  EXPECT_LE(stream.output.last_line().size(), 300u);
  EXPECT_EQ(stream.output.result().keptBytes, 0);
}

TEST(Frames, ComeOutAsTheyWentIn) {
  wire::ToRunner message;
  message.start.emplace();
  message.start->key = "k";
  message.start->argv = {"a b", "\xff\xfe", ""};
  message.start->limits.openFiles = 5;
  std::string bytes;
  wire::put_frame(bytes, message);
  message = {};
  message.ping = wire::RunnerPing{7};
  wire::put_frame(bytes, message);
  wire::FrameReader reader;
  std::vector<wire::ToRunner> got;
  for (const char byte : bytes) {
    reader.add({&byte, 1});
    const auto document = reader.next();
    ASSERT_TRUE(document);
    if (*document) got.push_back(wire::read_to_runner(**document).value());
  }
  ASSERT_EQ(got.size(), 2u);
  EXPECT_EQ(got[0].start->argv, (std::vector<std::string>{"a b", "\xff\xfe", ""}));
  EXPECT_EQ(got[0].start->limits.openFiles, 5);
  EXPECT_FALSE(got[0].start->limits.processes);
  EXPECT_EQ(got[1].ping->n, 7);
  reader.add("\xff\xff\xff\x7f");
  EXPECT_FALSE(reader.next());
}

TEST(CgroupDirectory, ClearsAwayDeadOnesOnly) {
  TemporaryDirectory parent;  // ordinary directories behave enough like it
  const auto nothing = [](const std::string&) {};
  auto living = CgroupDirectory::make(parent.path(), 2, nothing);
  ASSERT_TRUE(living);
  std::filesystem::create_directories(parent.path() / "geres-dead" / "slot-0");
  std::filesystem::create_directories(parent.path() / "others" / "slot-0");
  std::vector<std::string> killed;
  auto next = CgroupDirectory::make(parent.path(), 1, [&](const std::string& path) { killed.push_back(path); });
  ASSERT_TRUE(next);
  EXPECT_EQ(killed, std::vector<std::string>{parent.path() / "geres-dead"});
  EXPECT_FALSE(std::filesystem::exists(parent.path() / "geres-dead"));
  EXPECT_TRUE(std::filesystem::exists(parent.path() / "others"));
  EXPECT_TRUE(std::filesystem::exists(living->slot_path(1)));
}

// Version 2's files, as a directory that stands for a group: what is written, and what is made of what is read.
struct MemoryV2 : testing::Test {
  void SetUp() override {
    for (const char* name : {"memory.max", "memory.swap.max", "memory.oom.group", "memory.stat", "memory.current"})
      put(name, "");
    put("memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n");
    put("memory.peak", "0");
    ASSERT_TRUE(group.open(directory.path(), CgroupVersion::v2));
  }
  void put(const char* name, const std::string& text) { std::ofstream(directory.path() / name) << text; }
  std::string got(const char* name) { return read_file_if(directory.path() / name).value_or(""); }
  TemporaryDirectory directory;
  MemoryGroup group;
};

TEST_F(MemoryV2, WritesWhatHasChanged) {
  ASSERT_TRUE(group.prepare(64 << 20, true));
  EXPECT_EQ(got("memory.max"), "67108864");
  EXPECT_EQ(got("memory.swap.max"), "0");
  EXPECT_EQ(got("memory.oom.group"), "1");
  EXPECT_EQ(group.join_fd(), -1);
  EXPECT_EQ(group.event_fd(), -1);
  put("memory.max", "untouched");
  put("memory.oom.group", "untouched");
  ASSERT_TRUE(group.prepare(64 << 20, true));
  EXPECT_EQ(got("memory.max"), "untouched");
  EXPECT_EQ(got("memory.oom.group"), "untouched");
  put("memory.max", "");
  ASSERT_TRUE(group.prepare(0, false));
  EXPECT_EQ(got("memory.max"), "max");
}

TEST_F(MemoryV2, TellsKillsAndWhoseLimitItWas) {
  ASSERT_TRUE(group.prepare(64 << 20, true));
  EXPECT_EQ(group.kills(), 0);
  put("memory.events", "low 0\nhigh 0\nmax 5\noom 0\noom_kill 2\noom_group_kill 1\n");
  EXPECT_EQ(group.kills(), 2);
  EXPECT_FALSE(group.has_reached_limit());  // the machine's own memory ran out
  put("memory.events", "low 0\nhigh 0\nmax 5\noom 1\noom_kill 2\noom_group_kill 1\n");
  EXPECT_TRUE(group.has_reached_limit());
  put("memory.peak", "67100000");
  EXPECT_EQ(group.peak(), 67'100'000);
  ASSERT_TRUE(group.prepare(64 << 20, true));
  EXPECT_FALSE(group.has_reached_limit());
}

TEST_F(MemoryV2, FindsWhatEarlierProcessesLeft) {
  put("memory.current", "50000000");
  put("memory.stat", "anon 0\nfile 50000000\nshmem 0\n");
  EXPECT_FALSE(group.holds_leftovers());  // a cache is given back
  put("memory.stat", "anon 0\nfile 50000000\nshmem 40000000\n");
  EXPECT_TRUE(group.holds_leftovers());
}

TEST(MemoryGroup, NeedsAControllerThere) {
  TemporaryDirectory directory;
  MemoryGroup group;
  EXPECT_FALSE(group.open(directory.path(), CgroupVersion::v2));
  EXPECT_EQ(errno, ENOENT);
}

}  // namespace
}  // namespace geres::runner
