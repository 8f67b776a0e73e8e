#include "orchestrator/tables/table_selection.hpp"

#include "core/base/retry.hpp"

#include "orchestrator/base/shell.hpp"
#include "orchestrator/tables/table_argument.hpp"
#include "orchestrator/tables/table_pattern.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>

namespace parallel_loader {

namespace {

// A name without schema is of the first schema of the path that has it.  Names are cut as SQL cuts
// them.
constexpr std::string_view kFindNames = R"sql(
SELECT DISTINCT ON (w.number) w.number, w.schema_cut, w.name_cut, c.oid, n.nspname, c.relname,
  c.relkind
FROM (SELECT number, schema::name::text AS schema_cut, name::name::text AS name_cut
      FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[]))
        WITH ORDINALITY AS u(schema, name, number)) AS w
LEFT JOIN (pg_catalog.pg_class AS c
           JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
           LEFT JOIN pg_catalog.unnest($3::text[]) WITH ORDINALITY AS p(schema, position)
             ON p.schema = n.nspname::text)
  ON c.relname::text = w.name_cut
     AND CASE WHEN w.schema_cut = '' THEN p.position IS NOT NULL
              ELSE n.nspname::text = w.schema_cut END
     AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY w.number, p.position)sql";

// What `*` and psql's other signs stand for.  A pattern without schema names what is visible.
constexpr std::string_view kFindPatterns = R"sql(
SELECT DISTINCT ON (w.number, n.nspname, c.relname) w.number, c.oid, n.nspname, c.relname, c.relkind
FROM ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[]))
  WITH ORDINALITY AS w(schema, name, number)
JOIN pg_catalog.pg_class AS c
  ON c.relname::text ~ (w.name COLLATE pg_catalog.default)
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_catalog.unnest($3::text[]) WITH ORDINALITY AS p(schema, position)
  ON p.schema = n.nspname::text
WHERE c.relkind IN ('r', 'p') AND c.relpersistence <> 't'
  AND CASE WHEN w.schema IS NULL
           THEN p.position IS NOT NULL
             AND NOT EXISTS (
               SELECT FROM pg_catalog.pg_class AS d
               JOIN pg_catalog.pg_namespace AS e ON e.oid = d.relnamespace
               JOIN pg_catalog.unnest($3::text[]) WITH ORDINALITY AS q(schema, position)
                 ON q.schema = e.nspname::text
               WHERE d.relname = c.relname AND q.position < p.position)
           ELSE n.nspname::text ~ (w.schema COLLATE pg_catalog.default) END
  AND n.nspname::text !~ '^(pg_|information_schema$|parallel_loader)'
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS x
                  WHERE x.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                    AND x.objid = c.oid AND x.objsubid = 0 AND x.deptype = 'e')
ORDER BY w.number, n.nspname, c.relname)sql";

// Of each partition, all that it is a partition of.
constexpr std::string_view kFindAncestors = R"sql(
SELECT c.oid, a.relid::oid
FROM pg_catalog.pg_class AS c
CROSS JOIN LATERAL pg_catalog.pg_partition_ancestors(c.oid::pg_catalog.regclass) AS a(relid)
WHERE c.oid = ANY ($1::oid[]) AND c.relispartition AND a.relid <> c.oid)sql";

constexpr std::string_view kFindSizes = R"sql(
SELECT c.oid,
  CASE WHEN c.relkind IN ('r', 'm') THEN pg_catalog.pg_table_size(c.oid::pg_catalog.regclass)
       WHEN c.relkind = 'p' THEN
         (SELECT pg_catalog.sum(pg_catalog.pg_table_size(t.relid))
          FROM pg_catalog.pg_partition_tree(c.oid::pg_catalog.regclass) AS t WHERE t.isleaf)
  END::bigint
FROM pg_catalog.pg_class AS c WHERE c.oid = ANY ($1::oid[]))sql";

