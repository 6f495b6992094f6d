// SPDX-License-Identifier: Apache-2.0
// Replaces publisher.cpp in a program built without qpid-proton.
#include <stdexcept>

#include "hub/amqp/publisher.h"

namespace geres::hub::amqp {

struct Publisher::Impl {
  Figures figures;
};

Publisher::Publisher(engine::Engine&, store::Reads&, events::Tail&, const Clock&, Options) {
  throw std::runtime_error(
      "this program was built without AMQP: leave it out, or build the program where qpid-proton's C++ library is "
      "installed "
      "(Debian: libqpid-proton-cpp12-dev)");
}
Publisher::~Publisher() = default;
void Publisher::start(events::Teller&) {}
void Publisher::stop(Millis) {}
const Figures& Publisher::figures() const {
  return impl_->figures;
}
Status Publisher::status() const {
  return {};
}

}  // namespace geres::hub::amqp
