// append_ledger: the SQL of the ledger's table mark, over an Executor.
#pragma once

#include "core/ledger/append_plan.hpp"
#include "core/ledger/ledger_executor.hpp"
#include "core/ledger/local_relations.hpp"

#include <functional>
#include <string_view>

namespace parallel_loader {

/// What a mark is for.
struct AppendSubject {
  uint32_t table = 0; // local
  std::string source_database;
  std::string source_table; // QualifiedName::display()
  std::string filter;
};

/// A pull of the whole table that is done and has no mark.
struct UnmarkedPull {
  int64_t pull_id = 0;
  bool is_open = false; // its run has not confirmed it, and may still do so
};

/// True if `role` may move a mark of `owner`'s.
using MayMove = std::function<bool(uint32_t role, uint32_t owner)>;

/// Every call is one statement in the Executor's current transaction.
class AppendLedger {
public:
  explicit AppendLedger(Executor &executor, std::string_view schema = kExtensionSchema)
      : executor_(executor, schema), local_relations_(executor, schema) {}

  /// The mark of the last append, or of the last whole pull of the table if that is younger, by a
  /// role that may move the mark that was there; nullopt when there is neither.  Its owner is the
  /// role that has made the first of them.
  [[nodiscard]] std::optional<AppendMark> find_mark(const AppendSubject &subject,
                                                    const MayMove &may_move);
  /// The newest pull of the whole table, younger than the mark and by a role that may move it, that
  /// is done and left no mark, as the source was not seen to flush what it had read.
  [[nodiscard]] std::optional<UnmarkedPull> find_unmarked(const AppendSubject &subject,
                                                          const std::optional<AppendMark> &mark,
                                                          const MayMove &may_move);
  /// A whole pull of the table, younger than the mark and by a role that may move it, that has
  /// brought rows and is not done.
  [[nodiscard]] std::optional<int64_t>
  find_unfinished(const AppendSubject &subject, const AppendMark &mark, const MayMove &may_move);
  /// A younger append, or whole pull that is done, that has brought the rows of this whole pull,
  /// and whose rows are still there.
  [[nodiscard]] std::optional<int64_t> find_successor(int64_t pull_id);
  /// True if an append of the table goes on from rows whose filter 0.3 evaluated under an empty
  /// search path.
  [[nodiscard]] bool has_old_filter(uint32_t table, const std::string &filter);
  /// Replaces the mark, in the transaction that holds the rows.
  void save_mark(const AppendSubject &subject, const AppendMark &mark);
  /// Forgets all but the latest appends of the table that are done, and of those that have failed.
  void prune(uint32_t table);

private:
  bool has_rows_left(uint32_t table, std::string_view relations);

  LedgerExecutor executor_;
  LocalRelations local_relations_;
};

} // namespace parallel_loader
