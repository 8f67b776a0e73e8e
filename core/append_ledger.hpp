// append_ledger: the SQL of the table parallel_loader.mark, over an Executor.
#pragma once

#include "core/append_plan.hpp"

namespace parallel_loader {

/// What a mark is for.
struct AppendSubject {
  uint32_t table = 0; // local
  std::string source_database;
  std::string source_table; // QualifiedName::display()
  std::string filter;
};

/// Every call is one statement in the Executor's current transaction.
class AppendLedger {
public:
  explicit AppendLedger(Executor &executor) : executor_(executor) {}

  /// The mark of the last append, or of the last whole pull of the table if that is younger;
  /// nullopt when there is neither.  Younger is what has the higher id: clocks go back at times.
  [[nodiscard]] std::optional<AppendMark> find_mark(const AppendSubject &subject);
  /// The newest pull of the whole table that is done and left no mark, as the source was not seen
  /// to flush what it had read.
  [[nodiscard]] std::optional<int64_t> find_unmarked(const AppendSubject &subject);
  /// A whole pull of the table, younger than the mark, that has brought rows and is not done.
  [[nodiscard]] std::optional<int64_t> find_unfinished(const AppendSubject &subject,
                                                       const AppendMark &mark);
  /// Replaces the mark, in the transaction that holds the rows.
  void save_mark(const AppendSubject &subject, const AppendMark &mark);
  /// Forgets all but the latest done appends of the table.
  void prune(uint32_t table);

private:
  Executor &executor_;
};

} // namespace parallel_loader
