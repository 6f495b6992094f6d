// SPDX-License-Identifier: Apache-2.0
// What is read, what is refused and with which field, and what is written.
#include "base/json.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace geres::json {
namespace {

enum class Colour { red, green };
BOOST_DESCRIBE_ENUM(Colour, red, green)

struct Inner {
  int count = 1;
  std::optional<Duration> pause;
};
BOOST_DESCRIBE_STRUCT(Inner, (), (count, pause))

struct Outer {
  static constexpr std::string_view kRequired[] = {"name"};
  std::string name;
  std::vector<Inner> list;
  std::map<std::string, std::string> tags;
  Inner requires_;
  Colour colour = Colour::green;
  std::optional<std::optional<Time>> when;
  Raw any;
};
BOOST_DESCRIBE_STRUCT(Outer, (), (name, list, tags, requires_, colour, when, any))

Error error_of(std::string_view text) {
  return read_text<Outer>(text).error();
}

TEST(Json, ReadsEveryKindAndKeepsDefaults) {
  const auto read = read_text<Outer>(
      R"({"name":"a","list":[{"count":3,"pause":"1500ms"},{}],"tags":{"k":"v"},"requires":{"count":7},"colour":"red","any":[1,{"x":null}]})");
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->list[0].pause->ms, 1500);
  EXPECT_EQ(read->list[1].count, 1);
  EXPECT_EQ(read->requires_.count, 7);
  EXPECT_EQ(read->colour, Colour::red);
  EXPECT_EQ(read->any.text, R"([1,{"x":null}])");
  EXPECT_FALSE(read->when.has_value());
}

TEST(Json, IgnoresUnknownMembersAtAnyDepthWhereAsked) {
  const auto text = R"({"name":"a","more":{"x":[1]},"list":[{"count":3,"colour":1}],"requires":{"count":7,"list":[]}})";
  const auto read = read_text<Outer>(text, Unknown::ignored);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->list[0].count, 3);
  EXPECT_EQ(read->requires_.count, 7);
  EXPECT_EQ(read_text<Outer>(R"({"more":1})", Unknown::ignored).error().code, Code::missingField);
  EXPECT_EQ(read_text<Outer>(R"({"name":"a","list":[{"count":"x","more":1}]})", Unknown::ignored).error().field,
            "/list/0/count");
  EXPECT_EQ(read_text<Outer>(R"({"name":"a","list":[{"more":1}]})").error().field, "/list/0/more");
}

TEST(Json, WritesWhatItReads) {
  const std::string text =
      R"({"name":"a","list":[{"count":3,"pause":"2m"}],"tags":{},"requires":{"count":1},"colour":"green","any":{"x":1}})";
  EXPECT_EQ(write_text(read_text<Outer>(text).value()), text);
}

