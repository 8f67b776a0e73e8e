// table_pattern: names of many tables at once, as psql's \d and pg_dump's --table read them.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace parallel_loader {

/// Regular expressions of the server, anchored at both ends.
struct TablePattern {
  std::string text;                  // as it was given
  std::optional<std::string> schema; // nullopt: those of the search path
  std::string name;
};

/// True if `text` names tables by a pattern: it has a `*` or `?` outside double quotes.
[[nodiscard]] bool is_table_pattern(std::string_view text) noexcept;

/// Reads `sales.*`, `"Odd"*` or `s?les.orders`: letters outside double quotes are folded to lower
/// case, `*` stands for any characters and `?` for one, a dot parts schema and name, and whatever
/// else regular expressions have keeps its meaning, but for `$`; between double quotes every
/// character stands for itself (PostgreSQL manual, psql, Patterns).  Throws Failure kUsage.
[[nodiscard]] TablePattern parse_table_pattern(std::string_view text);

/// The same for a schema alone, in which a dot is no separator but an error.  Throws Failure
/// kUsage.
[[nodiscard]] std::string parse_schema_pattern(std::string_view text);

} // namespace parallel_loader
