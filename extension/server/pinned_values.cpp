// pinned_values: see pinned_values.hpp.
#include "extension/server/pinned_values.hpp"

extern "C" {
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgtime.h"
#include "utils/array.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/xml.h"

// As utils/pg_locale.h has it, which needs the headers of ICU on some servers.
extern PGDLLIMPORT char *locale_monetary;
}

namespace parallel_loader {

struct Pinned {
  const char *name;
  bool is_for_text_only;
  char *value; // as it was noted
};

static Pinned pinned[] = {{"client_encoding", false, nullptr}, {"xmloption", false, nullptr},
                          {"DateStyle", true, nullptr},        {"IntervalStyle", true, nullptr},
                          {"TimeZone", true, nullptr},         {"array_nulls", true, nullptr},
                          {"lc_monetary", true, nullptr}};

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
};

static Variables noted; // or found to mean the same

static Variables read_variables() {
  return {
      pg_get_client_encoding(), xmloption,      DateStyle, DateOrder, IntervalStyle, Array_nulls,
      session_timezone,         locale_monetary};
}

static bool are_noted(const Variables &now) {
  return now.encoding == noted.encoding && now.xml_option == noted.xml_option &&
         now.date_style == noted.date_style && now.date_order == noted.date_order &&
         now.interval_style == noted.interval_style && now.array_nulls == noted.array_nulls &&
         now.timezone == noted.timezone && now.monetary == noted.monetary;
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
           errdetail("A trigger, default, constraint or index of the table has set it from \"%s\" "
                     "to \"%s\", by which other values would be read than the source sent.",
                     setting.value, value_now(setting)),
           errhint("Have the function that sets it do so for itself alone: by a SET clause in its "
                   "definition (ALTER FUNCTION … SET %s TO …), or by SET LOCAL beside one.",
                   setting.name)));
}

// What a stream of the other format is read by may have changed.
void pinned_values_require(bool is_binary) {
  const Variables now = read_variables();
  if (are_noted(now))
    return;
  bool is_other = false;
  for (const Pinned &setting : pinned) {
    if (strcmp(value_now(setting), setting.value) == 0)
      continue;
    if (!is_binary || !setting.is_for_text_only)
      raise_changed(setting);
    is_other = true;
  }
  if (!is_other)
    noted = now;
}

void pinned_values_restore() {
  if (are_noted(read_variables()))
    return;
  for (const Pinned &setting : pinned)
    if (strcmp(value_now(setting), setting.value) != 0)
      SetConfigOption(setting.name, setting.value, PGC_SUSET, PGC_S_SESSION);
  noted = read_variables();
}

} // namespace parallel_loader
