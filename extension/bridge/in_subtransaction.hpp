// in_subtransaction: runs what may fail and hands its error over instead of raising it.
#pragma once

#include "core/check/finding.hpp"

#include <string_view>

#include "extension/bridge/boundary.hpp"
#include "extension/server/process/subtransaction.hpp"

namespace parallel_loader {

/// Runs `fn` in a subtransaction, which takes back all that it did if it fails.  An error becomes a
/// finding about `item`; but a cancel is a cancel.  Returns true if there was none.
template <class Fn>
bool run_in_subtransaction(Findings &findings, std::string_view item, std::string_view hint,
                           Fn fn) {
  const Subtransaction outer = call([]() noexcept { return subtransaction_begin(); });
  const auto take_back = [&] { call([&]() noexcept { subtransaction_abort(&outer); }); };
  try {
    fn();
    call([&]() noexcept { subtransaction_commit(&outer); });
    return true;
  } catch (const PgError &error) {
    if (error.is_cancel()) {
      take_back();
      throw;
    }
    findings.error(item,
                   {error_report_sqlstate(&error.report()), error.report().message,
                    error.report().detail, error.report().hint},
                   hint);
  } catch (const Error &error) {
    findings.error(item, error, hint);
  } catch (...) {
    take_back();
    throw;
  }
  take_back();
  return false;
}

} // namespace parallel_loader
