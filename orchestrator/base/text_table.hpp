// text_table: rows under headings, aligned as psql aligns them.
#pragma once

#include <string>
#include <vector>

namespace parallel_loader {

enum class Align { kLeft, kRight };

struct TextColumn {
  std::string heading;
  Align align = Align::kLeft;
};

/// Each row has a cell for each column; what is not printable in them shows as `?`.  Ends with a
/// newline; without rows the headings stand alone.
[[nodiscard]] std::string text_table(const std::vector<TextColumn> &columns,
                                     const std::vector<std::vector<std::string>> &rows);

} // namespace parallel_loader
