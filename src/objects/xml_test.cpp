// SPDX-License-Identifier: Apache-2.0
// Answers as stores give them, whole, cut off, and made to hurt.
#include "objects/xml.h"

#include <gtest/gtest.h>

namespace geres::objects {
namespace {

TEST(Xml, ElementsAndTheirText) {
  const auto read = read_xml(
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!-- listed -->"
      "<s3:List xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Empty/><Contents a=\"b\"><Key>a&amp;b "
      "&#233;&#x20AC; "
      "&lt;&quot;&apos;&gt; "
      "&unknown;</Key></Contents><Contents><Key><![CDATA[<raw>&amp;]]></Key></Contents></s3:List>");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->name, "List");
  ASSERT_EQ(read->children.size(), 3u);
  EXPECT_EQ(read->children[1]["Key"], "a&b é€ <\"'> &unknown;");
  EXPECT_EQ(read->children[2]["Key"], "<raw>&amp;");
  EXPECT_EQ((*read)["Absent"], "");
  EXPECT_EQ((*read)["Empty"], "");
}

TEST(Xml, WhatIsCutOffIsReadAsFarAsItGoes) {
  const std::string whole = "<Error><Code>NoSuchKey</Code><Message>It is not there.</Message></Error>";
  for (std::size_t size = whole.find("</Code>") + 7; size <= whole.size(); ++size) {
    const auto read = read_xml(whole.substr(0, size));
    ASSERT_TRUE(read) << size;
    EXPECT_EQ((*read)["Code"], "NoSuchKey") << size;
  }
  for (std::size_t size = 0; size < whole.size(); ++size) (void)read_xml(whole.substr(0, size));
}

TEST(Xml, WhatIsNoneIsRefused) {
  for (const std::string text : {"", "no", "{\"code\":1}", "<a><b></a>", "</a>", "<>", "< a></a>",
                                 "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>", "<!doctype html><html></html>"})
    EXPECT_FALSE(read_xml(text)) << text;
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += "<a>";
  EXPECT_FALSE(read_xml(deep));
  EXPECT_EQ(read_xml("<a>&#0;&#xD800;&#99999999;&#x;</a>")->text, "&#0;&#xD800;&#99999999;&#x;");
}

TEST(Xml, WhatIsEscapedIsReadBack) {
  const std::string text = "a<b>&\"c\" 'd'";
  EXPECT_EQ(read_xml("<a>" + xml_escaped(text) + "</a>")->text, text);
}

}  // namespace
}  // namespace geres::objects
