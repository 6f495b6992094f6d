// SPDX-License-Identifier: Apache-2.0
// One output stream of an attempt: a pipe whose other end the job has, copied to a file up to a cap. Whatever the job
// prints (a gigabyte, no newline, no UTF-8) costs a bounded file, a bounded tail in memory and processor time.
#pragma once

#include <string>

#include "base/file.h"
#include "wire/runner/runner_channel.h"

namespace geres::runner {

class Output {
 public:
  // Makes the pipe; the end for the job is closed by close_job_end() once the job has it. False: no descriptors.
  bool open(const std::string& path, std::int64_t bytes_max);
  int job_end() const { return job_end_.get(); }
  void close_job_end() { job_end_.reset(); }
  int read_end() const { return pipe_.get(); }

  // Copies what is there, but no more than a share, so that other attempts get their turn. False: the job closed it,
  // there is nothing to wait for any more.
  bool pump();
  void close_read_end() { pipe_.reset(); }
  // Copies what is left and closes: nobody writes any more, so this is bounded by the pipe's size.
  void finish();

  const wire::StreamResult& result() const { return result_; }
  std::string last_line() const;  // clean UTF-8, at most 300 bytes

 private:
  std::int64_t read_some();  // bytes; 0: closed; -1: nothing there
  void keep(std::string_view bytes);
  void append(std::string_view bytes);
  void remember(std::string_view bytes);

  std::string path_;
  std::int64_t bytes_max_ = 0;
  Fd pipe_, job_end_, file_;
  wire::StreamResult result_;
  bool broken_ = false;  // the file cannot be written (disk full): the rest is dropped
  std::string tail_;
};

}  // namespace geres::runner
