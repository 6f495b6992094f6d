// SPDX-License-Identifier: Apache-2.0
// Cron expressions of five fields: minute, hour, day of the month, month, day of the week.
//
//   field = item *( "," item )   item = ( "*" | value [ "-" value ] ) [ "/" step ]
//
// Months and days of the week have English names of three letters, too, in any case; 0 and 7 are both Sunday. Where day
// of the month and day of the week are both restricted, either is enough, as in every cron.
#pragma once

#include <bitset>
#include <chrono>
#include <string_view>

#include "base/error.h"

namespace geres::calendar {

class Cron {
 public:
  static Result<Cron> parse(std::string_view text);

  bool has_date(std::chrono::year_month_day date) const;
  const std::bitset<24>& hours() const { return hours_; }
  const std::bitset<60>& minutes() const { return minutes_; }

 private:
  std::bitset<60> minutes_;
  std::bitset<24> hours_;
  std::bitset<32> days_;
  std::bitset<13> months_;
  std::bitset<8> weekdays_;
  bool any_day_ = false, any_weekday_ = false;
};

}  // namespace geres::calendar
