// notice: word to the user that is no error.
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

/// Sends a NOTICE; `detail` and `hint` may be empty.
void notice(const char *message, const char *detail, const char *hint);
/// The same as a WARNING.
void warning(const char *message, const char *detail, const char *hint);

} // namespace parallel_loader
