// destination_tables: what is on the destination where tables are to go.
#pragma once

#include "core/base/quote.hpp"
#include "orchestrator/run/destination.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace parallel_loader {

struct DestinationTable {
  uint32_t oid = 0; // 0: there is none
  QualifiedName name;
  bool is_table = false; // ordinary or partitioned: rows can go into it
  bool is_partitioned = false;
  bool has_rows = false;      // as far as the role may see
  bool may_have_rows = false; // the role may not see whether it has some
  bool has_blocks = true;     // else it has had no row since it was created or emptied
  int64_t loader = 0;         // the pull that loads it now; 0: none, as far as the role may see
  std::optional<Error> error; // why it could not be looked up
};

/// Finds the tables along the user's search path, in their order; those that are not there have no
/// OID.  Whether they have rows is left open.
[[nodiscard]] std::vector<DestinationTable> find_tables(Destination &destination,
                                                        std::span<const QualifiedName> names);

/// Finds out which of the tables have rows, and of which that is not to be seen.
void find_rows(Destination &destination, std::span<DestinationTable> tables);

/// The error, 42501, of one that may have rows, with the GRANT that helps.
[[nodiscard]] Error unseen_rows_error(Destination &destination, const DestinationTable &table);

/// Finds out which of the tables have blocks: in one statement, and without a right to read them.
void find_blocks(Destination &destination, std::span<DestinationTable> tables);

/// Finds out which of the tables pulls load now, or their partitions.
void find_loaders(Destination &destination, std::span<DestinationTable> tables);

/// The destination's time, as text with its zone.
[[nodiscard]] std::string time_of(Destination &destination);

/// Throws what truncate_tables() would throw, and empties nothing.
void require_truncatable(Destination &destination, std::span<const DestinationTable> tables);

/// Empties the tables, and not those that inherit from them, in one statement and transaction.
/// Returns false, with the loaders noted and nothing emptied, when others load some of them or have
/// done so since `looked_at`, a time of the destination.  Throws Error 0A000 when a table that is
/// not among them refers to one of them, and 42501, with the GRANT that helps, when one may not be
/// emptied.
[[nodiscard]] bool truncate_tables(Destination &destination, std::span<DestinationTable> tables,
                                   const std::string &looked_at);

/// Another pull that has loaded rows into the table of this one since that began, or loads it now,
/// or its partitions; 0: none, as far as the role may see.
[[nodiscard]] int64_t find_other_loader(Destination &destination, int64_t pull_id);

/// Pulls into these tables, but for those that are known.
[[nodiscard]] std::vector<int64_t> find_other_pulls(Destination &destination,
                                                    std::span<const uint32_t> tables,
                                                    std::span<const int64_t> known);

/// Of pulls that have ended undone, the last one of another run that was begun since and has loaded
/// rows into their tables, or partitions of these; where chunks of the first are done, one that
/// found the table empty.  By their ids.
[[nodiscard]] std::map<int64_t, int64_t> find_loaders_since(Destination &destination,
                                                            std::span<const int64_t> pull_ids);

/// Of pulls that are done, the last other one that was begun since and found the table empty: their
/// rows are gone.  By their ids.
[[nodiscard]] std::map<int64_t, int64_t> find_later_on_empty(Destination &destination,
                                                             std::span<const int64_t> pull_ids);

/// Those of the tables that have columns with a sequence of their own.
[[nodiscard]] std::vector<QualifiedName>
tables_with_sequences(Destination &destination, std::span<const QualifiedName> names);

/// What makes a load slow or fail, for people: foreign keys, triggers, and indexes that could be
/// created afterwards; a warning each, which names some of the tables.
[[nodiscard]] std::vector<Error> find_obstacles(Destination &destination,
                                                std::span<const DestinationTable> tables);

} // namespace parallel_loader
