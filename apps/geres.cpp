// SPDX-License-Identifier: Apache-2.0
// geres: all subcommands in one program.
#include <fcntl.h>
#include <unistd.h>

#include "cli/run.h"
#include "own_limits.h"
#include "serve.h"

#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace {

// Started with one of them closed, the first file or connection would take its number, and be printed into.
void fill_standard_descriptors() {
  for (int fd = 0; fd <= 2; ++fd)
    if (::fcntl(fd, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) < 0) ::_exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  fill_standard_descriptors();
  geres::apps::prepare_process();
#ifdef __GLIBC__
  // The bins that this leaves out are walked whole each time that a large piece (a body, a list of jobs) comes or goes,
  // which cost a hub under load a sixth of its time.
  mallopt(M_MXFAST, 0);
#endif
  return geres::cli::run({argv + 1, argv + argc}, geres::apps::services());
}
