// SPDX-License-Identifier: Apache-2.0
// What is too large for one request: uploads in parts, and copies in parts. Nothing is visible until the last step, and
// what fails before it is taken back; what even that misses (we died), the bucket's lifecycle rule removes.
#pragma once

#include <string>

#include "objects/s3_client.h"

namespace geres::objects {

// `key` with the store's prefix, `shown` for messages. Throws std::system_error if the file cannot be read.
Result<void> put_in_parts(S3Client& client, const std::string& key, const std::string& shown, const FilePiece& whole);

// The first and last step of an upload in parts by links; between them others send the parts.
Result<std::string> begin_parts(S3Client& client, const std::string& key, const std::string& shown);
Result<void> end_parts(S3Client& client, const std::string& key, const std::string& shown, const std::string& upload,
                       const std::vector<UploadedPart>& parts);

// Of any size. `words`: what cannot be done, for messages.
Result<void> copy_object(S3Client& client, const std::string& from, const std::string& to, const std::string& words);

std::shared_ptr<const Fd> duplicate(const Fd& file);
std::uint64_t file_size(const Fd& file);
std::string base64_of_hex(std::string_view hex);

}  // namespace geres::objects
