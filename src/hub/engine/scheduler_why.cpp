// SPDX-License-Identifier: Apache-2.0
// Explains what holds a lane back: its limits, then its hosts, each counted once under the first rule that rules it
// out, then the lanes that are served before it. Hosts are reported from the last rule back to the first, because a
// host that failed only the last one is the nearest to running the job.
#include <algorithm>
#include <array>
#include <cmath>
#include <set>
#include <unordered_set>

#include <fmt/format.h>

#include "hub/engine/placement.h"

namespace geres::hub::engine {
namespace {

std::string hosts_text(std::size_t n, std::size_t all) {
  return all == 1 ? "1 host" : n == all ? fmt::format("{} hosts", n) : fmt::format("{} of {} hosts", n, all);
}

std::string_view verb(std::size_t n, std::string_view singular, std::string_view plural) {
  return n == 1 ? singular : plural;
}

std::string memory_text(std::int64_t bytes) {
  constexpr std::array<std::pair<std::int64_t, std::string_view>, 3> kUnits{
      {{std::int64_t(1) << 30, "GiB"}, {std::int64_t(1) << 20, "MiB"}, {std::int64_t(1) << 10, "KiB"}}};
  for (auto [size, name] : kUnits)
    if (bytes >= size) return fmt::format("{:.3g} {}", double(bytes) / double(size), name);
  return fmt::format("{} bytes", bytes);
}

class Explanation {
 public:
  Explanation(std::span<const TenantView> tenants, std::span<const BatchView> batches, std::span<const LaneView> lanes,
              std::span<const HostView> hosts, Index lane)
      : tenants_(tenants), batches_(batches), lanes_(lanes), hosts_(hosts), asked_(lane), lane_(lanes[lane]) {}

  std::vector<Hindrance> run() {
    for (const HostView& host : hosts_) rooms_.push_back(room_of(host));
    before_holds_ = rooms_;
    tenant_matters_ =
        std::any_of(hosts_.begin(), hosts_.end(), [](const HostView& view) { return view.host->tenants.has_value(); });
    for (Index i = 0; i < lanes_.size(); ++i)
      if (i != asked_ && may_start(lanes_[i]) && ahead(i)) ahead_.push_back(i);
    hold_for_lanes_ahead();
    sort_hosts();
    limits();
    if (with_room_.empty()) host_rules();
    rivals();
    return std::move(found_);
  }

 private:
  using Hosts = std::vector<Index>;

  void add(std::string code, std::string message, std::size_t hosts = 0) {
    found_.push_back({std::move(code), std::move(message), std::int64_t(hosts)});
  }

  Claim claim_of(const LaneView& lane) const {
    return {lane.key, batches_[lane.batch].dedicated ? std::optional(lane.batch) : std::nullopt, lane.avoid};
  }

  bool tenant_full(Index tenant) const {
    return tenants_[tenant].max_running > 0 && tenants_[tenant].running >= tenants_[tenant].max_running;
  }

  bool batch_full(Index batch) const {
    return batches_[batch].max_running > 0 && batches_[batch].running >= batches_[batch].max_running;
  }

  bool may_start(const LaneView& lane) const {
    return lane.ready > 0 && !batches_[lane.batch].stopped && !batch_full(lane.batch) && !tenant_full(lane.tenant);
  }

  bool ahead(Index i) const { return earlier(i, asked_); }

  // Rules 1 to 3.
  bool earlier(Index i, Index j) const {
    const LaneView &a = lanes_[i], &b = lanes_[j];
    const BatchView &p = batches_[a.batch], &q = batches_[b.batch];
    if (p.rank != q.rank) return p.rank < q.rank;
    if (a.tenant != b.tenant) return tenant_earlier(a.tenant, b.tenant);
    if (p.priority != q.priority) return p.priority < q.priority;
    if (a.head.priority != b.head.priority) return a.head.priority < b.head.priority;
    if (a.head.seq != b.head.seq) return a.head.seq < b.head.seq;
    return i < j;
  }

  bool tenant_earlier(Index i, Index j) const {
    const TenantView &a = tenants_[i], &b = tenants_[j];
    const Standing x = standing_of(a), y = standing_of(b);
    if (x != y) return x < y;
    if (int order = a.name.compare(b.name); order != 0) return order < 0;
    return i < j;
  }

  Bar bar_at(const LaneView& lane, Index host) const { return bar(*lane.key, *hosts_[host].host); }

