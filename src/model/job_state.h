// SPDX-License-Identifier: Apache-2.0
// Where a job stands, and the words for how it and its attempts ended.
#pragma once

#include <boost/describe/enum.hpp>

namespace geres::model {

enum class JobState { scheduled, blocked, ready, leased, running, finished, failed, cancelled };
BOOST_DESCRIBE_ENUM(JobState, scheduled, blocked, ready, leased, running, finished, failed, cancelled)

constexpr bool ended(JobState state) {
  return state >= JobState::finished;
}

// Why a failed job failed; `none` in every other state.
enum class Reason {
  none,
  error,
  aborted,
  maxAttempts,
  timeout,
  queueTimeout,
  package,
  type,
  dependency,
  poison,
  internal
};
BOOST_DESCRIBE_ENUM(Reason, none, error, aborted, maxAttempts, timeout, queueTimeout, package, type, dependency, poison,
                    internal)

// What an attempt's failure came from, where a program may want to know: it got too little memory.
enum class Cause { outOfMemory };
BOOST_DESCRIBE_ENUM(Cause, outOfMemory)

// How an attempt ended. The first nine are what a host reports; `expired` is the hub's own word.
enum class Outcome { finished, failed, aborted, cancelled, timeout, package, type, released, lost, expired };
BOOST_DESCRIBE_ENUM(Outcome, finished, failed, aborted, cancelled, timeout, package, type, released, lost, expired)

}  // namespace geres::model
