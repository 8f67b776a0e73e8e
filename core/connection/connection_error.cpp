#include "core/connection/connection_error.hpp"

#include <algorithm>

#include <libpq-fe.h>

namespace parallel_loader {
namespace {

std::string server_name(Server server) {
  return server == Server::kSource ? "source" : "destination";
}

// Longer texts tell a reader nothing more, and are copied several times on their way.
constexpr size_t kMostTextBytes = 8000;

std::string_view cut(std::string_view text) {
  return text.substr(0, kMostTextBytes);
}

std::string field(const PGresult *result, int code) {
  const char *value = PQresultErrorField(result, code);
  return value == nullptr ? std::string() : std::string(cut(value));
}

// Five digits or capital letters that are the code of an error: not of success, a warning or "no
// data".
bool is_error_code(std::string_view code) {
  const auto is_part = [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); };
  return code.size() == 5 && std::ranges::all_of(code, is_part) && !code.starts_with("00") &&
         !code.starts_with("01") && !code.starts_with("02");
}

std::string error_code(const PGresult *result) {
  std::string code = field(result, PG_DIAG_SQLSTATE);
  // Without a code: libpq's own errors, all but being out of memory about what the server sent.
  return is_error_code(code) ? code : std::string(sqlstate::kProtocolViolation);
}

std::string trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos)
    return {};
  return std::string(text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1));
}

// Details are full sentences, libpq's reasons are not.
std::string sentence(std::string text) {
  if (text.empty())
    return text;
  if (text.front() >= 'a' && text.front() <= 'z')
    text.front() = static_cast<char>(text.front() - 'a' + 'A');
  if (text.back() != '.')
    text += '.';
  return text;
}

std::string primary(const PGresult *result) {
  const std::string message = field(result, PG_DIAG_MESSAGE_PRIMARY);
  return message.empty() ? first_line(PQresultErrorMessage(result)) : message;
}

void append_line(std::string &text, std::string_view line) {
  if (line.empty())
    return;
  if (!text.empty())
    text += '\n';
  text += line;
}

} // namespace

std::string first_line(std::string_view text) {
  const std::string trimmed = trim(cut(text));
  return trimmed.substr(0, trimmed.find('\n'));
}

bool is_session_end(const pg_result *result) {
  const std::string severity = field(result, PG_DIAG_SEVERITY_NONLOCALIZED);
  const std::string code = field(result, PG_DIAG_SQLSTATE);
  // Class 08 with severity ERROR is not here: a foreign table of the server may raise it while our
  // own session is well.
  return severity == "FATAL" || severity == "PANIC" || code == "57P01" || code == "57P02" ||
         code == "57P03";
}

Error statement_error(Server server, const pg_result *result) {
  const std::string code = error_code(result);
  std::string detail = field(result, PG_DIAG_MESSAGE_DETAIL);
  std::string hint = field(result, PG_DIAG_MESSAGE_HINT);
  if (server == Server::kDestination)
    return Error(code, primary(result), std::move(detail), std::move(hint));
  append_line(detail, field(result, PG_DIAG_CONTEXT));
  return Error(code, "could not read from source: " + primary(result), std::move(detail),
               std::move(hint));
}

Error lost_error(Server server, const pg_result *result, std::string_view text) {
  const bool has_code =
      result != nullptr && PQresultErrorField(result, PG_DIAG_SQLSTATE) != nullptr;
  const std::string code = has_code ? error_code(result) : std::string();
  std::string detail =
      code.empty()
          ? sentence(first_line(text))
          : sentence("The " + server_name(server) + " sent " + code + ": " + primary(result));
  if (!code.empty())
    append_line(detail, field(result, PG_DIAG_MESSAGE_DETAIL));
  return Error(sqlstate::kConnectionLost, "connection to " + server_name(server) + " was lost",
               std::move(detail));
}

namespace {

bool is_sqlstate(std::string_view text) {
  return text.size() == 5 &&
         std::ranges::all_of(
             text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z'); });
}

/// Takes the SQLSTATE out of `… failed: FATAL:  53300: too many …`, as libpq writes it on demand.
std::string take_sqlstate(std::string &line) {
  constexpr std::string_view kBefore = ":  ";
  constexpr std::string_view kAfter = ": ";
  for (size_t at = 0; (at = line.find(kBefore, at)) != std::string::npos; at += kBefore.size()) {
    std::string code = line.substr(at + kBefore.size(), 5);
    const size_t end = at + kBefore.size() + code.size();
    if (!is_sqlstate(code) || line.compare(end, kAfter.size(), kAfter) != 0)
      continue;
    line.erase(at + kBefore.size(), code.size() + kAfter.size());
    return code;
  }
  return {};
}

/// `LOCATION:  InitProcess, proc.c:353`, the word in any language.
bool is_location(std::string_view line) {
  const size_t dot = line.rfind(".c:");
  return dot != std::string_view::npos && dot + 3 < line.size() &&
         std::ranges::all_of(line.substr(dot + 3), [](char c) { return c >= '0' && c <= '9'; });
}

// As libpq writes it, in no other language.
bool lacks_password(std::string_view line) {
  return line.find("no password supplied") != std::string_view::npos;
}

std::string connect_hint(Server server, std::string_view code, std::string_view line) {
  if (server == Server::kSource && lacks_password(line))
    return "The source asks for a password. Put it into its connection string (src_dsn; with "
           "parallel-loader: --source, or a password file), or into a user mapping of a foreign "
           "server.";
  if (code == "53300" && server == Server::kSource)
    return "A pull needs a session for itself and one for each worker, and at times another. Use "
           "fewer workers, or raise "
           "the limit on the source: CONNECTION LIMIT of the role or of the database, or "
           "max_connections of the server.";
  if (code == "53300")
    return "Use fewer jobs, or raise the limit on the destination: CONNECTION LIMIT of the role or "
           "of the database, or max_connections of the server.";
  return server == Server::kSource
             ? std::string(kUnreachableHint) +
                   " from the server that connects to it, and that user and password are correct."
             : "Check that the destination can be reached, and that user and password are correct.";
}

} // namespace

Error connect_error(Server server, std::string_view text) {
  // libpq lists all addresses it tried, each on a line of its own with further lines below it. The
  // last attempt is the one that decided.
  const std::string all = trim(cut(text));
  size_t start = all.rfind("\nconnection to ");
  start = start == std::string::npos ? 0 : start + 1;
  std::string line = all.substr(start, all.find('\n', start) - start);
  const std::string code = take_sqlstate(line);

  std::string detail;
  for (size_t at = 0; at < all.size();) {
    const size_t end = std::min(all.find('\n', at), all.size());
    std::string other = trim(std::string_view(all).substr(at, end - at));
    static_cast<void>(take_sqlstate(other));
    if (at != start && !is_location(other))
      append_line(detail, other);
    at = end + 1;
  }
  return Error(sqlstate::kCannotConnect,
               "could not connect to " + server_name(server) + ": " + trim(line), std::move(detail),
               connect_hint(server, code, line));
}

} // namespace parallel_loader
