// SPDX-License-Identifier: Apache-2.0
// What a call of <geres/client.h> throws, or its future carries. Catch `Error` for all of it, a class below for what
// you can do something about:
//
//   class         when                                           what to do
//   Refused       the request is wrong (400, 413, 415, 422)      mend it; field() says where, hint() how
//   Unauthorized  no token, or one that is not (any more) valid  get a new token
//   Forbidden     the token lacks the role or the tenant         ask for another one
//   NotFound      no such job, batch, package … (or not yours)   check the id
//   Conflict      the state of things is in the way (409)        read it, decide anew
//   Limited       a limit is reached: queue, disk (429, 507)     later, or have the limit raised
//   Unavailable   no hub answered within Options::patience       later; maybe_done() says whether it may have happened
//   Untrusted     the server's certificate is not the right one  see Options::ca_file
//   Foreign       whatever answered, it is no GeRes hub          check the address
//   HubFailed     the hub met an error of its own (500)          its log says more
//   Stopped       the client or the call was ended by you        nothing
#pragma once

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#define GERES_CLIENT_API __attribute__((visibility("default")))

namespace geres::client {

class GERES_CLIENT_API Error : public std::runtime_error {
 public:
  struct Details {
    std::string message;             // one sentence
    std::string code;                // stable name, such as "unknownType"; docs/errors.md lists all
    int status = 0;                  // HTTP; 0 when there was no answer
    std::string field;               // JSON pointer into the job spec, or a parameter's name; empty if none
    std::string hint;                // what to do
    std::vector<std::string> known;  // what there is to choose from, where that helps
    std::string problem;             // the hub's whole answer as JSON text; empty if there was none
    bool maybe_done = false;         // it is not known whether the hub did it
  };
  explicit Error(Details details);
  ~Error() override;
  Error(const Error&) noexcept;
  Error& operator=(const Error&) noexcept;

  const std::string& message() const noexcept;  // what() adds code and hint
  const std::string& code() const noexcept;
  int status() const noexcept;
  const std::string& field() const noexcept;
  const std::string& hint() const noexcept;
  const std::vector<std::string>& known() const noexcept;
  const std::string& problem() const noexcept;
  bool maybe_done() const noexcept;

 private:
  std::shared_ptr<const Details> details_;
};

class GERES_CLIENT_API Refused : public Error {
 public:
  using Error::Error;
  ~Refused() override;
};
class GERES_CLIENT_API Unauthorized : public Error {
 public:
  using Error::Error;
  ~Unauthorized() override;
};
class GERES_CLIENT_API Forbidden : public Error {
 public:
  using Error::Error;
  ~Forbidden() override;
};
class GERES_CLIENT_API NotFound : public Error {
 public:
  using Error::Error;
  ~NotFound() override;
};
class GERES_CLIENT_API Conflict : public Error {
 public:
  using Error::Error;
  ~Conflict() override;
};
class GERES_CLIENT_API Limited : public Error {
 public:
  using Error::Error;
  ~Limited() override;
};
class GERES_CLIENT_API Unavailable : public Error {
 public:
  using Error::Error;
  ~Unavailable() override;
};
class GERES_CLIENT_API Untrusted : public Error {
 public:
  using Error::Error;
  ~Untrusted() override;
};
class GERES_CLIENT_API Foreign : public Error {
 public:
  using Error::Error;
  ~Foreign() override;
};
class GERES_CLIENT_API HubFailed : public Error {
 public:
  using Error::Error;
  ~HubFailed() override;
};
class GERES_CLIENT_API Stopped : public Error {
 public:
  using Error::Error;
  ~Stopped() override;
};

}  // namespace geres::client
