#include "orchestrator/report/run_report.hpp"

#include "orchestrator/base/failure.hpp"
#include "orchestrator/base/output.hpp"
#include "orchestrator/report/html_report.hpp"
#include "orchestrator/report/json_report.hpp"
#include "orchestrator/report/report_file.hpp"

namespace parallel_loader {

void check_report(const std::string &path) {
  if (!report_format(path))
    throw usage_failure("the name of the report \"" + path +
                            "\" ends neither in .html nor in .json",
                        "The end of the name says what the report is: a page or a JSON document.");
  failing_with(ExitStatus::kUsage, [&path] { check_report_folder(path); });
}

ExitStatus write_report(const std::string &path, const RunView &run, ExitStatus status,
                        const MessageStyle &style) {
  try {
    write_file(path, report_format(path) == ReportFormat::kJson
                         ? copy_document(run, JsonDetail::kChunks) + "\n"
                         : html_report(run));
    return status;
  } catch (const Error &error) {
    write_message(error_text(error, style));
    return status == ExitStatus::kDone ? ExitStatus::kFailed : status;
  }
}

} // namespace parallel_loader
