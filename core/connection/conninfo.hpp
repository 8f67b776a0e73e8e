// conninfo: connection parameters of the source, however they were given, and what may be shown.
#pragma once

#include "core/base/pure.hpp"

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

struct pg_conn;

namespace parallel_loader {

/// One libpq connection parameter.
struct ConnOption {
  std::string keyword;
  std::string value;

  friend bool operator==(const ConnOption &, const ConnOption &) = default;
};

/// Whether a role may have the server open files, as members of pg_read_server_files may.
enum class ServerFiles { kMayNotRead = 1, kMayRead };

/// Connection parameters in the order they were given, or libpq's own when they were parsed; no
/// password ever leaves through display(), and none stays in memory after its ConnInfo.
class ConnInfo {
public:
  ConnInfo() = default;
  explicit ConnInfo(std::vector<ConnOption> options) : options_(std::move(options)) {}
  ConnInfo(const ConnInfo &) = default;
  ConnInfo(ConnInfo &&other) noexcept { std::swap(options_, other.options_); }
  ConnInfo &operator=(ConnInfo other) noexcept {
    std::swap(options_, other.options_);
    return *this;
  }
  ~ConnInfo() { wipe_secrets(); }

  /// Parses a conninfo string or a postgresql:// URI.  Throws Error 42601; the message never
  /// repeats the text, which may hold a password.
  [[nodiscard]] static ConnInfo parse(std::string_view text);

  /// The parameters of an open connection as libpq resolved them, without those that stand at
  /// libpq's own default; service and password files are taken up in the others.
  [[nodiscard]] static ConnInfo of_connection(pg_conn *conn);

  [[nodiscard]] const std::vector<ConnOption> &options() const noexcept { return options_; }
  [[nodiscard]] std::string_view get(std::string_view keyword) const noexcept; // empty if absent
  void set(std::string_view keyword, std::string_view value);
  void erase(std::string_view keyword);

  /// The options as one conninfo string, values quoted; with the password, so never for people.
  [[nodiscard]] std::string to_conninfo() const;
  /// The options as one conninfo string without any secret (passwords, key passphrases, tokens).
  [[nodiscard]] std::string display() const;

  /// Throws Error 42501 that names the first option that a user who is not a superuser may not set:
  /// those that read files or logins of the operating system user the server runs as, or that
  /// change the protocol.  Certificates of authorities are for those who may read server files.
  void require_options_allowed_to_users(ServerFiles files) const;
  /// Throws Error 42809 when an option names a device, a pipe or the like as a file: who opens one
  /// may wait for ever, or do more than read.
  void require_regular_files() const;

  /// Overwrites passwords and the like; they are empty then.
  void wipe_secrets() noexcept;

private:
  std::vector<ConnOption> options_;
};

/// True if `source` is a conninfo string or URI (has '=' or '://'), false if it names a foreign
/// server.
[[nodiscard]] bool is_conninfo(std::string_view source) noexcept;

/// True for a keyword that libpq knows and that a foreign server may carry: everything but debug
/// options and client_encoding, as dblink and postgres_fdw have it.
[[nodiscard]] bool is_server_option(std::string_view keyword);

/// True for keywords whose value is a secret.
[[nodiscard]] bool is_secret_option(std::string_view keyword) noexcept;

} // namespace parallel_loader
