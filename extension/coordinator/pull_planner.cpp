#include "extension/coordinator/pull_planner.hpp"

#include "core/ledger/append_plan.hpp"
#include "core/plan/key_choice.hpp"
#include "core/plan/plan.hpp"
#include "core/source/column_map.hpp"
#include "core/source/column_shape.hpp"
#include "core/source/enum_labels.hpp"
#include "core/source/source_table.hpp"
#include "core/source/types.hpp"
#include "core/verify/bucket_key.hpp"

#include <algorithm>

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/local_table.hpp"
#include "extension/bridge/spi_executor.hpp"
#include "extension/server/base/random_number.hpp"
#include "extension/server/sql/table_rows.hpp"

namespace parallel_loader {

namespace {

constexpr TypeOid kMoney = 790;

// money is stored as a count of the smallest unit, so it changes its value between servers whose
// lc_monetary has another number of fraction digits.
void require_same_money_scale(const Types &types, const SourceTable &table, Executor &source,
                              Executor &destination) {
  const bool has_money = std::ranges::any_of(table.columns, [&](const SourceColumn &column) {
    return types.contains(column.type, kMoney);
  });
  if (!has_money)
    return;
  constexpr std::string_view kScale =
      "SELECT pg_catalog.scale(1::pg_catalog.money::pg_catalog.numeric)";
  constexpr std::string_view kUsersOwn =
      "SELECT pg_catalog.set_config(name, reset_val, true) FROM pg_catalog.pg_settings "
      "WHERE name = 'lc_monetary'";
  static_cast<void>(source.exec(kUsersOwn)); // the session has it pinned to C
  const int64_t there = source.exec(kScale).integer(0, 0);
  static_cast<void>(source.exec("SELECT pg_catalog.set_config('lc_monetary', 'C', true)"));
  const int64_t here = destination.exec(kScale).integer(0, 0);
  if (here != there) {
    throw Error(sqlstate::kFeatureNotSupported,
                "type money cannot be pulled between servers with different lc_monetary",
                "Its values have " + std::to_string(there) + " fraction digits on the source and " +
                    std::to_string(here) + " here.",
                "Read the column through a view on the source that casts it to numeric.");
  }
}

// Text of a time with time zone has the offset, but a type that drops it keeps the clock's time.
void require_same_instants(const TablePair &tables, const ColumnMap &columns,
                           const std::string &zone) {
  constexpr TypeOid kTimestamptz = 1184;
  for (const std::string &name : columns.columns) {
    const TypeOid there = tables.source.find_column(name)->type;
    const auto here = std::ranges::find(tables.destination.columns, name, &DestinationColumn::name);
    if (tables.source_types.contains(there, kTimestamptz) &&
        tables.source_types.get(there).quoted_name !=
            tables.destination_types.get(here->type).quoted_name)
      throw unknown_timezone(zone, "Column \"" + name +
                                       "\" has another type on the destination, so its times are "
                                       "written in the time zone of this session.");
  }
}

KeyChoice choose_pull_key(const PullRequest &pull, const SourceTable &table, const Types &types,
                          const ColumnMap &columns, Executor &source) {
  // The key of an append compares rows, it cuts nothing.
  if (pull.kind == PullKind::kAppend && pull.key.empty())
    return {.key = find_default_key(source, table).value_or(""), .reason = {}};
  return choose_key(source, {.table = table,
                             .types = types,
                             .key = pull.key,
                             .is_whole = !pull.start && !pull.end,
                             .columns = columns.columns});
}

// All holders of a run's snapshot have the same lock.
int64_t lock_key(const HeldSnapshot &snapshot) {
  return snapshot.lock != 0 ? snapshot.lock : call([]() noexcept { return random_number(); });
}

std::optional<Bound> bound(const std::optional<std::string> &text, const std::string &type) {
  return text ? std::optional<Bound>({*text, type}) : std::nullopt;
}

/// The local table, looked at twice: the second look tells whether it stood still meanwhile.
struct LocalSide {
  DestinationTable table;
  Types types;

