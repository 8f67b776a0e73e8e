#include "extension/server/sql/type_content.hpp"

extern "C" {
#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/transam.h"
#include "catalog/dependency.h"
#include "catalog/indexing.h"
#include "catalog/pg_extension.h"
#include "catalog/pg_type.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/syscache.h"
#include "utils/typcache.h"
}

namespace parallel_loader {

static void append_type(StringInfo out, Oid type, int32 typmod, List **seen);

static void append_fields(StringInfo out, Oid type, List **seen) {
  const TupleDesc fields = lookup_rowtype_tupdesc_copy(type, -1);
  for (int index = 0; index < fields->natts; index++) {
    const FormData_pg_attribute *field = TupleDescAttr(fields, index);
    if (field->attisdropped)
      continue;
    appendStringInfo(out, " %d %s ", field->attnum, quote_identifier(NameStr(field->attname)));
    append_type(out, field->atttypid, field->atttypmod, seen);
  }
  FreeTupleDesc(fields);
}

static void append_extension(StringInfo out, Oid type) {
  const Oid extension = getExtensionOfObject(TypeRelationId, type);
  if (!OidIsValid(extension))
    return;
  const Relation catalog = table_open(ExtensionRelationId, AccessShareLock);
  ScanKeyData key;
  ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
              ObjectIdGetDatum(extension));
  const SysScanDesc scan = systable_beginscan(catalog, ExtensionOidIndexId, true, nullptr, 1, &key);
  const HeapTuple tuple = systable_getnext(scan);
  if (HeapTupleIsValid(tuple)) {
    bool is_null = false;
    const Datum version =
        heap_getattr(tuple, Anum_pg_extension_extversion, RelationGetDescr(catalog), &is_null);
    const char *name = is_null ? "" : text_to_cstring(DatumGetTextPP(version));
    appendStringInfo(out, " extension %u %s", extension, name);
  }
  systable_endscan(scan);
  table_close(catalog, AccessShareLock);
}

static void append_inner(StringInfo out, Oid type, List **seen) {
  const HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
  if (!HeapTupleIsValid(tuple))
    return;
  const auto form = *reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple));
  ReleaseSysCache(tuple);
  if (form.typtype == TYPTYPE_COMPOSITE)
    append_fields(out, type, seen);
  else if (form.typtype == TYPTYPE_DOMAIN)
    append_type(out, form.typbasetype, form.typtypmod, seen);
  else if (form.typtype == TYPTYPE_RANGE)
    append_type(out, get_range_subtype(type), -1, seen);
  else if (form.typtype == TYPTYPE_MULTIRANGE)
    append_type(out, get_multirange_range(type), -1, seen);
  else if (OidIsValid(get_element_type(type)))
    append_type(out, get_element_type(type), -1, seen);
  else
    append_extension(out, type);
}

// The server's own types do not change; a type that is reached a second time is in the text.
static void append_type(StringInfo out, Oid type, int32 typmod, List **seen) {
  check_stack_depth();
  appendStringInfo(out, "%u", type);
  if (typmod >= 0)
    appendStringInfo(out, "/%d", typmod);
  if (type < FirstNormalObjectId || list_member_oid(*seen, type))
    return;
  *seen = lappend_oid(*seen, type);
  appendStringInfoString(out, " (");
  append_inner(out, type, seen);
  appendStringInfoChar(out, ')');
}

char *type_content(Oid type, int32 typmod) {
  StringInfoData content;
  initStringInfo(&content);
  List *seen = NIL;
  append_type(&content, type, typmod, &seen);
  return content.data;
}

} // namespace parallel_loader
