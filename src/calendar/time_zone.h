// SPDX-License-Identifier: Apache-2.0
// Local times of a place, by the system's tzdata.
#pragma once

#include <chrono>
#include <string>

#include "base/clock.h"
#include "base/error.h"

namespace date {
class time_zone;
}

namespace geres::calendar {

using LocalSeconds = std::chrono::sys_seconds;  // what a clock on the wall there shows, as if it were in UTC

// Any thread; lives as long as the program.
class TimeZone {
 public:
  // By its name in the IANA database, "Europe/Berlin".
  static Result<TimeZone> find(const std::string& name);

  LocalSeconds local(Millis at) const;
  // The first moment at which the clock on the wall shows `local`. If that is left out where clocks are put forward, it
  // is the moment at which they are.
  Millis moment(LocalSeconds local) const;

 private:
  explicit TimeZone(const date::time_zone* zone) : zone_(zone) {}
  const date::time_zone* zone_;
};

}  // namespace geres::calendar
