// SPDX-License-Identifier: Apache-2.0
// The little XML that object stores answer with: elements and their text. Attributes, comments and prefixes of names
// are passed over; a document type is refused, so nothing can expand.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace geres::objects {

struct XmlElement {
  std::string name;  // without its prefix
  std::string text;  // of this element alone, decoded
  std::vector<XmlElement> children;

  // The text of the first child of that name; "" if there is none.
  std::string operator[](std::string_view child) const;
  const XmlElement* find(std::string_view child) const;
};

// The outermost element, as far as it goes: an answer of which only the beginning was kept is read that far. nullopt
// for what is no XML, or deeper than 32 elements.
std::optional<XmlElement> read_xml(std::string_view document);

std::string xml_escaped(std::string_view text);

}  // namespace geres::objects
