// list: texts in a row, for people and for SQL.
#pragma once

#include "core/base/pure.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

/// Adds `item` to the texts that are in `list` already; `separator` stands between two.
inline void add_to_list(std::string &list, std::string_view item,
                        std::string_view separator = ", ") {
  if (!list.empty())
    list += separator;
  list += item;
}

[[nodiscard]] inline std::string join(const std::vector<std::string> &items,
                                      std::string_view separator = ", ") {
  std::string list;
  for (const std::string &item : items)
    add_to_list(list, item, separator);
  return list;
}

[[nodiscard]] inline std::string number_list(const std::vector<int> &numbers) {
  std::string list;
  for (const int number : numbers)
    add_to_list(list, std::to_string(number));
  return list;
}

} // namespace parallel_loader
