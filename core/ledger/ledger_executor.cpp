#include "core/ledger/ledger_executor.hpp"

#include "core/base/quote.hpp"

namespace parallel_loader {

LedgerExecutor::LedgerExecutor(Executor &executor, std::string_view schema)
    : executor_(executor), schema_(quote_identifier(schema)) {}

Rows LedgerExecutor::exec(std::string_view statement, std::span<const Param> params) {
  return executor_.exec(replace_marks(statement, "@ledger@", schema_), params);
}

std::string replace_marks(std::string_view text, std::string_view mark,
                          std::string_view replacement) {
  std::string result(text);
  for (size_t at = 0; (at = result.find(mark, at)) != std::string::npos; at += replacement.size())
    result.replace(at, mark.size(), replacement);
  return result;
}

} // namespace parallel_loader
