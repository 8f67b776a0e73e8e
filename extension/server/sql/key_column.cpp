#include "extension/server/sql/key_column.hpp"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_operator.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
}

namespace parallel_loader {

static void describe_type(Oid type, KeyColumnInfo *info) {
  const HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
  if (!HeapTupleIsValid(tuple))
    elog(ERROR, "cache lookup failed for type %u", type);
  const auto *form = reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple));
  info->type_schema = get_namespace_name(form->typnamespace);
  info->type_name = pstrdup(NameStr(form->typname));
  ReleaseSysCache(tuple);
}

static void describe_equality(Oid type, KeyColumnInfo *info) {
  const Oid equals = lookup_type_cache(type, TYPECACHE_EQ_OPR)->eq_opr;
  if (!OidIsValid(equals))
    return;
  const HeapTuple tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(equals));
  if (!HeapTupleIsValid(tuple))
    elog(ERROR, "cache lookup failed for operator %u", equals);
  const auto *form = reinterpret_cast<Form_pg_operator>(GETSTRUCT(tuple));
  info->equals_schema = get_namespace_name(form->oprnamespace);
  info->equals = pstrdup(NameStr(form->oprname));
  ReleaseSysCache(tuple);
}

KeyColumnInfo key_column_describe(Oid table, const char *column) {
  const AttrNumber number = get_attnum(table, column);
  if (number == InvalidAttrNumber) {
    ereport(ERROR, (errcode(ERRCODE_UNDEFINED_COLUMN),
                    errmsg("column \"%s\" of relation \"%s\" does not exist", column,
                           get_rel_name(table))));
  }
  Oid type;
  Oid collation;
  KeyColumnInfo info = {};
  get_atttypetypmodcoll(table, number, &type, &info.modifier, &collation);
  info.display = format_type_with_typemod(type, info.modifier);
  info.type = getBaseTypeAndTypmod(type, &info.modifier);
  info.is_deterministic = !OidIsValid(collation) || get_collation_isdeterministic(collation);
  describe_type(info.type, &info);
  describe_equality(info.type, &info);
  return info;
}

} // namespace parallel_loader
