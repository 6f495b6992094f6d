// SPDX-License-Identifier: Apache-2.0
// The page and its files over HTTP, at the root and below a path, from a small stand-in.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/encoding.h"
#include "hub/api/page.h"
#include "hub/hub_fixture.h"

namespace geres::hub {
namespace {

using testing::HasSubstr;
using testing::Not;
using Headers = api::TestClient::Headers;

const std::string kHtml = "<!doctype html><base href=\"/\"><script src=\"assets/a-1.js\"></script>";
const std::string kScript = "console.log('" + std::string(3'000, 'x') + "')";

std::span<const api::PageFile> stand_in() {
  static const std::string html = http::gzip(kHtml, 9), script = http::gzip(kScript, 9);
  static const std::vector<api::PageFile> files{
      {"index.html", "text/html; charset=utf-8", "\"one\"", html, "brotli of html"},
      {"assets/a-1.js", "text/javascript; charset=utf-8", "\"two\"", script, "brotli of a-1"}};
  return files;
}

const Headers kBrowser{{"Accept", "text/html,application/xhtml+xml"}};

Headers accepting(const std::string& coding) {
  return {{"Accept", "text/html"}, {"Accept-Encoding", coding}};
}

class PageTest : public HubTest {
 protected:
  PageTest() { options.serving.page = stand_in(); }
  api::TestClient nobody() const { return admin.as(""); }
};

class PageBelowAPathTest : public PageTest {
 protected:
  PageBelowAPathTest() { options.serving.public_url = parse_public_url("https://x.example/ops/geres/").value(); }
};

class NoPageTest : public HubTest {
 protected:
  NoPageTest() { options.serving.page.emplace(); }
};

TEST_F(PageTest, IsShownAtTheRootAndAtItsOwnAddresses) {
  for (const std::string path : {"/", "/jobs", "/jobs/77d0b7?x=1", "/batches/ours/nightly", "/no/such/page/"}) {
    const auto page = nobody().get(path, kBrowser);
    ASSERT_EQ(page.status, 200) << path;
    EXPECT_EQ(page.body, kHtml) << path;
    EXPECT_EQ(page.headers.at("content-type"), "text/html; charset=utf-8");
    EXPECT_EQ(page.headers.at("cache-control"), "no-cache");
    EXPECT_EQ(page.headers.at("x-content-type-options"), "nosniff");
    EXPECT_EQ(page.headers.at("referrer-policy"), "no-referrer");
    const auto policy = page.headers.at("content-security-policy");
    EXPECT_THAT(policy, HasSubstr("default-src 'none'; script-src 'self'; style-src 'self'"));
    EXPECT_THAT(policy, HasSubstr("frame-ancestors 'none'"));
    EXPECT_THAT(policy, Not(HasSubstr("unsafe")));
  }
}

TEST_F(PageTest, IsNotShownToOthers) {
  EXPECT_EQ(nobody().get("/jobs").status, 404) << "no browser";
  EXPECT_EQ(nobody().post("/jobs", "", kBrowser).status, 404);
  for (const std::string path : {"/v1/nothing", "/assets/none.js", "/auth/x", "/api/x", "/hubs/x", "/metrics/x"})
    EXPECT_EQ(nobody().get(path, kBrowser).code(), "notFound") << path;
  EXPECT_EQ(nobody().get("/healthz", kBrowser).body, "ok\n");
  EXPECT_EQ(nobody().get("/v1/jobs", kBrowser).code(), "unauthenticated");
  EXPECT_THAT(nobody().get("/errors", kBrowser).body, HasSubstr("unknownBatch"));
}

TEST_F(PageTest, SendsItsFilesForGood) {
  const auto file = nobody().get("/assets/a-1.js");
  ASSERT_EQ(file.status, 200);
  EXPECT_EQ(file.body, kScript) << "expanded for those who take neither";
  EXPECT_EQ(file.headers.at("content-type"), "text/javascript; charset=utf-8");
  EXPECT_EQ(file.headers.at("cache-control"), "public, max-age=31536000, immutable");
  EXPECT_EQ(file.headers.at("vary"), "Accept-Encoding");
  EXPECT_FALSE(file.headers.contains("content-encoding"));
}

TEST_F(PageTest, IsCompressedAsIsLiked) {
  for (const auto& [path, whole, brotli] :
       {std::tuple("/jobs", kHtml, "brotli of html"), std::tuple("/assets/a-1.js", kScript, "brotli of a-1")}) {
    const auto best = nobody().get(path, accepting("gzip, deflate, br, zstd"));
    EXPECT_EQ(best.headers.at("content-encoding"), "br");
    EXPECT_EQ(best.body, brotli);
    const auto gzip = nobody().get(path, accepting("gzip, br;q=0"));
    EXPECT_EQ(gzip.headers.at("content-encoding"), "gzip");
    EXPECT_EQ(http::gunzip(gzip.body, 10'000).value(), whole);
    EXPECT_EQ(nobody().get(path, accepting("identity")).body, whole);
  }
}

TEST_F(PageTest, TellsWhoHasItAlready) {
  const auto first = nobody().get("/", kBrowser);
  const auto etag = first.headers.at("etag");
  const auto again = nobody().get("/jobs", {{"Accept", "text/html"}, {"If-None-Match", etag}});
  EXPECT_EQ(again.status, 304);
  EXPECT_TRUE(again.body.empty());
  EXPECT_EQ(nobody().get("/assets/a-1.js", {{"If-None-Match", etag}}).status, 200);
  EXPECT_EQ(nobody().get("/assets/a-1.js", {{"If-None-Match", "\"two\""}}).status, 304);
}

TEST_F(PageTest, IsNamedByInfo) {
  EXPECT_EQ(viewer.get("/v1/info").text("page"), "/");
}

// A proxy may leave the path on, or take it off.
TEST_F(PageBelowAPathTest, IsFoundWithThePathAndWithout) {
  for (const std::string prefix : {"", "/ops/geres"}) {
    SCOPED_TRACE(prefix);
    const auto page = nobody().get(prefix + "/jobs/1", kBrowser);
    ASSERT_EQ(page.status, 200) << page;
    EXPECT_THAT(page.body, HasSubstr("<base href=\"/ops/geres/\">"));
    EXPECT_THAT(nobody().get(prefix + "/", kBrowser).body, HasSubstr("<base href=\"/ops/geres/\">"));
    const auto gzip = nobody().get(prefix + "/", accepting("br, gzip"));
    EXPECT_EQ(gzip.headers.at("content-encoding"), "gzip") << "no brotli of what was changed";
    EXPECT_NE(gzip.headers.at("etag"), "\"one\"");
    EXPECT_EQ(http::gunzip(gzip.body, 10'000).value(), page.body);
    EXPECT_EQ(nobody().get(prefix + "/assets/a-1.js").body, kScript);
    EXPECT_EQ(ours.get(prefix + "/v1/jobs").status, 200);
    EXPECT_EQ(nobody().get(prefix + "/v1/nothing", kBrowser).code(), "notFound");
    const auto made = ours.post(prefix + "/v1/jobs", spec());
    EXPECT_EQ(made.headers.at("location"), "/ops/geres/v1/jobs/" + made.text("id"));
    const auto in = nobody().post(prefix + "/v1/session", R"({"token":")" + ours.token() + "\"}");
    EXPECT_EQ(in.status, 201) << in;
    EXPECT_THAT(in.headers.at("set-cookie"), HasSubstr("geres="));
    EXPECT_THAT(in.headers.at("set-cookie"), Not(HasSubstr("__Host-"))) << "that one demands Path=/";
    EXPECT_THAT(in.headers.at("set-cookie"), HasSubstr("; Path=/ops/geres/;"));
    EXPECT_THAT(in.headers.at("set-cookie"), HasSubstr("; Secure"));
  }
  EXPECT_EQ(nobody().get("/ops/geres", kBrowser).status, 200) << "without the slash";
  EXPECT_EQ(nobody().get("/ops/geres/ops/geres/v1/jobs", kBrowser).status, 200) << "once only: a page's address";
  EXPECT_EQ(ours.get("/ops/geres/ops/geres/v1/jobs").status, 404);
  EXPECT_EQ(viewer.get("/v1/info").text("page"), "https://x.example/ops/geres/");
}

TEST_F(NoPageTest, TheLandingPageStays) {
  const auto landing = admin.as("").get("/", kBrowser);
  EXPECT_THAT(landing.body, HasSubstr("<h1>GeRes</h1>"));
  EXPECT_EQ(admin.as("").get("/jobs", kBrowser).status, 404);
  EXPECT_EQ(admin.as("").get("/assets/a-1.js").status, 404);
  EXPECT_FALSE(viewer.get("/v1/info").json().get_object().contains("page"));
}

// Answers of the API: compressed where asked for, and not sent twice.
TEST_F(PageTest, AnswersAreCompressedAndValidated) {
  for (int i = 0; i < 20; ++i) submit();
  const auto plain = ours.get("/v1/jobs");
  EXPECT_FALSE(plain.headers.contains("content-encoding"));
  const auto small = ours.get("/v1/jobs", {{"Accept-Encoding", "gzip"}});
  EXPECT_EQ(small.headers.at("content-encoding"), "gzip");
  EXPECT_LT(small.body.size(), plain.body.size() / 3);
  EXPECT_EQ(http::gunzip(small.body, 1'000'000).value(), plain.body);
  for (const std::string path : {"/v1/jobs", "/v1/status", "/v1/batches", "/v1/hosts"}) {
    const auto etag = ours.get(path).headers.at("etag");
    EXPECT_EQ(ours.get(path, {{"If-None-Match", etag}}).status, 304) << path;
    EXPECT_EQ(ours.get(path, {{"If-None-Match", etag}, {"Accept-Encoding", "gzip"}}).status, 304) << path;
  }
  const auto etag = ours.get("/v1/jobs").headers.at("etag");
  submit();
  EXPECT_EQ(ours.get("/v1/jobs", {{"If-None-Match", etag}}).status, 200) << "it has changed";
  const FakeHost host(admin, "h");
  const auto answer = host.client().post("/v1/hosts/" + host.id + "/fetch", R"({"fetchId":"a","slots":4,"wait":"0s"})",
                                         {{"Accept-Encoding", "gzip"}});
  EXPECT_EQ(answer.status, 200) << answer;
  EXPECT_FALSE(answer.headers.contains("content-encoding")) << "a host's call";
}

}  // namespace
}  // namespace geres::hub
