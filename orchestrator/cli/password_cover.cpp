#include "orchestrator/cli/password_cover.hpp"

#include "core/base/error.hpp"
#include "core/connection/conninfo.hpp"

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>

namespace parallel_loader {

namespace {

bool is_given_secret(const ConnOption &option) {
  return is_secret_option(option.keyword) && !option.value.empty();
}

std::optional<ConnInfo> parse(std::string_view text) {
  if (!is_conninfo(text))
    return std::nullopt;
  try {
    return ConnInfo::parse(text);
  } catch (const Error &) {
    return std::nullopt;
  }
}

void cover(std::span<char> text) {
  std::ranges::fill(text, '*');
}

/// Where the secret stands as it is; all of `text` where it is written in another way.
void cover_secret(std::span<char> text, std::string_view secret) {
  const std::string_view all(text.data(), text.size());
  bool is_found = false;
  for (size_t at = all.find(secret); at != std::string_view::npos; at = all.find(secret, at + 1)) {
    cover(text.subspan(at, secret.size()));
    is_found = true;
  }
  if (!is_found)
    cover(text);
}

void cover_value(std::span<char> text) {
  const std::string_view view(text.data(), text.size());
  if (!may_hold_password(view))
    return;
  const auto conninfo = parse(view);
  if (!conninfo)
    return cover(text);
  for (const ConnOption &option : conninfo->options())
    if (is_given_secret(option))
      cover_secret(text, option.value);
}

/// Where the value of `--name=VALUE` or `-nVALUE` begins.
size_t value_start(std::string_view argument) {
  if (argument.starts_with("--"))
    return std::min(argument.find('='), argument.size() - 1) + 1;
  return argument.starts_with('-') ? 2 : 0;
}

} // namespace

bool may_hold_password(std::string_view text) {
  if (const auto conninfo = parse(text))
    return std::ranges::any_of(conninfo->options(), is_given_secret);
  return text.find("password") != std::string_view::npos ||
         (text.find("://") != std::string_view::npos && text.find('@') != std::string_view::npos);
}

void cover_passwords(std::span<char *const> argv) {
  for (char *const argument : argv) {
    const std::span<char> text(argument, std::strlen(argument));
    const size_t start = value_start({text.data(), text.size()});
    if (start < text.size())
      cover_value(text.subspan(start));
  }
}

} // namespace parallel_loader