  using Rooms = std::vector<Room>;

  bool has_room(const LaneView& lane, Index host, const Rooms& rooms) const {
    return hosts_[host].alive && hosts_[host].well && bar_at(lane, host) == Bar::none &&
           hurdle(claim_of(lane), *hosts_[host].host, rooms[host]) == Hurdle::none;
  }

  bool has_room_anywhere(const LaneView& lane, const Rooms& rooms) const {
    for (Index host = 0; host < hosts_.size(); ++host)
      if (has_room(lane, host, rooms)) return true;
    return false;
  }

  bool may_hold(const LaneView& lane) const { return lane.starving || batches_[lane.batch].dedicated; }

  void hold_for_lanes_ahead() {
    std::vector<Index> holders;
    std::copy_if(ahead_.begin(), ahead_.end(), std::back_inserter(holders),
                 [this](Index i) { return may_hold(lanes_[i]); });
    std::sort(holders.begin(), holders.end(), [this](Index a, Index b) { return earlier(a, b); });
    std::set<Index> batches_done;
    std::unordered_set<Needs, NeedsHash> nothing_to_hold;
    for (Index i : holders) {
      const LaneView& lane = lanes_[i];
      Needs needs = needs_of(lane, lane.starving);
      if (batches_done.contains(lane.batch) || nothing_to_hold.contains(needs)) continue;
      if (has_room_anywhere(lane, rooms_)) continue;
      auto host = host_to_hold(claim_of(lane), lane.starving, hosts_, rooms_);
      if (!host) {
        nothing_to_hold.insert(needs);
        continue;
      }
      rooms_[*host].held = true;
      if (batches_[lane.batch].dedicated) batches_done.insert(lane.batch);
    }
  }

  void sort_hosts() {
    for (Index i = 0; i < hosts_.size(); ++i) {
      if (!hosts_[i].alive) continue;
      ++alive_;
      Bar barred = bar_at(lane_, i);
      if (barred != Bar::none) {
        barred_[std::size_t(barred)].push_back(i);
        continue;
      }
      if (!hosts_[i].well) {
        unfit_.push_back(i);
        continue;
      }
      fitting_.push_back(i);
      Hurdle at = hurdle(claim_of(lane_), *hosts_[i].host, rooms_[i]);
      if (at == Hurdle::none)
        with_room_.push_back(i);
      else
        hurdles_[std::size_t(at)].push_back(i);
    }
  }

  void limits() {
    const BatchView& batch = batches_[lane_.batch];
    const TenantView& tenant = tenants_[lane_.tenant];
    if (batch.stopped) add("batchPaused", fmt::format("batch {} is paused", batch.name));
    if (batch_full(lane_.batch))
      add("batchLimit",
          fmt::format("batch {} runs {} of at most {} jobs", batch.name, batch.running, batch.max_running));
    if (tenant_full(lane_.tenant))
      add("tenantLimit",
          fmt::format("tenant {} runs {} of at most {} jobs", tenant.name, tenant.running, tenant.max_running));
  }

  void host_rules() {
    if (alive_ == 0) return add("noHosts", "no host is connected");
    slots_busy(hurdles_[std::size_t(Hurdle::slots_busy)]);
    memory_busy(hurdles_[std::size_t(Hurdle::memory_busy)]);
    held(hurdles_[std::size_t(Hurdle::held)]);
    dedicated(hurdles_[std::size_t(Hurdle::dedicated)]);
    avoided(hurdles_[std::size_t(Hurdle::avoided)]);
    unfit(unfit_);
    draining(barred_[std::size_t(Bar::draining)]);
    memory_too_few(barred_[std::size_t(Bar::memory)]);
    slots_too_few(barred_[std::size_t(Bar::slots)]);
    labels(barred_[std::size_t(Bar::labels)]);
    type_not_served(barred_[std::size_t(Bar::type)]);
    packages(barred_[std::size_t(Bar::packages)]);
    tenant_not_served(barred_[std::size_t(Bar::tenant)]);
  }

  const model::Requirements& need() const { return lane_.key->requirements; }

  void slots_busy(const Hosts& at) {
    if (at.empty()) return;
    std::int64_t slots = 0, free = 0;
    for (Index i : at) {
      slots += hosts_[i].host->slots;
      free += std::max(0, rooms_[i].free_slots);
    }
    std::string text = fmt::format("{} of {} slots on {} are busy", slots - free, slots, hosts_text(at.size(), alive_));
    if (free > 0) text += fmt::format(", the job needs {} on one host", need().slots);
    add("slotsBusy", text, at.size());
  }

