// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <set>

#include "model/job_transitions.h"
#include "model/names.h"

namespace geres::model {
namespace {

constexpr JobState kStates[] = {JobState::scheduled, JobState::blocked,  JobState::ready,  JobState::leased,
                                JobState::running,   JobState::finished, JobState::failed, JobState::cancelled};
constexpr Trigger kTriggers[] = {Trigger::submit, Trigger::delay,  Trigger::due,         Trigger::grant,
                                 Trigger::start,  Trigger::finish, Trigger::retry,       Trigger::requeue,
                                 Trigger::fail,   Trigger::cancel, Trigger::expire_queue};

TEST(JobTransitions, TerminalIsFinal) {
  for (const auto state : kStates)
    for (const auto trigger : kTriggers)
      if (ended(state)) {
        EXPECT_FALSE(next_state(state, trigger)) << state_name(state);
      }
}

TEST(JobTransitions, EveryLegalMoveAndNoOther) {
  std::set<std::pair<int, int>> legal;
  for (const auto& move : transitions()) {
    EXPECT_TRUE(legal.emplace(move.from ? int(*move.from) : -1, int(move.trigger)).second) << "a move listed twice";
    EXPECT_EQ(next_state(move.from, move.trigger), move.to);
  }
  for (const auto state : kStates)
    for (const auto trigger : kTriggers)
      EXPECT_EQ(next_state(state, trigger).has_value(), legal.contains({int(state), int(trigger)}));
}

TEST(JobTransitions, EveryLiveStateCanBeCancelledAndLeadsToAnEnd) {
  for (const auto state : {JobState::scheduled, JobState::ready, JobState::leased, JobState::running})
    EXPECT_EQ(next_state(state, Trigger::cancel), JobState::cancelled);
  std::set<JobState> reach{JobState::finished, JobState::failed, JobState::cancelled};
  for (int round = 0; round < 8; ++round)
    for (const auto& move : transitions())
      if (move.from && reach.contains(move.to)) reach.insert(*move.from);
  for (const auto& move : transitions()) EXPECT_TRUE(reach.contains(move.to)) << state_name(move.to);
}

TEST(Names, OfFilesAreWhatLinuxTakesAndJsonCanTell) {
  for (const char* path :
       {"a/b c/ü.txt", "a\\b", "new\nline", "tab\t", "\x1b[31m", "...", "a..b", "-rf", "%2e%2e", " "})
    EXPECT_TRUE(check_relative_path(path, "")) << path;
  for (const char* path : {"", "/a", "a/", "a//b", "../a", "a/../b", "a/..", ".", "./a", "a/.", "latin1-\xe9"})
    EXPECT_FALSE(check_relative_path(path, "")) << path;
  EXPECT_FALSE(check_relative_path(std::string("a\0b", 3), ""));
  const std::string part(255, 'p');
  EXPECT_TRUE(check_relative_path(part, ""));
  EXPECT_FALSE(check_relative_path(part + "p", ""));
  std::string deep;
  while (deep.size() < 4'092) deep += "d/";
  EXPECT_TRUE(check_relative_path(deep + "abc", ""));
  EXPECT_EQ(check_relative_path(deep + "abcd", "/path").error().field, "/path");
}

TEST(Names, AreStrict) {
  for (const char* good : {"a", "A1", "a.b-c_d", "0x"}) EXPECT_TRUE(is_name(good)) << good;
  for (const char* bad : {"", ".a", "-a", "a..b", "a/b", "../x", "a b", "ä", "a\n"}) EXPECT_FALSE(is_name(bad)) << bad;
  EXPECT_FALSE(is_name(std::string("a\0b", 3)));
  EXPECT_TRUE(is_name(std::string(63, 'a')));
  EXPECT_FALSE(is_name(std::string(64, 'a')));
  const auto error = check_name("../etc", "tenant", "/tenant").error();
  EXPECT_EQ(error.field, "/tenant");
  EXPECT_NE(error.message.find("../etc"), std::string::npos);
}

}  // namespace
}  // namespace geres::model
