#include "extension/server/load/local_relations.hpp"

#include "extension/server/base/compat.hpp"
#include "extension/server/process/session.hpp"

extern "C" {
#include "access/htup_details.h"
#include "access/xlog.h"
#include "catalog/pg_class.h"
#include "catalog/pg_inherits.h"
#include "lib/stringinfo.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
}

namespace parallel_loader {

static bool is_written(Oid relation) {
  LOCKTAG tag;
  SET_LOCKTAG_RELATION(tag, MyDatabaseId, relation);
  return compat_lock_held_by_me(&tag, RowExclusiveLock);
}

// Its name, as long as it has one; neither a blank nor a colon may be in it.
static void append_name(StringInfo text, Oid relation, const FormData_pg_class *form) {
  appendStringInfo(text, " =%u=", relation);
  char *schema = get_namespace_name(form->relnamespace);
  const char *name = quote_qualified_identifier(schema, NameStr(form->relname));
  for (const char *at = name; *at != '\0'; at++)
    if (strchr(" :%", *at) != nullptr)
      appendStringInfo(text, "%%%02X", static_cast<unsigned char>(*at));
    else
      appendStringInfoChar(text, *at);
}

// What holds no rows itself has no filenode, and is left out.  The ledger knows the name of
// `table`.
static void append_relation(StringInfo text, Oid relation, Oid table) {
  const HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
  if (!HeapTupleIsValid(tuple)) // dropped since it was listed
    return;
  const auto *form = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple));
  if (form->relkind != RELKIND_PARTITIONED_TABLE) {
    appendStringInfo(text, " %u:%u%s", relation, form->relfilenode,
                     form->relpersistence == RELPERSISTENCE_UNLOGGED ? ":u" : "");
    if (relation != table)
      append_name(text, relation, form);
  }
  ReleaseSysCache(tuple);
}

static char *list(Oid table, bool only_written) {
  StringInfoData text;
  initStringInfo(&text);
  appendStringInfo(&text, "@" UINT64_FORMAT, GetSystemIdentifier());
  ListCell *cell;
  foreach (cell, find_all_inheritors(table, NoLock, nullptr)) {
    const Oid relation = lfirst_oid(cell);
    if (relation == table || !only_written || is_written(relation))
      append_relation(&text, relation, table);
  }
  return text.data;
}

char *local_relations_written(Oid table) {
  return list(table, true);
}

char *local_relations_all(Oid table) {
  return list(table, false);
}

// The coordinator of an append that has just ended may still hold it.
bool local_relations_lock_append(Oid table) {
  constexpr int kTries = 20;
  constexpr long kNapUs = 50'000;
  for (int attempt = 0; attempt < kTries; attempt++) {
    if (session_try_lock_append(table))
      return true;
    CHECK_FOR_INTERRUPTS();
    pg_usleep(kNapUs);
  }
  return false;
}

} // namespace parallel_loader
