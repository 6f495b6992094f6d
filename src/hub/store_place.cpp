// SPDX-License-Identifier: Apache-2.0
#include "hub/store_place.h"

#include <fmt/format.h>
#include <unistd.h>

#include "base/log.h"
#include "hub/cannot_start.h"
#include "hub/store/postgres/postgres_store.h"
#include "hub/store/sqlite/sqlite_store.h"

namespace geres::hub {
namespace {

constexpr const char* kPlaces = "sqlite:FILE or postgresql://USER@HOST/DATABASE";

std::string name_of_this_hub() {
  char host[256] = "";
  ::gethostname(host, sizeof host - 1);
  return fmt::format("at {}, process {}", host, ::getpid());
}

}  // namespace

StorePlace store_place(const std::string& text, const std::filesystem::path& data) {
  if (text.starts_with("postgres://") || text.starts_with("postgresql://")) {
    const auto shown = store::shown_address(text);
    // The text may hold a password, so it is not repeated.
    if (!shown)
      throw CannotStart("store", "the address of the store cannot be read: " + shown.error().message, kPlaces);
    return {"postgresql", *shown, text, {}, data};
  }
  std::filesystem::path file = data / "geres.db";
  if (!text.empty()) {
    if (!text.starts_with("sqlite:") || text.size() == std::string_view("sqlite:").size())
      throw CannotStart("store", fmt::format("'{}' is not supported", text), kPlaces);
    file = text.substr(std::string_view("sqlite:").size());
  }
  return {"sqlite", file.string(), {}, file, file};
}

std::unique_ptr<store::Store> open_store(const StorePlace& place, const std::function<bool()>& stopping) {
  if (!place.file.empty()) return store::open_sqlite(place.file);
  store::PostgresOptions options;
  options.url = place.address;
  options.hub = name_of_this_hub();
  options.stopping = stopping;
  if (store::has_password(place.address))
    log::warn("the password in --store is seen by every user of this machine: put it into ~/.pgpass or PGPASSWORD");
  return store::open_postgres(options);
}

}  // namespace geres::hub
