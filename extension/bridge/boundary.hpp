// boundary: the two crossings between the server's longjmp and C++ exceptions; nobody else does
// both.
#pragma once

#include "core/base/error.hpp"

#include <exception>
#include <new>
#include <type_traits>

#include "extension/server/base/error_report.hpp"
#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

/// An ERROR of the server on its way through C++ frames.  Never swallowed: it ends in entry(), or
/// at a background process's top level, which aborts the transaction.
class PgError final : public std::exception {
public:
  /// Takes the error that the server has just caught and clears the server's error state.
  /// `caller` is the memory context to go on in.
  explicit PgError(MemoryContext caller) noexcept;

  [[nodiscard]] const char *what() const noexcept override { return report_.message; }
  [[nodiscard]] const ErrorReport &report() const noexcept { return report_; }
  /// True when this process was told to give up what it does (SQLSTATE 57014).
  [[nodiscard]] bool is_cancel() const noexcept {
    return report_.sqlerrcode == ERRCODE_QUERY_CANCELED;
  }
  /// True when lock_timeout has passed (SQLSTATE 55P03).
  [[nodiscard]] bool is_lock_timeout() const noexcept {
    return report_.sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE;
  }

private:
  ErrorReport report_;
};

/// Saves and restores the server's two error stacks, as PG_TRY does.  An error collects only the
/// context of what runs within; that of the frames around is added when entry() raises it again.
class ExceptionStackScope {
public:
  ExceptionStackScope() noexcept
      : exception_stack_(PG_exception_stack), context_stack_(error_context_stack) {
    error_context_stack = nullptr;
  }
  ExceptionStackScope(const ExceptionStackScope &) = delete;
  ExceptionStackScope &operator=(const ExceptionStackScope &) = delete;
  ~ExceptionStackScope() {
    PG_exception_stack = exception_stack_;
    error_context_stack = context_stack_;
  }

private:
  sigjmp_buf *exception_stack_;
  ErrorContextCallback *context_stack_;
};

/// Server code called from C++: an ERROR raised inside comes out as PgError, whole.
/// The lambda is `noexcept` (C rules hold in it) and captures nothing that a longjmp could skip.
template <class Fn> std::invoke_result_t<Fn &> call(Fn fn) {
  using Result = std::invoke_result_t<Fn &>;
  static_assert(std::is_nothrow_invocable_v<Fn &>, "write call([&]() noexcept { … })");
  static_assert(std::is_trivially_destructible_v<Fn>, "a longjmp would skip the destructor");
  static_assert(std::is_void_v<Result> || std::is_trivially_copyable_v<Result>);
  const MemoryContext caller = CurrentMemoryContext;
  {
    const ExceptionStackScope scope;
    sigjmp_buf here;
    if (sigsetjmp(here, 0) == 0) { // NOLINT(cert-err52-cpp): the server's errors are longjmps
      PG_exception_stack = &here;
      return fn();
    }
  }
  throw PgError(caller);
}

/// Writes the C++ error in flight into `report`; for use inside a catch block.
void describe_current_exception(ErrorReport &report) noexcept;

/// C++ called from the server: nothing but an ERROR leaves, after the last C++ object is gone.
template <class Fn> std::invoke_result_t<Fn &> entry(Fn &&fn) {
  ErrorReport report;
  try {
    return fn();
  } catch (...) {
    describe_current_exception(report);
  }
  error_report_raise(&report); // outside try and catch: a longjmp here skips no destructor
}

} // namespace parallel_loader
