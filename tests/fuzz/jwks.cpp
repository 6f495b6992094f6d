// SPDX-License-Identifier: Apache-2.0
// An identity provider's keys. Promises: no more than there may be, each with a name and a kind that is taken, and a
// key that is taken out of its set and read again is the same one.
#include "base/bytes.h"
#include "identity/key_set.h"
#include "target.h"

using namespace geres;
using fuzz::must;

GERES_FUZZ_TARGET(jwks) {
  const auto set = identity::KeySet::parse(bytes);
  if (!set) {
    must(!set.error().message.empty() && valid_utf8(set.error().message), "a refusal says why", set.error().message);
    return;
  }
  must(!set->keys().empty() && set->keys().size() + set->left_out().size() <= identity::KeySet::kKeysMax,
       "there are some, and not too many");
  for (const auto& key : set->keys()) {
    must(!key.id.empty() && key.key && key.print.size() == 64, "a key has a name and is one");
    must(key.fits(identity::Algorithm::ES256) !=
             (key.fits(identity::Algorithm::RS256) || key.fits(identity::Algorithm::PS256)),
         "a key is of one kind");
    must(set->has(key.id) && set->holds(key), "a key is found");
  }
}
