// SPDX-License-Identifier: Apache-2.0
#include "objects/xml.h"

#include <charconv>

namespace geres::objects {
namespace {

constexpr int kDepthMax = 32;

void put_utf8(std::string& to, unsigned c) {
  const auto more = [&](int shift) { to += char(0x80 | (c >> shift & 0x3f)); };
  if (c < 0x80)
    to += char(c);
  else if (c < 0x800)
    to += char(0xc0 | c >> 6), more(0);
  else if (c < 0x10000)
    to += char(0xe0 | c >> 12), more(6), more(0);
  else
    to += char(0xf0 | c >> 18), more(12), more(6), more(0);
}

// `name` of "&name;". What is not known stays as it is.
void put_entity(std::string& to, std::string_view name) {
  if (name == "lt") return void(to += '<');
  if (name == "gt") return void(to += '>');
  if (name == "amp") return void(to += '&');
  if (name == "quot") return void(to += '"');
  if (name == "apos") return void(to += '\'');
  if (name.starts_with('#')) {
    const bool hex = name.starts_with("#x");
    const auto digits = name.substr(hex ? 2 : 1);
    unsigned c = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), c, hex ? 16 : 10);
    const bool real = read.ec == std::errc() && read.ptr == digits.data() + digits.size() && c > 0 && c <= 0x10ffff &&
                      (c < 0xd800 || c > 0xdfff);
    if (real) return put_utf8(to, c);
  }
  to.append("&").append(name).append(";");
}

void put_text(std::string& to, std::string_view raw) {
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const auto end = raw[i] == '&' ? raw.find(';', i) : std::string_view::npos;
    if (end == std::string_view::npos || end - i > 10)
      to += raw[i];
    else
      put_entity(to, raw.substr(i + 1, end - i - 1)), i = end;
  }
}

std::string_view without_prefix(std::string_view name) {
  return name.substr(name.rfind(':') + 1);
}

class Reader {
 public:
  explicit Reader(std::string_view document) : left_(document) {}

  std::optional<XmlElement> read() {
    XmlElement around;  // whose only child is the outermost element
    around.name = "";
    inside(around, 0);
    if (bad_ || around.children.empty()) return std::nullopt;
    return std::move(around.children.front());
  }

 private:
  // Up to the end tag of `element`, or the end of the document.
  void inside(XmlElement& element, int depth) {
    while (!bad_ && !left_.empty()) {
      const auto mark = left_.find('<');
      if (depth > 0) put_text(element.text, left_.substr(0, mark));
      left_.remove_prefix(std::min(mark, left_.size()));
      if (left_.empty()) return;
      if (left_.starts_with("<!--")) {
        skip("-->");
      } else if (left_.starts_with("<![CDATA[")) {
        const auto end = left_.find("]]>");
        element.text += left_.substr(9, end == std::string_view::npos ? end : end - 9);
        skip("]]>");
      } else if (left_.starts_with("<!")) {
        bad_ = true;
      } else if (left_.starts_with("<?")) {
        skip("?>");
      } else if (left_.starts_with("</")) {
        const auto name = tag(2);
        if (!cut_ && (depth == 0 || without_prefix(name) != element.name)) bad_ = true;
        return;
      } else {
        child(element, depth);
        if (depth == 0) return;
      }
    }
  }

  void child(XmlElement& element, int depth) {
    auto words = tag(1);
    if (cut_) return;
    const bool empty = words.ends_with('/');
    if (empty) words.remove_suffix(1);
    const auto name = without_prefix(words.substr(0, words.find_first_of(" \t\r\n")));
    if (name.empty() || depth >= kDepthMax) return void(bad_ = true);
    auto& made = element.children.emplace_back();
    made.name = name;
    if (!empty) inside(made, depth + 1);
  }

  void skip(std::string_view end) {
    const auto at = left_.find(end);
    left_.remove_prefix(at == std::string_view::npos ? left_.size() : at + end.size());
  }

  // What is between the first `from` characters and '>', which are passed.
  std::string_view tag(std::size_t from) {
    const auto end = left_.find('>');
    cut_ = end == std::string_view::npos;
    const auto words = left_.substr(from, cut_ ? end : end - from);
    left_.remove_prefix(cut_ ? left_.size() : end + 1);
    return words;
  }

  std::string_view left_;
  bool bad_ = false;
  bool cut_ = false;  // the document ends inside of a tag
};

}  // namespace

const XmlElement* XmlElement::find(std::string_view child) const {
  for (const auto& one : children)
    if (one.name == child) return &one;
  return nullptr;
}

std::string XmlElement::operator[](std::string_view child) const {
  const auto* found = find(child);
  return found == nullptr ? std::string() : found->text;
}

std::optional<XmlElement> read_xml(std::string_view document) {
  return Reader(document).read();
}

std::string xml_escaped(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

}  // namespace geres::objects
