// connection: one libpq session that never blocks outside its Waiter.
#pragma once

#include "core/base/pure.hpp"
#include "core/connection/conninfo.hpp"
#include "core/connection/executor.hpp"
#include "core/connection/intake.hpp"
#include "core/connection/kept_plans.hpp"
#include "core/connection/nap_length.hpp"
#include "core/connection/source_place.hpp"
#include "core/connection/waiter.hpp"

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct pg_conn;
struct pg_result;

namespace parallel_loader {

class Answer;

/// A column of a statement's result, as its description says.
struct DescribedColumn {
  std::string name;
  uint32_t table = 0; // that it comes from, unchanged; 0: it is an expression
  int number = 0;     // of the column in that table
  uint32_t type = 0;  // of a domain the type under it
  int typmod = -1;
};

struct PgConnDeleter {
  void operator()(pg_conn *conn) const noexcept;
};
struct PgResultDeleter {
  void operator()(pg_result *result) const noexcept;
};
using PgConnPtr = std::unique_ptr<pg_conn, PgConnDeleter>;
using PgResultPtr = std::unique_ptr<pg_result, PgResultDeleter>;

/// Takes the primary message and the hint of a notice or warning; does not throw.
using NoticeHandler = std::function<void(std::string_view message, std::string_view hint)>;

/// True when `text` is text in the encoding that the session asked for.
using TextCheck = bool (*)(std::string_view text) noexcept;

/// What a connection is to: for the words of its errors, and for how far it is trusted.  Whatever a
/// source sends, in whatever order and size, this process neither crashes nor keeps more than some
/// tens of megabytes of it, a row of COPY apart.
enum class Server { kSource, kDestination };

/// A session.  All waiting goes through the Waiter, so an interrupt leaves any call as an
/// exception; the session is then unusable and its destructor closes it.  Closing sends no cancel
/// request, as libpq's blocks: a source of version 14 or later ends a running query within a second
/// of the close (SourceSession sets client_connection_check_interval), an older one when it next
/// sends.  Not for use from several threads.
class Connection final : public Executor {
public:
  /// Connects.  Honours connect_timeout over the whole attempt (default 30 s when absent or 0 is
  /// without limit, as libpq has it).  Sets fallback_application_name to `application_name`.
  /// Throws Error 08001 with libpq's own reason in the message.
  [[nodiscard]] static Connection open(const ConnInfo &conninfo, std::string_view application_name,
                                       Server server, Waiter &waiter);

  Connection(Connection &&other) noexcept;
  Connection &operator=(Connection &&) = delete;
  ~Connection() override;

  /// Hands the server's notices to `handler` from now on; without one they are dropped.
  void on_notice(NoticeHandler handler);
  /// Has values of answers looked at, from now on; Error 22021 for those that are no text.
  void check_text(TextCheck is_text) noexcept { is_text_ = is_text; }

  /// Runs one statement by the extended protocol (so a second one cannot hide in it), results in
  /// text.  Throws Error with the server's SQLSTATE; a source's message is led by `could not read
  /// from source: `, its detail and context go to detail.  08006 when the session is lost, with the
  /// SQLSTATE the server sent last, if any, in the detail.  08P01 for an answer that is none, 54000
  /// for one of more bytes than any table explains; the session is over then.
  Rows exec(std::string_view sql, std::span<const Param> params) override;
  using Executor::exec;

  /// Lets the server keep, from now on, the plans of statements with parameters that come again and
  /// again.
  void keep_plans() { plans_ = std::make_unique<KeptPlans>(); }
  /// Takes all of them away from the server, which others may use the session of.  Throws as exec
  /// does.
  void drop_plans();

  /// Has the server parse one statement without parameters, not run it, which locks the relations
  /// that it names until the transaction ends, and none of their indexes.  Throws as exec does.
  [[nodiscard]] std::vector<DescribedColumn> describe(std::string_view sql);

  /// Sends one statement without parameters and leaves the source to it.  Throws as exec does.
  /// Follow with finish; until then nothing else can be run.
  void start(std::string_view sql);
  /// Waits for the result of what start has sent.  Throws as exec does.
  Rows finish();

  /// Starts `sql`, a COPY … TO STDOUT statement, by the extended protocol.  Throws as exec does.
  /// Follow with copy_row until it returns an empty view, then copy_end.
  void copy_out(std::string_view sql);
  /// The next CopyData message, valid until the next call; an empty view when the stream has ended,
  /// well or not: copy_end tells.  Throws Error 08006 when the session is lost.
  [[nodiscard]] std::string_view copy_row();
  /// Waits for the command's completion and returns the row count of its tag.  Throws as exec does.
  uint64_t copy_end();

  /// Throws Error 08006 when the server has closed an idle session; looks without waiting.  To be
  /// called now and then while the session idles: what the server sends meanwhile is dropped.
  void require_open();

  /// Major and minor as one number, for example 150020.
  [[nodiscard]] int server_version() const noexcept;
  /// True if the server asked for a password and was given one.
  [[nodiscard]] bool used_password() const noexcept;
  [[nodiscard]] int backend_pid() const noexcept;
  /// Which of the servers that the conninfo names it is.
  [[nodiscard]] SourcePlace place() const;
  /// libpq's file descriptor.
  [[nodiscard]] int socket() const noexcept;
  /// The parameters as libpq resolved them (service files, password file, environment).
  [[nodiscard]] ConnInfo resolved() const;

private:
  Connection(PgConnPtr conn, Server server, Waiter &waiter);

  void establish(std::chrono::milliseconds timeout);
  Rows run(std::string_view sql, std::span<const Param> params);
  void send(std::string_view sql, std::span<const Param> params);
  void require_sent(int is_sent);
  void flush();
  void gather();
  void await();
  void take_in();
  void drop_notifications();
  [[nodiscard]] PgResultPtr next_result();
  [[nodiscard]] PgResultPtr finish_command(Answer *answer = nullptr);
  void add_to(Answer *answer, pg_result *result);
  [[noreturn]] void throw_lost();
  void end_session() noexcept;
  [[noreturn]] void throw_violation(const std::string &message);
  template <class Check> void hold_to(Check check);

  std::unique_ptr<NoticeHandler> notice_handler_; // libpq has its address
  std::unique_ptr<KeptPlans> plans_;              // none: they are not kept
  PgConnPtr conn_;
  Server server_;
  Waiter &waiter_;
  NapLength nap_length_; // of the COPY that runs
  Intake intake_;
  TextCheck is_text_ = nullptr;
  bool is_encrypted_ = false; // asked once: each row of a COPY needs it
  bool is_copying_ = false;
  bool is_over_ = false; // the server broke the rules
  char *row_ = nullptr;  // the CopyData message handed out last, owned by libpq's allocator
};

} // namespace parallel_loader
