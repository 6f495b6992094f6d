// SPDX-License-Identifier: Apache-2.0
// OpenSSL's objects as values that free themselves. Only for .cpp files.
#pragma once

#include <memory>

namespace geres::openssl {

template <auto free>
struct Freed {
  template <class T>
  void operator()(T* object) const {
    free(object);
  }
};

template <class T, auto free>
using Owned = std::unique_ptr<T, Freed<free>>;

}  // namespace geres::openssl
