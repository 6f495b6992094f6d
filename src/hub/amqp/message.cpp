// SPDX-License-Identifier: Apache-2.0
#include "hub/amqp/message.h"

#include <proton/binary.hpp>
#include <proton/message_id.hpp>
#include <proton/scalar.hpp>
#include <proton/timestamp.hpp>
#include <proton/value.hpp>

namespace geres::hub::amqp {
namespace {

constexpr std::string_view kPrefix = "cloudEvents_";

void put(proton::message& to, std::string_view name, const std::string& value) {
  to.properties().put(std::string(name), value);
}

proton::message message_of(const std::string& id, const std::string& type, Millis at, std::string_view data) {
  proton::message to;
  to.durable(true);
  to.id(id);
  to.subject(type);
  to.content_type("application/json");
  to.creation_time(proton::timestamp(at));
  to.inferred(true);  // sends a data section, not a value
  to.body(proton::binary(data.begin(), data.end()));
  const auto attribute = [&](std::string_view name, const std::string& value) {
    put(to, std::string(kPrefix) + std::string(name), value);
  };
  attribute("specversion", "1.0");
  attribute("id", id);
  attribute("source", "/v1");
  attribute("type", type);
  to.properties().put(std::string(kPrefix) + "time", proton::timestamp(at));
  put(to, "type", type);
  return to;
}

}  // namespace

proton::message event_message(const std::string& log, const store::EventRow& event, std::string_view data) {
  const std::string subject = store::subject_of(event);
  auto to = message_of(events::event_id(log, event.no), std::string(store::event_name(event.type)), event.at, data);
  to.group_id(subject);
  put(to, std::string(kPrefix) + "subject", subject);
  if (!event.tenant.empty()) {
    put(to, std::string(kPrefix) + "tenant", event.tenant);
    put(to, "tenant", event.tenant);
  }
  if (event.type <= store::EventType::job_cancelled) {
    put(to, "jobId", subject);
    put(to, "batchId", model::batch_text(event.batch));
  } else if (event.type <= store::EventType::batch_completed) {
    put(to, "batchId", subject);
  } else if (store::about_pool(event.type)) {
    put(to, "pool", subject);
  } else {
    put(to, "hostId", subject);
  }
  return to;
}

proton::message gap_message(const events::Gap& gap, Millis at) {
  return message_of(gap.id(), std::string(events::Gap::kType), at, gap.data());
}

}  // namespace geres::hub::amqp
