#include "extension/server/sql/destination_table.hpp"

#include "extension/server/base/compat.hpp"
#include "extension/server/sql/spi.hpp"
#include "extension/server/sql/type_content.hpp"

extern "C" {
#include "access/relation.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/catalog.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/rls.h"
}

namespace parallel_loader {

static void check_kind(Relation rel) {
  const char *name = RelationGetRelationName(rel);
  const char kind = rel->rd_rel->relkind;
  if (kind == RELKIND_RELATION || kind == RELKIND_PARTITIONED_TABLE)
    return;
  const char *what = kind == RELKIND_VIEW            ? "view"
                     : kind == RELKIND_MATVIEW       ? "materialized view"
                     : kind == RELKIND_FOREIGN_TABLE ? "foreign table"
                     : kind == RELKIND_SEQUENCE      ? "sequence"
                                                     : "non-table relation";
  ereport(ERROR,
          (errcode(ERRCODE_WRONG_OBJECT_TYPE), errmsg("cannot pull into %s \"%s\"", what, name),
           errhint("Name a table or a partitioned table.")));
}

static void check_rights(Relation rel) {
  const Oid table = RelationGetRelid(rel);
  const char *name = RelationGetRelationName(rel);
  if (IsSystemRelation(rel)) {
    ereport(ERROR, (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
                    errmsg("permission denied: \"%s\" is a system catalog", name)));
  }
  // Which columns travel is known only once the source was asked; the worker checks each.
  AclResult result = pg_class_aclcheck(table, GetUserId(), ACL_INSERT);
  if (result != ACLCHECK_OK)
    result = pg_attribute_aclcheck_all(table, GetUserId(), ACL_INSERT, ACLMASK_ANY);
  if (result != ACLCHECK_OK) {
    const char *role = GetUserNameFromId(GetUserId(), false);
    ereport(
        ERROR,
        (errcode(ERRCODE_INSUFFICIENT_PRIVILEGE), errmsg("permission denied for table %s", name),
         errdetail("Role \"%s\" lacks the INSERT privilege on the table of the destination.", role),
         errhint("GRANT INSERT ON %s TO %s;", destination_table_display_name(table),
                 quote_identifier(role))));
  }
}

static void check_row_security(Relation rel) {
  const char *name = RelationGetRelationName(rel);
  if (check_enable_rls(RelationGetRelid(rel), InvalidOid, false) == RLS_ENABLED) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("cannot pull into table \"%s\" with row-level security", name),
                    errhint("Use INSERT statements instead, or a role that row-level security "
                            "does not apply to.")));
  }
}

static bool is_citus_table(Oid table) {
  if (!OidIsValid(get_relname_relid("pg_dist_partition", PG_CATALOG_NAMESPACE)))
    return false;
  char text[16];
  pg_snprintf(text, sizeof(text), "%u", table);
  const char *params[] = {text};
  return spi_execute(SpiMode::kReadLatest,
                     "SELECT 1 FROM pg_catalog.pg_dist_partition "
                     "WHERE logicalrelid::pg_catalog.oid = $1::pg_catalog.oid",
                     1, params)
             .row_count > 0;
}

// A foreign server commits apart from this one: a chunk that fails would leave rows there.
static void check_partitions(Relation rel) {
  if (rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
    return;
  ListCell *cell;
  foreach (cell, find_all_inheritors(RelationGetRelid(rel), NoLock, nullptr))
    if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_FOREIGN_TABLE) {
      ereport(ERROR,
              (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
               errmsg("cannot pull into partitioned table \"%s\" with foreign partitions",
                      RelationGetRelationName(rel)),
               errdetail("Partition %s is a foreign table, whose rows are committed apart from the "
                         "record of what is done.",
                         destination_table_display_name(lfirst_oid(cell))),
               errhint("Detach it, or pull into the other partitions one by one.")));
    }
}

static void check_storage(Relation rel) {
  check_partitions(rel);
  const char *name = RelationGetRelationName(rel);
  const bool is_workers_own = compat_is_background_worker() && rel->rd_islocaltemp;
  if (rel->rd_rel->relpersistence == RELPERSISTENCE_TEMP && !is_workers_own) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("cannot pull into temporary table \"%s\"", name),
                    errdetail("Background workers cannot access temporary tables of a session.")));
  }
  if (is_citus_table(RelationGetRelid(rel))) {
    ereport(ERROR, (errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
                    errmsg("cannot pull into distributed table \"%s\"", name)));
  }
}

static Relation open_table(Oid table) {
  const Relation rel = try_relation_open(table, AccessShareLock);
  if (rel == nullptr) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_TABLE),
                    errmsg("relation with OID %u does not exist", table)));
  }
  return rel;
}

static void check_relation(Oid table, void (*check)(Relation)) {
  const Relation rel = open_table(table);
  check(rel);
  relation_close(rel, AccessShareLock);
}

void destination_table_check_transaction(Oid /*table*/) {
  PreventCommandIfReadOnly("a parallel pull");
  PreventCommandDuringRecovery("a parallel pull");
}

void destination_table_check_kind(Oid table) {
  check_relation(table, check_kind);
}

void destination_table_check_storage(Oid table) {
  check_relation(table, check_storage);
}

void destination_table_check_rights(Oid table) {
  check_relation(table, check_rights);
}

void destination_table_check_row_security(Oid table) {
  check_relation(table, check_row_security);
}

void destination_table_check(Oid table) {
  destination_table_check_transaction(table);
  destination_table_check_kind(table);
  destination_table_check_storage(table);
  destination_table_check_rights(table);
  destination_table_check_row_security(table);
}

bool destination_table_belongs_to(Oid table, Oid role) {
  const Relation rel = open_table(table);
  const Oid owner = rel->rd_rel->relowner;
  relation_close(rel, AccessShareLock);
  return has_privs_of_role(role, owner);
}

bool destination_table_is_own(Oid table) {
  return destination_table_belongs_to(table, GetUserId());
}

void destination_table_require(Oid table) {
  relation_close(open_table(table), AccessShareLock);
}

TableDescription destination_table_describe(Oid table) {
  const Relation rel = table_open(table, AccessShareLock);
  const TupleDesc descriptor = RelationGetDescr(rel);
  TableDescription info = {};
  info.schema = get_namespace_name(RelationGetNamespace(rel));
  info.name = pstrdup(RelationGetRelationName(rel));
  info.columns = static_cast<ColumnDescription *>(
      palloc0(sizeof(ColumnDescription) * Max(1, descriptor->natts)));
  for (int index = 0; index < descriptor->natts; index++) {
    const FormData_pg_attribute *attribute = TupleDescAttr(descriptor, index);
    if (attribute->attisdropped)
      continue;
    ColumnDescription *column = &info.columns[info.column_count++];
    column->name = pstrdup(NameStr(attribute->attname));
    column->type = attribute->atttypid;
    column->is_generated = attribute->attgenerated != '\0';
    column->number = attribute->attnum;
    column->type_name = format_type_with_typemod(attribute->atttypid, attribute->atttypmod);
    column->content = type_content(attribute->atttypid, attribute->atttypmod);
  }
  table_close(rel, AccessShareLock);
  return info;
}

Oid destination_table_find(const char *name) {
  return DatumGetObjectId(DirectFunctionCall1(regclassin, CStringGetDatum(name)));
}

char *destination_table_display_name(Oid table) {
  char *schema = get_namespace_name(get_rel_namespace(table));
  char *name = get_rel_name(table);
  return schema != nullptr && name != nullptr ? quote_qualified_identifier(schema, name)
                                              : psprintf("%u", table);
}

} // namespace parallel_loader
