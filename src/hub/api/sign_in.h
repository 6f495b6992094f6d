// SPDX-License-Identifier: Apache-2.0
// /auth/login and /auth/callback: people sign in to the page by an identity provider's form.
#pragma once

#include "hub/api/call.h"

namespace geres::hub::api {

awaitable<Answered> begin_sign_in(Call& call);
awaitable<Answered> end_sign_in(Call& call);

}  // namespace geres::hub::api
