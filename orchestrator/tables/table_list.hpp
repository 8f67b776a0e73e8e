// table_list: the file of --table-list.
#pragma once

#include <string>
#include <vector>

namespace parallel_loader {

/// Reads one TABLE[=TARGET_TABLE] or pattern a line; empty lines and those that begin with `#` are
/// left out, spaces around it and a carriage return at its end are cut.  A line end inside double
/// quotes belongs to the name.  `-` is standard input.  Throws Failure kUsage when the file cannot
/// be read, or ends inside double quotes.
[[nodiscard]] std::vector<std::string> read_table_list(const std::string &path);

/// The same of a file's text; `path` is for messages.
[[nodiscard]] std::vector<std::string> parse_table_list(const std::string &text,
                                                        const std::string &path);

} // namespace parallel_loader
