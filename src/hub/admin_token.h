// SPDX-License-Identifier: Apache-2.0
// The token that a hub gives its operator at the first start.
#pragma once

#include <filesystem>
#include <optional>

#include "hub/engine/engine.h"
#include "hub/store/reads.h"
#include "model/batch.h"

namespace geres::hub {

// What `file` holds is an admin's secret from now on, if it was none's. Where there is an admin already, only with
// `anew`. Asks the engine, which must run. Throws std::runtime_error if the token cannot be stored.
void make_admin_token(const std::filesystem::path& file, bool anew, engine::Engine& engine, store::Reads& reads);

}  // namespace geres::hub
