#include "core/connection/conninfo.hpp"

#include "core/base/error.hpp"
#include "core/base/secret.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <memory>

#include <libpq-fe.h>

namespace parallel_loader {
namespace {

struct OptionsDeleter {
  void operator()(PQconninfoOption *options) const noexcept {
    for (PQconninfoOption *option = options; option->keyword != nullptr; ++option)
      if (option->val != nullptr && is_secret_option(option->keyword))
        wipe(option->val, std::strlen(option->val));
    PQconninfoFree(options);
  }
};
using OptionsPtr = std::unique_ptr<PQconninfoOption, OptionsDeleter>;

// Everything else reads logins of the operating system user the server runs as (passfile, service,
// sslkey, …), or changes the protocol (options, replication, client_encoding, …).
constexpr std::string_view kAllowedToUsers[] = {
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "sslmode",
    "channel_binding",
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "application_name",
    "fallback_application_name",
    "target_session_attrs",
    "gssencmode",
    "sslcompression",
    "sslsni",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "require_auth",
    "load_balance_hosts",
};

// Of those that name files, these hold nothing that the other end gets to see.
constexpr std::string_view kAllowedToFileReaders[] = {"sslrootcert", "sslcrl", "sslcrldir"};

constexpr std::string_view kFiles[] = {"sslrootcert", "sslcrl",      "sslcert",      "sslkey",
                                       "passfile",    "servicefile", "sslkeylogfile"};
constexpr std::string_view kFolders[] = {"sslcrldir"};

constexpr std::string_view kSecrets[] = {
    "password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key",
};

// More than libpq knows: a vector that need not grow leaves no copies of passwords behind.
constexpr size_t kMostOptions = 100;

bool contains(std::span<const std::string_view> keywords, std::string_view keyword) {
  return std::ranges::find(keywords, keyword) != keywords.end();
}

// What is not there is for libpq to say.
void require_regular(const ConnOption &option, const std::filesystem::path &path) {
  std::error_code ignored;
  const std::filesystem::file_status status = std::filesystem::status(path, ignored);
  if (std::filesystem::exists(status) && !std::filesystem::is_regular_file(status)) {
    throw Error("42809",
                "connection option \"" + option.keyword + "\" does not name a regular file",
                "\"" + path.string() + "\" is a file of another kind.");
  }
}

void require_regular_files_in(const ConnOption &option) {
  std::error_code error;
  if (!std::filesystem::is_directory(option.value, error)) {
    require_regular(option, option.value);
    return;
  }
  std::filesystem::directory_iterator entry(option.value, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error))
    require_regular(option, entry->path());
}

bool is_plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("_-./:,@+%*[]").find(c) != std::string_view::npos;
}

std::string quote_value(std::string_view value) {
  if (!value.empty() && std::all_of(value.begin(), value.end(), is_plain))
    return std::string(value);
  std::string quoted = "'";
  for (const char c : value) {
    if (c == '\'' || c == '\\')
      quoted += '\\';
    quoted += c;
  }
  return quoted += '\'';
}

void append_option(std::string &text, const ConnOption &option) {
  if (!text.empty())
    text += ' ';
  text += option.keyword + "=" + quote_value(option.value);
}

// A URI whose password has an @ or a / as it is: libpq takes what follows for a host or a database,
// which messages show.
bool has_cut_password(std::string_view text) {
  const size_t scheme = text.find("://");
  if (scheme == std::string_view::npos || text.find('=') < scheme)
    return false;
  const std::string_view rest = text.substr(scheme + 3);
  const size_t slash = std::min(rest.find('/'), rest.size());
  const std::string_view path = rest.substr(slash, rest.find('?', slash) - slash);
  return std::ranges::count(rest.substr(0, slash), '@') > 1 || path.find('@') != path.npos;
}

} // namespace

ConnInfo ConnInfo::parse(std::string_view text) {
  char *reason = nullptr;
  std::string terminated(text);
  const WipeAtEnd wiped(terminated);
  const bool is_whole = text.find('\0') == std::string_view::npos && !has_cut_password(text);
  const OptionsPtr parsed(is_whole ? PQconninfoParse(terminated.c_str(), &reason) : nullptr);
  // libpq's reason repeats a part of the text, which may be a part of the password.
  PQfreemem(reason);
  if (!parsed)
    throw Error(
        sqlstate::kSyntaxError, "connection string cannot be read",
        "The text is not shown, because it may contain a password.",
        "Write it as \"host=... dbname=... user=...\", values with spaces in single quotes, or "
        "as a postgresql:// URI with special characters percent-encoded.");

  std::vector<ConnOption> options;
  options.reserve(kMostOptions);
  for (const PQconninfoOption *option = parsed.get(); option->keyword != nullptr; ++option)
    if (option->val != nullptr)
      options.push_back({option->keyword, option->val});
  return ConnInfo(std::move(options));
}

