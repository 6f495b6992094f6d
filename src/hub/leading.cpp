// SPDX-License-Identifier: Apache-2.0
#include "hub/leading.h"

#include "base/log.h"

namespace geres::hub {

Leading::Leading(store::Store& store, events::Tail& tail, const Clock& clock, LeadingOptions options)
    : clock_(clock),
      options_(std::move(options)),
      engine_(store, clock, random_, options_.engine),
      sender_(engine_, store.reads(), tail, clock, options_.webhooks) {
  if (!options_.amqp.access.url.empty()) publisher_.emplace(engine_, store.reads(), tail, clock, options_.amqp);
}

Leading::~Leading() {
  stop_telling(0);
  stop_accepting();
  stop();
}

void Leading::load() {
  engine_.on_webhooks([this](engine::WebhookNews news) { sender_.hear(std::move(news)); });
  engine_.load();
}

void Leading::start(events::Teller& teller, packages::Blobs& blobs, std::function<void(const std::string&)> failed) {
  engine_thread_ = std::make_unique<engine::EngineThread>(engine_, std::move(failed));
  engine_thread_->start();
  sender_.start(teller);
  if (publisher_) publisher_->start(teller);
  sweeper_.start(options_.sweep_every, [this, &blobs] { sweep(blobs); });
}

void Leading::stop_telling(Millis deadline) {
  const Millis end = clock_.monotonic() + deadline;
  sender_.stop(deadline / 2);
  if (publisher_) publisher_->stop(std::max<Millis>(0, end - clock_.monotonic()));
}

void Leading::stop_accepting() {
  engine_.stop_accepting();
}

void Leading::stop() {
  if (engine_thread_) engine_thread_->stop();
  sweeper_.stop();
}

void Leading::sweep(packages::Blobs& blobs) {
  try {
    const auto removed = blobs.sweep(clock_.wall() - options_.keep_unnamed);
    if (removed > 0) log::info("removed {} uploads that nothing named", removed);
  } catch (const std::exception& what) {
    log::warn("sweeping uploads failed: {}", what.what());
  }
}

}  // namespace geres::hub
