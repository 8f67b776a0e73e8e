// type_content: a local type with all that it is made of, as a text to be compared.
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

/// Number and modifier of the type; of a user's type also its fields, element, base or subtype,
/// with theirs, and the version of the extension that it belongs to.  Two texts of one server are
/// the same when values in binary form are read as the same values.  In the current context.
char *type_content(Oid type, int32 typmod);

} // namespace parallel_loader
