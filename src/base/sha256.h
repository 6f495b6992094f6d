// SPDX-License-Identifier: Apache-2.0
// SHA-256: everything stored by content is named by it.
#pragma once

#include <memory>
#include <string>
#include <string_view>

namespace geres {

// Fed in pieces. One thread; one use.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;
  void update(std::string_view bytes);
  std::string hex();  // 64 lower-case digits; ends the use

 private:
  void* context_;
};

std::string sha256_hex(std::string_view bytes);
bool is_sha256_hex(std::string_view text);  // 64 lower-case hex digits

}  // namespace geres
