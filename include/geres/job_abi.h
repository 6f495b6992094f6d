/* SPDX-License-Identifier: Apache-2.0
 * The stable C interface between a job library and whoever loads it. Job authors include <geres/job.h> instead.
 *
 * A library exports `geres_job_api_v1`. Everything here is frozen: a change is a new version under a new name, and a
 * loader that speaks several asks for the newest first. Strings are UTF-8 and end with NUL; they live as long as the
 * call that gives them. No exception crosses this border. */
#ifndef GERES_JOB_ABI_H
#define GERES_JOB_ABI_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define GERES_JOB_API_VERSION 1

enum geres_job_outcome_v1 {
  GERES_JOB_FINISHED = 0,
  GERES_JOB_FAILED = 1,  /* may be tried again */
  GERES_JOB_ABORTED = 2, /* must not be tried again */
  GERES_JOB_NO_SUCH_TYPE = 3
};

/* What the loader gives to a job. `loader` goes back as the first argument of each call. All but `run`'s own thread may
 * call progress and stop_requested, too. */
struct geres_job_context_v1 {
  void* loader;
  const char* id;
  const char* type;
  const char* tenant;
  uint64_t attempt;
  const char* parameters; /* JSON text */
  const char* job_file;   /* path of the whole job as JSON; empty if there is none */
  const char* package_dir;
  const char* work_dir;
  const char* output_dir;
  const char* (*parameter)(void* loader, const char* name);         /* a top-level scalar as text, or null */
  void (*progress)(void* loader, int percent, const char* message); /* percent -1: none given */
  int (*stop_requested)(void* loader);
  /* `stop(argument)` is called once, on another thread, when the job should end; at once if that is so already. Null
   * takes it back: when this returns, it runs no more and never will. */
  void (*on_stop)(void* loader, void (*stop)(void* argument), void* argument);
  void (*result)(void* loader, const char* text, size_t length); /* at most once, before run returns */
};

struct geres_job_library_v1 {
  uint32_t version; /* GERES_JOB_API_VERSION */
  size_t (*type_count)(void);
  const char* (*type_name)(size_t index);
  int (*run)(const char* type, const struct geres_job_context_v1* context); /* geres_job_outcome_v1 */
};

typedef const struct geres_job_library_v1* (*geres_job_api_v1_function)(void);

#ifdef __cplusplus
}
#endif
#endif
