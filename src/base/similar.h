// SPDX-License-Identifier: Apache-2.0
// "Did you mean": the known word that is nearest to an unknown one.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace geres {

// The closest candidate by edit distance (at most 2, and less than half of the word), or empty.
std::string nearest(std::string_view word, std::span<const std::string> candidates);

}  // namespace geres
