// SPDX-License-Identifier: Apache-2.0
#include "package/template.h"

#include <algorithm>

#include "base/json.h"

namespace geres::package {
namespace {

bool is_name_char(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '.' || c == '-';
}

void add_literal(std::vector<Piece>& pieces, char c) {
  if (pieces.empty() || pieces.back().is_name) pieces.push_back({});
  pieces.back().text += c;
}

std::string as_argument(const json::value& value) {
  if (value.is_string()) return std::string(value.get_string());
  if (value.is_null()) return {};
  return boost::json::serialize(value);
}

// Absent parameters and those that are no object have no members.
Result<json::object> members_of(std::string_view parameters) {
  if (parameters.empty()) return json::object();
  auto document = json::parse(parameters);
  if (!document) return json::inside("parameters", document.error());
  return document->is_object() ? document->get_object() : json::object();
}

}  // namespace

Result<std::vector<Piece>> parse_template(std::string_view text) {
  std::vector<Piece> pieces;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text.substr(at, 2) == "{{" || text.substr(at, 2) == "}}") {
      add_literal(pieces, text[at++]);
    } else if (text[at] != '{') {
      add_literal(pieces, text[at]);
    } else {
      const auto end = std::find_if_not(text.begin() + std::ptrdiff_t(at) + 1, text.end(), is_name_char);
      const auto length = std::size_t(end - text.begin()) - at - 1;
      if (end == text.end() || *end != '}' || length == 0)
        return fail(Code::badPackage, "'" + std::string(text) + "' has a '{' that begins no {name}", {},
                    "{{ and }} stand for braces");
      pieces.push_back({std::string(text.substr(at + 1, length)), true});
      at += length + 1;
    }
  }
  return pieces;
}

Result<std::vector<std::string>> fill_command(const std::vector<std::string>& command, std::string_view type,
                                              std::string_view parameters, const std::filesystem::path& package) {
  auto members = members_of(parameters);
  if (!members) return members.error();
  std::vector<std::string> filled;
  for (const auto& argument : command) {
    auto pieces = parse_template(argument);
    if (!pieces) return pieces.error();
    auto& out = filled.emplace_back();
    for (const auto& piece : *pieces) {
      const json::value* parameter = piece.is_name ? members->if_contains(piece.text) : nullptr;
      if (!piece.is_name)
        out += piece.text;
      else if (piece.text == kPackageDirName)
        out += package.string();
      else if (parameter != nullptr)
        out += as_argument(*parameter);
      else
        return fail(Code::missingField,
                    "job type '" + std::string(type) + "' needs the parameter '" + piece.text + "', which is missing",
                    "/parameters" + json::pointer_token(piece.text));
    }
  }
  return filled;
}

}  // namespace geres::package
