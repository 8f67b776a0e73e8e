// local_relations: which local tables hold a pull's rows, and whether they still do.
//
// The ledger keeps them as words: `@SYSTEM OID:FILENODE OID:FILENODE:u =OID=NAME …`.  SYSTEM is
// this server's system identifier, so that a ledger restored on another server is known for one;
// `:u` marks an unlogged table; a partition's name is there for when it is gone (blanks, colons and
// percent signs in it are %20, %3A and %25).  TRUNCATE and whatever rewrites a table give it
// another filenode; a crash empties an unlogged one, and with it the ledger's table unlogged_chunk.
#pragma once

#include "core/ledger/ledger_executor.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

[[nodiscard]] std::vector<std::string> split_words(std::string_view text);

/// True if a table among them is unlogged.
[[nodiscard]] bool has_unlogged(std::string_view relations);

/// `relations` and `more` together, each word once.
[[nodiscard]] std::string merge_local_relations(std::string_view relations, std::string_view more);

/// The words of `relations` that `known` does not have.
[[nodiscard]] std::string words_without(std::string_view relations, std::string_view known);

/// The first table of `written` that `recorded` knows under another filenode, as its OID; nullopt
/// when there is none.
[[nodiscard]] std::optional<std::string> find_other_filenode(std::string_view recorded,
                                                             std::string_view written);

/// The name that `relations` has for the table with this OID; empty when it has none.
[[nodiscard]] std::string recorded_name(std::string_view relations, std::string_view oid);

/// What has happened to the tables that rows went into, each as a full sentence; every call is one
/// or two statements in the Executor's current transaction.
class LocalRelations {
public:
  explicit LocalRelations(Executor &executor, std::string_view schema = kExtensionSchema)
      : executor_(executor, schema) {}

  /// What the done chunks of a pull have recorded, each word once.
  [[nodiscard]] std::string recorded(int64_t pull_id);

  /// Compares with the tables as they are now.  `relations` belong to the local table `table`, of
  /// which `table_name` was the name.
  [[nodiscard]] std::optional<std::string> why_changed(uint32_t table, std::string_view relations,
                                                       std::string_view table_name = {});

  /// The same for all that the done chunks of a pull went into, with what a crash has emptied.
  [[nodiscard]] std::optional<std::string> why_pull_changed(int64_t pull_id);

  /// How a table is named in messages, by its OID.
  [[nodiscard]] std::string display_name(std::string_view oid);

private:
  LedgerExecutor executor_;
};

/// That a crash has emptied unlogged tables.
[[nodiscard]] std::string unlogged_loss();

/// What to do about it, for an error's hint; `table` as messages show it, `next_call` what goes on
/// once the table is kept; empty: nothing can.
[[nodiscard]] std::string local_change_hint(std::string_view table, std::string_view next_call);

} // namespace parallel_loader
