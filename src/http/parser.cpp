// SPDX-License-Identifier: Apache-2.0
#include "http/parser.h"

#include <algorithm>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/basic_parser.hpp>
#include <charconv>

namespace geres::http {

namespace beast = boost::beast;

namespace {

std::string_view view(beast::string_view text) {
  return {text.data(), text.size()};
}

bool same(std::string_view a, std::string_view b) {
  return beast::iequals(beast::string_view(a.data(), a.size()), beast::string_view(b.data(), b.size()));
}

std::optional<Refusal> refuse(Code code, unsigned status, std::string message) {
  return Refusal{fail(code, std::move(message)), status};
}

std::optional<Refusal> bad(std::string message) {
  return refuse(Code::badRequest, 400, std::move(message));
}

}  // namespace

HeadScanner::Found HeadScanner::scan(std::string_view bytes) {
  if (seen_ == 0 && !bytes.empty() && !(bytes[0] >= '!' && bytes[0] <= '~'))
    return refuse(Code::badRequest, 400,
                  bytes[0] == 0x16 ? "this port speaks HTTP, not TLS" : "this is not an HTTP request");
  while (true) {
    const auto end = bytes.find('\n', seen_);
    const auto known = end == std::string_view::npos ? bytes.size() : end + 1;
    if (known > bytes_max_) {
      const std::string limit = std::to_string(bytes_max_) + " bytes";
      if (line_start_ == 0) return refuse(Code::headerTooLarge, 414, "the request line is longer than " + limit);
      return refuse(Code::headerTooLarge, 431, "the headers are longer than " + limit);
    }
    seen_ = known;
    if (end == std::string_view::npos) return Found::more;
    if (end == line_start_ || bytes[end - 1] != '\r')
      return refuse(Code::badRequest, 400, "a line of the head ends without a carriage return");
    if (const Found found = line(bytes.substr(line_start_, end - 1 - line_start_)); found != Found::more) return found;
  }
}

HeadScanner::Found HeadScanner::line(std::string_view line) {
  if (line_start_ > 0 && !line.empty() && (line[0] == ' ' || line[0] == '\t'))
    return refuse(Code::badRequest, 400, "a header is folded over two lines");
  if (line_start_ > 0 && !line.empty() && ++headers_ > headers_max_)
    return refuse(Code::headerTooLarge, 431, "there are more than " + std::to_string(headers_max_) + " headers");
  line_start_ = seen_;
  if (!line.empty()) return Found::more;
  length_ = seen_;
  return Found::head;
}

HeadScanner::Found HeadScanner::refuse(Code code, unsigned status, std::string message) {
  refusal_ = {fail(code, std::move(message)), status};
  return Found::refused;
}

namespace {

// Copies the parts of a head into a RequestHead. Bodies never reach it.
class HeadParser final : public beast::http::basic_parser<true> {
 public:
  explicit HeadParser(RequestHead& head) : head_(head) {
    header_limit(std::uint32_t(head.block.size() + 1));
    body_limit(boost::none);
    eager(true);
  }

 private:
  using Ec = beast::error_code;
  void on_request_impl(beast::http::verb, beast::string_view method, beast::string_view target, int version,
                       Ec&) override {
    head_.method_text = view(method);
    head_.method = http::parse_method(view(method));
    head_.target = view(target);
    head_.http11 = version >= 11;
  }
  void on_field_impl(beast::http::field, beast::string_view name, beast::string_view value, Ec&) override {
    head_.headers.add({view(name), view(value)});
  }
  void on_response_impl(int, beast::string_view, int, Ec&) override {}
  void on_header_impl(Ec&) override {}
  void on_body_init_impl(const boost::optional<std::uint64_t>&, Ec&) override {}
  std::size_t on_body_impl(beast::string_view, Ec&) override { return 0; }
  void on_chunk_header_impl(std::uint64_t, beast::string_view, Ec&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, beast::string_view, Ec&) override { return 0; }
  void on_finish_impl(Ec&) override {}

  RequestHead& head_;
};

bool names_another_version(std::string_view block) {
  const auto line = block.substr(0, block.find("\r\n"));
  const auto version = line.substr(line.rfind(' ') + 1);
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  return version.size() == 8 && version.starts_with("HTTP/") && digit(version[5]) && version[6] == '.' &&
         digit(version[7]) && version != "HTTP/1.1" && version != "HTTP/1.0";
}

std::optional<Refusal> check_length(RequestHead& head) {
  const auto lengths = head.headers.count("Content-Length");
  const auto codings = head.headers.count("Transfer-Encoding");
  if (lengths > 0 && codings > 0) return bad("both Content-Length and Transfer-Encoding");
  if (lengths > 1) return bad("more than one Content-Length");
  if (codings > 0) {
    if (!head.http11) return bad("Transfer-Encoding in HTTP/1.0");
    if (codings > 1 || !same(*head.headers.get("Transfer-Encoding"), "chunked"))
      return refuse(Code::notSupported, 501, "the only transfer coding known here is 'chunked'");
    head.length = std::nullopt;
    return std::nullopt;
  }
  std::uint64_t length = 0;
  if (lengths == 1) {
    const auto text = *head.headers.get("Content-Length");
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), length);
    if (error != std::errc() || end != text.data() + text.size()) return bad("Content-Length is not a number");
  }
  head.length = length;
  return std::nullopt;
}

std::optional<Refusal> check_expectation(RequestHead& head) {
  const auto expectation = head.headers.get("Expect");
  if (!expectation || !head.http11) return std::nullopt;
  if (!same(*expectation, "100-continue"))
    return refuse(Code::notSupported, 417, "the only expectation known here is '100-continue'");
  head.expects_continue = head.length != 0u;
  return std::nullopt;
}

}  // namespace

std::optional<Refusal> parse_head(RequestHead& head) {
  HeadParser parser(head);
  beast::error_code error;
  parser.put(boost::asio::const_buffer(head.block.data(), head.block.size()), error);
  if (error == beast::http::error::bad_version && names_another_version(head.block))
    return refuse(Code::notSupported, 505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  if (error && error != beast::http::error::need_more) return bad("malformed HTTP: " + error.message());
  if (!parser.is_header_done()) return bad("malformed HTTP: the head is incomplete");
  if (auto refusal = check_length(head)) return refusal;
  const auto hosts = head.headers.count("Host");
  if (hosts > 1 || (hosts == 0 && head.http11)) return bad("exactly one Host header is needed");
  head.keep_alive = parser.keep_alive();
  return check_expectation(head);
}

}  // namespace geres::http
