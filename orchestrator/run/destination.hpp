// destination: the sessions on the destination, and the extension's functions as calls.
#pragma once

#include "core/base/error.hpp"
#include "core/base/quote.hpp"
#include "core/connection/connection.hpp"
#include "orchestrator/base/exit_status.hpp"
#include "orchestrator/run/identity.hpp"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

struct TableInfo {
  uint32_t oid = 0;
  QualifiedName name;
};

/// What a call needs beside its statement.
struct CallTerms {
  /// Names and values, for its transaction.
  std::vector<std::pair<std::string, std::string>> settings = {};
  /// Other calls with the same ones, or with partitions of theirs, wait until this one is over.
  std::vector<uint32_t> locked_tables = {};
};

class Destination {
public:
  /// Connects and finds the extension.  Each call is a transaction of its own, without time limits,
  /// and leaves the session's settings as they were.
  /// Throws Failure kDestinationUnreachable when the server cannot be reached or the extension is
  /// not there; Error 57014 when `waiter` is interrupted.
  [[nodiscard]] static Destination open(const ConnInfo &conninfo, Waiter &waiter);

  /// Finds `name` along the session's search path.  Throws Error 42P01.
  [[nodiscard]] TableInfo find_table(const QualifiedName &name);

  /// Runs a statement that calls one of our functions, named without parallel_pull_; an error has
  /// the GRANT that helps.
  Rows call_function(std::string_view function, const std::string &sql,
                     std::span<const Param> params, const CallTerms &terms = {});
  /// Throws Error 42501, with the GRANT that helps, unless the user may call all of these
  /// functions of ours, named without parallel_pull_.  That GRANT is also for `others`.
  void require_functions(std::span<const std::string_view> functions,
                         std::span<const std::string_view> others);
  /// Hands what the server says to `handler` from now on.
  void on_notice(NoticeHandler handler) { connection_.on_notice(std::move(handler)); }
  /// For display: `15.20`.
  [[nodiscard]] std::string version() const;

  /// Runs a statement under a search path of our own.
  Rows query(const std::string &sql, std::initializer_list<Param> params = {});
  /// The same under the user's search path, which triggers of a table may rely on.
  Rows call(const std::string &sql, std::initializer_list<Param> params = {}) {
    return call(sql, std::span<const Param>(params.begin(), params.size()));
  }
  Rows call(const std::string &sql, std::span<const Param> params);
  /// The same, as long as other calls with these tables wait, unless a query finds obstacles:
  /// returns those.
  Rows call_unless(const std::string &obstacles, std::span<const Param> params,
                   const std::string &sql, const std::vector<uint32_t> &locked_tables);

  /// False once the session is lost.
  [[nodiscard]] bool is_alive() noexcept;
  /// The exit status for an error that a call of this session has thrown: the session was lost, or
  /// the destination could not reach the source, or neither.
  [[nodiscard]] ExitStatus status_of(const Error &error) noexcept;
  /// Where the extension's functions are, quoted.
  [[nodiscard]] const std::string &schema() const noexcept { return schema_; }
  /// See kIdentity.
  [[nodiscard]] std::string identity() { return query(std::string(kIdentity)).text(0, 0); }
  /// The parameters in use, for display.
  [[nodiscard]] std::string display() const { return connection_.resolved().display(); }

private:
  explicit Destination(Connection connection) : connection_(std::move(connection)) {}

  void find_extension();
  template <class Fn> Rows in_transaction(Fn fn);
  void apply(const CallTerms &terms);
  void lock_tables(const std::vector<uint32_t> &tables);
  void roll_back() noexcept;
  /// The hint that says how to get the right to call them; empty: the user has it.
  [[nodiscard]] std::string lacking_grant(std::span<const std::string_view> functions);
  /// The error with the GRANT that helps, where it is the right to call one of our functions that
  /// the user lacks.
  [[nodiscard]] Error with_grant(const Error &error, std::string_view function);

  Connection connection_;
  std::string schema_; // the extension's, quoted
};

} // namespace parallel_loader
