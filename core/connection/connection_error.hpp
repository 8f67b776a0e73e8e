// connection_error: turns what libpq and the server of a session said into an Error.
#pragma once

#include "core/base/error.hpp"
#include "core/connection/connection.hpp"

#include <string_view>

namespace parallel_loader {

/// True for an error that ends the session: the server's severity is FATAL or PANIC, or it is going
/// down.
[[nodiscard]] bool is_session_end(const pg_result *result);

/// A statement's error.  From a source: the SQLSTATE as it is, `could not read from source: …`, the
/// source's detail and context as detail.  From a destination: all as the server sent it.
[[nodiscard]] Error statement_error(Server server, const pg_result *result);

/// Error 08006; `result` is the server's last error, or nullptr when it sent none and `text`,
/// libpq's own words, is all there is.
[[nodiscard]] Error lost_error(Server server, const pg_result *result, std::string_view text);

/// The first line of what libpq said, no longer than a reader can use.
[[nodiscard]] std::string first_line(std::string_view text);

/// How the hint begins where all that is known is that the source cannot be reached.
inline constexpr std::string_view kUnreachableHint = "Check that the source can be reached";

/// Error 08001; `text` is libpq's reason, perhaps of several attempts.
[[nodiscard]] Error connect_error(Server server, std::string_view text);

} // namespace parallel_loader