constexpr std::string_view kFindOldSizes = R"sql(
SELECT c.oid, (SELECT pg_catalog.sum(l.relpages::bigint)
   FROM pg_catalog.pg_class AS l WHERE l.oid = c.oid OR l.oid IN (
     WITH RECURSIVE tree(oid) AS (
       SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i
       WHERE i.inhparent = c.oid AND c.relkind = 'p'
       UNION ALL
       SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i JOIN tree AS t ON i.inhparent = t.oid)
     SELECT t.oid FROM tree AS t))::bigint
  * pg_catalog.current_setting('block_size')::bigint
FROM pg_catalog.pg_class AS c WHERE c.oid = ANY ($1::oid[]))sql";

constexpr std::string_view kEverySchema = "^(.*)$";

/// A `$n::oid[]` parameter.
template <class Tables> std::string oid_array(const Tables &tables) {
  std::string text = "{";
  for (const SelectedTable &table : tables)
    text += (text.size() > 1 ? "," : "") + std::to_string(table.oid);
  return text + "}";
}

/// What names and patterns have found, in the order in which they were given.
class Finder {
public:
  explicit Finder(SourceSession &session)
      : source_(session.connection()), path_(session.search_path()) {}

  /// Finds tables by exact names; the answer has one place for each, without table where it is not
  /// there.
  std::vector<std::optional<SelectedTable>> find_names(const std::vector<TableArgument> &arguments,
                                                       std::vector<CutName> &cut_names);
  /// Finds tables by patterns; the answer has one list for each.
  std::vector<std::vector<SelectedTable>> find_patterns(const std::vector<TablePattern> &patterns);
  /// What each of these tables that is a partition is a partition of.
  std::unordered_multimap<uint32_t, uint32_t> find_ancestors(const std::vector<SelectedTable> &of);
  void find_sizes(std::vector<SelectedTable> &tables);
  [[nodiscard]] Rows read_sizes(const std::vector<SelectedTable> &tables);

private:
  Connection &source_;
  std::vector<std::string> path_;
};

void note_cut(std::vector<CutName> &cut_names, const std::string &given, const std::string &cut) {
  const CutName name{given, cut};
  if (given != cut && std::ranges::find(cut_names, name) == cut_names.end())
    cut_names.push_back(name);
}

std::vector<std::optional<SelectedTable>>
Finder::find_names(const std::vector<TableArgument> &arguments, std::vector<CutName> &cut_names) {
  std::vector<std::optional<SelectedTable>> found(arguments.size());
  if (arguments.empty())
    return found;
  std::vector<std::string> schemas;
  std::vector<std::string> names;
  for (const TableArgument &argument : arguments) {
    schemas.push_back(argument.table.schema);
    names.push_back(argument.table.name);
  }
  const Rows rows = source_.exec(
      kFindNames, {array_literal(schemas), array_literal(names), array_literal(path_)});
  rows.require_size(arguments.size());
  for (size_t row = 0; row < rows.size(); ++row) {
    const auto index = static_cast<size_t>(
        rows.required_integer(row, 0, 1, static_cast<int64_t>(arguments.size())) - 1);
    const TableArgument &argument = arguments[index];
    note_cut(cut_names, argument.table.schema, rows.text(row, 1));
    note_cut(cut_names, argument.table.name, rows.text(row, 2));
    if (!rows.is_null(row, 3))
      found[index] =
          SelectedTable{.oid = rows.oid(row, 3),
                        .source = {rows.required_text(row, 4), rows.required_text(row, 5)},
                        .destination = argument.destination,
                        .kind = rows.required_text(row, 6).front()};
  }
  return found;
}

