// SPDX-License-Identifier: Apache-2.0
// Counts the words of files on the machines of a hub: one job per file in a batch, progress as it comes, and the lists
// of words beside the files. As an application developer would write it; docs/client_sdk.md walks through it.
//
//   count_words TENANT PACKAGE.zip FILE...      (GERES_HUB and GERES_TOKEN say where and who)
#include <geres/client.h>

#include <chrono>
#include <filesystem>
#include <iostream>
#include <iterator>
#include <latch>
#include <string>
#include <vector>

namespace client = geres::client;
using namespace std::chrono_literals;

namespace {

// [jobs]
// One job per file, handed in together: all of them or none.
std::vector<client::JobSpec> jobs_for(client::Client& hub, const std::string& tenant, const std::string& batch,
                                      const std::vector<std::filesystem::path>& files) {
  std::vector<client::JobSpec> specs;
  for (const auto& file : files) {
    const auto stored = hub.upload_input(tenant, file);
    specs.push_back({.tenant = tenant,
                     .type = "WordCount",
                     .package = "word_count",
                     .name = file.filename().string(),
                     .parameters = R"({"top": 10})",
                     .inputs = {{.path = file.filename().string(), .sha256 = stored.sha256}},
                     .batch = batch,
                     .timeout = 2min,
                     .max_attempts = 3});
  }
  return specs;
}
// [jobs]

// [handlers]
// Handlers run on the client's own thread, one after the other.
client::Handlers tell(std::latch& left) {
  client::Handlers handlers;
  handlers.on_started = [](const client::Job& job) { std::cout << job.name << ": started on " << job.host << "\n"; };
  handlers.on_progressed = [](const client::Job& job, const client::Progress& progress) {
    std::cout << job.name << ": " << progress.percent.value_or(0) << " % " << progress.message << "\n";
  };
  handlers.on_completed = [&left](const client::Job& job) {
    std::cout << job.name << ": " << name_of(job.state) << (job.error.empty() ? "" : ", ") << job.error << "\n";
    left.count_down();
  };
  return handlers;
}
// [handlers]

int count_words(const std::string& tenant, const std::filesystem::path& package,
                const std::vector<std::filesystem::path>& files) {
  // [main]
  client::Client hub;  // GERES_HUB, GERES_TOKEN
  hub.push_package(tenant, "word_count", package);
  const auto now = std::chrono::system_clock::now().time_since_epoch() / 1ms;
  const auto batch = hub.create_batch({.name = "words-" + std::to_string(now), .tenant = tenant});

  std::vector<client::Job> ended;
  std::latch left(std::ssize(files));
  {
    // In place before the first job is there, so that nothing is missed.
    const auto subscription = hub.subscribe_to_batch(batch.id, tell(left));
    const auto ids = hub.submit(jobs_for(hub, tenant, batch.id, files));
    ended = hub.wait_all(ids);
    left.wait();  // the last line is still to be said
  }
  hub.close_batch(batch.id);

  int failed = 0;
  for (std::size_t i = 0; i < ended.size(); ++i) {
    if (!ended[i].finished()) {
      ++failed;
      continue;
    }
    const auto list = files[i].string() + ".words.csv";
    hub.download(ended[i].id, "words.csv", list);
    std::cout << list << ": " << ended[i].result << "\n";
  }
  // [main]
  return failed == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::cerr << "usage: count_words TENANT PACKAGE.zip FILE...\n";
    return 2;
  }
  // [errors]
  try {
    return count_words(argv[1], argv[2], std::vector<std::filesystem::path>(argv + 3, argv + argc));
  } catch (const client::Unavailable& error) {
    std::cerr << "no hub: " << error.message() << (error.maybe_done() ? " (it may have been done)" : "") << "\n";
    return 3;
  } catch (const client::Refused& error) {
    std::cerr << error.message() << "\n  where: " << error.field() << "\n  try: " << error.hint() << "\n";
    return 2;
  } catch (const client::Error& error) {
    std::cerr << error.what() << "\n";
    return 1;
  } catch (const std::exception& error) {  // an address that is none, a file that is not there
    std::cerr << error.what() << "\n";
    return 1;
  }
  // [errors]
}
