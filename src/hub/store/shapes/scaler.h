// SPDX-License-Identifier: Apache-2.0
// Pools, machines and what the scaler has done, as rows; see small.h.
#pragma once

#include "base/json.h"
#include "hub/store/shapes/small.h"
#include "hub/store/store.h"

namespace geres::hub::store::shapes {

// Members of a later version are ignored, those that are missing are as usual.
inline model::PoolSettings settings_from(std::string_view text) {
  auto settings = json::read_text<model::PoolSettings>(text, json::Unknown::ignored);
  if (!settings) throw StoreFailed(Failure::fatal, "the store holds a pool that cannot be read");
  return std::move(*settings);
}

template <class Put>
void pool_columns(const model::Pool& p, Put&& put) {
  const std::string settings = json::write_text(p.settings);
  const auto wanted = p.scale ? std::optional(p.scale->wanted) : std::nullopt;
  const auto until = p.scale ? std::optional(p.scale->until) : std::nullopt;
  put(p.name, p.version, settings, p.paused, p.removing, wanted, until);
}

template <class Row>
model::Pool read_pool(RowReader<Row> row) {
  model::Pool pool;
  pool.name = row.text();
  pool.version = row.integer();
  pool.settings = settings_from(row.text());
  pool.paused = row.flag();
  pool.removing = row.flag();
  const auto wanted = row.template maybe<std::int64_t>(), until = row.template maybe<std::int64_t>();
  if (wanted && until) pool.scale = model::Pool::Scale{*wanted, *until};
  return pool;
}

template <class Put>
void machine_columns(const MachineRow& m, Put&& put) {
  put(m.pool, m.instance, m.state, OrNull{m.request}, OrNull{m.zone}, m.ordered_at, m.ready_at, m.gone_at,
      OrNull{m.reason});
}

template <class Row>
MachineRow read_machine(RowReader<Row> row) {
  MachineRow machine;
  machine.pool = row.text();
  machine.instance = row.text();
  machine.state = row.template as<model::MachineState>();
  machine.request = row.text();
  machine.zone = row.text();
  machine.ordered_at = row.integer();
  machine.ready_at = row.template maybe<Millis>();
  machine.gone_at = row.template maybe<Millis>();
  machine.reason = row.text();
  return machine;
}

template <class Put>
void intent_columns(const IntentRow& i, Put&& put) {
  const std::string instances = names_text(i.instances);
  put(i.request, i.pool, i.verb, i.count, instances, i.state, OrNull{i.refusal}, i.issued_at);
}

template <class Row>
IntentRow read_intent(RowReader<Row> row) {
  IntentRow intent;
  intent.request = row.text();
  intent.pool = row.text();
  intent.verb = row.template as<model::ScalerVerb>();
  intent.count = row.integer();
  intent.instances = names_from(row.text());
  intent.state = row.template as<model::IntentState>();
  intent.refusal = row.text();
  intent.issued_at = row.integer();
  return intent;
}

template <class Put>
void decision_columns(const DecisionRow& d, Put&& put) {
  put(d.id, d.pool, d.at, d.last_at, d.times, d.input, d.policy, d.raw, d.wanted, d.actual, OrNull{d.changes},
      OrNull{d.reason}, OrNull{d.outcome});
}

template <class Row>
DecisionRow read_decision(RowReader<Row> row) {
  DecisionRow decision;
  decision.id = row.integer();
  decision.pool = row.text();
  decision.at = row.integer();
  decision.last_at = row.integer();
  decision.times = row.integer();
  decision.input = row.text();
  decision.policy = row.text();
  decision.raw = row.integer();
  decision.wanted = row.integer();
  decision.actual = row.integer();
  decision.changes = row.text();
  decision.reason = row.text();
  decision.outcome = row.text();
  return decision;
}

template <class Put>
void load_sample_columns(const LoadSample& sample, Put&& put) {
  const auto& [pool, at, ready, ready_slots, running, running_slots, arrived, hosts, booting] = sample;
  put(pool, at, ready, ready_slots, running, running_slots, arrived, hosts, booting);
}

template <class Row>
LoadSample read_load_sample(RowReader<Row> row) {
  LoadSample sample;
  sample.pool = row.text();
  for (auto* figure : {&sample.at, &sample.ready, &sample.ready_slots, &sample.running, &sample.running_slots,
                       &sample.arrived, &sample.hosts, &sample.booting})
    *figure = row.integer();
  return sample;
}

}  // namespace geres::hub::store::shapes
