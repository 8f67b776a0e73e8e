#include "core/source/filter_path.hpp"

#include "core/connection/connection.hpp"

namespace parallel_loader {
namespace {

constexpr std::string_view kSetPath = R"sql(
SELECT pg_catalog.set_config('search_path', pg_catalog.concat(
  pg_catalog.string_agg(pg_catalog.concat(pg_catalog.quote_ident(s.name), ', '), ''
    ORDER BY s.position), 'pg_temp'), true)
FROM pg_catalog.unnest($1::pg_catalog.text[]) WITH ORDINALITY AS s(name, position))sql";

} // namespace

void set_filter_path(Executor &source, const FilterPath &path) {
  if (path)
    source.exec(kSetPath, {Param(*path)});
}

void clear_filter_path(Executor &source) {
  source.exec("SELECT pg_catalog.set_config('search_path', '', true)");
}

Rows exec_along(Executor &source, const FilterPath &path, std::string_view sql) {
  if (!path)
    return source.exec(sql);
  set_filter_path(source, path);
  Rows rows = source.exec(sql);
  clear_filter_path(source);
  return rows;
}

std::string filter_probe(std::string_view from_item, std::string_view filter) {
  // The line break ends a comment that the filter may end with.
  return "SELECT FROM " + std::string(from_item) + " WHERE (" + std::string(filter) + "\n) LIMIT 0";
}

std::string condition_probe(std::string_view from_item, std::string_view filter) {
  return "SELECT FROM " + std::string(from_item) + " WHERE CASE WHEN " + std::string(filter) +
         "\n THEN true END LIMIT 0";
}

Error not_one_condition(std::string_view reason) {
  return {
      sqlstate::kSyntaxError, "filter is not a single condition",
      "It is valid only together with the text around it: " + std::string(reason) + ".",
      "Write one SQL condition, with a closing parenthesis for each opening one, and a query in "
      "parentheses."};
}

void require_readable_filter(Connection &source, const FilterPath &path, std::string_view from_item,
                             std::string_view filter) {
  constexpr std::string_view kPrefix = "could not read from source: ";
  bool is_readable = false;
  try {
    set_filter_path(source, path);
    static_cast<void>(source.exec(filter_probe(from_item, filter)));
    is_readable = true;
    static_cast<void>(source.describe(condition_probe(from_item, filter)));
    clear_filter_path(source);
  } catch (const Error &error) {
    if (!error.message().starts_with(kPrefix)) // the session is lost
      throw;
    if (is_readable && error.sqlstate() == sqlstate::kSyntaxError)
      throw not_one_condition(error.message().substr(kPrefix.size()));
    throw Error(error.sqlstate(),
                "filter cannot be read on the source: " + error.message().substr(kPrefix.size()),
                error.detail(),
                (error.hint().empty() ? "" : error.hint() + " ") +
                    "Names in it are resolved as in a new psql session of the source's role.");
  }
}

} // namespace parallel_loader
