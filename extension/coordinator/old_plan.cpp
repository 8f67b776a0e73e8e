#include "extension/coordinator/old_plan.hpp"

#include "core/ledger/pull_state.hpp"
#include "core/source/column_map.hpp"
#include "core/source/types.hpp"

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/local_table.hpp"
#include "extension/bridge/spi_executor.hpp"

namespace parallel_loader {

namespace {

uint32_t find_relation(Executor &source, const std::string &relation) {
  const QualifiedName name = parse_qualified_name(relation);
  const Rows row = source.exec("SELECT c.oid::pg_catalog.int8 FROM pg_catalog.pg_class AS c"
                               " JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace"
                               " WHERE n.nspname = $1::pg_catalog.text"
                               " AND c.relname = $2::pg_catalog.text",
                               {name.schema, name.name});
  if (row.empty())
    throw Error("55000", "table " + relation + " of the source no longer exists", "", kBeginAnew);
  return row.oid(0, 0);
}

} // namespace

std::vector<ChunkRelation> find_old_relations(Executor &source,
                                              const std::vector<ChunkRelation> &relations,
                                              const SourceTable &table) {
  std::vector<ChunkRelation> found = relations;
  for (ChunkRelation &relation : found)
    if (relation.oid == 0)
      relation.oid =
          relation.relation.empty() ? table.oid : find_relation(source, relation.relation);
  return found;
}

void require_old_columns(int64_t pull_id, uint32_t local_table, const PullPlan &plan,
                         const SourceTable &table, Connection &source) {
  SpiExecutor destination(SpiMode::kReadLatest);
  const Types types = load_column_types(source, table.columns);
  const DestinationTable local = describe_local_table(local_table);
  const Types local_types = load_column_types(destination, local.columns);
  try {
    static_cast<void>(map_columns(table, types, local, local_types, plan.columns,
                                  parse_format(format_name(plan.format))));
  } catch (const Error &error) {
    throw Error("55000",
                "pull " + std::to_string(pull_id) +
                    " no longer fits the tables: " + error.message(),
                error.detail(), kBeginAnew);
  }
}

} // namespace parallel_loader