  static LocalSide look(Oid table) {
    LocalSide side{describe_local_table(table), {}};
    side.types = load_local_types(side.table.columns);
    return side;
  }

  [[nodiscard]] Shape shape(const std::vector<std::string> &columns) const {
    return local_shape(table, columns);
  }
};

void require_still(Oid table, const LocalSide &side, const std::vector<std::string> &columns) {
  const std::optional<ShapeChange> change =
      find_shape_change(side.shape(columns), local_shape(describe_local_table(table), columns), "c",
                        PlaceRule::kCompared);
  if (change)
    throw Error("55000",
                "column \"" + change->name + "\" of table " + side.table.name.cited() +
                    " was altered while the pull was planned",
                change->sentence(), "Pull again.");
}

std::vector<std::string> with_key(std::vector<std::string> columns, const Key &key) {
  if (!key.is_none() && !key.is_ctid())
    for (const KeyColumn &column : key.columns())
      if (std::ranges::find(columns, column.name) == columns.end())
        columns.push_back(column.name);
  return columns;
}

// The snapshot's catalogue made the plan, COPY goes by today's.
void require_types_of_snapshot(const SourceShape &shape, const SourceTable &table,
                               const Types &types, const Shape &lines) {
  const std::optional<ShapeChange> change = find_shape_change(
      shape.snapshot_lines(table, types), without_modifiers(lines), "cf", PlaceRule::kCompared);
  if (change)
    throw SourceChanged("column \"" + change->name + "\" of table " + table.name.cited() +
                            " of the source was altered after the snapshot was taken",
                        "Rows are read with the current types, but the snapshot shows others.",
                        "Pull again, under a snapshot of now.");
}

/// What the source's table is, as COPY will find it, under locks that keep it so.
class SourceSide {
public:
  SourceSide(SourceReader &reader, const SourceTable &table, const Types &types,
             const ColumnMap &columns)
      : reader_(reader), table_(table), types_(types), columns_(columns) {}

  void lock() {
    static_cast<void>(describe(columns_.columns));
    reader_.require_rights(table_, columns_);
  }

  // A table that is read as one locks, and is made of, whatever reading it touches.  In a session
  // that has read a view's rows already, or a filter's tables, nothing tells the view's own.
  void look_at_view() {
    if (table_.kind == 'v')
      members_ = reader_.lock_members(table_, columns_);
  }

  [[nodiscard]] Shape members() {
    if (table_.kind == 'p') {
      members_ = reader_.lock_members(table_, columns_);
      require_partitions();
    }
    return members_;
  }

  /// Those that are read by their own names have their locks.
  void require_partitions() {
    if (table_.kind == 'p')
      require_partitions_as_snapshot(reader_.session().connection(), {&table_.oid, 1});
  }

  /// `names` are the columns whose types, fields and labels matter, the key's among them.
  [[nodiscard]] Shape shape(const Key &key, const std::vector<std::string> &names) {
    Connection &source = reader_.session().connection();
    Shape shape = describe(names);
    describe_shape(source, shape);
    if (!key.is_none() && !key.is_ctid()) {
      std::vector<std::string> key_names;
      for (const KeyColumn &column : key.columns())
        key_names.push_back(column.name);
      std::ranges::copy(key_shape(source, table_, key_names), std::back_inserter(shape));
    }
    std::ranges::copy(extension_shape(source, table_, names, types_), std::back_inserter(shape));
    std::ranges::copy(EnumLabels(table_, types_, names).read(source), std::back_inserter(shape));
    return shape;
  }

private:
  Shape describe(const std::vector<std::string> &names) {
    const SourceShape shape(table_, types_, names);
    Shape lines = reader_.lock_relation(table_.from_item(), {table_.oid, table_.name}, shape);
    require_types_of_snapshot(shape, table_, types_, lines);
    return lines;
  }

