// destination: the sessions on the destination, and the extension's functions as calls.
#pragma once

#include "core/base/error.hpp"
#include "core/base/quote.hpp"
#include "core/connection/connection.hpp"
#include "orchestrator/base/exit_status.hpp"
#include "orchestrator/run/run.hpp"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

/// The arguments of parallel_pull_create.
struct CopyRequest {
  std::string source; // conninfo with its password, or the name of a foreign server
  uint32_t table = 0; // on the destination
  std::string source_table;
  std::optional<std::string> key;
  std::optional<std::vector<std::string>> columns;
  std::optional<std::string> filter;
  int workers = 1;
  std::string format;
  std::optional<std::string> chunk_size;
};

/// A row of parallel_pulls.
struct PullStatus {
  RunState state = RunState::kPlanned;
  int64_t row_count = 0; // committed and in flight
  int64_t byte_count = 0;
  int64_t done_row_count = 0; // committed
  int64_t done_byte_count = 0;
  int chunk_count = 0;
  int chunk_done_count = 0;
  std::string key = {}; // what ranges are cut on; empty without a key
  std::string format = {};
  std::string sqlstate = {}; // of the pull's failure; empty without one
  std::string error = {};
  bool is_held = false;  // it has ended, and its coordinator is there
  std::string warning{}; // of one that is done; empty: none
};

struct TableInfo {
  uint32_t oid = 0;
  QualifiedName name;
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

  // Each throws Error with the destination's SQLSTATE.
  [[nodiscard]] int64_t create_pull(const CopyRequest &request, NoticeHandler on_notice);
  /// Moves chunks of the pull until none is left.  `on_notice` takes what the server says
  /// meanwhile.
  void work(int64_t pull_id, NoticeHandler on_notice);
  /// Throws Error 42704 when the pull is not in the ledger.
  [[nodiscard]] PullStatus read_pull(int64_t pull_id);
  void cancel_pull(int64_t pull_id);

  /// Runs a statement that calls one of our functions, named without parallel_pull_; an error has
  /// the GRANT that helps.
  Rows call_function(std::string_view function, const std::string &sql,
                     std::span<const Param> params);
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

  /// False once the session is lost.
  [[nodiscard]] bool is_alive() noexcept;
  /// The exit status for an error that a call of this session has thrown: the session was lost, or
  /// the destination could not reach the source, or neither.
  [[nodiscard]] ExitStatus status_of(const Error &error) noexcept;
  /// Where the extension's functions are, quoted.
  [[nodiscard]] const std::string &schema() const noexcept { return schema_; }
  /// The parameters in use, for display.
  [[nodiscard]] std::string display() const { return connection_.resolved().display(); }

private:
  explicit Destination(Connection connection) : connection_(std::move(connection)) {}

  void find_extension();
  template <class Fn> Rows in_transaction(Fn fn);
  void roll_back() noexcept;
  /// The error with the GRANT that helps, where it is the right to call one of our functions that
  /// the user lacks.
  [[nodiscard]] Error with_grant(const Error &error, std::string_view function);

  Connection connection_;
  std::string schema_; // the extension's, quoted
};

} // namespace parallel_loader
