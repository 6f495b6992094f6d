// SPDX-License-Identifier: Apache-2.0
// The hub's web page: files that were built from web/ and compiled in, compressed. Its own addresses (/jobs, /hosts)
// are all answered with index.html, whose script knows what to show.
#pragma once

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/public_url.h"
#include "http/router.h"

namespace geres::hub::api {

struct PageFile {
  std::string_view path;  // "index.html", "assets/index-4f1c2a.js"
  std::string_view type;
  std::string_view etag;  // in quotes
  std::string_view gzip, brotli;
};

// Immutable: any thread.
class Page {
 public:
  // Those compiled in; empty where this program was built without.
  static std::span<const PageFile> built_in();

  // `strict`: browsers that came by TLS shall never come by anything else, to no port of this name.
  Page(std::span<const PageFile> files, const PublicUrl& own, bool strict = false);
  bool empty() const { return files_.empty(); }
  http::Response index(const http::Request& request) const;
  std::optional<http::Response> asset(const http::Request& request, std::string_view path) const;
  // Goes around all routes: what no route answers, and is asked for by a browser that shows pages.
  http::Around around() const;

 private:
  struct Body {
    std::string_view type, etag, gzip, brotli;
  };
  static http::Response answer(const http::Request& request, const Body& body);

  const bool strict_;
  std::map<std::string_view, const PageFile*> files_;
  std::string index_gzip_, index_etag_;  // with another <base>
  Body index_;
};

// Goes around everything: takes the path of the public URL off what a proxy has left it on, and puts it before the
// paths that answers name.
http::Around take_prefix_off(PublicUrl own);

}  // namespace geres::hub::api
