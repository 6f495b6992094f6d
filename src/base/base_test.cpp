// SPDX-License-Identifier: Apache-2.0
// The small things of base: ids, times, durations, text, encodings, files.
#include <gtest/gtest.h>

#include <set>

#include "base/base64.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/duration.h"
#include "base/file.h"
#include "base/new_file.h"
#include "base/origin.h"
#include "base/public_url.h"
#include "base/sha256.h"
#include "base/similar.h"
#include "base/uuid.h"

namespace geres {
namespace {

TEST(Time, RoundTrips) {
  EXPECT_EQ(format_time(0), "1970-01-01T00:00:00.000Z");
  for (const Millis at : {Millis{1'795'559'400'123}, Millis{951'782'399'999}, Millis{-1}})
    EXPECT_EQ(parse_time(format_time(at)).value(), at);
  EXPECT_EQ(parse_time("2026-11-24T22:30:00+01:30").value(), parse_time("2026-11-24T21:00:00Z").value());
}

TEST(Time, RefusesWhatIsNone) {
  for (const char* text :
       {"", "2026-11-24", "2026-02-30T00:00:00Z", "2026-11-24T24:00:00Z", "2026-11-24T22:30:00",
        "2026-11-24T22:30:00.Z", "2026-11-24T22:30:00Zx", "9999-12-31T23:59:60Z", "0000-01-01T00:00:00+00:01"})
    EXPECT_FALSE(parse_time(text)) << text;
}

TEST(Duration, ReadsAndWrites) {
  EXPECT_EQ(parse_duration("1500ms").value(), 1500);
  EXPECT_EQ(parse_duration("1h30m").value(), 5'400'000);
  EXPECT_EQ(parse_duration("1_000s").value(), 1'000'000);
  EXPECT_EQ(parse_duration("0.5s").value(), 500);
  EXPECT_EQ(parse_duration("1h 30m").value(), 5'400'000);
  EXPECT_EQ(parse_duration("2w").value(), 14 * 86'400'000);
  for (const char* text : {"", "5", "s", "5x", "-5s", "1..5s", "5 s", "5s ", " 5s", "1w2y", "99999999999d"})
    EXPECT_FALSE(parse_duration(text)) << text;
  for (const Millis ms : {0, 1, 1500, 30'000, 600'000, 7'200'000, 86'400'000})
    EXPECT_EQ(parse_duration(format_duration(ms)).value(), ms);
}

TEST(Size, ReadsAndWrites) {
  EXPECT_EQ(parse_size("512MiB").value(), 512 << 20);
  EXPECT_EQ(parse_size("1.5 KiB").value(), 1536);
  EXPECT_EQ(parse_size("77").value(), 77);
  for (const char* text : {"2gb", "2GB", "2g", "2GiB", "2 gib", "2048M", "2147483648B"})
    EXPECT_EQ(parse_size(text).value(), 2'147'483'648) << text;
  for (const char* text : {"", "MiB", "5 XiB", "5ib", "5bb", "5kbb", "-1", "1e3", "1499999999GiB", "8193TiB"})
    EXPECT_FALSE(parse_size(text)) << text;
  EXPECT_EQ(format_size(12 * 1024), "12 KiB");
}

TEST(Uuid, OnlyGrows) {
  SeededRandom random(7);
  IdSource ids(random);
  Uuid last{};
  std::set<std::int64_t> seqs;
  for (int i = 0; i < 20'000; ++i) {
    const Uuid id = ids.next(i < 10'000 ? 1'700'000'000'000 : 1'600'000'000'000);  // the clock goes back half way
    EXPECT_GT(id, last);
    EXPECT_TRUE(seqs.insert(id.seq()).second);
    last = id;
  }
  EXPECT_EQ(parse_uuid(last.str()), last);
  EXPECT_EQ(last.str()[14], '7');
  EXPECT_TRUE(std::string("89ab").find(last.str()[19]) != std::string::npos);
}

TEST(Uuid, StartsAfterWhatIsStored) {
  SeededRandom random(7);
  IdSource first(random), second(random);
  const Uuid stored = first.next(1'700'000'000'000);
  second.start_after(stored.high);
  EXPECT_GT(second.next(1'600'000'000'000), stored);
}

TEST(Uuid, RefusesWhatIsNone) {
  for (const char* text : {"", "x", "0192f0c4-7d3a-7001-8f2e-0123456789a", "0192f0c4_7d3a-7001-8f2e-0123456789ab",
                           "0192f0c4-7d3a-7001-8f2e-0123456789ag"})
    EXPECT_FALSE(parse_uuid(text)) << text;
}

TEST(Origin, IsWhatBrowsersSend) {
  for (const char* text : {"https://app.example", "http://localhost:5173", "http://127.0.0.1:8080", "http://[::1]:8080",
                           "https://xn--bcher-kva.example", "http://app.example:443"})
    EXPECT_TRUE(check_origin(text)) << text;
  for (const auto& [text, why] : std::initializer_list<std::pair<const char*, const char*>>{
           {"*", "any origin"},
           {"null", "begin with"},
           {"app.example", "begin with"},
           {"ftp://app.example", "begin with"},
           {"https://app.example/", "without '/'"},
           {"https://app.example/page?x", "without '/page?x'"},
           {"https://*.example", "not a host"},
           {"https://App.example", "lower case"},
           {"https://b\xc3\xbc"
            "cher.example",
            "punycode"},
           {"https://", "not a host"},
           {"https://a..b", "not a host"},
           {"https://[::1", "no"},
           {"https://app.example:443", "without ':443'"},
           {"http://app.example:80", "without ':80'"},
           {"https://app.example:", "not a port"},
           {"https://app.example:0443", "not a port"},
           {"https://app.example:65536", "not a port"},
           {"https://app.example:8x", "not a port"},
           {"https://app.example,https://b.example", "without '//b"}}) {
    const auto checked = check_origin(text);
    ASSERT_FALSE(checked) << text;
    EXPECT_NE(checked.error().message.find(why), std::string::npos) << text << ": " << checked.error().message;
  }
}

TEST(Sha256, KnowsTheStandardVector) {
  EXPECT_EQ(sha256_hex("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Base64, RoundTripsAndIsStrict) {
  for (const auto& bytes :
       {std::string(), std::string("f"), std::string("fo"), std::string("foo"), std::string(1, '\0')})
    EXPECT_EQ(from_base64(to_base64(bytes)), bytes);
  for (const char* text : {"Zg=", "Zg", "Z g=", "Zg==Zg==", "Z===", "Zm9v\n"}) EXPECT_FALSE(from_base64(text)) << text;
}

TEST(Base64Url, HasOneTextForEachBytes) {
  EXPECT_EQ(from_base64url(""), "");
  EXPECT_EQ(from_base64url("Zg"), "f");
  EXPECT_EQ(from_base64url("Zm8"), "fo");
  EXPECT_EQ(from_base64url("Zm9v"), "foo");
  EXPECT_EQ(from_base64url("-_-_"), "\xfb\xff\xbf");
  for (const char* text : {"Z", "Zg==", "Zh", "Zm9", "Zm9vZ", "+/+/", "Zm 9v", "Zm9v\n", "\xc3\xa4"})
    EXPECT_FALSE(from_base64url(text)) << text;
}

TEST(Utf8, ReplacesOnlyWhatIsBad) {
  EXPECT_EQ(replace_bad_utf8("a\xffz"), "a\xEF\xBF\xBDz");
  EXPECT_EQ(replace_bad_utf8("grün"), "grün");
  EXPECT_FALSE(valid_utf8("\xed\xa0\x80"));  // a surrogate
  EXPECT_EQ(utf8_prefix("grün", 3), "gr");
}

TEST(Nearest, FindsTyposAndNothingElse) {
  const std::vector<std::string> words{"Thumbnail", "Rotate"};
  EXPECT_EQ(nearest("Thumbnial", words), "Thumbnail");
  EXPECT_EQ(nearest("rotate", words), "Rotate");
  EXPECT_EQ(nearest("Encode", words), "");
}

TEST(File, ReplacesWhole) {
  const TemporaryDirectory directory;
  const auto path = directory.path() / "token";
  replace_file(path, "one", 0600);
  replace_file(path, "two", 0600);
  EXPECT_EQ(read_file(path), "two");
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.path()), {}), 1);
  EXPECT_EQ(read_file_if(directory.path() / "absent"), std::nullopt);
}

TEST(NewFile, IsThereWholeOrNotAtAll) {
  const TemporaryDirectory directory;
  const auto place = directory.path() / std::string(255, 'n');
  const auto entries = [&] { return std::distance(std::filesystem::directory_iterator(directory.path()), {}); };
  {
    NewFile dropped(place);
    dropped.write("half");
    EXPECT_FALSE(std::filesystem::exists(place));
  }
  EXPECT_EQ(entries(), 0);
  NewFile file(place);
  file.write("wrong");
  file.restart();
  file.write("one");
  file.put(NewFile::There::refuse);
  EXPECT_EQ(read_file(place), "one");
  {
    NewFile second(place);
    second.write("two");
    EXPECT_THROW(second.put(NewFile::There::refuse), std::system_error);
    EXPECT_EQ(read_file(place), "one");
    second.put();
  }
  EXPECT_EQ(read_file(place), "two");
  EXPECT_EQ(entries(), 1);
  EXPECT_THROW(NewFile(directory.path() / "absent" / "x"), std::system_error);
}

TEST(File, LocksOnce) {
  const TemporaryDirectory directory;
  const Fd held = try_lock_file(directory.path() / "lock");
  EXPECT_TRUE(held);
  EXPECT_FALSE(try_lock_file(directory.path() / "lock"));
}

TEST(HubAddress, NeedsNoSchemeWhereAPortIsNamed) {
  EXPECT_EQ(hub_address("localhost:8080"), "http://localhost:8080");
  EXPECT_EQ(hub_address("[::1]:8080/"), "http://[::1]:8080/");
  for (const char* server : {"http://localhost:8080", "https://hub", "http://[::1]:8080/at/a/prefix", "http://a_b.c:1",
                             "https://who:word@hub.example:65535/?x"})
    EXPECT_TRUE(names_server(server)) << server;
  for (const char* other :
       {"", "localhost", "ftp://hub", "http://", "http:///x", "http://:80", "http://hub:", "http://h b", "http://hub:0",
        "http://hub:65536", "http://hub:8o", "http://[::1", "http://[x]:80"})
    EXPECT_FALSE(names_server(other)) << other;
  for (const std::string same : {"http://hub", "https://hub:1", "there", "there/", "", ":80", "a:b", "ftp://x:21"})
    EXPECT_EQ(hub_address(same), same);
}

TEST(PublicUrl, IsWhereBrowsersFindAHub) {
  const auto root = parse_public_url("https://jobs.example").value();
  EXPECT_EQ(root.origin, "https://jobs.example");
  EXPECT_EQ(root.base(), "/");
  EXPECT_TRUE(root.secure());
  EXPECT_EQ(parse_public_url("https://jobs.example/").value().base(), "/");
  const auto below = parse_public_url("http://10.0.0.1:8080/ops/geres").value();
  EXPECT_EQ(below.origin, "http://10.0.0.1:8080");
  EXPECT_EQ(below.base(), "/ops/geres/");
  EXPECT_FALSE(below.secure());
  EXPECT_EQ(parse_public_url("http://[::1]:8080/ops/geres/").value().base(), "/ops/geres/");
  for (const std::string wrong : {"",
                                  "jobs.example",
                                  "/ops",
                                  "ftp://a.example",
                                  "https://",
                                  "https:///x",
                                  "https://A.example",
                                  "https://a.example:443",
                                  "https://u@a.example",
                                  "https://a.example?x",
                                  "https://a.example/?x",
                                  "https://a.example/#x",
                                  "https://a.example//",
                                  "https://a.example/x//y",
                                  "https://a.example/..",
                                  "https://a.example/x/./y",
                                  "https://a.example/a b",
                                  "https://a.example/%61",
                                  "https://a.example/\"",
                                  "https://a.example/v1",
                                  "https://a.example/assets/x"}) {
    const auto url = parse_public_url(wrong);
    EXPECT_FALSE(url) << wrong;
    if (!url) {
      EXPECT_FALSE(url.error().message.empty()) << wrong;
    }
  }
}

}  // namespace
}  // namespace geres
