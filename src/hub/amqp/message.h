// SPDX-License-Identifier: Apache-2.0
// Events as AMQP 1.0 messages: CloudEvents' AMQP protocol binding, binary content mode.
//
//   header                  durable
//   properties              message-id: the event's id; subject: its type; content-type: application/json;
//                           creation-time: its time; group-id: the subject's id
//   application-properties  cloudEvents_specversion, _id, _source, _type, _subject, _time, _tenant: the attributes;
//                           type, tenant, jobId, batchId, hostId: for filters, where they apply
//   data                    the event's data, JSON in UTF-8
//
// The prefix ends with '_', which the binding prefers because message selectors do not accept ':'.
#pragma once

#include <proton/message.hpp>
#include <string>
#include <string_view>

#include "hub/events/teller.h"

namespace geres::hub::amqp {

// `data`: the event's data as JSON.
proton::message event_message(const std::string& log, const store::EventRow& event, std::string_view data);

// `at`: when the gap was found.
proton::message gap_message(const events::Gap& gap, Millis at);

}  // namespace geres::hub::amqp
