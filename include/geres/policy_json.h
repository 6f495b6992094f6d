// SPDX-License-Identifier: Apache-2.0
// As much JSON as a policy needs to read its settings, with no library behind it. Reading is lenient: what is absent or
// of another type counts as the value that the caller gives. Any thread, each value by one at a time.
#pragma once

#include <charconv>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace geres::policy {

class Json {
 public:
  enum class Kind { null, boolean, number, text, list, object };

  Json() = default;
  static Json object() { return of(Kind::object); }
  static Json list() { return of(Kind::list); }
  Json(bool is) : kind_(Kind::boolean), number_(is ? 1 : 0) {}
  Json(std::int64_t number) : kind_(Kind::number), number_(double(number)), whole_(number) {}
  Json(int number) : Json(std::int64_t(number)) {}
  Json(double number) : kind_(std::isfinite(number) ? Kind::number : Kind::null), number_(number) {}
  Json(std::string text) : kind_(Kind::text), text_(std::move(text)) {}
  Json(const char* text) : Json(std::string(text)) {}

  // Throws std::invalid_argument, which says where, for what is no JSON document.
  static Json parse(std::string_view text) {
    Reader reader{text};
    Json value = reader.value(0);
    reader.space();
    if (reader.at != text.size()) reader.wrong("something follows the document");
    return value;
  }

  Kind kind() const { return kind_; }
  bool is(Kind kind) const { return kind_ == kind; }

  bool boolean(bool otherwise = false) const { return is(Kind::boolean) ? number_ != 0 : otherwise; }
  double real(double otherwise = 0) const { return is(Kind::number) ? number_ : otherwise; }
  // Only what is a whole number of 64 bits: 2.5 and 1e300 are not.
  std::optional<std::int64_t> whole() const { return whole_; }
  std::int64_t integer(std::int64_t otherwise = 0) const { return whole_.value_or(otherwise); }
  std::string text(std::string otherwise = {}) const { return is(Kind::text) ? text_ : std::move(otherwise); }

  // A member of an object, null if it is absent.
  const Json& operator[](std::string_view name) const {
    static const Json absent;
    for (std::size_t i = 0; i < names_.size(); ++i)
      if (names_[i] == name) return items_[i];
    return absent;
  }
  const std::vector<std::string>& names() const { return names_; }  // of an object, in the order of items()
  const std::vector<Json>& items() const { return items_; }         // of a list or an object

  Json& set(std::string name, Json value) {
    names_.push_back(std::move(name));
    items_.push_back(std::move(value));
    return *this;
  }
  Json& add(Json value) {
    items_.push_back(std::move(value));
    return *this;
  }

  std::string write() const {
    std::string to;
    put(to);
    return to;
  }

 private:
  static Json of(Kind kind) {
    Json json;
    json.kind_ = kind;
    return json;
  }

  static void put_text(std::string& to, std::string_view text) {
    to += '"';
    for (const char c : text) {
      if (c == '"' || c == '\\') {
        to += '\\', to += c;
      } else if (static_cast<unsigned char>(c) < 0x20) {
        constexpr char kDigits[] = "0123456789abcdef";
        to += "\\u00", to += kDigits[c >> 4], to += kDigits[c & 15];
      } else {
        to += c;
      }
    }
    to += '"';
  }

  template <class Number>
  static void put_number(std::string& to, Number number) {
    char digits[40];
    to.append(digits, std::to_chars(digits, digits + sizeof digits, number).ptr);
  }

  void put(std::string& to) const {
    switch (kind_) {
      case Kind::null:
        to += "null";
        break;
      case Kind::boolean:
        to += number_ != 0 ? "true" : "false";
        break;
      case Kind::number:
        if (whole_)
          put_number(to, *whole_);
        else
          put_number(to, number_);
        break;
      case Kind::text:
        put_text(to, text_);
        break;
      case Kind::list:
      case Kind::object:
        to += is(Kind::list) ? '[' : '{';
        for (std::size_t i = 0; i < items_.size(); ++i) {
          if (i > 0) to += ',';
          if (is(Kind::object)) put_text(to, names_[i]), to += ':';
          items_[i].put(to);
        }
        to += is(Kind::list) ? ']' : '}';
        break;
    }
  }

  struct Reader {
    static constexpr int kDepthMax = 32;
    std::string_view text;
    std::size_t at = 0;

    [[noreturn]] void wrong(const char* what) const {
      throw std::invalid_argument("no JSON at byte " + std::to_string(at) + ": " + what);
    }
    void space() {
      while (at < text.size() && (text[at] == ' ' || text[at] == '\t' || text[at] == '\n' || text[at] == '\r')) ++at;
    }
    bool take(char c) {
      space();
      if (at >= text.size() || text[at] != c) return false;
      ++at;
      return true;
    }
    bool take(std::string_view word) {
      if (text.substr(at, word.size()) != word) return false;
      at += word.size();
      return true;
    }

