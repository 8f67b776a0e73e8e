#include "extension/coordinator/resume_plan.hpp"

#include "core/ledger/pull_state.hpp"
#include "core/source/column_shape.hpp"
#include "core/source/enum_labels.hpp"
#include "core/source/filter_path.hpp"
#include "core/source/source_relations.hpp"

#include <algorithm>

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/local_table.hpp"
#include "extension/coordinator/old_plan.hpp"
#include "extension/coordinator/pull_planner.hpp"
#include "extension/server/base/random_number.hpp"

namespace parallel_loader {

namespace {

std::string pull_name(const Request &request) {
  return "pull " + std::to_string(request.resume_id);
}

[[noreturn]] void throw_altered(const Request &request, const ShapeChange &change,
                                const std::string &table) {
  const std::string what = change.part == ShapePart::kExtension
                               ? "extension \"" + change.name + "\""
                               : (change.part == ShapePart::kKey ? "key column \"" : "column \"") +
                                     change.name + "\" of table " + table;
  throw Error(
      "55000", what + " was altered since " + pull_name(request) + " was planned",
      change.sentence(),
      std::string("Alter it back and resume the pull, or empty the table and pull it again."));
}

[[noreturn]] void throw_other_relation(const Request &request, const std::string &relation,
                                       const std::string &detail) {
  throw Error("55000",
              "table " + relation + " of the source is not what it was when " + pull_name(request) +
                  " was planned",
              detail, kBeginAnew);
}

/// The comparisons, one after the other.
class Rest {
public:
  Rest(const Resume &resume, SourceReader &reader)
      : resume_(resume), request_(resume.request), plan_(resume.recorded.plan), reader_(reader),
        source_(reader.session().connection()) {}

  PullPlan run() {
    require_local();
    const HeldSnapshot held = reader_.hold_snapshot(lock_key());
    reader_.set_timezone(request_of_untouched(request_, resume_.recorded), plan_.format);
    table_ = reader_.find_table(plan_.source_table);
    require_same_table();
    const Shape shape = require_shape();
    PullPlan plan = plan_;
    if (is_of_old_version())
      complete(plan, shape);
    if (is_cut_by_leaf())
      lock_leaves(plan.found_relations);
    const Shape filter = require_filter();
    reader_.session().release_lock_timeout();
    if (resume_.snapshot == ResumeSnapshot::kNew)
      renew_members(plan, shape, filter);
    plan.identity = reader_.session().identity();
    if (resume_.snapshot == ResumeSnapshot::kNew && is_cut_by_leaf())
      add_leaves(plan);
    plan.snapshot = held;
    plan.bounds = reader_.session().snapshot_bounds();
    plan.source_version = source_.server_version();
    return plan;
  }

private:
  // The same snapshot keeps its lock, by which all its holders are known.
  [[nodiscard]] int64_t lock_key() const {
    const int64_t known = plan_.snapshot.lock;
    const bool is_same = resume_.snapshot == ResumeSnapshot::kSame;
    return is_same && known != 0 ? known : call([]() noexcept { return random_number(); });
  }

  [[nodiscard]] bool is_cut_by_leaf() const {
    return std::ranges::any_of(
        resume_.relations,
        [](const ChunkRelation &relation) { return !relation.relation.empty(); });
  }

  [[nodiscard]] bool is_of_old_version() const { return plan_.source_shape.empty(); }

  // Only its snapshot's holder has kept the source as it was.
  void require_shapes_known() {
    if (!is_of_old_version() || resume_.snapshot == ResumeSnapshot::kSame)
      return;
    throw Error("55000",
                pull_name(request_) + " cannot continue under another snapshot: it was planned by "
                                      "an earlier version of the extension",
                "The ledger does not have the types that it was planned for.", kBeginAnew);
  }

  void complete(PullPlan &plan, const Shape &shape) {
    plan.found_relations = find_old_relations(source_, resume_.relations, table_);
    require_old_columns(request_.resume_id, request_.pull.table, plan_, table_, source_);
    plan.source_shape = write_shape(shape);
    plan.local_shape =
        write_shape(local_shape(describe_local_table(request_.pull.table), plan_.columns));
  }

  void require_local() {
    require_shapes_known();
    if (plan_.local_shape.empty())
      return;
    const DestinationTable local = describe_local_table(request_.pull.table);
    if (const auto change =
            find_shape_change(read_shape(plan_.local_shape), local_shape(local, plan_.columns), "c",
                              PlaceRule::kCompared))
      throw_altered(request_, *change, local.name.cited());
  }

  void require_same_table() {
    for (const ChunkRelation &relation : resume_.relations)
      if (relation.relation.empty() && relation.oid != 0 && relation.oid != table_.oid)
        throw_other_relation(request_, table_.name.cited(),
                             "It was dropped, and another one has its name.");
  }

