// SPDX-License-Identifier: Apache-2.0
// The name that a package or file has everywhere: the SHA-256 of its bytes.
#pragma once

#include <filesystem>
#include <string>

namespace geres::package {

// 64 lower-case hex digits. Streams; throws std::system_error if the file cannot be read.
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace geres::package
