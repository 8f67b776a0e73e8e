// installed_version: which version of the extension a database has, beside the library's own.
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

/// Raises 55000, with what to do, unless the extension in this database has this library's version.
/// An old library meets new objects in a session that loaded it before an update.
void installed_version_require();

[[noreturn]] void installed_version_raise_old();

} // namespace parallel_loader
