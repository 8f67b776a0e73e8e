// key_choice: which key a pull is cut on when its caller names none, and why.
#pragma once

#include "core/connection/executor.hpp"
#include "core/source/source_table.hpp"

#include <optional>
#include <string>
#include <vector>

namespace parallel_loader {

struct KeyChoice {
  std::string key;        // as Key::resolve reads it; empty: the table is not cut by a key
  std::string reason;     // a full sentence
  bool can_resume = true; // on a new snapshot, once the pull's own is lost; ranges of ctid cannot
};

struct KeyChoiceRequest {
  const SourceTable &table;
  const Types &types;
  std::string key;      // as the caller named it; empty: none
  bool is_whole = true; // the pull has no bounds
  std::optional<std::vector<std::string>> columns = std::nullopt; // that travel; nullopt: all
};

/// A key that the caller named is taken.  Else, for a range: the single-column primary key, else a
/// single-column unique key that is NOT NULL.  For a whole table: such a key when the rows lie in
/// its order (|correlation| of 0.9 or more by pg_stats, or by some blocks of a table that was never
/// analysed), else ctid where the source has ranges of it, else such a key, else none.
/// Throws Error 22023 when a range has no key to be cut on.
[[nodiscard]] KeyChoice choose_key(Executor &source, const KeyChoiceRequest &request);

} // namespace parallel_loader