ConnInfo ConnInfo::of_connection(pg_conn *conn) {
  const OptionsPtr options(PQconninfo(conn));
  if (!options)
    throw Error("53200", "out of memory");
  ConnInfo resolved;
  for (const PQconninfoOption *option = options.get(); option->keyword != nullptr; ++option) {
    const std::string_view keyword = option->keyword;
    const std::string_view value = option->val == nullptr ? "" : option->val;
    // libpq's own defaults would only trip over the options allowed to users.
    // From version 16 on it fills in sslcertmode, without a default among its options.
    const bool is_default = option->compiled != nullptr
                                ? value == option->compiled
                                : keyword == "sslcertmode" && value == "allow";
    const bool is_taken_up = keyword == "service" || keyword == "servicefile" ||
                             keyword == "passfile" || keyword == "fallback_application_name";
    if (!value.empty() && !is_taken_up && (!is_default || keyword == "port"))
      resolved.set(keyword, value);
  }
  // Neither the default host nor what a password file says is among libpq's options.
  const auto set_given = [&resolved](std::string_view keyword, const char *value) {
    if (value != nullptr && value[0] != '\0')
      resolved.set(keyword, value);
  };
  if (resolved.get("host").empty() && resolved.get("hostaddr").empty())
    set_given("host", PQhost(conn));
  set_given("password", PQpass(conn));
  return resolved;
}

std::string_view ConnInfo::get(std::string_view keyword) const noexcept {
  for (const ConnOption &option : options_)
    if (option.keyword == keyword)
      return option.value;
  return {};
}

void ConnInfo::set(std::string_view keyword, std::string_view value) {
  for (ConnOption &option : options_)
    if (option.keyword == keyword) {
      option.value = value;
      return;
    }
  options_.push_back({std::string(keyword), std::string(value)});
}

void ConnInfo::erase(std::string_view keyword) {
  std::erase_if(
      options_, [&](const ConnOption &option) { return option.keyword == keyword; });
}

std::string ConnInfo::to_conninfo() const {
  std::string text;
  for (const ConnOption &option : options_)
    append_option(text, option);
  return text;
}

std::string ConnInfo::display() const {
  std::string text;
  for (const ConnOption &option : options_)
    if (!is_secret_option(option.keyword))
      append_option(text, option);
  return text;
}

void ConnInfo::require_options_allowed_to_users(ServerFiles files) const {
  for (const ConnOption &option : options_) {
    if (contains(kAllowedToUsers, option.keyword))
      continue;
    const bool is_for_readers = contains(kAllowedToFileReaders, option.keyword);
    // libpq's word for the certificates of the operating system, and no file.
    const bool is_file = is_for_readers && option.value != "system";
    if (is_for_readers && (files == ServerFiles::kMayRead || !is_file))
      continue;
    throw Error(sqlstate::kInsufficientPrivilege,
                "permission denied to set connection option \"" + option.keyword + "\"",
                is_for_readers ? "It names a file, which the server opens."
                               : "Only superusers may set this option.",
                is_for_readers ? "Leave it out, or ask for membership in pg_read_server_files."
                               : "");
  }
}

void ConnInfo::require_regular_files() const {
  for (const ConnOption &option : options_)
    if (contains(kFiles, option.keyword) && !option.value.empty() && option.value != "system")
      require_regular(option, option.value);
    else if (contains(kFolders, option.keyword) && !option.value.empty())
      require_regular_files_in(option);
}

void ConnInfo::wipe_secrets() noexcept {
  for (ConnOption &option : options_)
    if (is_secret_option(option.keyword))
      wipe(option.value);
}

bool is_conninfo(std::string_view source) noexcept {
  return source.find('=') != std::string_view::npos || source.find("://") != std::string_view::npos;
}

bool is_server_option(std::string_view keyword) {
  const OptionsPtr known(PQconndefaults());
  if (!known)
    throw Error("53200", "out of memory");
  for (const PQconninfoOption *option = known.get(); option->keyword != nullptr; ++option)
    if (option->keyword == keyword)
      return option->dispchar[0] != 'D' && keyword != "client_encoding";
  return false;
}

bool is_secret_option(std::string_view keyword) noexcept {
  return std::ranges::find(kSecrets, keyword) != std::end(kSecrets);
}

} // namespace parallel_loader
