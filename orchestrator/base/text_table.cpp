#include "orchestrator/base/text_table.hpp"

#include "orchestrator/base/text.hpp"

#include <algorithm>

namespace parallel_loader {

namespace {

std::vector<size_t> widths_of(const std::vector<TextColumn> &columns,
                              const std::vector<std::vector<std::string>> &rows) {
  std::vector<size_t> widths;
  for (size_t column = 0; column < columns.size(); ++column) {
    size_t width = text_width(columns[column].heading);
    for (const auto &row : rows)
      width = std::max(width, text_width(printable(row[column])));
    widths.push_back(width);
  }
  return widths;
}

std::string line_of(const std::vector<TextColumn> &columns, const std::vector<size_t> &widths,
                    const std::vector<std::string> &cells) {
  std::string line;
  for (size_t column = 0; column < columns.size(); ++column) {
    const std::string cell = printable(cells[column]);
    line += column == 0 ? " " : " | ";
    line += columns[column].align == Align::kRight ? pad_left(cell, widths[column])
                                                   : pad_right(cell, widths[column]);
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line + '\n';
}

} // namespace

std::string text_table(const std::vector<TextColumn> &columns,
                       const std::vector<std::vector<std::string>> &rows) {
  const std::vector<size_t> widths = widths_of(columns, rows);
  std::vector<std::string> headings;
  std::string rule;
  for (size_t column = 0; column < columns.size(); ++column) {
    headings.push_back(columns[column].heading);
    rule += (column == 0 ? "" : "+") + std::string(widths[column] + 2, '-');
  }
  std::string text = line_of(columns, widths, headings) + rule + '\n';
  for (const auto &row : rows)
    text += line_of(columns, widths, row);
  return text;
}

} // namespace parallel_loader
