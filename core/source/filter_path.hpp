// filter_path: the schemas along which the names in a caller's filter are found on the source.
#pragma once

#include "core/base/error.hpp"
#include "core/connection/executor.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace parallel_loader {

class Connection;

/// current_schemas(false) of a new session of the source's role, as an array's text; nullopt: the
/// empty path under which versions before 0.4 have read filters.
using FilterPath = std::optional<std::string>;

/// Sets the path for the rest of the transaction, temporary objects last: a session that others had
/// before may have some.  Whatever runs under it must name its own functions, types and operators
/// with their schema.
void set_filter_path(Executor &source, const FilterPath &path);
/// Back to the empty path, which every other statement needs.
void clear_filter_path(Executor &source);

/// Runs one statement that holds a filter.  After an error the path is still set: roll back, or
/// give the session up.
Rows exec_along(Executor &source, const FilterPath &path, std::string_view sql);

/// Has the source read no row of `from_item` that meets the filter, which locks all that the filter
/// reads until the transaction ends, and needs the rights on it.
/// Throws Error with the source's SQLSTATE and words; the message says that it is the filter; 42601
/// for a text that is not one condition by itself, such as `a) OR (b`.
void require_readable_filter(Connection &source, const FilterPath &path, std::string_view from_item,
                             std::string_view filter);

/// The statement by which a server reads a filter, and no row; it has the filter in parentheses, as
/// all statements of ours.
[[nodiscard]] std::string filter_probe(std::string_view from_item, std::string_view filter);
/// The same with no parenthesis around it: a text that closes ours, and opens another, fails here.
/// What both can read has a closing parenthesis for each opening one, and is one expression.
[[nodiscard]] std::string condition_probe(std::string_view from_item, std::string_view filter);
/// For what only the first can read.
[[nodiscard]] Error not_one_condition(std::string_view reason);

} // namespace parallel_loader
