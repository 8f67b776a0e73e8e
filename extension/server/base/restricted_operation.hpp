// restricted_operation: the operations in which the server runs other roles' functions, as ANALYZE.
#pragma once

namespace parallel_loader {

/// Raises 42501 within a security-restricted operation: what runs there is code of whoever owns the
/// table, and the session that runs it has other rights.
void restricted_operation_refuse();

} // namespace parallel_loader
