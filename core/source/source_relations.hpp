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

/// Adds to the place of each line what columns the relation has, as the snapshot shows them.
void add_columns(Executor &source, Shape &locked);

/// Throws SourceChanged when a partition was attached to one of these partitioned tables, or
/// detached from it, at any level, after the snapshot was taken.  The session has locked them and
/// the partitions that it reads.
void require_partitions_as_snapshot(Executor &source, std::span<const uint32_t> tables);

/// The same for all that a view is made of, by the lines of locked_relations: partitions, and
/// children that inherit.  Leaves no lock behind.
void require_members_as_snapshot(Executor &source, const Shape &locked);

/// The partitioned table and its partitions at all levels as they are now, as lines that have but a
/// name.
[[nodiscard]] Shape partition_tree(Executor &source, uint32_t oid);

/// The same, and leaves no lock on the partitions behind.
[[nodiscard]] Shape look_at_partition_tree(Executor &source, uint32_t oid);

/// The first line of `now` that `planned` lacks; nullptr when it has all.
[[nodiscard]] const ShapeLine *find_new(const Shape &planned, const Shape &now);

/// A table that the session reads by now because it began to inherit after the snapshot was taken:
/// neither by the plan, nor because a function of the view or a filter names it.  `read` are OIDs
/// of what the pull itself reads.  Throws SourceChanged as locked_relations does.
[[nodiscard]] std::optional<std::string> find_joined(Executor &source, const Shape &planned,
                                                     const std::set<uint32_t> &read);

/// Relations as an append compares them: `oid:filenode` of each that holds rows, in the order of
/// their OIDs.
[[nodiscard]] std::vector<std::string> row_relations(const Shape &locked);
[[nodiscard]] std::vector<std::string> row_relations(Executor &source,
                                                     std::span<const uint32_t> oids);

} // namespace parallel_loader
