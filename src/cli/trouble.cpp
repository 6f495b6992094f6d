// SPDX-License-Identifier: Apache-2.0
#include "cli/trouble.h"

#include "base/bytes.h"
#include "cli/text.h"

namespace geres::cli {

void usage_error(std::string error, std::string why, std::string next, std::string field) {
  throw Trouble{kUsage, std::move(error), std::move(why), std::move(next), "usage", std::move(field)};
}

void cannot(std::string error, std::string why, std::string next, std::string field) {
  throw Trouble{kFailed, std::move(error), std::move(why), std::move(next), {}, std::move(field)};
}

int exit_of_refusal(unsigned status) {
  if (status == 401 || status == 403) return kNotAllowed;
  return status == 400 ? kUsage : kFailed;
}

namespace {

constexpr int kIndent = 7;  // of "error: " and "  why: "

std::string told(const std::string& text, int width) {
  const std::string indent(kIndent, ' ');
  if (width <= 2 * kIndent) return clean_lines(text, indent);
  return wrapped(clean_lines(text, ""), std::size_t(width - kIndent), indent);
}

}  // namespace

std::string trouble_text(const Trouble& trouble, bool colour, int width) {
  std::string text = paint("error:", Colour::red, colour) + " " + told(clean(trouble.error), width) + "\n";
  if (!trouble.why.empty()) text += paint("  why:", Colour::grey, colour) + " " + told(trouble.why, width) + "\n";
  if (!trouble.next.empty())
    text += paint("  try:", Colour::grey, colour) + " " + clean_lines(trouble.next, "       ") + "\n";
  return text;
}

json::value trouble_json(const Trouble& trouble) {
  if (trouble.problem.is_object()) return trouble.problem;
  const char* by_exit = trouble.exit == kUsage         ? "usage"
                        : trouble.exit == kUnreachable ? "unreachable"
                        : trouble.exit == kNotAllowed  ? "forbidden"
                                                       : "failed";
  // The user's input may be in any encoding.
  const auto text = [](const std::string& typed) { return replace_bad_utf8(typed); };
  json::object object;
  object["code"] = trouble.code.empty() ? by_exit : std::string_view(trouble.code);
  object["detail"] = text(trouble.why.empty() ? trouble.error : trouble.error + ": " + trouble.why);
  if (!trouble.field.empty()) object["field"] = text(trouble.field);
  if (!trouble.next.empty()) object["hint"] = text(trouble.next);
  return object;
}

}  // namespace geres::cli
