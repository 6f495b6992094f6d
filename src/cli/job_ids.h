// SPDX-License-Identifier: Apache-2.0
// How people name a job: the whole id, any start or end of it that only one job has (with or without the "…" of a
// table), or "last", the job that this user submitted last.
#pragma once

#include <string>

#include "cli/context.h"

namespace geres::cli {

std::string resolve_job(Context& context, const std::string& text);
void remember_last(const std::string& id);  // trouble with the disk is nobody's trouble

// The hex digits of an id, whole or shortened as tables show it; empty if it can be none.
std::string id_digits(std::string text);

}  // namespace geres::cli
