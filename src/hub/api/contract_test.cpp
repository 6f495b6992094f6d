// SPDX-License-Identifier: Apache-2.0
// Tables that must agree: routes and openapi.yaml, problems and docs/errors.md.
#include <gtest/gtest.h>

#include <set>
#include <sstream>

#include "base/content_disposition.h"
#include "base/file.h"
#include "hub/api/access.h"
#include "hub/api/embedded.h"
#include "hub/api/query.h"
#include "hub/api/routes.h"
#include "hub/api/transfer.h"

namespace geres::hub::api {
namespace {

std::string_view needs_word(Needs needs) {
  switch (needs) {
    case Needs::nothing:
      return "nothing";
    case Needs::caller:
      return "caller";
    case Needs::token:
      return "token";
    case Needs::viewer:
      return "viewer";
    case Needs::submitter:
      return "submitter";
    case Needs::operator_:
      return "operator";
    case Needs::admin:
      return "admin";
    case Needs::registrar:
      return "registrar";
    case Needs::host:
      return "host";
    case Needs::download:
      return "download";
  }
  return "?";
}

std::string lower(std::string_view text) {
  std::string to(text);
  for (auto& c : to) c = char(std::tolower(static_cast<unsigned char>(c)));
  return to;
}

// "get /v1/jobs viewer" for each operation of the contract, found by its indentation.
std::set<std::string> operations_of(std::string_view yaml) {
  std::set<std::string> operations;
  std::istringstream lines{std::string(yaml)};
  std::string line, path, method;
  bool in_paths = false;
  while (std::getline(lines, line)) {
    if (!line.empty() && line[0] != ' ') in_paths = line == "paths:";
    if (!in_paths) continue;
    if (line.starts_with("  /")) path = line.substr(2, line.size() - 3);
    if (line.starts_with("    ") && line[4] != ' ') method = line.substr(4, line.size() - 5);
    if (line.starts_with("      x-needs: ")) operations.insert(method + " " + path + " " + line.substr(15));
  }
  return operations;
}

TEST(Contract, NamesTheSameRoutesAsTheTable) {
  std::set<std::string> table;
  for (const auto& route : routes()) {
    std::string pattern(route.pattern);
    if (const auto dots = pattern.find("...}"); dots != std::string::npos) pattern.erase(dots, 3);
    table.insert(lower(http::method_name(route.method)) + " " + pattern + " " + std::string(needs_word(route.needs)));
  }
  EXPECT_EQ(operations_of(kOpenapiYaml), table);
  EXPECT_EQ(table.size(), routes().size());
}

TEST(Problems, HaveAStatusATitleAndAHintEach) {
  for (std::size_t i = 0; i <= std::size_t(Code::internal); ++i) {
    const auto& kind = problem_kind(Code(i));
    EXPECT_EQ(kind.code, Code(i));
    EXPECT_GE(kind.status, 400u) << error_name(kind.code);
    EXPECT_LE(kind.status, 599u) << error_name(kind.code);
    EXPECT_FALSE(kind.title.empty()) << error_name(kind.code);
    EXPECT_FALSE(kind.hint.empty()) << error_name(kind.code);
  }
}

TEST(Problems, AreDocumentedAsTheyAre) {
  const std::string document = read_file(std::string(GERES_SOURCE_DIR) + "/docs/errors.md");
  const auto begin = kOpenapiYaml.find('[', kOpenapiYaml.find("\n    Code:\n")) + 1;
  const std::string codes = " " + std::string(kOpenapiYaml.substr(begin, kOpenapiYaml.find(']', begin) - begin)) + ",";
  for (const auto& kind : problem_table()) {
    const std::string name(error_name(kind.code));
    std::string status = std::to_string(kind.status);
    if (kind.status_in_body != kind.status) status += ", " + std::to_string(kind.status_in_body);
    const std::string row = "| <a id=\"" + name + "\"></a>`" + name + "` | " + status + " | " +
                            std::string(kind.title) + " | " + std::string(kind.hint) + " |\n";
    EXPECT_NE(document.find(row), std::string::npos) << row;
    EXPECT_NE(codes.find(" " + name + ","), std::string::npos) << name;
  }
}

TEST(Problems, SayWhatIsWrongWhereAndWhatToDo) {
  const auto response = problem(fail(Code::unknownBatch, "there is no batch 'x'", "/batch"));
  EXPECT_EQ(response.status, 422u);
  EXPECT_EQ(problem(fail(Code::unknownBatch, "there is no batch 'x'")).status, 404u);
  EXPECT_NE(response.body.find(R"("field":"/batch")"), std::string::npos) << response.body;
  EXPECT_NE(response.body.find(R"("code":"unknownBatch")"), std::string::npos) << response.body;
  EXPECT_NE(response.body.find(R"("hint":)"), std::string::npos) << response.body;
}

TEST(Roles, IncludeTheLowerOnesButNotTheHosts) {
  Identity who{Identity::Kind::token, "t", {model::Role::operator_}, {}, {}, {}};
  EXPECT_TRUE(who.may(model::Role::viewer));
  EXPECT_TRUE(who.may(model::Role::host));
  EXPECT_FALSE(who.may(model::Role::admin));
  who.roles = {model::Role::host};
  EXPECT_FALSE(who.may(model::Role::viewer));
  who.roles = {model::Role::submitter};
  EXPECT_FALSE(who.may(model::Role::host));
}

TEST(Access, KnowsSecretsUntilTheyExpireOrAreRemoved) {
  Access access;
  model::Token token;
  token.id = {1, 2};
  token.name = "ci";
  token.sha256 = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";  // of "secret"
  token.expires = 1'000;
  access.put_token(token);
  ASSERT_TRUE(access.find("secret", 999));
  EXPECT_EQ(access.find("secret", 999)->name, "ci");
  EXPECT_FALSE(access.find("secret", 1'000));
  EXPECT_FALSE(access.find("Secret", 999));
  access.remove_token({1, 2});
  EXPECT_FALSE(access.find("secret", 999));
}

TEST(Access, AForgottenHostIsHeardForAnHour) {
  constexpr Millis kHour = 3'600'000;
  Access access;
  model::Host host;
  host.id = {1, 2};
  host.secret_sha256 = "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b";
  access.put_host(host);
  access.forget_host(host.id, 1'000);
  access.forget_host({1, 3}, 999 + kHour);
  EXPECT_TRUE(access.find("secret", 0));
  access.forget_host({1, 4}, 1'000 + kHour);
  EXPECT_FALSE(access.find("secret", 0));
}

TEST(Downloads, AreNeverRunByABrowser) {
  EXPECT_EQ(content_type_of("a/b.PNG"), "image/png");
  EXPECT_EQ(content_type_of("page.html"), "application/octet-stream");
  EXPECT_EQ(content_type_of("x.svg"), "application/octet-stream");
  EXPECT_EQ(content_disposition("a/\"\r\nX: y.png"),
            "attachment; filename=\"___X__y.png\"; filename*=UTF-8''%22%0D%0AX%3A%20y.png");
}

TEST(QueryParameters, AreRefusedWhenUnknownOrDouble) {
  http::Query query;
  query.items = {{"limt", "3"}};
  auto result = only_parameters(query, {"limit", "cursor"});
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::unknownParameter);
  EXPECT_EQ(result.error().field, "limt");
  EXPECT_NE(result.error().hint.find("limit"), std::string::npos);
  query.items = {{"limit", "3"}, {"limit", "4"}};
  EXPECT_FALSE(only_parameters(query, {"limit"}));
  query.items = {{"tag.a", "3"}};
  EXPECT_TRUE(only_parameters(query, {"tag."}));
  query.items = {{"tag.", "3"}};
  EXPECT_FALSE(only_parameters(query, {"tag."}));
}

}  // namespace
}  // namespace geres::hub::api
