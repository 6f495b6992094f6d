// SPDX-License-Identifier: Apache-2.0
// Submits a job, tells how it goes, prints its result: the client SDK.
//   first_job NAME      (GERES_HUB and GERES_TOKEN say where and who)
#include <geres/client.h>

#include <future>
#include <iomanip>
#include <iostream>
#include <sstream>

namespace client = geres::client;

namespace {

int first_job(const std::string& name) {
  // [submit]
  client::Client hub;             // GERES_HUB, GERES_TOKEN
  std::ostringstream parameters;  // JSON
  parameters << R"({"name": )" << std::quoted(name) << "}";
  const auto id =
      hub.submit({.tenant = "demo", .type = "Greet", .package = "greet", .parameters = parameters.str()}).id;
  // [submit]

  // [follow]
  std::promise<client::Job> ended;
  client::Handlers handlers;
  handlers.on_completed = [&ended](const client::Job& job) { ended.set_value(job); };
  handlers.on_progressed = [](const client::Job&, const client::Progress& progress) {
    std::cout << progress.percent.value_or(0) << " % " << progress.message << std::endl;
  };
  // From the job's first event on, so nothing is missed.
  const auto subscription = hub.subscribe({.jobs = {id}, .after = "start"}, handlers);
  // [follow]

  // [result]
  const auto job = ended.get_future().get();
  if (!job.finished()) {
    std::cerr << job.error << "\n";
    return 1;
  }
  std::cout << job.result << "\n";
  // [result]
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: first_job NAME\n";
    return 2;
  }
  try {
    return first_job(argv[1]);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
