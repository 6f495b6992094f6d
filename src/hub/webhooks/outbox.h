// SPDX-License-Identifier: Apache-2.0
// Outcomes of deliveries that are not stored yet. They are collected, so that a busy feed costs one command of the
// engine now and then, and kept until they are on disk.
#pragma once

#include <map>
#include <set>

#include "hub/engine/verbs.h"

namespace geres::hub::webhooks {

// One thread.
class Outbox {
 public:
  void put(store::DeliveryRow row);
  void remove(store::DeliveryKey key);
  void disable(Uuid webhook, std::string reason) { disabled_[webhook] = std::move(reason); }
  void moved(Uuid webhook) { moved_.insert(webhook); }  // its cursor

  bool has(const store::DeliveryKey& key) const { return rows_.contains(key) || sent_rows_.contains(key); }
  bool empty() const { return rows_.empty() && disabled_.empty() && moved_.empty(); }
  bool on_its_way() const { return on_its_way_; }

  // Takes everything. The cursors are computed now, so that they match the rows.
  template <class CursorOf>
  engine::DeliveryNews take(CursorOf cursor_of) {
    engine::DeliveryNews news;
    for (const auto& [key, row] : rows_) {
      if (row)
        news.put.push_back(*row);
      else
        news.removed.push_back(key);
    }
    for (const auto webhook : moved_)
      if (auto cursor = cursor_of(webhook)) news.cursors.push_back(*cursor);
    for (const auto& [webhook, reason] : disabled_) news.disabled.push_back({webhook, reason});
    sent_rows_ = std::exchange(rows_, {});
    sent_moved_ = std::exchange(moved_, {});
    sent_disabled_ = std::exchange(disabled_, {});
    on_its_way_ = true;
    return news;
  }
  // Whether what was taken is on disk. If not, it will be taken again.
  void settled(bool done);

 private:
  using Rows = std::map<store::DeliveryKey, std::optional<store::DeliveryRow>>;  // nullopt: delivered
  Rows rows_, sent_rows_;
  std::set<Uuid> moved_, sent_moved_;
  std::map<Uuid, std::string> disabled_, sent_disabled_;
  bool on_its_way_ = false;
};

}  // namespace geres::hub::webhooks
