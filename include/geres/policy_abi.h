/* SPDX-License-Identifier: Apache-2.0
 * The stable C interface between a scaling policy and the process that runs it. Authors include <geres/policy.h>
 * instead.
 *
 * A library exports the four functions below. Everything here is frozen: a change is a new number. Strings are UTF-8
 * JSON that ends with NUL. One thread calls; no exception crosses this border. */
#ifndef GERES_POLICY_ABI_H
#define GERES_POLICY_ABI_H

#include <stddef.h>

#define GERES_POLICY_ABI 1

#ifdef __cplusplus
extern "C" {
#endif

/* GERES_POLICY_ABI as the library was built with it. */
int geres_policy_abi(void);

/* A policy with these settings (a JSON object), or null, with the reason in `error` (`size` bytes with the NUL). */
void* geres_policy_create(const char* settings, char* error, size_t size);

/* Decides for one load. 0: `out` holds {"hosts": 7, "reason": "..."}; anything else: `out` holds why there is none. */
int geres_policy_decide(void* policy, const char* load, char* out, size_t size);

void geres_policy_destroy(void* policy);

#ifdef __cplusplus
}
#endif
#endif
