// SPDX-License-Identifier: Apache-2.0
// geres: all subcommands in one program.
#include "cli/run.h"
#include "serve.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

int main(int argc, char** argv) {
#ifdef __GLIBC__
  // The bins that this leaves out are walked whole each time that a large piece (a body, a list of jobs) comes or goes,
  // which cost a hub under load a sixth of its time.
  mallopt(M_MXFAST, 0);
#endif
  return geres::cli::run({argv + 1, argv + argc}, geres::apps::services());
}