std::vector<std::vector<SelectedTable>>
Finder::find_patterns(const std::vector<TablePattern> &patterns) {
  std::vector<std::vector<SelectedTable>> found(patterns.size());
  if (patterns.empty())
    return found;
  std::vector<std::optional<std::string>> schemas;
  std::vector<std::string> names;
  for (const TablePattern &pattern : patterns) {
    schemas.push_back(pattern.schema);
    names.push_back(pattern.name);
  }
  const Rows rows = source_.exec(
      kFindPatterns, {array_literal(schemas), array_literal(names), array_literal(path_)});
  for (size_t row = 0; row < rows.size(); ++row) {
    const auto index = static_cast<size_t>(
        rows.required_integer(row, 0, 1, static_cast<int64_t>(patterns.size())) - 1);
    const QualifiedName name{rows.required_text(row, 2), rows.required_text(row, 3)};
    found[index].push_back({.oid = rows.oid(row, 1),
                            .source = name,
                            .destination = name,
                            .kind = rows.required_text(row, 4).front()});
  }
  return found;
}

std::unordered_multimap<uint32_t, uint32_t>
Finder::find_ancestors(const std::vector<SelectedTable> &of) {
  std::unordered_multimap<uint32_t, uint32_t> ancestors;
  const Rows rows = source_.exec(kFindAncestors, {oid_array(of)});
  for (size_t row = 0; row < rows.size(); ++row)
    ancestors.emplace(rows.oid(row, 0), rows.oid(row, 1));
  return ancestors;
}

// A table that somebody has locked keeps its size from us: then all are as big as they were when
// they were last vacuumed or analyzed.
Rows Finder::read_sizes(const std::vector<SelectedTable> &tables) {
  source_.exec("SAVEPOINT parallel_loader_sizes");
  try {
    return source_.exec(kFindSizes, {oid_array(tables)});
  } catch (const Error &error) {
    if (!is_lock_trouble(error.sqlstate()))
      throw;
  }
  source_.exec("ROLLBACK TO SAVEPOINT parallel_loader_sizes");
  return source_.exec(kFindOldSizes, {oid_array(tables)});
}

void Finder::find_sizes(std::vector<SelectedTable> &tables) {
  const Rows rows = read_sizes(tables);
  std::unordered_map<uint32_t, int64_t> sizes;
  for (size_t row = 0; row < rows.size(); ++row)
    sizes[rows.oid(row, 0)] = rows.integer(row, 1);
  for (SelectedTable &table : tables)
    table.bytes = sizes[table.oid];
}

Error not_found(SourceSession &session, const QualifiedName &name) {
  try {
    static_cast<void>(find_source_table(session, name));
  } catch (const Error &error) {
    return error;
  }
  return {sqlstate::kUndefinedTable,
          fmt::format("relation {} was created on the source just now", name.cited()), "",
          "Run the command again."};
}

Error no_match(const std::string &pattern) {
  return {sqlstate::kUndefinedTable,
          fmt::format("no matching tables were found on the source for \"{}\"", pattern), "",
          "Ordinary and partitioned tables match. A pattern without schema matches tables of the "
          "search path of the source's user."};
}

/// Collects tables, each once.
class Collection {
public:
  void add(SelectedTable table) {
    if (seen_.insert(table.oid).second)
      tables_.push_back(std::move(table));
  }
  /// A table that was named by itself goes where that says, also if a pattern found it first.
  /// Throws Failure kUsage when it was named before and is to go elsewhere now.
  void add_named(const SelectedTable &table) {
    const bool is_new = named_.insert(table.oid).second;
    if (is_new)
      add(table);
    for (SelectedTable &other : tables_)
      if (other.oid == table.oid) {
        if (!is_new && other.destination != table.destination)
          throw usage_failure(fmt::format("table {} is to go into {} and into {}",
                                          table.source.cited(), other.destination.cited(),
                                          table.destination.cited()),
                              "Copy it twice, by two commands.");
        other = table;
      }
  }
  [[nodiscard]] bool is_named(uint32_t oid) const { return named_.contains(oid); }
  [[nodiscard]] std::vector<SelectedTable> &tables() { return tables_; }

private:
  std::vector<SelectedTable> tables_;
  std::unordered_set<uint32_t> seen_;
  std::unordered_set<uint32_t> named_;
};

