// arguments: reads the arguments of our SQL functions into plain values.
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

/// `name` cut to the length of a name, as SQL cuts it and with its NOTICE.
char *name_cut(const char *name);

/// A text argument; nullptr for NULL.
char *argument_text(FunctionCallInfo fcinfo, int number);
/// An integer argument; `fallback` for NULL.
int argument_int(FunctionCallInfo fcinfo, int number, int fallback) noexcept;
int64 argument_bigint(FunctionCallInfo fcinfo, int number, int64 fallback) noexcept;

struct TextArray {
  bool is_null;
  int count;
  char **values;
};
/// A text[] argument.  Raises 22004 for a NULL element.
TextArray argument_text_array(FunctionCallInfo fcinfo, int number);

/// A bound of any type, as text in ISO formats with the session's time zone.
struct BoundArgument {
  char *text;       // nullptr for NULL
  const char *type; // pg_catalog name of a built-in type; "" when it is to be read as the key's
};
BoundArgument argument_bound(FunctionCallInfo fcinfo, int number);

/// Milliseconds of an interval argument, months counted as 30 days; -1 for NULL.
/// Raises 22023 for a negative one.
int64 argument_milliseconds(FunctionCallInfo fcinfo, int number);

/// A size such as `128MB`, in bytes; plain numbers are kB.  Raises 22023.
int64 size_in_bytes(const char *text);

/// The session's date field order: MDY, DMY or YMD.
const char *session_date_order() noexcept;
/// The value of a setting as SHOW prints it.
char *session_setting(const char *name);

} // namespace parallel_loader
