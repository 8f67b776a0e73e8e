// run_report: the file of --report.
#pragma once

#include "orchestrator/base/exit_status.hpp"
#include "orchestrator/base/message.hpp"
#include "orchestrator/run/run_view.hpp"

#include <string>

namespace parallel_loader {

/// Before a run, which may take hours: that `path` ends as a report does, and that its folder can
/// be written to.  Throws a Failure for wrong usage.
void check_report(const std::string &path);

/// Writes the report of a run that is over, as JSON or as a page, by the end of the name.  Returns
/// `status`; kFailed in place of kDone, with a message on standard error, when the file could not
/// be written: what was copied stays as it is.
[[nodiscard]] ExitStatus write_report(const std::string &path, const RunView &run,
                                      ExitStatus status, const MessageStyle &style);

} // namespace parallel_loader
