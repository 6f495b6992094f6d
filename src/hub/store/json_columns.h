// SPDX-License-Identifier: Apache-2.0
// The columns that hold JSON: what is rare or has no fixed shape. Empty text stands for "all as usual".
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "hub/store/rows.h"

namespace geres::hub::store {

std::string tags_text(const std::map<std::string, std::string>& tags);
std::map<std::string, std::string> tags_from(std::string_view text);

// What few jobs have: inputs, backoff, requirements, ref.
std::string extras_text(const model::JobSpec& spec);
void read_extras(std::string_view text, model::JobSpec& spec);

std::string trouble_text(const model::HostTrouble& trouble);
void read_trouble(std::string_view text, model::HostTrouble& trouble);

// Equal requirements give equal texts.
std::string requirements_text(const model::Requirements& requirements);
model::Requirements requirements_from(std::string_view text);

std::string files_left_out_text(const model::FilesLeftOut& left_out);
model::FilesLeftOut files_left_out_from(std::string_view text);

std::string names_text(const std::vector<std::string>& names);
std::vector<std::string> names_from(std::string_view text);
std::string roles_text(const std::vector<model::Role>& roles);
std::vector<model::Role> roles_from(std::string_view text);
std::string numbers_text(const std::vector<std::int64_t>& numbers);

std::string filter_text(const JobFilter& filter);
JobFilter filter_from(std::string_view text);

// A digest in hex as its bytes, and back; other text is kept as it is.
std::string digest_bytes(const std::string& hex);
std::string digest_hex(std::string_view bytes);

}  // namespace geres::hub::store
