// source_relations: whether the relations that a session has locked on the source are still those
// that its snapshot shows.
//
// TRUNCATE, ALTER TABLE that rewrites, and REFRESH leave a new file, which is empty for an older
// snapshot; a name may stand for another relation by now; ATTACH PARTITION and INHERIT wait for no
// reader; and whatever came before our locks, such as DETACH PARTITION, waited for nobody.
#pragma once

#include "core/base/error.hpp"
#include "core/base/quote.hpp"
#include "core/connection/executor.hpp"
#include "core/source/column_shape.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace parallel_loader {

/// 55000: what a plan took for true of the source is no longer so.  Under a snapshot of now a pull
/// can be planned anew.
class SourceChanged final : public Error {
public:
  SourceChanged(std::string message, std::string detail, std::string hint)
      : Error("55000", std::move(message), std::move(detail), std::move(hint)) {}
};

struct ExpectedRelation {
  uint32_t oid = 0; // 0: not known
  QualifiedName name = {};
};

/// Throws SourceChanged: `name` stands for no relation, or for another one than was planned.
[[noreturn]] void throw_replaced(const std::string &name);

/// Throws SourceChanged when one of the relations, which the session has locked by their names, is
/// another one, or was emptied or rewritten after the snapshot was taken.
void require_as_snapshot(Executor &source, std::span<const ExpectedRelation> relations);

/// The tables and views that the session has locked by now, as lines of part kRelation, in the
/// order of their OIDs; their kind is the place, their file, or a hash of the view's definition,
/// the type.  Throws SourceChanged as require_as_snapshot does.
[[nodiscard]] Shape locked_relations(Executor &source);

/// Adds to the place of each line a hash of the relation's columns and of the fields of their
/// types, and a line of part kMemberLabels for each of their enums, all as the snapshot shows them.
void add_content(Executor &source, Shape &locked);

/// Throws SourceChanged when, after the snapshot was taken, a relation was detached from one
/// of `locked`, a view among them was replaced, or labels of an enum of their columns were renamed.
/// Returns the relations whose columns, or fields of their types, were written since: most such
/// commands do not matter, and only another session can tell.
[[nodiscard]] std::vector<ExpectedRelation> find_written_columns(Executor &source,
                                                                 const Shape &locked);

/// Throws SourceChanged when `now`, a session on the same database with a snapshot of now, sees
/// other columns of `written` than `source`, or finds that they inherit from others of `locked`.
void require_columns_as_snapshot(Executor &source, Executor &now, const Shape &locked,
                                 std::span<const ExpectedRelation> written);

/// Throws SourceChanged when a partition was attached to one of these partitioned tables, or
/// detached from it, at any level, after the snapshot was taken.  The session has locked them and
/// the partitions that it reads.
void require_partitions_as_snapshot(Executor &source, std::span<const uint32_t> tables);

/// Runs `look`, and gives up the locks that it took: looking at partitions locks them.
void leave_no_lock(Executor &source, const std::function<void()> &look);

/// A partition at the lowest level that is a table, as the snapshot shows it, without a lock on it.
[[nodiscard]] std::optional<QualifiedName> find_leaf(Executor &source, uint32_t table);

/// True if the session has locked the partitioned table or one of its partitioned partitions.
[[nodiscard]] bool has_locked_tree(Executor &source, uint32_t table);

/// The partitioned table and its partitions at all levels as they are now, as lines that have but a
/// name.
[[nodiscard]] Shape partition_tree(Executor &source, uint32_t oid);

/// The same, and leaves no lock on the partitions behind.
[[nodiscard]] Shape look_at_partition_tree(Executor &source, uint32_t oid);

/// The first line of `now` that `planned` lacks; nullptr when it has all.
[[nodiscard]] const ShapeLine *find_new(const Shape &planned, const Shape &now);

/// A relation that the session has locked though no plan knows it, and that bears the name of one
/// that the filter was planned to read: a schema was renamed, or one comes before the other's in
/// the path. `own` are OIDs of what the pull itself reads.  nullptr: there is none.
[[nodiscard]] const ShapeLine *find_namesake(const Shape &planned, const Shape &locked,
                                             const std::set<uint32_t> &own);
/// Throws other_filter for such a relation, with `hint`.
void require_no_namesake(int64_t pull_id, const Shape &planned, const Shape &locked,
                         const std::set<uint32_t> &own, const std::string &hint);

/// Relations as an append compares them: `oid:filenode` of each that holds rows, in the order of
/// their OIDs.
[[nodiscard]] std::vector<std::string> row_relations(const Shape &locked);
[[nodiscard]] std::vector<std::string> row_relations(Executor &source,
                                                     std::span<const uint32_t> oids);

} // namespace parallel_loader