  SourceReader &reader_;
  const SourceTable &table_;
  const Types &types_;
  const ColumnMap &columns_;
  Shape members_;
};

// Views, and partitioned tables whose partitions may not be read by their own names.
bool reads_as_one(const SourceTable &table, const std::vector<PlannedChunk> &chunks) {
  return std::string_view("pv").find(table.kind) != std::string_view::npos &&
         std::ranges::any_of(
             chunks, [](const PlannedChunk &chunk) { return chunk.relation.empty(); });
}

std::vector<ExpectedRelation> relations_of(const std::vector<PlannedChunk> &chunks) {
  std::vector<ExpectedRelation> relations;
  for (const PlannedChunk &chunk : chunks)
    if (!chunk.relation.empty() &&
        (relations.empty() || relations.back().oid != chunk.relation_oid))
      relations.push_back({chunk.relation_oid, parse_qualified_name(chunk.relation)});
  return relations;
}

// For a later append; views and the like have none.
std::string row_relations_text(Executor &source, const SourceTable &table,
                               const std::vector<ExpectedRelation> &read) {
  if (table.kind != 'r' && table.kind != 'p')
    return {};
  std::vector<uint32_t> oids;
  oids.reserve(read.size() + 1);
  for (const ExpectedRelation &relation : read)
    oids.push_back(relation.oid);
  if (oids.empty())
    oids.push_back(table.oid);
  return join_relations(row_relations(source, oids));
}

/// The steps of a plan, one after the other.
class PlanSteps {
public:
  PlanSteps(const Request &request, SourceReader &reader, LeafRule leaf_rule)
      : request_(request), pull_(request.pull), reader_(reader),
        source_(reader.session().connection()), leaf_rule_(leaf_rule) {}

  PullPlan run() {
    plan_.snapshot = reader_.hold_snapshot(lock_key(request_.snapshot));
    look();
    look_at_leaf_rule();
    SourceSide side(reader_, table_, types_, columns_);
    side.lock();
    side.look_at_view();
    read_filter();
    choose_key();
    cut();
    fix_relations(side);
    reader_.session().release_lock_timeout();
    require_still(pull_.table, local_, columns_.columns);
    describe();
    return std::move(plan_);
  }

private:
  void look() {
    SpiExecutor destination(SpiMode::kReadLatest);
    reader_.set_timezone(request_, Format::kBinary);
    table_ = reader_.find_table(parse_qualified_name(pull_.source_table));
    require_other_table(destination);
    types_ = reader_.session().column_types(table_.columns);
    local_ = LocalSide::look(pull_.table);
    columns_ = map_columns(table_, types_, local_.table, local_.types, pull_.columns,
                           parse_format(pull_.format));
    if (columns_.format == Format::kText && !reader_.try_timezone(request_))
      require_same_instants({table_, types_, local_.table, local_.types}, columns_, pull_.timezone);
    require_same_money_scale(types_, table_, source_, destination);
  }

  // Its rows would be doubled.  Equal identities do not prove it: a copy of the server has them,
  // too.
  void require_other_table(Executor &destination) {
    if (table_.oid == pull_.table && is_held_here(destination, plan_.snapshot.lock))
      throw Error(sqlstate::kInvalidParameterValue,
                  "table " + table_.name.cited() + " of the source is the destination table itself",
                  "src_dsn leads to the database that receives the rows.",
                  "Give the address of the other server in src_dsn.");
  }

  // A filter that reads the table itself means the whole of it, whatever joins or leaves it.
  void look_at_leaf_rule() {
    const bool may_cut_by_leaf = table_.kind == 'p' && pull_.kind != PullKind::kAppend;
    if (may_cut_by_leaf && !pull_.filter.empty() &&
        reader_.does_filter_read(table_, reader_.session().filter_path(), pull_.filter))
      leaf_rule_ = LeafRule::kAsOne;
  }

  // That of an append is read as its mark says, by the worker that has the mark.
  void read_filter() {
    if (pull_.filter.empty())
      return;
    plan_.source_path = reader_.session().filter_path();
    if (pull_.kind != PullKind::kAppend)
      filter_relations_ =
          reader_.lock_filter(table_, table_.probe_item(), plan_.source_path, pull_.filter);
  }

  void choose_key() {
    const KeyChoice choice = choose_pull_key(pull_, table_, types_, columns_, source_);
    key_ = Key::resolve(choice.key, table_, types_, request_.bound_type);
    plan_.key_reason = choice.reason;
  }

