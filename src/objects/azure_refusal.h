// SPDX-License-Identifier: Apache-2.0
// What Azure Blob Storage says when it does not do what was asked, and what that means for people: its codes are many,
// and the same code has several causes. Never part of it: the details that follow its message, in which it repeats what
// was signed.
#pragma once

#include <optional>
#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "objects/azure_credentials.h"
#include "transport/failure.h"

namespace geres::objects {

struct AzureRefusal {
  unsigned status = 0;               // 0: there was no answer
  std::string code;                  // "ContainerNotFound"; empty: it named none
  std::string message;               // its first line, or what the network said
  std::optional<Millis> server_now;  // by its clock
};

AzureRefusal read_azure_refusal(const transport::Failure& failure);

// What the error's sentence needs to know about us.
struct AzureCaller {
  std::string store;  // its name, for people
  AzureCredentials::Kind kind = AzureCredentials::Kind::key;
  Millis now = 0;              // by our clock, when the answer came
  std::optional<Millis> ends;  // of a SAS that names its end
};

// `blobStoreAway`, with a hint if it is known what would be right.
Error azure_error(const AzureRefusal& refusal, const AzureCaller& caller);

}  // namespace geres::objects
