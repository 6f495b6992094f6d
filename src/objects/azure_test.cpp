// SPDX-License-Identifier: Apache-2.0
// The store in Azure: the contract of all stores against a real server with each kind of credentials, and against
// a listener what a real server does not do when it is asked: stumble, break off, refuse for every reason there is.
#include "objects/azure.h"

#include <gmock/gmock.h>

#include "base/base64.h"
#include "base/uuid.h"
#include "objects/azure_refusal.h"
#include "objects/azurite_test.h"
#include "objects/fake_server_test.h"
#include "objects/object_store_contract_test.h"

namespace geres::objects {
namespace {

using testing::HasSubstr;
using testing::Not;
using Variables = std::map<std::string, std::string>;

Environment of(Variables variables) {
  return [variables = std::move(variables)](const std::string& name) {
    const auto found = variables.find(name);
    return found != variables.end() ? found->second : std::string();
  };
}

std::string refusal(const std::string& status, const std::string& code, const std::string& message = "It says no.",
                    const std::string& headers = {}) {
  return http(status,
              "<?xml version=\"1.0\"?><Error><Code>" + code + "</Code><Message>" + message +
                  "\nRequestId:1\nTime:2</Message><AuthenticationErrorDetail>The MAC signature found in the HTTP "
                  "request 'c2VjcmV0' is not the same</AuthenticationErrorDetail></Error>",
              "x-ms-error-code: " + code + "\r\nDate: " + http_date(SystemClock().wall()) + "\r\n" + headers);
}

Result<std::unique_ptr<ObjectStore>> opened(const std::string& place, Variables variables, AzureOptions options = {}) {
  const auto url = read_store_url(place, azure_options());
  if (!url) return url.error();
  return open_azure(*url, of(std::move(variables)), options);
}

const AzureOptions kShort{.patience = {.connect = 2'000, .silence = 5'000, .try_for = 3'000}};
const std::string kSecret = "a key that nobody may see";

AzureOptions trying_for(Millis time) {
  return {.patience = {.connect = 1'000, .silence = 5'000, .try_for = time}};
}

std::unique_ptr<ObjectStore> store_at(const FakeServer& server, const AzureOptions& options = kShort) {
  return opened("azure:acct/things/pre?endpoint=" + server.address(), {{"AZURE_STORAGE_KEY", to_base64(kSecret)}},
                options)
      .value();
}

// ---- the contract, with each kind of credentials --------------------------------------------------------------------

struct KeyFixture {
  static constexpr bool kChecksUploads = false;  // a SAS binds no bytes
  Azurite& server = Azurite::plain();
  std::string container = server.container();
  std::string place = "azure:" + server.account + "/" + container + "/some/prefix?endpoint=" + server.endpoint;

  std::unique_ptr<ObjectStore> open() { return opened(place, {{"AZURE_STORAGE_KEY", server.key}}).value(); }
  std::unique_ptr<ObjectStore> open_wrong() {
    return opened(place, {{"AZURE_STORAGE_KEY", to_base64(kSecret)}}).value();
  }
};
INSTANTIATE_TYPED_TEST_SUITE_P(AzureKey, ObjectStoreContract, KeyFixture);

// A host says which upload its parts are of. Else that name would lead to objects of others.
TEST(AzureParts, AreOfAnUploadAndOfNothingElse) {
  KeyFixture fixture;
  const auto store = fixture.open();
  ASSERT_TRUE(put(*store, "acme/theirs", "theirs"));
  for (const std::string wrong : {"../acme/theirs", "", "x", "%2e%2e/acme/theirs"}) {
    EXPECT_EQ(store->end_parts("acme/large", wrong, {}).error().code, Code::badValue) << wrong;
    EXPECT_FALSE(store->link_part("acme/large", wrong, 1, {.sha256 = sha256_hex("x")})) << wrong;
    EXPECT_EQ(get(*store, "acme/theirs").value(), "theirs") << wrong;
  }
  EXPECT_FALSE(store->find("acme/large").value());
}

std::string base64url(const std::string& text) {
  std::string out;
  for (const char c : to_base64(text))
    if (c != '=') out += c == '+' ? '-' : c == '/' ? '_' : c;
  return out;
}

// As an identity's service would give it, but for the signature, at which Azurite does not look.
std::string token(Millis begins_in, Millis ends_in) {
  const auto at = [](Millis in) { return std::to_string((SystemClock().wall() + in) / 1'000); };
  return base64url(R"({"alg":"RS256","typ":"JWT"})") + "." +
         base64url(R"({"aud":"https://storage.azure.com/","iss":"https://sts.windows.net/t/","iat":)" + at(begins_in) +
                   R"(,"nbf":)" + at(begins_in) + R"(,"exp":)" + at(ends_in) +
                   R"(,"oid":"11059fcc-5514-4800-b5f8-49808b9cfab6","tid":"ab1f708d-50f6-404c-a006-d71b2ac7a606"})") +
         ".c2lnbmF0dXJl";
}

std::string token_answer(const std::string& token, const std::string& more = R"("expires_in":"3600")") {
  return http("200 OK", R"({"access_token":")" + token + R"(","token_type":"Bearer",)" + more + "}");
}

// Links are signed with a key that the store gives to the identity.
struct IdentityFixture {
  static constexpr bool kChecksUploads = false;
  Azurite& server = Azurite::https();
  std::string container = server.container();
  std::string place = "azure:" + server.account + "/" + container + "?auth=identity&endpoint=" + server.endpoint;
  FakeServer metadata{{token_answer(token(-60'000, 3'600'000))}};
  FakeServer metadata_of_old_tokens{{token_answer(token(-7'200'000, -60'000))}};

  std::unique_ptr<ObjectStore> open() { return open_with(metadata); }
  std::unique_ptr<ObjectStore> open_wrong() { return open_with(metadata_of_old_tokens); }
  std::unique_ptr<ObjectStore> open_with(const FakeServer& metadata) {
    return opened(place, {{"AZURE_POD_IDENTITY_AUTHORITY_HOST", metadata.address()}, {"SSL_CERT_FILE", server.ca_file}})
        .value();
  }
  void trust(transport::Options& options) { options.ca_file = server.ca_file; }
};
INSTANTIATE_TYPED_TEST_SUITE_P(AzureIdentity, ObjectStoreContract, IdentityFixture);

// Of a whole container, for an hour.
std::string container_sas(const Azurite& server, const std::string& container, const std::string& permissions,
                          Millis ends_in = 3'600'000) {
  const auto ends = sas_time(SystemClock().wall() + ends_in);
  const auto text = permissions + "\n\n" + ends + "\n/blob/" + server.account + "/" + container +
                    "\n\n\n\n2021-12-02\nc\n\n\n\n\n\n\n";
  return "?sv=2021-12-02&sr=c&sp=" + permissions + "&se=" + transport::escaped(ends) +
         "&sig=" + transport::escaped(hmac_sha256_base64(from_base64(server.key).value(), text));
}

TEST(AzureSas, DoesAllButLinks) {
  auto& server = Azurite::plain();
  const auto container = server.container();
  const auto place = "azure:" + server.account + "/" + container + "?endpoint=" + server.endpoint;
  const auto open = [&](const std::string& sas) {
    return opened(place, {{"AZURE_STORAGE_SAS_TOKEN", sas}}, kShort).value();
  };
  const auto store = open(container_sas(server, container, "rcwdl"));
  const auto checked = store->check();
  ASSERT_TRUE(checked) << checked.error().message;
  const auto bytes = some_bytes((9 << 20) + 1);
  ASSERT_TRUE(put(*store, "a/b", bytes)) << "in blocks";
  ASSERT_TRUE(store->copy("a/b", "a/c"));
  EXPECT_EQ(get(*store, "a/c").value(), bytes);
  EXPECT_EQ(store->list("a/", {}, 1).value().objects.size(), 1u);
  EXPECT_TRUE(store->remove("a/b"));
  EXPECT_FALSE(store->link("a/c", {})) << "it would give all that the SAS allows";

  const auto weak = open(container_sas(server, container, "r"))->check();
  ASSERT_FALSE(weak);
  EXPECT_THAT(weak.error().message, HasSubstr("do not allow it"));
  EXPECT_THAT(weak.error().hint, HasSubstr("rcwdl"));
  const auto old = open(container_sas(server, container, "rcwdl", -3'600'000))->check();
  ASSERT_FALSE(old);
  EXPECT_THAT(old.error().message, HasSubstr("the SAS ran out at 20"));
  for (const auto& error : {weak.error(), old.error()}) EXPECT_THAT(error.message, Not(HasSubstr("sig=")));
}

TEST(AzureStore, OfAConnectionString) {
  auto& server = Azurite::plain();
  const auto place = "azure:" + server.account + "/" + server.container();
  const auto store = opened(place, {{"AZURE_STORAGE_CONNECTION_STRING",
                                     "DefaultEndpointsProtocol=http;AccountName=" + server.account +
                                         ";AccountKey=" + server.key + ";BlobEndpoint=" + server.endpoint + ";"}})
                         .value();
  const auto checked = store->check();
  EXPECT_TRUE(checked) << checked.error().message;
}

TEST(AzureStore, SaysThatTheContainerIsAbsent) {
  auto& server = Azurite::plain();
  const auto store = opened("azure:" + server.account + "/no-such?endpoint=" + server.endpoint,
                            {{"AZURE_STORAGE_KEY", server.key}}, kShort)
                         .value();
  EXPECT_THAT(store->check().error().message, HasSubstr("the container is absent"));
  EXPECT_EQ(store->find("a").error().code, Code::blobStoreAway) << "which is not the object's absence";
  EXPECT_EQ(get(*store, "a").error().code, Code::blobStoreAway);
  EXPECT_EQ(store->list("").error().code, Code::blobStoreAway);
}

TEST(AzureStore, TheServerHoldsBlocksAgainstTheirDigest) {
  KeyFixture fixture;
  const auto store = opened(fixture.place, {{"AZURE_STORAGE_KEY", fixture.server.key}}, {.part_bytes = 1'000}).value();
  const auto bytes = some_bytes(10'500);
  ASSERT_TRUE(put(*store, "in/blocks", bytes));
  EXPECT_EQ(get(*store, "in/blocks").value(), bytes);
  EXPECT_EQ(store->put("in/bad", file_of(bytes), bytes.size(), sha256_hex("other")).error().code, Code::badValue);
  EXPECT_FALSE(store->find("in/bad").value());
  EXPECT_EQ(store->put("in/bad", file_of(bytes), bytes.size() + 1, sha256_hex(bytes)).error().code, Code::badValue)
      << "the file is shorter";
  ASSERT_TRUE(put(*store, "in/blocks", "short"));
  EXPECT_EQ(get(*store, "in/blocks").value(), "short");
}

TEST(AzureStore, ManyMayStoreUnderOneName) {
  KeyFixture fixture;
  const auto store = opened(fixture.place, {{"AZURE_STORAGE_KEY", fixture.server.key}}, {.part_bytes = 10'000}).value();
  std::vector<std::string> contents;
  for (unsigned i = 0; i < 3; ++i) contents.push_back(some_bytes(45'000, i));
  std::vector<std::thread> threads;
  std::atomic<int> stored = 0;
  for (const auto& bytes : contents) threads.emplace_back([&] { stored += put(*store, "same", bytes) ? 1 : 0; });
  for (auto& thread : threads) thread.join();
  EXPECT_GE(stored, 1);
  EXPECT_THAT(contents, testing::Contains(get(*store, "same").value())) << "never a mixture";
}

TEST(AzureStore, ARangeBehindTheEndIsSaidSo) {
  KeyFixture fixture;
  const auto store = fixture.open();
  ASSERT_TRUE(put(*store, "short", "abc"));
  EXPECT_EQ(get(*store, "short", {10, 20}).error().code, Code::badValue);
  EXPECT_EQ(get(*store, "short", {1, 1'000}).value(), "bc");
}

TEST(AzureStore, WhatATakerThrowsArrives) {
  KeyFixture fixture;
  const auto store = fixture.open();
  ASSERT_TRUE(put(*store, "a", "abc"));
  EXPECT_THROW((void)store->get("a", [](std::string_view) -> Result<void> { throw std::runtime_error("disk"); }),
               std::runtime_error);
}

// ---- places and credentials -----------------------------------------------------------------------------------------

TEST(AzurePlace, IsRefusedWithAReason) {
  const auto why = [](const std::string& place, Variables variables = {{"AZURE_STORAGE_KEY", "AAAA"}}) {
    const auto store = opened(place, std::move(variables));
    return store ? "it is taken: " + (*store)->name() : store.error().message + " | " + store.error().hint;
  };
  EXPECT_EQ(why("azure:acct/things"), "it is taken: azure:acct/things (https://acct.blob.core.windows.net)");
  EXPECT_EQ(why("azure:acct/things/a/b"), "it is taken: azure:acct/things/a/b (https://acct.blob.core.windows.net)");
  EXPECT_THAT(why("azure:acct"), HasSubstr("azure:ACCOUNT/CONTAINER"));
  EXPECT_THAT(why("azure:acct/Things"), HasSubstr("'Things' is no name of a container"));
  EXPECT_THAT(why("azure:my_acct/things"), HasSubstr("'my_acct' is no name of a storage account"));
  EXPECT_THAT(why("azure:acct/things?endpoint=http://10.0.0.1/acct"), HasSubstr("plaintext=yes"));
  EXPECT_THAT(why("azure:acct/things?endpoint=http://127.0.0.1.example/acct"), HasSubstr("plaintext=yes"));
  EXPECT_THAT(why("azure:acct/things?endpoint=http://10.0.0.1/acct&plaintext=yes"), HasSubstr("it is taken"));
  EXPECT_THAT(why("azure:acct/things?endpoint=http://localhost:1/acct/"),
              testing::EndsWith("(http://localhost:1/acct)"));
  EXPECT_THAT(why("azure:acct/things?endpoint=ftp://a"), HasSubstr("no http or https address"));
  EXPECT_THAT(why("azure:acct/things?auth=magic"), HasSubstr("key, sas or identity"));
  EXPECT_THAT(why("azure:acct/things?sig=x"), HasSubstr("no option 'sig'"));
  EXPECT_THAT(why("azure:acct/things", {}), HasSubstr("auth=identity"));
}

TEST(AzureCredentials, ComeFromTheEnvironmentAndAreNotShown) {
  using Kind = AzureCredentials::Kind;
  const auto read = [](Variables variables, const std::string& auth = {}) {
    return read_azure_credentials("acct", auth, "", of(std::move(variables)));
  };
  const std::string key = to_base64(kSecret), sas = "sv=1&sig=hidden";
  EXPECT_EQ(read({{"AZURE_STORAGE_KEY", key}})->key, kSecret);
  EXPECT_EQ(read({{"AZURE_STORAGE_SAS_TOKEN", "?" + sas}})->sas, sas);
  EXPECT_EQ(read({{"AZURE_STORAGE_SAS_TOKEN", sas}, {"AZURE_STORAGE_KEY", key}})->kind, Kind::key);
  EXPECT_EQ(read({{"AZURE_STORAGE_SAS_TOKEN", sas}, {"AZURE_STORAGE_KEY", key}}, "sas")->kind, Kind::sas);
  EXPECT_EQ(read({{"AZURE_STORAGE_KEY", key}}, "identity")->kind, Kind::identity);
  EXPECT_EQ(read({{"AZURE_STORAGE_CONNECTION_STRING",
                   "AccountName=acct;AccountKey=" + key + ";EndpointSuffix=core.chinacloudapi.cn"}})
                ->endpoint,
            "https://acct.blob.core.chinacloudapi.cn");
  EXPECT_EQ(
      read({{"AZURE_STORAGE_CONNECTION_STRING", "SharedAccessSignature=" + sas + ";BlobEndpoint=https://b"}})->sas,
      sas);
  const Variables pod{{"AZURE_FEDERATED_TOKEN_FILE", "/token"}, {"AZURE_CLIENT_ID", "c"}, {"AZURE_TENANT_ID", "t"}};
  EXPECT_EQ(read(pod)->kind, Kind::identity);
  EXPECT_EQ(read(pod)->authority, "https://login.microsoftonline.com");

  const auto why = [&](Variables variables, const std::string& auth = {}) {
    const auto got = read(std::move(variables), auth);
    EXPECT_FALSE(got);
    if (got) return std::string();
    EXPECT_THAT(got.error().message + got.error().hint, Not(HasSubstr("hidden")));
    return got.error().message;
  };
  EXPECT_THAT(why({{"AZURE_STORAGE_KEY", "hidden!"}}), HasSubstr("AZURE_STORAGE_KEY is no key"));
  EXPECT_THAT(why({{"AZURE_STORAGE_SAS_TOKEN", "hidden"}}), HasSubstr("no shared access signature"));
  EXPECT_THAT(why({{"AZURE_STORAGE_CONNECTION_STRING", "hidden"}}), HasSubstr("cannot be read"));
  EXPECT_THAT(why({{"AZURE_STORAGE_CONNECTION_STRING", "AccountName=other;AccountKey=hidden"}}),
              HasSubstr("is of the account 'other', but the place names 'acct'"));
  EXPECT_THAT(why({{"AZURE_STORAGE_CONNECTION_STRING", "AccountName=acct;AccountKey=" + key}}, "sas"),
              HasSubstr("has no SharedAccessSignature"));
  EXPECT_THAT(why({{"AZURE_FEDERATED_TOKEN_FILE", "/token"}}), HasSubstr("AZURE_TENANT_ID"));
  auto elsewhere = pod;
  elsewhere["AZURE_AUTHORITY_HOST"] = "http://login.example";
  EXPECT_THAT(why(elsewhere), HasSubstr("is no https:// address"));
}

AzureCredentials identity_of(const FakeServer& metadata, const std::string& client_id = {}) {
  AzureCredentials credentials;
  credentials.kind = AzureCredentials::Kind::identity;
  credentials.client_id = client_id;
  credentials.metadata = metadata.address();
  return credentials;
}

TEST(AzureIdentity, KeepsATokenUntilFiveMinutesBeforeItsEnd) {
  FakeServer metadata{{token_answer("one"), token_answer("two")}};
  ManualClock clock;
  AzureIdentity identity(identity_of(metadata, "client"), kShort.patience, "", clock);
  EXPECT_EQ(identity.token().value(), "one");
  clock.advance(54 * 60'000);
  EXPECT_EQ(identity.token().value(), "one");
  clock.advance(2 * 60'000);
  EXPECT_EQ(identity.token().value(), "two");
  const auto heard = metadata.heard();
  ASSERT_EQ(heard.size(), 2u);
  EXPECT_EQ(heard[0].method + heard[0].path, "GET/metadata/identity/oauth2/token");
  EXPECT_EQ(heard[0].query, "api-version=2018-02-01&resource=https%3A%2F%2Fstorage.azure.com%2F&client_id=client");
  EXPECT_EQ(heard[0].headers.at("metadata"), "true");
}

TEST(AzureIdentity, UsesTheOldTokenWhileTheServiceIsAway) {
  FakeServer metadata{{token_answer("one"), refusal("500 Oh", "x"), token_answer("two")}};
  ManualClock clock;
  AzureIdentity identity(identity_of(metadata), {.try_for = 0}, "", clock);
  EXPECT_EQ(identity.token().value(), "one");
  clock.advance(56 * 60'000);
  EXPECT_EQ(identity.token().value(), "one");
  EXPECT_EQ(identity.token().value(), "one");
  EXPECT_EQ(metadata.heard().size(), 2u) << "nor is it asked by every call";
  clock.advance(60'000);
  EXPECT_EQ(identity.token().value(), "two");
}

TEST(AzureIdentity, SaysWhoRefusedAndWhy) {
  FakeServer metadata{{http("400 Bad Request",
                            R"({"error":"invalid_request","error_description":"Identity not found\r\nTrace ID: 1"})")}};
  const SystemClock clock;
  AzureIdentity identity(identity_of(metadata), kShort.patience, "", clock);
  const auto refused = identity.token();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::blobStoreAway);
  EXPECT_THAT(refused.error().message, HasSubstr("HTTP 400: Identity not found"));
  EXPECT_THAT(refused.error().message, Not(HasSubstr("Trace")));
}

TEST(AzureIdentity, OfAPodGivesTheClustersToken) {
  FakeServer authority{{token_answer("azures", R"("expires_in":3599)")}};
  const TemporaryDirectory directory;
  const auto file = directory.path() / "token";
  replace_file(file, "clusters+token\n");
  const auto credentials = read_azure_credentials("acct", "", "",
                                                  of({{"AZURE_FEDERATED_TOKEN_FILE", file.string()},
                                                      {"AZURE_CLIENT_ID", "my client"},
                                                      {"AZURE_TENANT_ID", "tenant"},
                                                      {"AZURE_AUTHORITY_HOST", authority.address() + "/"}}))
                               .value();
  const SystemClock clock;
  AzureIdentity identity(credentials, kShort.patience, "", clock);
  EXPECT_EQ(identity.token().value(), "azures");
  const auto request = authority.heard().at(0);
  EXPECT_EQ(request.method + request.path, "POST/tenant/oauth2/v2.0/token");
  EXPECT_EQ(request.headers.at("content-type"), "application/x-www-form-urlencoded");
  EXPECT_EQ(request.body,
            "grant_type=client_credentials&client_id=my%20client&scope=https%3A%2F%2Fstorage.azure.com%2F.default&"
            "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&"
            "client_assertion=clusters%2Btoken");
}

TEST(AzureIdentity, ATokenThatIsTakenBackIsReplaced) {
  FakeServer metadata{{token_answer("one"), token_answer("two")}};
  FakeServer server{{refusal("401 Unauthorized", "InvalidAuthenticationInfo"), http("202 Accepted")}};
  const auto store = opened("azure:acct/things?auth=identity&endpoint=" + server.address(),
                            {{"AZURE_POD_IDENTITY_AUTHORITY_HOST", metadata.address()}}, kShort)
                         .value();
  EXPECT_TRUE(store->remove("a"));
  EXPECT_EQ(server.heard().at(0).headers.at("authorization"), "Bearer one");
  EXPECT_EQ(server.heard().at(1).headers.at("authorization"), "Bearer two");
}

TEST(AzureIdentity, WithoutAKeyForLinksThereAreNone) {
  FakeServer metadata{{token_answer("one")}};
  FakeServer server{{refusal("403 Forbidden", "AuthorizationPermissionMismatch")}};
  const auto store = opened("azure:acct/things?auth=identity&endpoint=" + server.address(),
                            {{"AZURE_POD_IDENTITY_AUTHORITY_HOST", metadata.address()}}, kShort)
                         .value();
  EXPECT_FALSE(store->link("a", {}));
  EXPECT_FALSE(store->link("b", {}));
  EXPECT_EQ(server.heard().size(), 1u) << "it is not asked for every link";
}

// ---- what servers do when they are not well -------------------------------------------------------------------------

std::string blob(const std::string& status, const std::string& body, std::size_t announced,
                 const std::string& headers) {
  return "HTTP/1.1 " + status +
         "\r\nConnection: close\r\nETag: \"one\"\r\nLast-Modified: Mon, 30 Nov 2026 13:39:17 GMT\r\n" + headers +
         "Content-Length: " + std::to_string(announced) + "\r\n\r\n" + body;
}

TEST(AzureTroubled, ADownloadThatBreaksOffIsTakenUpAgain) {
  FakeServer server{{blob("200 OK", "hello", 11, ""), refusal("503 Busy", "ServerBusy"),
                     blob("206 Partial Content", " wo", 6, "Content-Range: bytes 5-10/11\r\n"),
                     blob("206 Partial Content", "rld", 3, "Content-Range: bytes 8-10/11\r\n")}};
  const auto store = store_at(server);
  std::string bytes;
  const auto object = store->get("a", [&](std::string_view piece) { return bytes += piece, Result<void>(); });
  ASSERT_TRUE(object) << object.error().message;
  EXPECT_EQ(bytes, "hello world");
  EXPECT_EQ(object->size, 11u);
  EXPECT_EQ(object->etag, "\"one\"");
  EXPECT_EQ(object->modified_at, 1'796'045'957'000);
  const auto heard = server.heard();
  ASSERT_EQ(heard.size(), 4u);
  EXPECT_FALSE(heard[0].headers.contains("range"));
  for (const int i : {1, 2}) EXPECT_EQ(heard[i].headers.at("range"), "bytes=5-");
  EXPECT_EQ(heard[3].headers.at("range"), "bytes=8-");
  for (const int i : {1, 2, 3}) EXPECT_EQ(heard[i].headers.at("if-match"), "\"one\"");
}

TEST(AzureTroubled, APartThatBreaksOffEndsWhereItShould) {
  FakeServer server{{blob("206 Partial Content", "el", 4, "Content-Range: bytes 1-4/11\r\n"),
                     blob("206 Partial Content", "lo", 2, "Content-Range: bytes 3-4/11\r\n")}};
  EXPECT_EQ(get(*store_at(server), "a", {1, 4}).value(), "ello");
  EXPECT_EQ(server.heard().at(1).headers.at("range"), "bytes=3-4");
}

TEST(AzureTroubled, WhatIsReplacedMeanwhileIsNotMixed) {
  FakeServer server{{blob("200 OK", "hello", 11, ""), refusal("412 Precondition Failed", "ConditionNotMet")}};
  const auto got = get(*store_at(server), "a");
  EXPECT_EQ(got.error().code, Code::blobStoreAway);
  EXPECT_THAT(got.error().message, HasSubstr("'a' was replaced while it was read"));
}

TEST(AzureTroubled, AServerThatIgnoresTheRangeIsFoundOut) {
  FakeServer server{{blob("200 OK", "hello", 11, ""), blob("200 OK", "hello world", 11, "")}};
  std::string bytes;
  const auto got = store_at(server)->get("a", [&](std::string_view piece) { return bytes += piece, Result<void>(); });
  EXPECT_EQ(got.error().code, Code::blobStoreAway);
  EXPECT_EQ(bytes, "hello");
}

TEST(AzureTroubled, WhatPassesIsTriedAgain) {
  FakeServer server{{refusal("503 Busy", "ServerBusy", "Busy.", "Retry-After: 1\r\n"),
                     refusal("500 Oh", "InternalError"), refusal("429 Too Many", "TooManyRequests"),
                     http("201 Created")}};
  const auto store = store_at(server, trying_for(10'000));
  const auto begun = SystemClock().monotonic();
  ASSERT_TRUE(put(*store, "a", "hello"));
  EXPECT_GE(SystemClock().monotonic() - begun, 1'000) << "as long as it asked for";
  const auto heard = server.heard();
  ASSERT_EQ(heard.size(), 4u);
  EXPECT_EQ(heard[3].method + heard[3].path, "PUT/things/pre/a");
  EXPECT_EQ(heard[3].body, "hello");
  EXPECT_EQ(heard[3].headers.at("content-md5"), "XUFAKrxLKna5cZ2REBfFkg==");
}

TEST(AzureTroubled, NotForEver) {
  FakeServer server{{refusal("503 Busy", "ServerBusy")}};
  const auto store = store_at(server, trying_for(500));
  const auto begun = SystemClock().monotonic();
  EXPECT_THAT(store->remove("a").error().message, HasSubstr("answered ServerBusy: the store is busy"));
  EXPECT_LT(SystemClock().monotonic() - begun, 3'000);
  EXPECT_GE(server.heard().size(), 2u);
}

TEST(AzureTroubled, WhatBrokeAfterLongWorkIsTriedOnceMore) {
  std::atomic<int> requests = 0;
  FakeServer server([&](const Heard&) {
    if (++requests == 2) return http("201 Created");
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    return std::string();  // it goes down
  });
  EXPECT_TRUE(put(*store_at(server, trying_for(200)), "a", "hello"));
  EXPECT_EQ(requests, 2);
}

TEST(AzureTroubled, NobodyThere) {
  auto server = std::make_unique<FakeServer>(std::vector<std::string>{""});
  const auto store = store_at(*server, trying_for(300));
  server.reset();
  const auto refused = store->check();
  EXPECT_EQ(refused.error().code, Code::blobStoreAway);
  EXPECT_THAT(refused.error().message, HasSubstr("does not answer: Failed to connect"));
}

TEST(AzureTroubled, BytesThatChangeOnTheWay) {
  FakeServer server{{refusal("400 Bad Request", "Md5Mismatch")}};
  EXPECT_EQ(put(*store_at(server), "a", "hello").error().code, Code::badValue);
}

TEST(AzureTroubled, BlocksThatAreGoneAreSentAgain) {
  FakeServer server{
      {http("201 Created"), http("201 Created"), refusal("400 Bad Request", "InvalidBlockList"), http("201 Created")}};
  ASSERT_TRUE(put(*store_at(server, {.part_bytes = 3}), "a", "hello"));
  EXPECT_EQ(server.heard().size(), 6u);
}

TEST(AzureTroubled, ACopyThatTakesTimeIsWaitedFor) {
  const auto status = [](const std::string& word) { return "x-ms-copy-status: " + word + "\r\n"; };
  FakeServer server{{http("202 Accepted", "", status("pending")), http("200 OK", "", status("pending")),
                     http("200 OK", "", status("success"))}};
  EXPECT_TRUE(store_at(server)->copy("a", "b"));
  EXPECT_EQ(server.heard().at(0).headers.at("x-ms-copy-source"), server.address() + "/things/pre/a");
  EXPECT_EQ(server.heard().size(), 3u);
  FakeServer failing{{http("202 Accepted", "", status("pending")), http("200 OK", "", status("failed"))}};
  EXPECT_THAT(store_at(failing)->copy("a", "b").error().message, HasSubstr("(failed)"));
}

TEST(AzureTroubled, PagesMayBeEmptyAndDirectoriesAreNoObjects) {
  const auto page = [](const std::string& blobs, const std::string& next) {
    return http("200 OK",
                "\xEF\xBB\xBF<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ServiceEndpoint=\"x\">"
                "<Blobs>" +
                    blobs + "</Blobs><NextMarker>" + next + "</NextMarker></EnumerationResults>");
  };
  FakeServer server{
      {page("", "2!a&amp;b"),
       page("<Blob><Name>pre/d</Name><Properties><ResourceType>directory</ResourceType></Properties></Blob>"
            "<Blob><Name>pre/b</Name><Properties><Content-Length>7</Content-Length><Etag>0x1</Etag>"
            "</Properties></Blob><Blob><Name>pre/a</Name><Properties/></Blob>",
            "")}};
  const auto got = store_at(server)->list("");
  ASSERT_TRUE(got) << got.error().message;
  ASSERT_EQ(got->objects.size(), 2u);
  EXPECT_EQ(got->objects[0].key, "a");
  EXPECT_EQ(got->objects[1].key, "b");
  EXPECT_EQ(got->objects[1].size, 7u);
  EXPECT_EQ(got->objects[1].etag, "\"0x1\"");
  EXPECT_THAT(server.heard().at(1).query, testing::EndsWith("&prefix=pre%2F&marker=2%21a%26b"));
  FakeServer other{{http("200 OK", "<html>")}};
  EXPECT_THAT(store_at(other)->list("").error().message, HasSubstr("gave a list that cannot be read"));
}

// ---- what errors say ------------------------------------------------------------------------------------------------

Error checked_against(const std::string& answer, const Clock* clock = nullptr) {
  FakeServer server{{answer}};
  const auto error = store_at(server, {.patience = {.try_for = 0}, .clock = clock})->check().error();
  EXPECT_EQ(error.code, Code::blobStoreAway);
  for (const auto& hidden : {kSecret, to_base64(kSecret), std::string("c2VjcmV0"), std::string("RequestId")})
    EXPECT_THAT(error.message + error.hint, Not(HasSubstr(hidden)));
  EXPECT_THAT(error.message, testing::StartsWith("azure:acct/things/pre (http://127.0.0.1:"));
  return error;
}

TEST(AzureErrors, SayWhatIsWrongAndWhatWouldBeRight) {
  const auto wrong_key = checked_against(refusal("403 Forbidden", "AuthenticationFailed"));
  EXPECT_THAT(wrong_key.message, HasSubstr("answered AuthenticationFailed: the key is not this storage account's"));
  EXPECT_THAT(checked_against(refusal("403 Forbidden", "AuthorizationFailure")).hint, HasSubstr("firewall"));
  EXPECT_THAT(checked_against(refusal("403 Forbidden", "AuthorizationPermissionMismatch")).hint,
              HasSubstr("Storage Blob Data Contributor"));
  EXPECT_THAT(checked_against(refusal("403 Forbidden", "AccountIsDisabled")).message, HasSubstr("account is disabled"));
  EXPECT_THAT(checked_against(refusal("403 Forbidden", "KeyBasedAuthenticationNotPermitted")).hint,
              HasSubstr("auth=identity"));
  EXPECT_THAT(checked_against(refusal("404 Not Found", "ContainerNotFound")).message, HasSubstr("container is absent"));
  EXPECT_THAT(checked_against(refusal("409 Conflict", "NewToUs", "Something new.")).message,
              HasSubstr("answered NewToUs: Something new (while writing"));
  EXPECT_THAT(checked_against(http("407 Proxy", "<html>who are you?</html>")).message,
              HasSubstr("answered HTTP 407: it gave no reason"));
}

TEST(AzureErrors, AWrongClockIsSaidSo) {
  ManualClock ahead(SystemClock().wall() + 3 * 3'600'000 + 5 * 60'000);
  const auto error = checked_against(refusal("403 Forbidden", "AuthenticationFailed"), &ahead);
  EXPECT_THAT(error.message, HasSubstr("this machine's clock is 3 hours ahead of the store's"));
  EXPECT_THAT(error.hint, HasSubstr("NTP"));
  ManualClock behind(SystemClock().wall() - 30 * 60'000);
  EXPECT_THAT(checked_against(refusal("403 Forbidden", "AuthenticationFailed"), &behind).message,
              HasSubstr("minutes behind the store's"));
}

// ---- signatures -----------------------------------------------------------------------------------------------------

// The examples of "Authorize with Shared Key".
TEST(SharedKey, SignsTheseLines) {
  EXPECT_EQ(
      shared_key_text("myaccount", {"GET",
                                    "/mycontainer",
                                    {{"restype", "container"}, {"comp", "metadata"}, {"timeout", "20"}},
                                    {{"x-ms-version", "2015-02-21"}, {"x-ms-date", "Fri, 26 Jun 2015 23:39:12 GMT"}},
                                    0}),
      "GET\n\n\n\n\n\n\n\n\n\n\n\nx-ms-date:Fri, 26 Jun 2015 23:39:12 GMT\nx-ms-version:2015-02-21\n"
      "/myaccount/mycontainer\ncomp:metadata\nrestype:container\ntimeout:20");
  EXPECT_EQ(shared_key_text("acct", {"PUT",
                                     "/acct/c/a%20b",
                                     {},
                                     {{"content-type", "t"}, {"content-md5", "m"}, {"if-match", "e"}, {"range", "r"}},
                                     11}),
            "PUT\n\n\n11\nm\nt\n\n\ne\n\n\nr\n/acct/acct/c/a%20b");
  EXPECT_EQ(shared_key("acct", "key", {"GET", "/", {}, {}, 0}),
            "SharedKey acct:" + hmac_sha256_base64("key", "GET\n\n\n\n\n\n\n\n\n\n\n\n/acct/"));
  EXPECT_EQ(hmac_sha256_base64("key", "The quick brown fox jumps over the lazy dog"),
            "97yD9DBThCSxMpjmqm+xQ+9NWaFJRhdZl0edvC0aPNg=");
}

TEST(BlobSas, SignsTheseLines) {
  const BlobSas sas{"acct", "c", "a/b", "r", 1'796'045'957'000, true, "attachment", "text/plain"};
  EXPECT_EQ(blob_sas_text(sas, nullptr),
            "r\n\n2026-11-30T13:39:17Z\n/blob/acct/c/a/b\n\n\nhttps\n2021-12-02\nb\n\n\n\nattachment\n\n\ntext/plain");
  const UserDelegationKey key{"oid", "tid", "start", "expiry", "b", "ver", "bytes", 0};
  EXPECT_EQ(
      blob_sas_text(sas, &key),
      "r\n\n2026-11-30T13:39:17Z\n/blob/acct/c/a/b\noid\ntid\nstart\nexpiry\nb\nver\n\n\n\n\nhttps\n2021-12-02\nb\n"
      "\n\n\nattachment\n\n\ntext/plain");
  EXPECT_THAT(blob_sas(sas, key),
              testing::StartsWith("sv=2021-12-02&sr=b&sp=r&se=2026-11-30T13%3A39%3A17Z&spr=https&rscd=attachment&"
                                  "rsct=text%2Fplain&skoid=oid&sktid=tid&skt=start&ske=expiry&sks=b&skv=ver&sig="));
}

}  // namespace
}  // namespace geres::objects