    Json value(int depth) {
      if (depth > kDepthMax) wrong("too deep");
      space();
      if (at >= text.size()) wrong("the end came too early");
      switch (text[at]) {
        case '{':
          return members(depth);
        case '[':
          return elements(depth);
        case '"':
          return Json(string());
        case 't':
          if (take("true")) return Json(true);
          break;
        case 'f':
          if (take("false")) return Json(false);
          break;
        case 'n':
          if (take("null")) return Json();
          break;
        default:
          return number();
      }
      wrong("an unknown word");
    }

    Json members(int depth) {
      Json json = of(Kind::object);
      ++at;
      if (take('}')) return json;
      do {
        space();
        if (at >= text.size() || text[at] != '"') wrong("a member's name is missing");
        std::string name = string();
        if (!take(':')) wrong("':' is missing");
        json.set(std::move(name), value(depth + 1));
      } while (take(','));
      if (!take('}')) wrong("'}' is missing");
      return json;
    }

    Json elements(int depth) {
      Json json = of(Kind::list);
      ++at;
      if (take(']')) return json;
      do json.add(value(depth + 1));
      while (take(','));
      if (!take(']')) wrong("']' is missing");
      return json;
    }

    Json number() {
      const char* const from = text.data() + at;
      const char* const end = text.data() + text.size();
      if (*from != '-' && (*from < '0' || *from > '9')) wrong("no value");
      double real = 0;
      const auto read = std::from_chars(from, end, real);
      if (read.ec != std::errc() || !std::isfinite(real)) wrong("no number");
      Json json(real);
      std::int64_t whole = 0;
      if (const auto exact = std::from_chars(from, end, whole); exact.ec == std::errc() && exact.ptr == read.ptr)
        json.whole_ = whole;
      at += std::size_t(read.ptr - from);
      return json;
    }

    unsigned hex4() {
      unsigned code = 0;
      if (at + 4 > text.size()) wrong("the end came too early");
      const auto read = std::from_chars(text.data() + at, text.data() + at + 4, code, 16);
      if (read.ptr != text.data() + at + 4) wrong("four hex digits are missing");
      at += 4;
      return code;
    }

    void put_utf8(std::string& to, unsigned code) {
      if (code < 0x80) {
        to += char(code);
      } else if (code < 0x800) {
        to += char(0xC0 | code >> 6), to += char(0x80 | (code & 0x3F));
      } else if (code < 0x10000) {
        to += char(0xE0 | code >> 12), to += char(0x80 | (code >> 6 & 0x3F)), to += char(0x80 | (code & 0x3F));
      } else {
        to += char(0xF0 | code >> 18), to += char(0x80 | (code >> 12 & 0x3F));
        to += char(0x80 | (code >> 6 & 0x3F)), to += char(0x80 | (code & 0x3F));
      }
    }

    void escape(std::string& to) {
      if (at >= text.size()) wrong("the end came too early");
      switch (const char c = text[at++]) {
        case '"':
        case '\\':
        case '/':
          to += c;
          break;
        case 'b':
          to += '\b';
          break;
        case 'f':
          to += '\f';
          break;
        case 'n':
          to += '\n';
          break;
        case 'r':
          to += '\r';
          break;
        case 't':
          to += '\t';
          break;
        case 'u': {
          unsigned code = hex4();
          if (code >= 0xD800 && code < 0xDC00) {
            if (!take("\\u")) wrong("half a character");
            const unsigned low = hex4();
            if (low < 0xDC00 || low > 0xDFFF) wrong("half a character");
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
          } else if (code >= 0xDC00 && code < 0xE000) {
            wrong("half a character");
          }
          put_utf8(to, code);
          break;
        }
        default:
          wrong("an unknown escape");
      }
    }

    std::string string() {
      std::string to;
      ++at;
      while (at < text.size() && text[at] != '"') {
        if (static_cast<unsigned char>(text[at]) < 0x20) wrong("a control character");
        if (text[at] == '\\')
          ++at, escape(to);
        else
          to += text[at++];
      }
      if (at >= text.size()) wrong("a text without an end");
      ++at;
      return to;
    }
  };

  Kind kind_ = Kind::null;
  double number_ = 0;
  std::optional<std::int64_t> whole_;
  std::string text_;
  std::vector<std::string> names_;
  std::vector<Json> items_;
};

}  // namespace geres::policy
