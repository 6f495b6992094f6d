// SPDX-License-Identifier: Apache-2.0
// A PostgreSQL server of the tests' own: on a socket in a directory of its own, without a port, ended with the process.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace geres::hub::store::postgres {

class Server {
 public:
  // `settings`: more of postgresql.conf, as "name=value". Throws std::runtime_error if it does not come up.
  explicit Server(const std::vector<std::string>& settings = {});
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::string new_database();  // empty; its URL
  std::string url(const std::string& database) const;
  void start();
  void stop(int signal);  // and waits: SIGTERM smart, SIGINT fast, SIGQUIT immediate
  pid_t process() const { return process_; }

 private:
  std::filesystem::path directory_;
  std::vector<std::string> settings_;
  pid_t process_ = -1;
  int databases_ = 0;
};

Server& test_server();  // one for the whole process, which may lose what it was told (fsync off)

}  // namespace geres::hub::store::postgres
