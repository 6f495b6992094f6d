// SPDX-License-Identifier: Apache-2.0
#include "hub/webhooks/outbox.h"

namespace geres::hub::webhooks {

void Outbox::put(store::DeliveryRow row) {
  const auto key = row.key;
  rows_.insert_or_assign(key, std::move(row));
}

void Outbox::remove(store::DeliveryKey key) {
  rows_.insert_or_assign(key, std::nullopt);
}

void Outbox::settled(bool done) {
  on_its_way_ = false;
  if (!done) {  // keep what has come since then, because it is newer
    rows_.merge(sent_rows_);
    moved_.merge(sent_moved_);
    disabled_.merge(sent_disabled_);
  }
  sent_rows_.clear();
  sent_moved_.clear();
  sent_disabled_.clear();
}

}  // namespace geres::hub::webhooks
