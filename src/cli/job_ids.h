// SPDX-License-Identifier: Apache-2.0
// How people name a job: by the whole id, by a start or end of it that only one job has (with or without the "…" of a
// table), or as "last", the job that this user submitted last.
#pragma once

#include <string>

#include "cli/context.h"

namespace geres::cli {

std::string resolve_job(Context& context, const std::string& text);
void remember_last(const std::string& id);  // an error of the disk is ignored

// The hex digits of an id, whole or shortened as tables show it; empty if it cannot be one.
std::string id_digits(std::string text);

}  // namespace geres::cli
