// SPDX-License-Identifier: Apache-2.0
// The thread that an engine's ticks run on: work, else sleep until something is due.
#include <thread>

#include "base/log.h"
#include "hub/engine/engine.h"

namespace geres::hub::engine {

struct EngineThread::Impl {
  Engine& engine;
  std::function<void(const std::string&)> on_fatal;
  std::atomic<bool> stopping{false};
  std::thread thread;

  void loop() {
    try {
      while (true) {
        const Millis wait = engine.until_next();
        if (stopping && !engine.anything_queued()) return;  // what else there is to do is stored
        if (wait > 0) engine.wait_for_work(wait);
        engine.tick();
      }
    } catch (const std::exception& failed) {
      log::error("the engine stops: {}", failed.what());
      engine.abort();
      on_fatal(failed.what());
    }
  }
};

EngineThread::EngineThread(Engine& engine, std::function<void(const std::string&)> on_fatal)
    : impl_(new Impl{engine, std::move(on_fatal), {}, {}}) {}
EngineThread::~EngineThread() {
  stop();
}

void EngineThread::start() {
  if (!impl_->thread.joinable()) impl_->thread = std::thread([this] { impl_->loop(); });
}

void EngineThread::stop() {
  impl_->engine.stop_accepting();
  impl_->stopping = true;
  impl_->engine.wake();
  if (impl_->thread.joinable()) impl_->thread.join();
}

}  // namespace geres::hub::engine
