#include "orchestrator/commands/copy_words.hpp"

#include "core/base/quote.hpp"
#include "orchestrator/base/shell.hpp"

namespace parallel_loader {

namespace {

std::string selection_words(const TableTask &task) {
  const std::string source = task.source_table.display();
  const std::string table = task.table.display();
  std::string words = shell_word(source == table ? source : source + "=" + table);
  if (task.columns) {
    std::string columns;
    for (const std::string &column : *task.columns)
      columns += (columns.empty() ? "" : ", ") + quote_identifier(column);
    words += " --columns " + shell_word(columns);
  }
  if (task.key)
    words += " --key " + shell_word(*task.key);
  if (task.filter)
    words += " --where " + shell_word(*task.filter);
  return words;
}

} // namespace

std::string append_words(const TableTask &task) {
  return "append " + selection_words(task);
}

std::string copy_words(const TableTask &task) {
  std::string words = "copy " + selection_words(task);
  if (task.chunk_size)
    words += " --chunk-size " + shell_word(*task.chunk_size);
  if (task.format != "auto")
    words += " --format " + task.format;
  return words;
}

} // namespace parallel_loader