/// What the command line names, parsed.
struct Wanted {
  struct Entry {
    std::string text;
    bool is_pattern = false;
    size_t index = 0; // among names or patterns
  };
  std::vector<Entry> entries;
  std::vector<TableArgument> names;
  std::vector<TablePattern> patterns;

  explicit Wanted(const TableNames &given) {
    for (const std::string &text : given.tables)
      if (is_table_pattern(text))
        add(text, parse_table_pattern(text));
      else
        add(text, parse_table_argument(text));
    for (const std::string &schema : given.schemas)
      add(schema, {.text = schema,
                   .schema = parse_schema_pattern(schema),
                   .name = std::string(kEverySchema)});
    if (given.all)
      add("--all", {.text = "--all",
                    .schema = std::string(kEverySchema),
                    .name = std::string(kEverySchema)});
    if (entries.empty())
      throw usage_failure("no table given",
                          "Name tables, patterns such as 'sales.*', schemas with --schema, or take "
                          "--all.");
  }

private:
  void add(const std::string &text, TablePattern pattern) {
    entries.push_back({.text = text, .is_pattern = true, .index = patterns.size()});
    patterns.push_back(std::move(pattern));
  }
  void add(const std::string &text, TableArgument name) {
    entries.push_back({.text = text, .is_pattern = false, .index = names.size()});
    names.push_back(std::move(name));
  }
};

std::vector<SelectedTable> find_excluded(Finder &finder, const TableNames &names) {
  std::vector<TablePattern> patterns;
  for (const std::string &text : names.excludes)
    patterns.push_back(parse_table_pattern(text));
  std::vector<SelectedTable> excluded;
  for (const std::vector<SelectedTable> &found : finder.find_patterns(patterns))
    excluded.insert(excluded.end(), found.begin(), found.end());
  return excluded;
}

/// Has the name of the source's on the destination.
bool keeps_name(const SelectedTable &table) {
  return table.destination.name == table.source.name &&
         (table.destination.schema.empty() || table.destination.schema == table.source.schema);
}

/// Rows of a partition come with its partitioned table, and stay away with it. A partition that is
/// named beside its partitioned table comes by itself only if one of the two goes elsewhere.
void drop_members(Finder &finder, Collection &collection,
                  const std::unordered_set<uint32_t> &excluded) {
  std::vector<SelectedTable> &tables = collection.tables();
  std::unordered_set<uint32_t> selected, renamed;
  for (const SelectedTable &table : tables)
    if (!excluded.contains(table.oid))
      (keeps_name(table) ? selected : renamed).insert(table.oid);
  const auto ancestors = finder.find_ancestors(tables);
  const auto comes_with = [&](const SelectedTable &table, const std::unordered_set<uint32_t> &set) {
    const auto [first, last] = ancestors.equal_range(table.oid);
    return std::any_of(first, last, [&](const auto &entry) { return set.contains(entry.second); });
  };
  std::erase_if(tables, [&](const SelectedTable &table) {
    if (excluded.contains(table.oid))
      return true;
    if (collection.is_named(table.oid))
      return keeps_name(table) && comes_with(table, selected);
    return comes_with(table, selected) || comes_with(table, renamed) || comes_with(table, excluded);
  });
}

/// Rows of a partition come with its partitioned table, if that is selected.
void require_excludable(Finder &finder, const std::vector<SelectedTable> &tables,
                        const std::vector<SelectedTable> &excluded) {
  const auto ancestors = finder.find_ancestors(excluded);
  for (const SelectedTable &table : excluded) {
    const auto [first, last] = ancestors.equal_range(table.oid);
    for (auto entry = first; entry != last; ++entry)
      for (const SelectedTable &other : tables)
        if (other.oid == entry->second)
          throw usage_failure(
              fmt::format("partition {} cannot be excluded, as partitioned table {} is selected",
                          table.source.cited(), other.source.cited()),
              "Exclude the partitioned table as well, and name the partitions to copy.");
  }
}