  void cut() {
    const ResolvedRange resolved =
        resolve_range(source_, key_, bound(pull_.start, request_.bound_type),
                      bound(pull_.end, request_.bound_type));
    if (pull_.kind == PullKind::kAppend) {
      plan_.chunks.emplace_back().relation_oid =
          table_.oid; // all in the transaction that moves the mark
    } else if (!resolved.is_empty) {
      plan_.chunks =
          plan_chunks(source_, {table_, key_, resolved.range, pull_.filter, plan_.source_path,
                                pull_.workers, pull_.chunk_bytes, columns_.columns, leaf_rule_});
    }
  }

  // A filter may read columns that do not travel.
  [[nodiscard]] std::vector<std::string> shaped_columns() const {
    if (pull_.filter.empty())
      return columns_.columns;
    std::vector<std::string> names;
    for (const SourceColumn &column : table_.columns)
      names.push_back(column.name);
    return names;
  }

  // Under locks from here on: what the chunks are read from, and what it is.
  void fix_relations(SourceSide &side) {
    shape_ = side.shape(key_, with_key(shaped_columns(), key_));
    if (!pull_.filter.empty())
      shape_.push_back(row_shape(table_));
    std::ranges::copy(filter_relations_, std::back_inserter(shape_));
    if (reads_as_one(table_, plan_.chunks)) {
      const Shape members = side.members();
      std::ranges::copy(members, std::back_inserter(shape_));
      plan_.relations = table_.kind == 'p' ? join_relations(row_relations(members)) : "";
      return;
    }
    const std::vector<ExpectedRelation> read = relations_of(plan_.chunks);
    reader_.lock_relations(read);
    side.require_partitions();
    plan_.relations = row_relations_text(source_, table_, read);
  }

  void describe() {
    plan_.source_shape = write_shape(shape_);
    plan_.local_shape = write_shape(local_.shape(columns_.columns));
    plan_.notice = children_notice(table_);
    plan_.wish = {.key = pull_.key,
                  .columns = pull_.columns,
                  .format = pull_.format,
                  .bound_type = request_.bound_type};
    plan_.source_table = table_.name;
    plan_.key = key_.text();
    plan_.bound_type = key_.is_none() ? std::string() : key_.columns().front().bound_type;
    plan_.format = columns_.format;
    plan_.columns = std::move(columns_.columns);
    plan_.identity = reader_.session().identity();
    plan_.source_version = source_.server_version();
    const Oid table = pull_.table;
    plan_.began_empty = !call([&]() noexcept { return table_rows_found(table, true); });
  }

  const Request &request_;
  const PullRequest &pull_;
  SourceReader &reader_;
  Connection &source_;
  LeafRule leaf_rule_;
  SourceTable table_;
  Types types_;
  LocalSide local_;
  ColumnMap columns_;
  Key key_;
  Shape filter_relations_;
  Shape shape_;
  PullPlan plan_;
};

} // namespace

PlanNotice children_notice(const SourceTable &table) {
  if (!table.has_children)
    return {};
  return {.message = "table " + table.name.cited() +
                     " of the source has inheritance children, whose rows are not pulled with it",
          .hint = "Pull each child, or a view on the source that reads them all, by its name in "
                  "source_table: CREATE VIEW with_children AS SELECT * FROM " +
                  table.name.quoted() + ";"};
}

PullPlan plan_pull(const Request &request, SourceReader &reader, LeafRule leaf_rule) {
  return PlanSteps(request, reader, leaf_rule).run();
}

Shape lock_source(SourceReader &reader, const SourceTable &table, const Types &types,
                  const ColumnMap &columns, const Key &key, const Shape &planned) {
  SourceSide side(reader, table, types, columns);
  side.lock();
  std::vector<std::string> names;
  for (const ShapeLine &line : planned)
    if (line.part == ShapePart::kColumn)
      names.push_back(line.name);
  return side.shape(key, planned.empty() ? with_key(columns.columns, key) : names);
}

} // namespace parallel_loader
