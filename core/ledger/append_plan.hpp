// append_plan: which rows of a growing table are new since the last time, by the transactions that
// inserted them.
#pragma once

#include "core/connection/executor.hpp"
#include "core/source/source_session.hpp"
#include "core/source/source_table.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace parallel_loader {

/// Up to where a source table has been copied.  Transactions are 64-bit ids of the source.
struct AppendMark {
  int64_t horizon = 0;    // rows of all transactions below it are here
  int64_t compare_to = 0; // rows of transactions between the horizon and this may be here already
  std::vector<std::string> relations; // see read_relations
  std::string system_identifier;      // of the source; empty where unknown, as is:
  std::string timeline;
  std::string key;                        // the one that was looked at for:
  std::optional<std::string> highest_key; // of the rows that are here, in the key's bound type
  int64_t pull_id = 0;                    // that brought the rows
  std::string lsn = {};             // where the source was, at least; empty where unknown, as is:
  std::string local_relations = {}; // that have the rows, see core/ledger/local_relations.hpp
  bool is_emptied = false;          // a crash has emptied unlogged ones among them
  bool is_recorded = true;          // local_relations are known
  std::optional<std::string> source_path =
      {};             // of names in the filter, as an array; nullopt: empty
  uint32_t owner = 0; // the role that has made it, and may move it; 0: any
};

/// Relations as the ledger keeps them.
[[nodiscard]] std::string join_relations(const std::vector<std::string> &relations);

struct AppendPlan {
  /// SQL conditions on the source's table; nullopt where there are no such rows.
  std::optional<std::string> direct;  // rows that are surely not here
  std::optional<std::string> compare; // rows that may be: to be compared by key
  std::string settled;       // these and all that were copied already, but none of later ones
  bool compares_all = false; // there is no row that is not looked for here
  AppendMark next;           // once they are here
};

/// Plans the next append under a snapshot with `bounds`.  Without a mark everything is new.
///
/// Order of keys and of commits plays no part: a row belongs to the first append whose horizon is
/// above its inserting transaction (xmin), and all those transactions have ended.  What xmin cannot
/// tell is compared by key: rows that an earlier snapshot of a parallel pull may have shown, tables
/// that were rewritten or partitions that were attached since (xmin is then of another time), a
/// source that has changed its timeline, and, once transaction ids have wrapped around, every row,
/// since xmin keeps 32 bits only.
[[nodiscard]] AppendPlan plan_append(const std::optional<AppendMark> &mark,
                                     const SnapshotBounds &bounds,
                                     const std::vector<std::string> &relations,
                                     const SourceIdentity &identity);

/// The relations that hold the table's rows, as `oid:filenode`; a rewrite changes the second.
[[nodiscard]] std::vector<std::string> read_relations(Executor &source, const SourceTable &table);

/// Throws Error 0A000 for what does not know who has inserted a row: all but tables and partitioned
/// tables whose partitions are tables.
void require_appendable(Executor &source, const SourceTable &table);

} // namespace parallel_loader
