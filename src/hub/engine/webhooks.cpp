// SPDX-License-Identifier: Apache-2.0
// What came of the calls is told by the sender; what is told to a webhook that is gone by then needs no row.
#include "hub/engine/webhooks.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

namespace geres::hub::engine {

namespace {

Error no_webhook(Uuid id) {
  return fail(Code::notFound, fmt::format("there is no webhook '{}'", id.str()), {}, "geres webhook list shows them");
}

Error name_taken(const std::string& name) {
  return fail(Code::nameTaken, fmt::format("there is a webhook '{}' already", name), "/name", "another name");
}

bool taken(const State& state, const model::Webhook& wanted) {
  return !wanted.name.empty() && std::any_of(state.webhooks.begin(), state.webhooks.end(), [&](const auto& entry) {
    const auto& other = entry.second;
    return !other.removed && other.id != wanted.id && other.tenant == wanted.tenant && other.name == wanted.name;
  });
}

}  // namespace

Result<model::Webhook*> Webhooks::webhook_for(const Caller& caller, Uuid id) {
  const auto found = state_.webhooks.find(id);
  if (found == state_.webhooks.end() || found->second.removed || !caller.sees(found->second.tenant))
    return no_webhook(id);
  return &found->second;
}

void Webhooks::put_webhook(const model::Webhook& webhook) {
  store_.changes().webhooks.push_back(webhook);
  out_.webhook_news.webhooks.push_back(webhook);
}

Result<model::Webhook> Webhooks::create(const Caller& caller, model::Webhook webhook) {
  const auto count = std::count_if(state_.webhooks.begin(), state_.webhooks.end(), [&](const auto& entry) {
    return !entry.second.removed && entry.second.tenant == webhook.tenant;
  });
  if (std::size_t(count) >= options_.webhooks_per_tenant_max)
    return fail(Code::tooMany, fmt::format("tenant {} has {} webhooks", webhook.tenant, count), {},
                "delete one that is not needed, or widen the filter of another");
  if (webhook.for_jobs && state_.job_webhooks.contains(webhook.tenant))
    return fail(Code::conflict, fmt::format("tenant {} has a webhook for jobs already", webhook.tenant), "/forJobs",
                "use that one; its secret can be changed with PATCH");
  if (taken(state_, webhook)) return name_taken(webhook.name);
  webhook.id = ids_.next(now_.wall);
  webhook.created_at = now_.wall;
  webhook.created_by = caller.name;
  webhook.cursor = state_.last_event;
  lanes_.tenant(webhook.tenant);
  state_.webhooks.emplace(webhook.id, webhook);
  if (webhook.for_jobs) state_.job_webhooks[webhook.tenant] = webhook.id;
  put_webhook(webhook);
  return webhook;
}

Result<model::Webhook> Webhooks::patch(const Caller& caller, Uuid id, const WebhookPatch& patch) {
  const auto found = webhook_for(caller, id);
  if (!found) return found.error();
  auto changed = **found;
  if (patch.name) changed.name = *patch.name;
  if (taken(state_, changed)) return name_taken(changed.name);
  if (changed.for_jobs && (patch.url || patch.types || patch.batches || patch.job_types || patch.tags))
    return fail(Code::badValue, "a webhook for jobs has neither address nor filter: jobs bring their own", "/url",
                "leave it out");
  if (patch.url) changed.url = *patch.url;
  if (patch.types) changed.types = *patch.types;
  if (patch.batches) changed.batches = *patch.batches;
  if (patch.job_types) changed.job_types = *patch.job_types;
  if (patch.tags) changed.tags = *patch.tags;
  if (patch.secret && *patch.secret != changed.secret) {
    changed.old_secret = changed.secret;
    changed.old_secret_until = now_.wall + options_.old_secret_kept;
    changed.secret = *patch.secret;
  }
  if (patch.enabled && *patch.enabled != changed.enabled) {
    changed.enabled = *patch.enabled;
    changed.reason = *patch.enabled ? std::string() : "disabled by " + caller.name;
  }
  if (changed == **found) return changed;
  **found = changed;
  put_webhook(changed);
  return changed;
}

Result<bool> Webhooks::remove(const Caller& caller, Uuid id) {
  const auto found = webhook_for(caller, id);
  if (!found) return found.error();
  auto& webhook = **found;
  webhook.removed = true;
  if (webhook.for_jobs) state_.job_webhooks.erase(webhook.tenant);
  put_webhook(webhook);
  return true;
}

Result<std::int64_t> Webhooks::replay(const Caller& caller, Uuid id, const ReplayWhat& what) {
  const auto found = webhook_for(caller, id);
  if (!found) return found.error();
  auto& webhook = **found;
  if (what.from) {
    if (webhook.for_jobs)
      return fail(Code::badValue, "a webhook for jobs does not read the log", "/from", "replay its dead letters");
    const auto behind = std::max<std::int64_t>(0, state_.last_event - *what.from);
    webhook.cursor = std::min(*what.from, state_.last_event);
    ++webhook.rewinds;
    put_webhook(webhook);
    return behind;
  }
  std::int64_t revived = 0;
  for (const auto event : std::set(what.events.begin(), what.events.end())) {
    auto rows = store_.read().deliveries(id, store::DeliveryState::dead, event - 1, 1);
    if (rows.empty() || rows[0].key.event != event) continue;
    revive(std::move(rows[0]));
    ++revived;
  }
  return revived;
}

void Webhooks::revive(store::DeliveryRow row) {
  row.state = store::DeliveryState::pending;
  row.attempts = 0;
  row.due = now_.wall;
  store_.put(row);
  out_.webhook_news.deliveries.push_back(std::move(row));
}

Result<Uuid> Webhooks::replay_dead(const Caller& caller, Uuid id) {
  if (const auto found = webhook_for(caller, id); !found) return found.error();
  store::OperationRow operation;
  operation.id = ids_.next(now_.wall);
  operation.kind = store::OperationKind::replay_dead;
  operation.bound = state_.last_event;
  operation.text = id.str();
  store_.changes().operations.push_back(operation);
  state_.operations.emplace(operation.id, operation);
  return operation.id;
}

Outbox::SliceDone Webhooks::replay_slice(store::OperationRow& operation) {
  const auto webhook = state_.webhooks.find(*parse_uuid(operation.text));
  Outbox::SliceDone done{operation.id, {}, true};
  if (webhook != state_.webhooks.end() && !webhook->second.removed) {
    auto rows = store_.read().deliveries(webhook->first, store::DeliveryState::dead, operation.cursor, options_.slice);
    done.last = rows.size() < options_.slice;
    for (auto& row : rows) {
      if (row.key.event > operation.bound) {
        done.last = true;
        break;
      }
      operation.cursor = row.key.event;
      ++done.done.count;
      revive(std::move(row));
    }
  }
  return done;
}

Result<bool> Webhooks::settle_deliveries(const DeliveryNews& news) {
  const auto known = [&](Uuid id) {
    const auto found = state_.webhooks.find(id);
    return found == state_.webhooks.end() || found->second.removed ? nullptr : &found->second;
  };
  for (const auto& row : news.put)
    if (known(row.key.webhook) != nullptr) store_.put(row);
  for (const auto& key : news.removed) store_.remove(key);
  for (const auto& cursor : news.cursors) {
    auto* webhook = known(cursor.webhook);
    if (webhook == nullptr || webhook->rewinds != cursor.rewinds || webhook->cursor >= cursor.at) continue;
    webhook->cursor = cursor.at;
    store_.changes().webhooks.push_back(*webhook);
  }
  for (const auto& disabled : news.disabled) {
    auto* webhook = known(disabled.webhook);
    if (webhook == nullptr || !webhook->enabled) continue;
    webhook->enabled = false;
    webhook->reason = disabled.reason;
    put_webhook(*webhook);
  }
  return true;
}

Result<bool> Webhooks::store_cursor(const store::CursorRow& cursor) {
  store_.changes().cursors.push_back(cursor);
  return true;
}

bool Webhooks::sweep() {
  bool all = true;
  for (auto it = state_.webhooks.begin(); it != state_.webhooks.end();) {
    const auto& webhook = it->second;
    const auto gone = store_.purge_deliveries(webhook.id, webhook.removed, now_.ages - options_.keep_events,
                                              options_.dead_deliveries_max, options_.slice);
    if (gone == options_.slice) all = false;
    if (webhook.removed && gone < options_.slice) {
      store_.changes().webhooks_removed.push_back(webhook.id);
      it = state_.webhooks.erase(it);
    } else {
      ++it;
    }
  }
  return all;
}

}  // namespace geres::hub::engine
