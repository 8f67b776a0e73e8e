#include "core/connection/connection.hpp"

#include "core/base/error.hpp"
#include "core/connection/answer.hpp"
#include "core/connection/connection_error.hpp"

#include <charconv>
#include <utility>

#include <libpq-fe.h>
#include <poll.h>
#include <sys/socket.h>

namespace parallel_loader {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr milliseconds kDefaultConnectTimeout{30'000};

// Bytes that a TLS or GSS layer holds back already decrypted do not make the socket readable, so
// waits on such sessions look again this often.
constexpr milliseconds kEncryptedWait{1'000};

void drop_notice(void *, const char *) {}

void pass_notice(void *handler, const PGresult *notice) {
  const auto field = [notice](int code) -> std::string_view {
    const char *text = PQresultErrorField(notice, code);
    return text == nullptr ? std::string_view() : std::string_view(text);
  };
  (*static_cast<NoticeHandler *>(handler))(field(PG_DIAG_MESSAGE_PRIMARY),
                                           field(PG_DIAG_MESSAGE_HINT));
}

// A Waiter may wake early, but PQconnectPoll takes a call as word that the socket is ready.
bool is_ready(int fd, Want want) {
  pollfd entry{fd, static_cast<short>(want == Want::kRead ? POLLIN : POLLOUT), 0};
  return poll(&entry, 1, 0) != 0;
}

milliseconds connect_timeout(const ConnInfo &resolved, Server server) {
  const std::string_view text = resolved.get("connect_timeout");
  if (text.empty())
    return kDefaultConnectTimeout;
  int seconds = 0;
  const auto [stop, failure] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (failure != std::errc() || stop != text.data() + text.size())
    throw connect_error(server, "invalid integer value \"" + std::string(text) +
                                    "\" for connection option \"connect_timeout\"");
  return seconds <= 0 ? Waiter::kNoTimeout : std::chrono::seconds(seconds);
}

bool is_failure(const PGresult *result) {
  const ExecStatusType status = PQresultStatus(result);
  return status == PGRES_FATAL_ERROR || status == PGRES_BAD_RESPONSE;
}

bool is_copy(const PGresult *result) {
  const ExecStatusType status = PQresultStatus(result);
  return status == PGRES_COPY_OUT || status == PGRES_COPY_IN || status == PGRES_COPY_BOTH;
}

uint64_t affected_rows(PGresult *result) {
  const std::string_view text = PQcmdTuples(result);
  uint64_t count = 0;
  std::from_chars(text.data(), text.data() + text.size(), count);
  return count;
}

// nullopt: the tag is not that of a COPY.
std::optional<uint64_t> copied_rows(PGresult *result) {
  constexpr std::string_view kTag = "COPY ";
  const std::string_view tag = PQcmdStatus(result);
  if (!tag.starts_with(kTag))
    return std::nullopt;
  uint64_t count = 0;
  const char *const end = tag.data() + tag.size();
  const auto [stop, failure] = std::from_chars(tag.data() + kTag.size(), end, count);
  return failure == std::errc() && stop == end ? std::optional(count) : std::nullopt;
}

} // namespace

void PgConnDeleter::operator()(pg_conn *conn) const noexcept {
  PQfinish(conn);
}
void PgResultDeleter::operator()(pg_result *result) const noexcept {
  PQclear(result);
}

Connection::Connection(PgConnPtr conn, Server server, Waiter &waiter)
    : conn_(std::move(conn)), server_(server), waiter_(waiter) {}

Connection::Connection(Connection &&other) noexcept
    : notice_handler_(std::move(other.notice_handler_)), plans_(std::move(other.plans_)),
      conn_(std::move(other.conn_)), server_(other.server_), waiter_(other.waiter_),
      nap_length_(other.nap_length_), intake_(other.intake_), is_text_(other.is_text_),
      is_encrypted_(other.is_encrypted_), is_copying_(other.is_copying_), is_over_(other.is_over_),
      row_(std::exchange(other.row_, nullptr)) {}

Connection::~Connection() {
  PQfreemem(row_);
}

Connection Connection::open(const ConnInfo &conninfo, std::string_view application_name,
                            Server server, Waiter &waiter) {
  const std::string fallback_name(application_name);
  // A later entry overrides an earlier one of the same keyword.
  std::vector<const char *> keywords{"fallback_application_name"};
  std::vector<const char *> values{fallback_name.c_str()};
  for (const ConnOption &option : conninfo.options()) {
    keywords.push_back(option.keyword.c_str());
    values.push_back(option.value.c_str());
  }
  keywords.push_back(nullptr);
  values.push_back(nullptr);

  // Without hostaddr this looks the host name up, the one thing libpq cannot do without blocking.
  PgConnPtr conn(PQconnectStartParams(keywords.data(), values.data(), 0));
  if (!conn)
    throw Error("53200", "out of memory");
  PQsetNoticeProcessor(conn.get(), drop_notice, nullptr);
  // The one way to learn the SQLSTATE of a server that refuses us.
  PQsetErrorVerbosity(conn.get(), PQERRORS_VERBOSE);
  Connection connection(std::move(conn), server, waiter);
  connection.establish(connect_timeout(connection.resolved(), server));
  PQsetErrorVerbosity(connection.conn_.get(), PQERRORS_DEFAULT);
  return connection;
}

void Connection::establish(milliseconds timeout) {
  const Clock::time_point deadline = Clock::now() + timeout;
  PostgresPollingStatusType status = PGRES_POLLING_WRITING;
  while (status != PGRES_POLLING_OK) {
    if (status == PGRES_POLLING_FAILED || PQstatus(conn_.get()) == CONNECTION_BAD)
      throw connect_error(server_, PQerrorMessage(conn_.get()));
    const Want want = status == PGRES_POLLING_READING ? Want::kRead : Want::kWrite;
    milliseconds left = Waiter::kNoTimeout;
    if (timeout >= milliseconds(0)) {
      left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
      if (left <= milliseconds(0))
        throw connect_error(server_, "timeout expired");
    }
    // libpq may change to another socket at any step.
    waiter_.wait(socket(), want, left);
    if (!is_ready(socket(), want))
      continue;
    const int fd = socket();
    intake_.before(fd);
    status = PQconnectPoll(conn_.get());
    if (socket() == fd)
      intake_.after(fd);
    hold_to(&Intake::require_message_size);
  }
  if (PQsetnonblocking(conn_.get(), 1) != 0)
    throw connect_error(server_, PQerrorMessage(conn_.get()));
  is_encrypted_ = PQsslInUse(conn_.get()) != 0 || PQgssEncInUse(conn_.get()) != 0;
}

void Connection::on_notice(NoticeHandler handler) {
  notice_handler_ = std::make_unique<NoticeHandler>(std::move(handler));
  PQsetNoticeReceiver(conn_.get(), pass_notice, notice_handler_.get());
}

Rows Connection::exec(std::string_view sql, std::span<const Param> params) {
  KeptPlan *const plan = plans_ && !params.empty() ? plans_->find(sql) : nullptr;
  if (plan == nullptr)
    return run(sql, params);
  if (!plan->is_made) {
    run(plan->prepare(sql), {});
    plan->is_made = true;
  }
  return run(plan->execute(params), {});
}

Rows Connection::run(std::string_view sql, std::span<const Param> params) {
  send(sql, params);
  return finish();
}

void Connection::drop_plans() {
  const std::unique_ptr<KeptPlans> plans = std::move(plans_);
  if (plans)
    for (const std::string &statement : plans->deallocations())
      run(statement, {});
}

std::vector<DescribedColumn> Connection::describe(std::string_view sql) {
  if (is_over_)
    throw_lost();
  require_sent(PQsendPrepare(conn_.get(), "", std::string(sql).c_str(), 0, nullptr));
  finish();
  require_sent(PQsendDescribePrepared(conn_.get(), ""));
  const PgResultPtr result = finish_command();
  if (!result)
    return {};
  if (is_failure(result.get()))
    throw statement_error(server_, result.get());
  std::vector<DescribedColumn> columns;
  columns.reserve(static_cast<size_t>(PQnfields(result.get())));
  for (int column = 0; column < PQnfields(result.get()); ++column)
    if (is_text_ != nullptr && !is_text_(PQfname(result.get(), column)))
      throw_violation("sent a name that is not valid in the session's encoding");
  for (int column = 0; column < PQnfields(result.get()); ++column)
    columns.push_back({.name = PQfname(result.get(), column),
                       .table = PQftable(result.get(), column),
                       .number = PQftablecol(result.get(), column),
                       .type = PQftype(result.get(), column),
                       .typmod = PQfmod(result.get(), column)});
  return columns;
}

void Connection::start(std::string_view sql) {
  send(sql, {});
}

Rows Connection::finish() {
  Answer answer(server_, is_text_);
  const PgResultPtr result = finish_command(&answer);
  if (result && is_failure(result.get()))
    throw statement_error(server_, result.get());
  return answer.take(result ? affected_rows(result.get()) : 0);
}

void Connection::copy_out(std::string_view sql) {
  nap_length_ = NapLength();
  send(sql, {});
  const PgResultPtr result = next_result();
  if (PQresultStatus(result.get()) == PGRES_COPY_OUT) {
    is_copying_ = true;
    return;
  }
  if (result && is_session_end(result.get()))
    throw lost_error(server_, result.get(), {});
  if (result && is_copy(result.get()))
    throw_violation("answered COPY TO STDOUT with another kind of COPY");
  const PgResultPtr later = finish_command();
  if (result && is_failure(result.get()))
    throw statement_error(server_, result.get());
  if (later && is_failure(later.get()))
    throw statement_error(server_, later.get());
  throw_violation("did not answer COPY TO STDOUT with a COPY");
}

std::string_view Connection::copy_row() {
  PQfreemem(std::exchange(row_, nullptr));
  // Bytes that have come already are taken without a wait: a source that is faster than the reader
  // then costs one system call per buffer, not several.  A reader that has caught up naps and
  // waits by turns: a nap lets bytes gather, and after one that brought too few a wait ends with
  // the next.
  for (unsigned look = 0;; ++look) {
    const int size = PQgetCopyData(conn_.get(), &row_, 1);
    if (size > 0) {
      nap_length_.add(static_cast<size_t>(size));
      intake_.add_copy_row(static_cast<size_t>(size), is_encrypted_);
      if (look != 0)
        hold_to(&Intake::require_few_others);
      return {row_, static_cast<size_t>(size)}; // libpq itself skips empty messages
    }
    if (size == -1) {
      is_copying_ = false;
      return {};
    }
    if (size != 0) {
      if (PQstatus(conn_.get()) == CONNECTION_BAD)
        throw_lost();
      throw_violation("sent COPY data that cannot be read: " +
                      first_line(PQerrorMessage(conn_.get())));
    }
    if (look % 2 == 1)
      gather();
    else if (look != 0)
      await();
    take_in();
  }
}

uint64_t Connection::copy_end() {
  const PgResultPtr result = finish_command();
  if (result && is_failure(result.get()))
    throw statement_error(server_, result.get());
  if (PQresultStatus(result.get()) != PGRES_COMMAND_OK)
    throw Error(sqlstate::kProtocolViolation, "COPY ended without a completion message");
  const std::optional<uint64_t> count = copied_rows(result.get());
  if (!count)
    throw_violation("ended COPY without a row count");
  return *count;
}

void Connection::require_open() {
  take_in();
  if (PQstatus(conn_.get()) == CONNECTION_BAD)
    throw_lost();
  hold_to(&Intake::require_few_others);
}

int Connection::server_version() const noexcept {
  return PQserverVersion(conn_.get());
}

bool Connection::used_password() const noexcept {
  return PQconnectionUsedPassword(conn_.get()) != 0;
}

int Connection::backend_pid() const noexcept {
  return PQbackendPID(conn_.get());
}

SourcePlace Connection::place() const {
  const auto text = [](const char *value) { return std::string(value == nullptr ? "" : value); };
  return {.host = text(PQhost(conn_.get())),
          .hostaddr = text(PQhostaddr(conn_.get())),
          .port = text(PQport(conn_.get()))};
}

int Connection::socket() const noexcept {
  return PQsocket(conn_.get());
}

ConnInfo Connection::resolved() const {
  return ConnInfo::of_connection(conn_.get());
}

void Connection::send(std::string_view sql, std::span<const Param> params) {
  if (is_over_)
    throw_lost();
  const std::string terminated(sql);
  std::vector<const char *> values;
  for (const Param &param : params)
    values.push_back(param ? param->c_str() : nullptr);
  require_sent(PQsendQueryParams(conn_.get(), terminated.c_str(), static_cast<int>(values.size()),
                                 nullptr, values.data(), nullptr, nullptr, 0));
}

void Connection::require_sent(int is_sent) {
  if (is_sent == 0) {
    if (PQstatus(conn_.get()) == CONNECTION_BAD)
      throw_lost();
    throw Error(sqlstate::kInternalError,
                std::string("could not send statement: ") + PQerrorMessage(conn_.get()));
  }
  // Rows are taken as they come, so that there is a place to count them.
  PQsetSingleRowMode(conn_.get());
  intake_.begin_statement();
  is_copying_ = false;
  flush();
}

void Connection::flush() {
  for (;;) {
    const int state = PQflush(conn_.get());
    if (state == 0)
      return;
    if (state < 0)
      throw_lost();
    waiter_.wait(socket(), Want::kWrite, Waiter::kNoTimeout);
    take_in(); // a server whose own output is stuck does not read on
  }
}

void Connection::gather() {
  // Of an encrypted stream libpq takes in a piece at a time.
  if (is_ready(socket(), Want::kRead))
    return;
  if (const auto length = nap_length_.next(); length > NapLength::Time::zero())
    waiter_.nap(length);
  else
    await();
}

void Connection::await() {
  if (PQstatus(conn_.get()) == CONNECTION_BAD || socket() < 0)
    throw_lost();
  waiter_.wait(socket(), Want::kRead, is_encrypted_ ? kEncryptedWait : Waiter::kNoTimeout);
}

void Connection::take_in() {
  intake_.before(socket());
  if (PQconsumeInput(conn_.get()) == 0)
    throw_lost();
  intake_.after(socket());
  drop_notifications();
  hold_to(is_copying_ ? &Intake::require_copy_row_size : &Intake::require_message_size);
}

// Nobody listens, but libpq would keep them.
void Connection::drop_notifications() {
  while (PGnotify *notification = PQnotifies(conn_.get()))
    PQfreemem(notification);
}

// The destination is the user's own; its notices may be many.
template <class Check> void Connection::hold_to(Check check) {
  if (server_ == Server::kDestination)
    return;
  try {
    (intake_.*check)();
  } catch (const Error &) {
    end_session();
    throw;
  }
}

PgResultPtr Connection::next_result() {
  while (PQisBusy(conn_.get()) != 0) {
    await();
    take_in();
  }
  return PgResultPtr(PQgetResult(conn_.get()));
}

// Reads to the command's end, so that the session can take another one.  Returns the first error if
// there was one, else the last result, if any; rows go to `answer`.
PgResultPtr Connection::finish_command(Answer *answer) {
  constexpr int kMostResults = 16; // a statement has one, and an error may follow it
  PgResultPtr chosen;
  int result_count = 0; // a row that comes by itself is part of the one that follows
  while (PgResultPtr result = next_result()) {
    if (PQresultStatus(result.get()) != PGRES_SINGLE_TUPLE && ++result_count > kMostResults)
      throw_violation("sent too many results for one statement");
    if (is_failure(result.get()) && is_session_end(result.get()))
      throw lost_error(server_, result.get(), {});
    if (is_copy(result.get()))
      throw_violation("started a COPY that was not requested");
    if (!is_failure(result.get()))
      add_to(answer, result.get());
    if (!chosen || !is_failure(chosen.get()))
      chosen = std::move(result);
    if (PQstatus(conn_.get()) == CONNECTION_BAD)
      throw lost_error(server_, chosen.get(), PQerrorMessage(conn_.get()));
  }
  if (PQstatus(conn_.get()) == CONNECTION_BAD)
    throw_lost();
  hold_to(&Intake::require_few_others);
  return chosen;
}

void Connection::add_to(Answer *answer, pg_result *result) {
  const auto column_count = static_cast<size_t>(PQnfields(result));
  if (answer == nullptr)
    return intake_.add(0, column_count);
  try {
    answer->add(result);
  } catch (const Error &) {
    end_session();
    throw;
  }
  intake_.add(answer->last_bytes(), column_count);
}

// Nothing that such a session says later can be taken for an answer.
void Connection::end_session() noexcept {
  is_over_ = true;
  shutdown(socket(), SHUT_RDWR);
}

void Connection::throw_violation(const std::string &message) {
  end_session();
  throw Error(sqlstate::kProtocolViolation,
              std::string(server_ == Server::kSource ? "source " : "destination ") + message);
}

void Connection::throw_lost() {
  if (is_over_)
    throw lost_error(server_, nullptr,
                     "the session was closed, because the server violated the protocol");
  const std::string text = PQerrorMessage(conn_.get());
  // What the server sent before it hung up may still lie unread: a FATAL error says why it did.
  PQconsumeInput(conn_.get());
  if (PQisBusy(conn_.get()) == 0) {
    const PgResultPtr last(PQgetResult(conn_.get()));
    if (last && is_failure(last.get()))
      throw lost_error(server_, last.get(), text);
  }
  throw lost_error(server_, nullptr, text);
}

} // namespace parallel_loader