  Shape require_shape() {
    const Types types = reader_.session().column_types(table_.columns);
    const Key key = Key::resolve(plan_.key, table_, types, plan_.bound_type);
    ColumnMap columns{plan_.columns, plan_.format, {}};
    Shape now = lock_source(reader_, table_, types, columns, key, read_shape(plan_.source_shape));
    if (has_members())
      std::ranges::copy(reader_.lock_members(table_, columns), std::back_inserter(now));
    if (is_of_old_version())
      return now;
    const Shape planned = read_shape(plan_.source_shape);
    if (has_part(planned, ShapePart::kRow))
      now.push_back(row_shape(table_));
    if (const auto change = find_shape_change(planned, now, "cfke", PlaceRule::kCompared))
      throw_altered(request_, *change, table_.name.cited() + " of the source");
    if (const auto change = find_shape_change(planned, now, "a", PlaceRule::kCompared))
      throw_other_relation(request_, table_.name.cited(), change->sentence());
    if (const auto change = find_label_change(planned, now)) {
      if (change->part == ShapePart::kMemberLabels)
        throw_other_relation(request_, table_.name.cited(), change->sentence());
      throw_altered(request_, *change, table_.name.cited() + " of the source");
    }
    if (const auto change = find_member_change(members(planned), members(now)))
      throw_other_relation(request_, table_.name.cited(),
                           "It consists of other tables: " +
                               (change->before.empty() ? change->after : change->before) + ".");
    return now;
  }

  // Which relations make it up matters where it is not cut by them.
  [[nodiscard]] bool has_members() const {
    if (is_of_old_version())
      return (table_.kind == 'p' || table_.kind == 'v') && !is_cut_by_leaf();
    return has_part(read_shape(plan_.source_shape), ShapePart::kRelation);
  }

  [[nodiscard]] static bool has_part(const Shape &shape, ShapePart part) {
    return std::ranges::any_of(
        shape, [=](const ShapeLine &line) { return line.part == part; });
  }

  // Rows that come and go in what the filter reads do not matter, other relations do.
  Shape require_filter() {
    const std::string &filter = resume_.recorded.request.filter;
    if (filter.empty())
      return {};
    Shape now = reader_.lock_filter(table_, table_.probe_item(), plan_.source_path, filter);
    const Shape planned = read_shape(plan_.source_shape);
    if (const auto change = find_filter_change(members(planned), members(now)))
      throw other_filter(request_.resume_id, *change, kBeginAnew);
    if (const auto change = find_label_change(planned, now))
      throw other_filter(request_.resume_id, *change, kBeginAnew);
    return now;
  }

  // Workers compare with what the new snapshot shows, down to the files.
  static void renew_members(PullPlan &plan, const Shape &table, const Shape &filter) {
    Shape shape = read_shape(plan.source_shape);
    const auto is_member = [](const ShapeLine &line) {
      return line.part == ShapePart::kRelation || line.part == ShapePart::kFilterRelation ||
             line.part == ShapePart::kMemberLabels;
    };
    std::erase_if(shape, is_member);
    std::ranges::copy_if(table, std::back_inserter(shape), is_member);
    std::ranges::copy(filter, std::back_inserter(shape));
    plan.source_shape = write_shape(shape);
    plan.has_new_shape = true;
  }

  // Under a new snapshot a table may have another file; a view is to have the same definition.
  [[nodiscard]] Shape members(Shape shape) const {
    for (ShapeLine &line : shape)
      if (resume_.snapshot == ResumeSnapshot::kNew && !line.place.starts_with("v"))
        line.type.clear();
    return shape;
  }

  void lock_leaves(const std::vector<ChunkRelation> &found) {
    std::vector<ExpectedRelation> open;
    for (const ChunkRelation &relation : found.empty() ? resume_.relations : found)
      if (!relation.is_done && !relation.relation.empty())
        open.push_back({relation.oid, parse_qualified_name(relation.relation)});
    try {
      reader_.lock_relations(open);
    } catch (const SourceChanged &error) {
      throw Error(error.sqlstate(), error.message(), error.detail(), kBeginAnew);
    }
  }

  void add_leaves(PullPlan &plan) {
    Request request = request_of_untouched(request_, resume_.recorded);
    request.pull.key = plan_.key;
    request.pull.columns = plan_.columns;
    request.pull.format = std::string(format_name(plan_.format));
    const PullPlan anew = plan_pull(request, reader_);
    const auto has = [](const auto &list, uint32_t oid, auto member) {
      return std::ranges::find(list, oid, member) != list.end();
    };
    for (const ChunkRelation &relation : resume_.relations)
      if (!has(anew.chunks, relation.oid, &PlannedChunk::relation_oid))
        throw_other_relation(
            request_, relation.relation,
            "It is no longer a partition of the table, or its bounds have changed.");
    for (const PlannedChunk &chunk : anew.chunks)
      if (!has(resume_.relations, chunk.relation_oid, &ChunkRelation::oid))
        plan.chunks.push_back(chunk);
    plan.chunk_change = plan.chunks.empty() ? ChunkChange::kNone : ChunkChange::kAdded;
    plan.relations = anew.relations;
  }

  const Resume &resume_;
  const Request &request_;
  const PullPlan &plan_;
  SourceReader &reader_;
  Connection &source_;
  SourceTable table_;
};

} // namespace

Request request_of_untouched(const Request &request, const RecordedPull &recorded) {
  Request anew = request;
  anew.pull = recorded.request;
  const PullWish &wish = recorded.plan.wish;
  if (wish.format.empty()) { // of an earlier version: by the choices that were made for it
    anew.bound_type = recorded.plan.bound_type;
    return anew;
  }
  anew.pull.key = wish.key;
  anew.pull.columns = wish.columns;
  anew.pull.format = wish.format;
  anew.bound_type = wish.bound_type;
  return anew;
}

PullPlan plan_rest(const Resume &resume, SourceReader &reader) {
  return Rest(resume, reader).run();
}

} // namespace parallel_loader