  void memory_busy(const Hosts& at) {
    if (at.empty()) return;
    std::int64_t free = 0;
    for (Index i : at) free = std::max(free, rooms_[i].free_memory);
    add("memoryBusy",
        fmt::format("{} {} too little free memory (at most {}, the job needs {})", hosts_text(at.size(), alive_),
                    verb(at.size(), "has", "have"), memory_text(free), memory_text(need().memory)),
        at.size());
  }

  void held(const Hosts& at) {
    if (at.empty()) return;
    add("held",
        fmt::format("{} {} kept free for a large job or a dedicated batch that comes first",
                    hosts_text(at.size(), alive_), verb(at.size(), "is", "are")),
        at.size());
  }

  void dedicated(const Hosts& at) {
    if (at.empty()) return;
    auto text =
        batches_[lane_.batch].dedicated
            ? fmt::format("{} {} other jobs; dedicated batch {} needs an empty host", hosts_text(at.size(), alive_),
                          verb(at.size(), "runs", "run"), batches_[lane_.batch].name)
            : fmt::format("{} {} dedicated to another batch", hosts_text(at.size(), alive_),
                          verb(at.size(), "is", "are"));
    add("dedicated", text, at.size());
  }

  void avoided(const Hosts& at) {
    if (at.empty()) return;
    add("avoided",
        fmt::format("host {} is avoided while another one fits: it has given the job back or lost it",
                    hosts_[at.front()].host->name),
        at.size());
  }

  void unfit(const Hosts& at) {
    if (at.empty()) return;
    add("hostsUnfit", fmt::format("{} cannot start jobs just now", hosts_text(at.size(), alive_)), at.size());
  }

  void draining(const Hosts& at) {
    if (at.empty()) return;
    add("draining", fmt::format("{} {} draining", hosts_text(at.size(), alive_), verb(at.size(), "is", "are")),
        at.size());
  }

  void memory_too_few(const Hosts& at) {
    if (at.empty()) return;
    std::int64_t largest = 0;
    for (Index i : at) largest = std::max(largest, hosts_[i].host->memory);
    add("memoryTooFew", too_few(at.size(), memory_text(need().memory) + " of memory", memory_text(largest)), at.size());
  }

  void slots_too_few(const Hosts& at) {
    if (at.empty()) return;
    int largest = 0;
    for (Index i : at) largest = std::max(largest, hosts_[i].host->slots);
    add("slotsTooFew",
        too_few(at.size(), fmt::format("{} {}", need().slots, verb(std::size_t(need().slots), "slot", "slots")),
                std::to_string(largest)),
        at.size());
  }

  std::string too_few(std::size_t n, const std::string& needed, const std::string& largest) const {
    if (n == alive_) return fmt::format("no host has {} (the largest has {})", needed, largest);
    return fmt::format("{} {} less than {} (the largest of them has {})", hosts_text(n, alive_), verb(n, "has", "have"),
                       needed, largest);
  }

  void labels(const Hosts& at) {
    if (at.empty()) return;
    std::set<std::string> missing, there;
    for (Index i : at)
      for (const auto& [name, value] : need().labels) {
        const auto& own = hosts_[i].host->labels;
        auto found = own.find(name);
        if (found != own.end() && found->second == value) continue;
        missing.insert(name + "=" + value);
        if (found != own.end()) there.insert(name + "=" + found->second);
      }
    std::string text = fmt::format("{} {} {} {}", hosts_text(at.size(), alive_), verb(at.size(), "lacks", "lack"),
                                   verb(missing.size(), "label", "labels"), listed(missing));
    if (!there.empty()) text += fmt::format(" ({} {})", at.size() == 1 ? "it has" : "they have", listed(there));
    add("labels", text, at.size());
  }

  static std::string listed(const std::set<std::string>& texts) {
    constexpr std::size_t kShown = 3;
    std::string out;
    std::size_t n = 0;
    for (const auto& text : texts) {
      if (n == kShown) return out + fmt::format(" and {} more", texts.size() - kShown);
      out += (n++ ? ", " : "") + text;
    }
    return out;
  }

