// SPDX-License-Identifier: Apache-2.0
// Webhooks as the engine keeps them: who is to be called, how far each has read, and what was told in vain. The calls
// themselves are made by hub/webhooks, which writes down here what came of them. A job's own webhook is a delivery that
// is written in the transaction of its event. Other readers of the log (hub/amqp) have their place kept here, too.
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "hub/engine/tick.h"

namespace geres::hub::engine {

namespace {

constexpr std::uint32_t kJobsEnd = store::type_bit(store::EventType::job_finished) |
                                   store::type_bit(store::EventType::job_failed) |
                                   store::type_bit(store::EventType::job_cancelled);

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

Result<model::Webhook*> Tick::webhook_for(const Caller& caller, Uuid id) {
  const auto found = state_.webhooks.find(id);
  if (found == state_.webhooks.end() || found->second.removed || !caller.sees(found->second.tenant))
    return no_webhook(id);
  return &found->second;
}

void Tick::put_webhook(const model::Webhook& webhook) {
  changes_.webhooks.push_back(webhook);
  webhook_news.webhooks.push_back(webhook);
}

Result<model::Webhook> Tick::create_webhook(const Caller& caller, model::Webhook webhook) {
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
  tenant(webhook.tenant);
  state_.webhooks.emplace(webhook.id, webhook);
  if (webhook.for_jobs) state_.job_webhooks[webhook.tenant] = webhook.id;
  put_webhook(webhook);
  return webhook;
}

Result<model::Webhook> Tick::patch_webhook(const Caller& caller, Uuid id, const WebhookPatch& patch) {
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

Result<bool> Tick::delete_webhook(const Caller& caller, Uuid id) {
  const auto found = webhook_for(caller, id);
  if (!found) return found.error();
  auto& webhook = **found;
  webhook.removed = true;
  if (webhook.for_jobs) state_.job_webhooks.erase(webhook.tenant);
  put_webhook(webhook);
  return true;
}

Result<std::int64_t> Tick::replay_webhook(const Caller& caller, Uuid id, const ReplayWhat& what) {
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
  flush();
  std::int64_t revived = 0;
  for (const auto event : std::set(what.events.begin(), what.events.end())) {
    auto rows = store_.deliveries(id, store::DeliveryState::dead, event - 1, 1);
    if (rows.empty() || rows[0].key.event != event) continue;
    revive(std::move(rows[0]));
    ++revived;
  }
  return revived;
}

void Tick::revive(store::DeliveryRow row) {
  row.state = store::DeliveryState::pending;
  row.attempts = 0;
  row.due = now_.wall;
  changes_.deliveries.push_back(row);
  webhook_news.deliveries.push_back(std::move(row));
}

Result<Uuid> Tick::replay_dead(const Caller& caller, Uuid id) {
  if (const auto found = webhook_for(caller, id); !found) return found.error();
  store::OperationRow operation;
  operation.id = ids_.next(now_.wall);
  operation.kind = store::OperationKind::replay_dead;
  operation.bound = state_.last_event;
  operation.text = id.str();
  changes_.operations.push_back(operation);
  state_.operations.emplace(operation.id, operation);
  return operation.id;
}

// True: that was its last.
bool Tick::replay_slice(store::OperationRow& operation) {
  const auto webhook = state_.webhooks.find(*parse_uuid(operation.text));
  SliceDone done{operation.id, {}, true};
  if (webhook != state_.webhooks.end() && !webhook->second.removed) {
    flush();
    auto rows = store_.deliveries(webhook->first, store::DeliveryState::dead, operation.cursor, options_.slice);
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
  return settle_slice(operation, std::move(done));
}

// What was told to a webhook that is gone by now needs no row.
Result<bool> Tick::settle_deliveries(const DeliveryNews& news) {
  const auto known = [&](Uuid id) {
    const auto found = state_.webhooks.find(id);
    return found == state_.webhooks.end() || found->second.removed ? nullptr : &found->second;
  };
  for (const auto& row : news.put)
    if (known(row.key.webhook) != nullptr) changes_.deliveries.push_back(row);
  changes_.deliveries_removed.insert(changes_.deliveries_removed.end(), news.removed.begin(), news.removed.end());
  for (const auto& cursor : news.cursors) {
    auto* webhook = known(cursor.webhook);
    if (webhook == nullptr || webhook->rewinds != cursor.rewinds || webhook->cursor >= cursor.at) continue;
    webhook->cursor = cursor.at;
    changes_.webhooks.push_back(*webhook);
  }
  for (const auto& disabled : news.disabled) {
    auto* webhook = known(disabled.webhook);
    if (webhook == nullptr || !webhook->enabled) continue;
    webhook->enabled = false;
    webhook->reason = disabled.reason;
    put_webhook(*webhook);
  }
  flush();  // what else this tick does to the same rows comes after it
  return true;
}

Result<bool> Tick::store_cursor(const store::CursorRow& cursor) {
  changes_.cursors.push_back(cursor);
  return true;
}

void Tick::deliver(const model::Job& job, const store::EventRow& event) {
  const auto& wanted = job.spec.webhook;
  const auto types = wanted.types.empty() ? kJobsEnd : store::event_types_of(wanted.types, {}).value();
  if ((types & store::type_bit(event.type)) == 0) return;
  const auto webhook = state_.job_webhooks.find(job.spec.tenant);
  if (webhook == state_.job_webhooks.end()) return;  // the tenant has withdrawn its secret
  store::DeliveryRow row;
  row.key = {webhook->second, event.no};
  row.url = wanted.url;
  row.due = row.at = now_.wall;
  changes_.deliveries.push_back(row);
  webhook_news.deliveries.push_back(std::move(row));
}

bool Tick::sweep_webhooks() {
  bool all = true;
  for (auto it = state_.webhooks.begin(); it != state_.webhooks.end();) {
    const auto& webhook = it->second;
    const auto gone = store_.purge_deliveries(webhook.id, webhook.removed, now_.ages - options_.keep_events,
                                              options_.dead_deliveries_max, options_.slice);
    if (gone > 0) wrote_ = true;
    if (gone == options_.slice) all = false;
    if (webhook.removed && gone < options_.slice) {
      changes_.webhooks_removed.push_back(webhook.id);
      it = state_.webhooks.erase(it);
    } else {
      ++it;
    }
  }
  return all;
}

}  // namespace geres::hub::engine
