#include "extension/server/base/error_report.hpp"

extern "C" {
#include "mb/pg_wchar.h"
}

namespace parallel_loader {

template <size_t kSize> static void store(char (&buffer)[kSize], const char *text) {
  if (text == nullptr) {
    buffer[0] = '\0';
    return;
  }
  const int length = pg_mbcliplen(text, static_cast<int>(strlen(text)), kSize - 1);
  memcpy(buffer, text, length);
  buffer[length] = '\0';
  // The source writes into these texts; what is no text in our encoding must not get into the
  // ledger.
  if (!pg_verifymbstr(buffer, length, true))
    for (char &byte : buffer)
      byte = IS_HIGHBIT_SET(byte) ? '?' : byte;
}

void error_report_capture(ErrorReport *report, const ErrorData *edata) {
  report->sqlerrcode = edata->sqlerrcode;
  store(report->message, edata->message);
  store(report->detail, edata->detail);
  store(report->hint, edata->hint);
  store(report->context, edata->context);
  store(report->schema_name, edata->schema_name);
  store(report->table_name, edata->table_name);
  store(report->column_name, edata->column_name);
  store(report->datatype_name, edata->datatype_name);
  store(report->constraint_name, edata->constraint_name);
}

void error_report_set(ErrorReport *report, const char *sqlstate, const char *message,
                      const char *detail, const char *hint) {
  memset(report, 0, sizeof(*report));
  report->sqlerrcode =
      MAKE_SQLSTATE(sqlstate[0], sqlstate[1], sqlstate[2], sqlstate[3], sqlstate[4]);
  store(report->message, message);
  store(report->detail, detail);
  store(report->hint, hint);
}

const char *error_report_sqlstate(const ErrorReport *report) {
  return unpack_sql_state(report->sqlerrcode);
}

void error_report_add_detail(ErrorReport *report, const char *sentence) {
  const size_t used = strlen(report->detail);
  const size_t room = sizeof(report->detail) - used - 1;
  const char *separator = used > 0 ? "\n" : "";
  if (strlen(separator) + strlen(sentence) > room)
    return; // a detail that long says enough
  strcat(report->detail, separator);
  strcat(report->detail, sentence);
}

static const char *present(const char *text) {
  return text[0] == '\0' ? nullptr : text;
}

static void add_name(int field, const char *name) {
  if (present(name) != nullptr)
    err_generic_string(field, name);
}

void error_report_raise(const ErrorReport *report) {
  ereport(ERROR, (errcode(report->sqlerrcode), errmsg_internal("%s", report->message),
                  present(report->detail) ? errdetail_internal("%s", report->detail) : 0,
                  present(report->hint) ? errhint("%s", report->hint) : 0,
                  present(report->context) ? errcontext("%s", report->context) : 0,
                  add_name(PG_DIAG_SCHEMA_NAME, report->schema_name),
                  add_name(PG_DIAG_TABLE_NAME, report->table_name),
                  add_name(PG_DIAG_COLUMN_NAME, report->column_name),
                  add_name(PG_DIAG_DATATYPE_NAME, report->datatype_name),
                  add_name(PG_DIAG_CONSTRAINT_NAME, report->constraint_name)));
  pg_unreachable();
}

} // namespace parallel_loader
