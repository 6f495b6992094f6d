// SPDX-License-Identifier: Apache-2.0
// A job's own webhook is a delivery that is written in the transaction of its event.
#include "hub/engine/event_log.h"

#include "model/job.h"

namespace geres::hub::engine {

namespace {

constexpr std::uint32_t kJobsEnd = store::type_bit(store::EventType::job_finished) |
                                   store::type_bit(store::EventType::job_failed) |
                                   store::type_bit(store::EventType::job_cancelled);

}  // namespace

void EventLog::append(store::EventRow event) {
  store_.changes().events.push_back(event);
  out_.events.push_back(std::move(event));
}

void EventLog::emit(store::EventType type, const model::Job& job, store::JobNews news) {
  store::EventRow event;
  event.no = ++state_.last_event;
  event.type = type;
  event.subject = job.id;
  event.tenant = job.spec.tenant;
  event.batch = job.spec.batch;
  event.at = now_.wall;
  event.data = store::JobEvent{job.status.state, job.status.version, job.status.attempt, std::move(news)};
  if (!job.spec.webhook.url.empty()) deliver(job, event);
  append(std::move(event));
}

void EventLog::emit(store::EventType type, Uuid subject, const std::string& tenant, store::EventData data) {
  store::EventRow event;
  event.no = ++state_.last_event;
  event.type = type;
  event.subject = subject;
  event.tenant = tenant;
  event.at = now_.wall;
  event.data = std::move(data);
  append(std::move(event));
}

void EventLog::emit_if_completed(BatchState& batch) {
  if (batch.completed || batch.row.state == model::BatchState::open || batch.live > 0) return;
  batch.completed = true;
  emit(store::EventType::batch_completed, batch.row.id, batch.row.tenant, store::BatchCompleted{batch.row.name});
}

void EventLog::deliver(const model::Job& job, const store::EventRow& event) {
  const auto& wanted = job.spec.webhook;
  const auto types = wanted.types.empty() ? kJobsEnd : store::event_types_of(wanted.types, {}).value();
  if ((types & store::type_bit(event.type)) == 0) return;
  const auto webhook = state_.job_webhooks.find(job.spec.tenant);
  if (webhook == state_.job_webhooks.end()) return;  // the tenant has withdrawn its secret
  store::DeliveryRow row;
  row.key = {webhook->second, event.no};
  row.url = wanted.url;
  row.due = row.at = now_.wall;
  store_.changes().deliveries.push_back(row);
  out_.webhook_news.deliveries.push_back(std::move(row));
}

}  // namespace geres::hub::engine
