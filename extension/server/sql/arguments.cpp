#include "extension/server/sql/arguments.hpp"

extern "C" {
#include "access/htup_details.h"
#include "catalog/pg_type.h"
#include "parser/scansup.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
}

namespace parallel_loader {

char *argument_text(FunctionCallInfo fcinfo, int number) {
  return PG_ARGISNULL(number) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(number));
}

int argument_int(FunctionCallInfo fcinfo, int number, int fallback) noexcept {
  return PG_ARGISNULL(number) ? fallback : PG_GETARG_INT32(number);
}

int64 argument_bigint(FunctionCallInfo fcinfo, int number, int64 fallback) noexcept {
  return PG_ARGISNULL(number) ? fallback : PG_GETARG_INT64(number);
}

TextArray argument_text_array(FunctionCallInfo fcinfo, int number) {
  TextArray result = {};
  result.is_null = PG_ARGISNULL(number);
  if (result.is_null)
    return result;
  Datum *values;
  bool *nulls;
  deconstruct_array(PG_GETARG_ARRAYTYPE_P(number), TEXTOID, -1, false, TYPALIGN_INT, &values,
                    &nulls, &result.count);
  result.values = static_cast<char **>(palloc0(sizeof(char *) * Max(1, result.count)));
  for (int index = 0; index < result.count; index++) {
    if (nulls[index]) {
      ereport(ERROR, (errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
                      errmsg("column name in \"columns\" cannot be null")));
    }
    result.values[index] = TextDatumGetCString(values[index]);
  }
  return result;
}

static bool is_text_like(Oid type) {
  return type == TEXTOID || type == VARCHAROID || type == BPCHAROID || type == NAMEOID ||
         type == UNKNOWNOID || type == RECORDOID;
}

static const char *built_in_type_name(Oid type) {
  const HeapTuple tuple = SearchSysCache1(TYPEOID, ObjectIdGetDatum(type));
  if (!HeapTupleIsValid(tuple))
    elog(ERROR, "cache lookup failed for type %u", type);
  const char *name = pstrdup(NameStr(reinterpret_cast<Form_pg_type>(GETSTRUCT(tuple))->typname));
  ReleaseSysCache(tuple);
  return name;
}

// The session's own formats would write a date that the source reads with day and month swapped.
static char *output_in_iso_formats(Oid type, Datum value) {
  Oid output;
  bool is_varlena;
  getTypeOutputInfo(type, &output, &is_varlena);
  const int nest_level = NewGUCNestLevel();
  set_config_option("DateStyle", "ISO", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                    false);
  set_config_option("IntervalStyle", "postgres", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true,
                    0, false);
  set_config_option("extra_float_digits", "3", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                    false);
  char *text = OidOutputFunctionCall(output, value);
  AtEOXact_GUC(true, nest_level);
  return text;
}

BoundArgument argument_bound(FunctionCallInfo fcinfo, int number) {
  BoundArgument bound = {nullptr, ""};
  const Oid type = get_fn_expr_argtype(fcinfo->flinfo, number);
  if (!OidIsValid(type)) {
    ereport(ERROR, (errcode(ERRCODE_INDETERMINATE_DATATYPE),
                    errmsg("could not determine the data type of a bound"),
                    errhint("Cast the bound to the type of the key.")));
  }
  if (PG_ARGISNULL(number))
    return bound;
  const Oid base = getBaseType(type);
  bound.text = output_in_iso_formats(type, PG_GETARG_DATUM(number));
  if (base < FirstGenbkiObjectId && !is_text_like(base))
    bound.type = built_in_type_name(base);
  return bound;
}

char *name_cut(const char *name) {
  char *cut = pstrdup(name);
  truncate_identifier(cut, static_cast<int>(strlen(cut)), true);
  return cut;
}

int64 argument_milliseconds(FunctionCallInfo fcinfo, int number) {
  if (PG_ARGISNULL(number))
    return -1;
  const Interval *interval = PG_GETARG_INTERVAL_P(number);
  const double milliseconds =
      static_cast<double>(interval->time) / 1000.0 +
      (static_cast<double>(interval->month) * DAYS_PER_MONTH + interval->day) * 86400000.0;
  if (milliseconds < 0) {
    ereport(ERROR,
            (errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("\"timeout\" cannot be negative")));
  }
  return static_cast<int64>(Min(milliseconds, 1e12));
}

int64 size_in_bytes(const char *text) {
  int kilobytes;
  const char *hint = nullptr;
  if (!parse_int(text, &kilobytes, GUC_UNIT_KB, &hint) || kilobytes < 64) {
    ereport(ERROR, (errcode(ERRCODE_INVALID_PARAMETER_VALUE),
                    errmsg("chunk_size \"%s\" is not a size of at least 64kB", text),
                    hint != nullptr ? errhint("%s", hint)
                                    : errhint("Write a number with a unit, such as 128MB.")));
  }
  return static_cast<int64>(kilobytes) * 1024;
}

const char *session_date_order() noexcept {
  switch (DateOrder) {
  case DATEORDER_YMD:
    return "YMD";
  case DATEORDER_DMY:
    return "DMY";
  default:
    return "MDY";
  }
}

char *session_setting(const char *name) {
  return GetConfigOptionByName(name, nullptr, false);
}

} // namespace parallel_loader
