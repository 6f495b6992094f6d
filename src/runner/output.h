// SPDX-License-Identifier: Apache-2.0
// One output stream of an attempt: a pipe whose other end the job has, copied to a file up to a cap. Whatever the job
// prints (a gigabyte, no newline, no UTF-8), the cost is bounded: a file, a tail in memory, and processor time.
//
// The first three quarters of the cap are written to the file as they arrive, for readers that follow. What comes after
// that goes into a ring, a second file without a name as large as the last quarter. At the end the ring is appended to
// the first file, with a line in between if anything was left out. So a log has the job's first and last words, and the
// end is where people look for what went wrong.
#pragma once

#include <string>

#include "base/file.h"
#include "wire/runner/runner_channel.h"

namespace geres::runner {

class Output {
 public:
  // Makes the pipe. Call close_job_end() once the job has its end. False: no descriptors.
  bool open(const std::string& path, std::int64_t bytes_max);
  int job_end() const { return job_end_.get(); }
  void close_job_end() { job_end_.reset(); }
  int read_end() const { return pipe_.get(); }

  // Copies what is there, up to a share, so that other attempts get their turn. False: the job has closed the pipe and
  // nothing more will come.
  bool pump();
  void close_read_end() { pipe_.reset(); }
  // Copies what is left and closes. Nobody writes any more, so this is bounded by the pipe's size.
  void finish();

  const wire::StreamResult& result() const { return result_; }
  std::string last_line() const;  // clean UTF-8, at most 300 bytes

 private:
  std::int64_t read_some();  // the number of bytes; 0: closed; -1: nothing there
  void keep(std::string_view bytes);
  void append(std::string_view bytes);
  void remember(std::string_view bytes);
  void keep_in_ring(std::string_view bytes);
  void append_ring();
  bool write_at(int fd, std::string_view bytes, std::int64_t offset);

  std::string path_;
  std::int64_t head_max_ = 0, ring_max_ = 0;
  std::int64_t ring_came_ = 0;  // bytes that went into the ring, including those overwritten since
  Fd pipe_, job_end_, file_, ring_;
  wire::StreamResult result_;
  bool broken_ = false;  // the file cannot be written (disk full), so the rest is dropped
  std::string tail_;
};

}  // namespace geres::runner