TEST(Json, WritesTheSameTextWithAndWithoutADocument) {
  std::string every;
  for (int c = 1; c < 256; ++c) every += char(c);
  Outer outer;
  for (const std::string& name :
       {std::string(), every, std::string("\"\\/\b\f\n\r\t\x1f\x7f"), std::string(5'000, '\n')}) {
    outer.name = name;
    outer.tags = {{name, name}, {"plain", ""}};
    EXPECT_EQ(write_text(outer), boost::json::serialize(write(outer)));
    outer.list.push_back({-5, Duration{1'500}});
    outer.list.push_back({std::numeric_limits<int>::min(), {}});
    outer.when = outer.when ? std::optional(std::optional<Time>(Time{1'700'000'000'123})) : std::optional<Time>();
    outer.any.text = R"([1,{"x":null}])";
  }
  EXPECT_EQ(write_text(std::vector<double>{0.1, 1e300, -0.0, 5}),
            boost::json::serialize(write(std::vector<double>{0.1, 1e300, -0.0, 5})));
  EXPECT_EQ(write_text(std::map<std::string, bool>{}), "{}");
  EXPECT_EQ(write_text(std::numeric_limits<std::uint64_t>::max()), "18446744073709551615");
  const value long_one(array{std::string(10'000, '"'), object{{"a", nullptr}}});
  EXPECT_EQ(write_text(long_one), boost::json::serialize(long_one));
}

// What was read must not lie in the document's memory.
TEST(Json, ValuesOutliveTheirDocument) {
  auto read = read_text<std::vector<value>>(R"([{"a":["a text that is longer than any small string", 1]}])");
  ASSERT_TRUE(read);
  EXPECT_EQ(*read->at(0).storage(), *boost::json::storage_ptr());
  EXPECT_EQ(*read->at(0).at("a").storage(), *boost::json::storage_ptr());
}

TEST(Json, NullAndAbsentDiffer) {
  const auto read = read_text<Outer>(R"({"name":"a","when":null})");
  ASSERT_TRUE(read);
  ASSERT_TRUE(read->when.has_value());
  EXPECT_FALSE(read->when->has_value());
}

TEST(Json, NamesTheWrongField) {
  EXPECT_EQ(error_of(R"({"name":"a","list":[{},{"count":"x"}]})").field, "/list/1/count");
  EXPECT_EQ(error_of(R"({"name":"a","list":[{"pause":"5"}]})").field, "/list/0/pause");
  EXPECT_EQ(error_of(R"({"name":"a","tags":{"a/b":1}})").field, "/tags/a~1b");
  EXPECT_EQ(error_of(R"({"list":[]})").code, Code::missingField);
  EXPECT_EQ(error_of(R"({"name":"a","colour":"blue"})").hint, "one of red, green");
}

TEST(Json, UnknownFieldSuggestsTheNearest) {
  const auto error = error_of(R"({"name":"a","colur":"red"})");
  EXPECT_EQ(error.code, Code::unknownField);
  EXPECT_EQ(error.field, "/colur");
  EXPECT_EQ(error.hint, "did you mean 'colour'?");
}

TEST(Json, CutsALongNameBetweenCharacters) {
  const auto error = error_of(R"({"name":"a",")" + std::string(99, 'b') + "\xC3\xBC\":1}");
  EXPECT_EQ(error.code, Code::unknownField);
  EXPECT_TRUE(valid_utf8(error.message)) << error.message;
  EXPECT_EQ(error.field, "/" + std::string(99, 'b'));
}

TEST(Json, RefusesWhatOthersCannotHold) {
  for (const char* text : {R"({"a":1,"a":2})", R"(["x\u0000y"])", R"({"a\u0000":1})", "[1e999]",
                           "[18446744073709551616]", "[1", "{}x", "", "nul", "[\"\xff\"]", "{\"a\":1,}"})
    EXPECT_EQ(parse(text).error().code, Code::malformedJson) << text;
  EXPECT_TRUE(parse("[1.5e3, -9223372036854775808, 18446744073709551615]"));
}

TEST(Json, RefusesDepthWithoutRecursion) {
  EXPECT_EQ(parse(std::string(10'000, '[')).error().code, Code::malformedJson);
  EXPECT_TRUE(parse(std::string(30, '[') + std::string(30, ']')));
}

TEST(Json, SaysWhere) {
  EXPECT_NE(parse("{\n  \"a\": tru\n}").error().message.find("line 2"), std::string::npos);
}

TEST(Json, IntegersKeepTheirRange) {
  EXPECT_EQ(read_text<Inner>(R"({"count":3000000000})").error().code, Code::badValue);
  EXPECT_EQ(read_text<Inner>(R"({"count":1.0})").error().code, Code::wrongType);
  EXPECT_EQ(read_text<std::int64_t>("9007199254740993").value(), 9007199254740993);
}

TEST(Json, DoublesReadTheSameWhenWritten) {
  for (const char* text : {"0.1", "-0.0", "1.8046744073709518e32", "18046744073709518446744073709551.5", "0e308",
                           "1e-400", "4.9e-324", "1.7976931348623157e308", "123456789.123456789e-20"}) {
    const auto first = parse(text);
    ASSERT_TRUE(first) << text;
    EXPECT_EQ(first->get_double(), std::strtod(text, nullptr)) << text;
    EXPECT_EQ(parse(boost::json::serialize(*first)).value(), *first) << text;
  }
}

}  // namespace
}  // namespace geres::json
