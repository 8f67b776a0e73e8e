// password_cover: passwords in arguments, and how the list of processes does not show them.
#pragma once

#include <span>
#include <string_view>

namespace parallel_loader {

/// True for a conninfo string or URI with a password or the like, and for what may have been meant
/// as one.
[[nodiscard]] bool may_hold_password(std::string_view text);

/// Overwrites the passwords in `argv`, once nobody needs it any more: `ps` and /proc show it to all
/// users of the machine.
void cover_passwords(std::span<char *const> argv);

} // namespace parallel_loader
