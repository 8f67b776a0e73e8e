// error_report: one error, whole, as plain bytes that can lie in shared memory.
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

/// Everything of an error that a client can see.  Strings are cut between two characters when they
/// do not fit, and empty when absent.
struct ErrorReport {
  int sqlerrcode;
  char message[4096];
  char detail[4096];
  char hint[2048];
  char context[4096];
  char schema_name[NAMEDATALEN];
  char table_name[NAMEDATALEN];
  char column_name[NAMEDATALEN];
  char datatype_name[NAMEDATALEN];
  char constraint_name[NAMEDATALEN];
  int cursor_position;   // in the client's statement; 0: none
  int internal_position; // in internal_query; 0: none
  char internal_query[4096];
  // Where it was raised: literals of a library of this process, so they mean nothing to another.
  const char *file_name; // nullptr: not known
  int line_number;
  const char *function_name;
};

/// Copies what `edata` says.
void error_report_capture(ErrorReport *report, const ErrorData *edata) noexcept;

/// Fills a report from its parts; `sqlstate` has five characters.
void error_report_set(ErrorReport *report, const char *sqlstate, const char *message,
                      const char *detail, const char *hint) noexcept;

/// The SQLSTATE as text, in a static buffer of the server's.
const char *error_report_sqlstate(const ErrorReport *report) noexcept;

/// Adds a sentence to the detail, on a line of its own.
void error_report_add_detail(ErrorReport *report, const char *sentence) noexcept;

/// Takes out what means nothing outside of this process: where it was raised, and the place in this
/// process's statement.
void error_report_detach(ErrorReport *report) noexcept;

/// Raises the error, at the place where it was raised first if that is known.
[[noreturn]] void error_report_raise(const ErrorReport *report);

} // namespace parallel_loader
