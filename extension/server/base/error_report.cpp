#include "extension/server/base/error_report.hpp"

extern "C" {
#include "mb/pg_wchar.h"
}

namespace parallel_loader {

template <size_t kSize> static void store(char (&buffer)[kSize], const char *text) noexcept {
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

void error_report_capture(ErrorReport *report, const ErrorData *edata) noexcept {
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
  report->cursor_position = edata->cursorpos;
  report->internal_position = edata->internalpos;
  store(report->internal_query, edata->internalquery);
  report->file_name = edata->filename;
  report->line_number = edata->lineno;
  report->function_name = edata->funcname;
}

void error_report_set(ErrorReport *report, const char *sqlstate, const char *message,
                      const char *detail, const char *hint) noexcept {
  memset(report, 0, sizeof(*report));
  report->sqlerrcode =
      MAKE_SQLSTATE(sqlstate[0], sqlstate[1], sqlstate[2], sqlstate[3], sqlstate[4]);
  store(report->message, message);
  store(report->detail, detail);
  store(report->hint, hint);
}

const char *error_report_sqlstate(const ErrorReport *report) noexcept {
  return unpack_sql_state(report->sqlerrcode);
}

void error_report_add_detail(ErrorReport *report, const char *sentence) noexcept {
  const size_t used = strlen(report->detail);
  const size_t room = sizeof(report->detail) - used - 1;
  const char *separator = used > 0 ? "\n" : "";
  if (strlen(separator) + strlen(sentence) > room)
    return; // a detail that long says enough
  strcat(report->detail, separator);
  strcat(report->detail, sentence);
}

void error_report_detach(ErrorReport *report) noexcept {
  report->file_name = nullptr;
  report->cursor_position = 0;
}

// The server copies what it is given, and changes nothing.
static char *present(const char *text) {
  return text[0] == '\0' ? nullptr : const_cast<char *>(text);
}

void error_report_raise(const ErrorReport *report) {
  const bool has_place = report->file_name != nullptr;
  ErrorData edata = {};
  edata.elevel = ERROR;
  edata.sqlerrcode = report->sqlerrcode;
  edata.message = const_cast<char *>(report->message);
  edata.detail = present(report->detail);
  edata.hint = present(report->hint);
  edata.context = present(report->context);
  edata.schema_name = present(report->schema_name);
  edata.table_name = present(report->table_name);
  edata.column_name = present(report->column_name);
  edata.datatype_name = present(report->datatype_name);
  edata.constraint_name = present(report->constraint_name);
  edata.cursorpos = report->cursor_position;
  edata.internalpos = report->internal_position;
  edata.internalquery = present(report->internal_query);
  edata.filename = has_place ? report->file_name : __FILE__;
  edata.lineno = has_place ? report->line_number : __LINE__;
  edata.funcname = has_place ? report->function_name : __func__;
  ThrowErrorData(&edata);
  pg_unreachable();
}

} // namespace parallel_loader