  void type_not_served(const Hosts& at) {
    if (at.empty()) return;
    const std::string& type = lane_.key->type;
    std::string without = lane_.key->packaged ? "" : " without a package";
    auto text = at.size() == alive_ ? fmt::format("no {} that handles type {}{} is connected",
                                                  lane_.key->packaged ? "host" : "worker", type, without)
                                    : fmt::format("{} {} not handle type {}{}", hosts_text(at.size(), alive_),
                                                  verb(at.size(), "does", "do"), type, without);
    add("typeNotServed", text, at.size());
  }

  void packages(const Hosts& at) {
    if (at.empty()) return;
    auto text = at.size() == alive_ ? std::string("no host that runs packages is connected")
                                    : fmt::format("{} {} not run packages", hosts_text(at.size(), alive_),
                                                  verb(at.size(), "does", "do"));
    add("packages", text, at.size());
  }

  void tenant_not_served(const Hosts& at) {
    if (at.empty()) return;
    const std::string& tenant = tenants_[lane_.tenant].name;
    auto text = at.size() == alive_ ? fmt::format("no host that serves tenant {} is connected", tenant)
                                    : fmt::format("{} {} not serve tenant {}", hosts_text(at.size(), alive_),
                                                  verb(at.size(), "does", "do"), tenant);
    add("tenantNotServed", text, at.size());
  }

  Needs needs_of(const LaneView& lane, bool flag) const {
    return {lane.key, claim_of(lane).dedicated, tenant_matters_, flag, lane.avoid};
  }

  // Whether a lane ahead wants what this one could have. Lanes of the same tenant or batch use up its share and
  // limits wherever they run; others matter on the same hosts only.
  bool rival(const LaneView& other) {
    const bool related = other.tenant == lane_.tenant || other.batch == lane_.batch;
    std::unordered_set<Needs, NeedsHash>& known = no_rivals_[related];
    Needs needs = needs_of(other, other.starving);
    if (known.contains(needs)) return false;
    const bool room_now = !with_room_.empty();
    bool wants = related && room_now ? has_room_anywhere(other, before_holds_)
                                     : wants_any(other, room_now ? with_room_ : fitting_);
    if (!wants) known.insert(needs);
    return wants;
  }

  bool wants_any(const LaneView& other, const Hosts& hosts) const {
    const bool may_wait = with_room_.empty() || may_hold(other);
    return std::any_of(hosts.begin(), hosts.end(), [&](Index host) {
      return may_wait ? bar_at(other, host) == Bar::none : has_room(other, host, before_holds_);
    });
  }

  void rivals() {
    bool priority = false, share = false, queue = false;
    for (Index i : ahead_) {
      const LaneView& other = lanes_[i];
      const BatchView &theirs = batches_[other.batch], &own = batches_[lane_.batch];
      const bool same_tenant = other.tenant == lane_.tenant;
      bool& kind = theirs.rank != own.rank || (same_tenant && theirs.priority != own.priority) ? priority
                   : same_tenant                                                               ? queue
                                                                                               : share;
      if (!kind) kind = rival(other);
    }
    if (queue)
      add("queue", fmt::format("more urgent or older jobs of tenant {} are served first", tenants_[lane_.tenant].name));
    if (share) add("share", "tenants that have had less of their share are served first");
    if (priority) add("priority", "jobs of batches with a better priority are served first");
  }

  std::span<const TenantView> tenants_;
  std::span<const BatchView> batches_;
  std::span<const LaneView> lanes_;
  std::span<const HostView> hosts_;
  Index asked_;
  const LaneView& lane_;
  Rooms before_holds_;
  Rooms rooms_;  // with the holds of the lanes ahead
  bool tenant_matters_ = true;
  std::array<std::unordered_set<Needs, NeedsHash>, 2> no_rivals_;  // of lanes unrelated and related
  std::vector<Index> ahead_;
  std::size_t alive_ = 0;
  std::array<Hosts, 8> barred_;
  std::array<Hosts, 6> hurdles_;
  Hosts unfit_;      // not barred, but not well
  Hosts fitting_;    // not barred
  Hosts with_room_;  // of these, could take a job now
  std::vector<Hindrance> found_;
};

}  // namespace

std::vector<Hindrance> why(std::span<const TenantView> tenants, std::span<const BatchView> batches,
                           std::span<const LaneView> lanes, std::span<const HostView> hosts, Index lane) {
  return Explanation(tenants, batches, lanes, hosts, lane).run();
}

}  // namespace geres::hub::engine