/// A name that both `orders` and `public.orders` may stand for is compared once the destination has
/// found it.
void require_different_destinations(const std::vector<SelectedTable> &tables) {
  std::map<std::string, const SelectedTable *> by_destination;
  for (const SelectedTable &table : tables) {
    const auto [other, is_new] = by_destination.emplace(table.destination.quoted(), &table);
    if (!is_new)
      throw usage_failure(fmt::format("tables {} and {} would both go into {}",
                                      other->second->source.cited(), table.source.cited(),
                                      table.destination.cited()),
                          "Give one of them another name on the destination: TABLE=TARGET_TABLE.");
  }
}

/// The name in "The source has NAME."
std::string_view named_in(std::string_view detail) {
  constexpr std::string_view kBefore = "The source has ";
  detail.remove_prefix(std::min(kBefore.size(), detail.size()));
  if (detail.ends_with('.'))
    detail.remove_suffix(1);
  return detail;
}

} // namespace

SourceTable find_source_table(SourceSession &session, const QualifiedName &name) {
  try {
    return SourceTable::find(session.connection(), name, session.search_path());
  } catch (const Error &error) {
    if (error.sqlstate() != sqlstate::kUndefinedTable)
      throw;
    // core/ speaks of the SQL functions' parameters.
    if (!error.detail().empty())
      throw Error(error.sqlstate(), error.message(), error.detail(),
                  "Put names with capitals into double quotes, and the whole into single quotes "
                  "for the shell, as in " +
                      shell_word(named_in(error.detail())) + ".");
    throw Error(error.sqlstate(), error.message(), error.detail(),
                "Give its schema if that is not in the search path of the source's user: "
                "SCHEMA.TABLE. If the names differ: TABLE=TARGET_TABLE.");
  }
}

TableSelection select_tables(SourceSession &session, const TableNames &names) {
  const Wanted wanted(names);
  Finder finder(session);
  TableSelection selection;
  const auto by_name = finder.find_names(wanted.names, selection.cut_names);
  const auto by_pattern = finder.find_patterns(wanted.patterns);
  Collection collection;
  for (const Wanted::Entry &entry : wanted.entries) {
    if (!entry.is_pattern) {
      if (by_name[entry.index])
        collection.add_named(*by_name[entry.index]);
      else
        selection.missing.push_back(
            {entry.text, not_found(session, wanted.names[entry.index].table)});
    } else if (by_pattern[entry.index].empty()) {
      selection.missing.push_back({entry.text, no_match(entry.text), true});
    }
    if (entry.is_pattern)
      for (const SelectedTable &table : by_pattern[entry.index])
        collection.add(table);
  }
  const std::vector<SelectedTable> excluded = find_excluded(finder, names);
  std::unordered_set<uint32_t> excluded_oids;
  for (const SelectedTable &table : excluded)
    excluded_oids.insert(table.oid);
  drop_members(finder, collection, excluded_oids);
  selection.tables = std::move(collection.tables());
  require_excludable(finder, selection.tables, excluded);
  require_different_destinations(selection.tables);
  finder.find_sizes(selection.tables);
  return selection;
}

const SelectedTable *find_selected(SourceSession &session, const TableSelection &selection,
                                   const std::string &name) {
  Finder finder(session);
  std::vector<CutName> cut_names;
  const auto found = finder.find_names({parse_table_argument(name)}, cut_names);
  if (!found.front())
    return nullptr;
  const auto table = std::ranges::find(selection.tables, found.front()->oid, &SelectedTable::oid);
  return table == selection.tables.end() ? nullptr : &*table;
}

} // namespace parallel_loader
