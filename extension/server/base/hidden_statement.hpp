// hidden_statement: keeps the text of a running statement that may hold a password from being
// shown.
#pragma once

namespace parallel_loader {

/// Takes the running statement's text out of pg_stat_activity, and out of what the server log says
/// of its errors.
void hidden_statement_hide();

/// Takes the texts of the statements that run now, and the values of their parameters, out of the
/// context of messages.  Needs hidden_statement_hide before it.  Raises nothing: the context lies
/// outside of call().
void hidden_statement_mask_context() noexcept;

} // namespace parallel_loader
