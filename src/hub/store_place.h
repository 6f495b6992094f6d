// SPDX-License-Identifier: Apache-2.0
// Where a hub keeps its state, from what an operator writes: "sqlite:FILE" or "postgresql://…".
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "hub/store/store.h"

namespace geres::hub {

struct StorePlace {
  std::string kind;            // "sqlite", "postgresql"
  std::string shown;           // where it is, without a password
  std::string address;         // what a store is opened with
  std::filesystem::path file;  // of SQLite; empty: it is elsewhere
  std::filesystem::path disk;  // a file or directory on the disk that has to have room
};

// Throws CannotStart for what is no place. `text` empty: DATA/geres.db.
StorePlace store_place(const std::string& text, const std::filesystem::path& data);

// `stopping` is asked while another hub leads there.
std::unique_ptr<store::Store> open_store(const StorePlace& place, const std::function<bool()>& stopping);

}  // namespace geres::hub
