#include "extension/bridge/boundary.hpp"

namespace parallel_loader {

PgError::PgError(MemoryContext caller) noexcept {
  MemoryContextSwitchTo(caller);
  ErrorData *edata = CopyErrorData();
  FlushErrorState();
  error_report_capture(&report_, edata);
  FreeErrorData(edata);
}

void describe_current_exception(ErrorReport &report) noexcept {
  try {
    throw;
  } catch (const PgError &error) {
    report = error.report();
  } catch (const Error &error) {
    error_report_set(&report, error.sqlstate().c_str(), error.what(), error.detail().c_str(),
                     error.hint().c_str());
  } catch (const std::bad_alloc &) {
    error_report_set(&report, "53200", "out of memory", "", "");
  } catch (const std::exception &error) {
    error_report_set(&report, "XX000", error.what(), "", "");
  } catch (...) {
    error_report_set(&report, "XX000", "unrecognized C++ exception", "", "");
  }
}

} // namespace parallel_loader
