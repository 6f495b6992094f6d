// SPDX-License-Identifier: Apache-2.0
// MD5, as Content-MD5 wants it: a server holds it against what it has received. It guards against damage on the way,
// not against people.
#pragma once

#include <string>
#include <string_view>

namespace geres::objects {

// Fed in pieces. One thread; one use. Throws std::runtime_error where OpenSSL has no MD5 (in FIPS mode).
class Md5 {
 public:
  Md5();
  ~Md5();
  Md5(const Md5&) = delete;
  Md5& operator=(const Md5&) = delete;
  void update(std::string_view bytes);
  std::string base64();  // ends the use

 private:
  void* context_;
};

}  // namespace geres::objects
