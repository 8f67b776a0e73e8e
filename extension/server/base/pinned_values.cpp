#include "extension/server/base/pinned_values.hpp"

extern "C" {
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/array.h"
#include "utils/float.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/typcache.h"
#include "utils/xml.h"

// As utils/pg_locale.h has it, which needs the headers of ICU on some servers.
extern PGDLLIMPORT char *locale_monetary;
}

namespace parallel_loader {

struct Pinned {
  const char *name;
  unsigned uses; // that it decides
  char *value;   // as it was noted
};

constexpr unsigned kRead = kReadBinary | kReadText;

static Pinned pinned[] = {
    {"client_encoding", kRead, nullptr},        {"xmloption", kRead, nullptr},
    {"DateStyle", kReadText, nullptr},          {"IntervalStyle", kReadText, nullptr},
    {"TimeZone", kReadText, nullptr},           {"array_nulls", kReadText, nullptr},
    {"lc_monetary", kReadText, nullptr},        {"search_path", kReadNames, nullptr},
    {"extra_float_digits", kWriteText, nullptr}};

// The same as the server keeps them.  A text that was set has another address, also if it is equal.
struct Variables {
  int encoding;
  int xml_option;
  int date_style;
  int date_order;
  int interval_style;
  bool array_nulls;
  const void *timezone;
  const void *monetary;
  const void *path;
  int float_digits;
};

static Variables noted; // or found to mean the same

static Variables read_variables() {
  return {pg_get_client_encoding(),
          xmloption,
          DateStyle,
          DateOrder,
          IntervalStyle,
          Array_nulls,
          session_timezone,
          locale_monetary,
          namespace_search_path,
          extra_float_digits};
}

// Else the session pins nothing: a test's.
static bool has_noted() {
  return pinned[0].value != nullptr;
}

static bool are_noted(const Variables &now) {
  return now.encoding == noted.encoding && now.xml_option == noted.xml_option &&
         now.date_style == noted.date_style && now.date_order == noted.date_order &&
         now.interval_style == noted.interval_style && now.array_nulls == noted.array_nulls &&
         now.timezone == noted.timezone && now.monetary == noted.monetary &&
         now.path == noted.path && now.float_digits == noted.float_digits;
}

static const char *value_now(const Pinned &setting) {
  return GetConfigOption(setting.name, false, false);
}

void pinned_values_note() {
  for (Pinned &setting : pinned) {
    char *value = MemoryContextStrdup(TopMemoryContext, value_now(setting));
    if (setting.value != nullptr)
      pfree(setting.value);
    setting.value = value;
  }
  noted = read_variables();
}

static void raise_changed(const Pinned &setting) {
  ereport(ERROR,
          (errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
           errmsg("setting \"%s\" was changed while rows were copied", setting.name),
           errdetail(
               "A trigger, default, constraint or index of the table has changed it from \"%s\" to "
               "\"%s\", under which values would be read differently than the source sent them.",
               setting.value, value_now(setting)),
           errhint("Have the function that sets it restore it: add a SET clause to its definition "
                   "(ALTER FUNCTION … SET %s TO …), and use SET LOCAL within it.",
                   setting.name)));
}

// What others are read or written by may have changed.
void pinned_values_require(unsigned uses) {
  const Variables now = read_variables();
  if (!has_noted() || are_noted(now))
    return;
  bool is_other = false;
  for (const Pinned &setting : pinned) {
    if (strcmp(value_now(setting), setting.value) == 0)
      continue;
    if ((setting.uses & uses) != 0)
      raise_changed(setting);
    is_other = true;
  }
  if (!is_other)
    noted = now;
}

static bool is_name(Oid type) {
  return type == REGPROCOID || type == REGPROCEDUREOID || type == REGOPEROID ||
         type == REGOPERATOROID || type == REGCLASSOID || type == REGTYPEOID ||
         type == REGCOLLATIONOID || type == REGCONFIGOID || type == REGDICTIONARYOID;
}

static bool has_names_in_fields(Oid type) {
  const TupleDesc descriptor = lookup_rowtype_tupdesc(type, -1);
  bool has_names = false;
  for (int index = 0; index < descriptor->natts && !has_names; index++)
    has_names = !TupleDescAttr(descriptor, index)->attisdropped &&
                pinned_values_has_names(TupleDescAttr(descriptor, index)->atttypid);
  ReleaseTupleDesc(descriptor);
  return has_names;
}

bool pinned_values_has_names(Oid type) {
  check_stack_depth();
  const Oid base = getBaseType(type);
  const Oid element = get_element_type(base);
  if (OidIsValid(element))
    return pinned_values_has_names(element);
  switch (get_typtype(base)) {
  case TYPTYPE_COMPOSITE:
    return has_names_in_fields(base);
  case TYPTYPE_RANGE:
    return pinned_values_has_names(get_range_subtype(base));
  case TYPTYPE_MULTIRANGE:
    return pinned_values_has_names(get_multirange_range(base));
  default:
    return is_name(base);
  }
}

void pinned_values_restore() {
  if (!has_noted() || are_noted(read_variables()))
    return;
  for (const Pinned &setting : pinned)
    if (strcmp(value_now(setting), setting.value) != 0)
      SetConfigOption(setting.name, setting.value, PGC_SUSET, PGC_S_SESSION);
  noted = read_variables();
}

} // namespace parallel_loader
