// SPDX-License-Identifier: Apache-2.0
#include "runner/containment.h"

#include <boost/describe/enum_to_string.hpp>

namespace geres::runner {

ContainmentResult make_containment(std::uint32_t slots, std::optional<wire::Containment> insist, std::string& detail) {
  using Make = ContainmentResult (*)(std::uint32_t);
  constexpr std::pair<wire::Containment, Make> kBestFirst[] = {
      {wire::Containment::cgroup2, make_cgroup2},
      {wire::Containment::freezer, make_freezer},
      {wire::Containment::pidns, make_pid_namespace},
      {wire::Containment::bestEffort, make_process_tree},
  };
  for (const auto& [kind, make] : kBestFirst) {
    if (insist && *insist != kind) continue;
    auto made = make(slots);
    if (made || insist || made.error().code == Code::tooMany) return made;
    detail += std::string(detail.empty() ? "" : "; ") + boost::describe::enum_to_string(kind, "?") + ": " +
              made.error().message;
  }
  return fail(Code::internal, "no containment");
}

}  // namespace geres::runner
