// SPDX-License-Identifier: Apache-2.0
// What every hub does: it answers HTTP from its own reads and from what it has heard of the log, and asks the engine
// for what changes something.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/repeated.h"
#include "base/worker_pool.h"
#include "http/options.h"
#include "http/server.h"
#include "hub/api/call.h"
#include "hub/api/live.h"
#include "hub/api/metrics.h"
#include "hub/api/page.h"
#include "hub/api/sessions.h"
#include "hub/logs/archived_logs.h"
#include "hub/serving_options.h"
#include "identity/verifier.h"

namespace geres::hub {

class Serving {
 public:
  // `objects`: where the logs of jobs that have ended go; null: they stay in the data directory.
  Serving(engine::Engine& engine, store::Store& store, packages::Blobs& blobs,
          const std::shared_ptr<objects::ObjectStore>& objects, events::Tail& tail, const Clock& clock,
          const ServingOptions& options);
  ~Serving();  // stop(0)

  // Before the engine loads: what it will tell of.
  void follow(engine::Engine& engine);
  // Once it has: what stood in the store before.
  void seed(const engine::Engine& engine);
  events::Teller& teller() { return *teller_; }

  // Listens from then on. Throws std::system_error if it cannot.
  void start(webhooks::Sender& sender, const amqp::Publisher* publisher, packages::PackageImport* import);
  // Nothing new is taken: load balancers see it at once.
  void give_up() { ready_ = false; }
  void stop_listening(Millis deadline);  // requests under way are answered
  void stop();
  bool has_page() const { return !page_.empty(); }
  std::string sign_in_code(const std::string& token);  // empty: nobody's token
  // Reads the configuration of identity providers again; what is wrong with it leaves all as it was, and the log says
  // so. Any thread.
  Result<void> reread_auth_config();
  std::vector<std::string> urls() const { return server_ ? server_->urls() : std::vector<std::string>(); }

 private:
  std::string best_url() const;
  void look_at_auth_config();
  std::unique_ptr<logs::LogStore> open_logs(store::Store& store, const std::shared_ptr<objects::ObjectStore>& objects);
  std::unique_ptr<identity::Verifier> open_verifier();
  void give_memory_back();

  events::Tail& tail_;
  const Clock& clock_;
  const ServingOptions options_;
  logs::ArchivedLogs* archived_ = nullptr;  // the next, where logs move to a store elsewhere; set by its opening
  std::unique_ptr<logs::LogStore> logs_;
  events::Feed feed_;
  events::LastHour last_hour_;
  events::Chronicle chronicle_;
  std::unique_ptr<identity::Verifier> verifier_;  // null: no identity provider is trusted
  std::mutex auth_config_mutex_;
  std::string auth_config_mark_;  // of the file as it was last read
  api::Access access_;
  api::BatchNames batch_names_;
  api::Metrics metrics_;
  api::Readiness readiness_;
  WorkerPool pool_, explainer_{1}, walker_{1};
  std::optional<WorkerPool> carriers_;  // where a store is far away; else pool_ carries as well
  WorkerPool purges_{1};  // removes old logs, gives memory back, looks jobs up: away from those who wait for reads
  std::optional<events::Teller> teller_;  // once the log's name is known
  signalr::Connections signalr_;
  api::Sessions sessions_{access_};
  api::Page page_;
  api::Live live_;
  api::Api api_;
  std::unique_ptr<http::Server> server_;
  std::atomic<bool> ready_ = false;
  Repeated watcher_;
};

}  // namespace geres::hub
