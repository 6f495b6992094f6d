// SPDX-License-Identifier: Apache-2.0
// What this process may have itself (`ulimit`), before it promises anything on it: jobs inherit it, and a hub or host
// that reaches one of its limits dies of it or fails in odd places later. What may be raised is raised; what is too low
// is refused in one sentence.
#pragma once

namespace geres::apps {

// Of every command, first thing: threads have room for their stacks, and a file that must not grow is an error, not
// the end.
void prepare_process();

// Before `hub`, `host` (with that many slots) and `up` start anything. Throws Trouble.
void take_own_limits(int slots);

}  // namespace geres::apps
