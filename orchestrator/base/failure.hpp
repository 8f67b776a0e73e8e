// failure: an error of core/ together with the exit status that it means here.
#pragma once

#include "core/base/error.hpp"
#include "orchestrator/base/exit_status.hpp"

#include <string>
#include <utility>

namespace parallel_loader {

class Failure : public Error {
public:
  Failure(ExitStatus status, const Error &error) : Error(error), status_(status) {}

  [[nodiscard]] ExitStatus status() const noexcept { return status_; }

private:
  ExitStatus status_;
};

/// Wrong usage: `message` says what is wrong, `hint` what to do.  It has no SQLSTATE.
[[nodiscard]] inline Failure usage_failure(std::string message, std::string hint) {
  return {ExitStatus::kUsage, Error("", std::move(message), "", std::move(hint))};
}

/// Runs `step`; an Error that leaves it becomes a Failure with `status`, a Failure stays what it
/// is.
template <class Step> decltype(auto) failing_with(ExitStatus status, Step &&step) {
  try {
    return std::forward<Step>(step)();
  } catch (const Failure &) {
    throw;
  } catch (const Error &error) {
    throw Failure(status, error);
  }
}

} // namespace parallel_loader
