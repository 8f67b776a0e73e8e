// quote: SQL quoting of identifiers and literals, and splitting of quoted names.
#pragma once

#include "core/base/pure.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

/// Returns `name` in double quotes, inner double quotes doubled.  Always quotes, so it needs no
/// list of reserved words.
[[nodiscard]] std::string quote_identifier(std::string_view name);

/// Returns `value` as a string literal that reads the same under either setting of
/// standard_conforming_strings: E'' form when it holds a backslash.
[[nodiscard]] std::string quote_literal(std::string_view value);

/// A relation's schema and name, both unquoted.
struct QualifiedName {
  std::string schema;
  std::string name;

  /// `"schema"."name"`, or `"name"` alone when the schema is empty.
  [[nodiscard]] std::string quoted() const;
  /// `schema.name` as messages show it, each part quoted only where SQL needs it.
  [[nodiscard]] std::string display() const;
  /// `"schema.name"`, as messages cite it behind its kind: in quotes, and otherwise as it is.
  [[nodiscard]] std::string cited() const;

  friend bool operator==(const QualifiedName &, const QualifiedName &) = default;
};

/// Splits SQL text such as `a."B c"` or `"x".y` into its parts; unquoted parts are folded to lower
/// case (ASCII only, as the server does for multi-byte encodings).
/// Throws Error 42601 when the text is not one to `max_parts` identifiers joined by dots.
[[nodiscard]] std::vector<std::string> split_identifier(std::string_view text, size_t max_parts);

/// Reads `schema.table` or `table` (schema then empty).  Throws Error 42601.
[[nodiscard]] QualifiedName parse_qualified_name(std::string_view text);

/// Splits a comma-separated list of identifiers such as `a, "B c"`.  Throws Error 42601.
[[nodiscard]] std::vector<std::string> split_identifier_list(std::string_view text);

} // namespace parallel_loader
