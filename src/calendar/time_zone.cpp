// SPDX-License-Identifier: Apache-2.0
#include "calendar/time_zone.h"

#include <date/tz.h>

#include <exception>

namespace geres::calendar {

Result<TimeZone> TimeZone::find(const std::string& name) {
  try {
    return TimeZone(date::locate_zone(name));
  } catch (const std::exception&) {
    return fail(Code::badValue, "'" + name + "' is no time zone that this machine knows", {},
                "a name such as Europe/Berlin or UTC; the names come from the package tzdata");
  }
}

LocalSeconds TimeZone::local(Millis at) const {
  const date::sys_seconds moment{std::chrono::floor<std::chrono::seconds>(std::chrono::milliseconds(at))};
  return LocalSeconds(zone_->to_local(moment).time_since_epoch());
}

Millis TimeZone::moment(LocalSeconds local) const {
  const date::local_seconds shown{local.time_since_epoch()};
  const auto info = zone_->get_info(shown);
  const auto at = info.result == date::local_info::nonexistent
                      ? info.second.begin
                      : date::sys_seconds(shown.time_since_epoch() - info.first.offset);
  return std::chrono::milliseconds(at.time_since_epoch()).count();
}

}  // namespace geres::calendar
