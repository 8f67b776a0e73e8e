// relation_sizes: where the rows of a source table lie: its leaves, how large they are, how they
// are read.
#pragma once

#include "core/connection/executor.hpp"
#include "core/source/source_table.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace parallel_loader {

/// A table that holds rows: the source table itself, or one partition at the lowest level.
struct Leaf {
  uint32_t oid = 0;
  QualifiedName name = {};
  char kind = 'r';            // pg_class.relkind
  bool is_heap = false;       // its access method is heap, so blocks and ctid mean what they say
  bool is_readable = false;   // the role may read it by its own name, past no row security
  bool can_read_ctid = false; // which takes SELECT on the whole table
  int64_t pages = 0;          // blocks of the heap alone, as of now and so after the snapshot
  int64_t bytes = 0;          // pg_table_size: with TOAST
  int64_t rows = 0;           // as far as the catalogue knows; -1: never analysed
};

/// What a FROM clause names for a leaf, by PlannedChunk::relation.
[[nodiscard]] inline std::string leaf_item(const std::string &relation) {
  return "ONLY " + relation;
}

struct RelationSizes {
  int server_version = 0;    // of the source, for example 150020
  bool can_read_ctid = true; // of the table itself
  std::vector<Leaf> leaves;  // none for a view or a foreign table

  [[nodiscard]] int64_t bytes() const noexcept;
  [[nodiscard]] int64_t pages() const noexcept;
  [[nodiscard]] int64_t rows() const noexcept; // -1: not known of each leaf
  /// True if each leaf may be read by its own name, so that chunks may lie within leaves.
  [[nodiscard]] bool is_readable_by_leaf() const noexcept;
  /// Empty when the table can be cut by ctid, else what is missing: `a source of version 14 or
  /// later`, `a heap table`, `the right to SELECT the whole table`.
  [[nodiscard]] std::string missing_for_ctid() const;
  /// True if a few blocks of the leaf can be read by ranges of ctid.
  [[nodiscard]] bool has_tid_ranges(const Leaf &leaf) const noexcept;

  /// Looks up the leaves, in partition order.  `columns` are those that have to be readable;
  /// nullopt stands for the whole table.
  [[nodiscard]] static RelationSizes find(Executor &source, const SourceTable &table,
                                          const std::optional<std::vector<std::string>> &columns);
};

} // namespace parallel_loader
