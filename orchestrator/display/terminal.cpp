#include "orchestrator/display/terminal.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>

namespace parallel_loader {

namespace {

/// The locale's encoding is UTF-8, by the variable that decides for characters.
bool has_utf8_locale(const Environment &environment) {
  constexpr std::array<std::string_view, 3> kByRank{"LC_ALL", "LC_CTYPE", "LANG"};
  for (const std::string_view name : kByRank) {
    std::string value = environment(name).value_or("");
    if (value.empty())
      continue;
    std::ranges::transform(value, value.begin(), [](char letter) {
      return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter - 'A' + 'a') : letter;
    });
    return value.find("utf-8") != std::string::npos || value.find("utf8") != std::string::npos;
  }
  return false;
}

} // namespace

std::optional<std::string> process_environment(std::string_view name) {
  const char *value = std::getenv(std::string(name).c_str());
  return value == nullptr ? std::nullopt : std::optional<std::string>(value);
}

Terminal inspect_terminal(int fd, const Environment &environment) {
  return {.is_terminal = isatty(fd) == 1,
          .is_dumb = environment("TERM").value_or("dumb") == "dumb",
          .refuses_color = !environment("NO_COLOR").value_or("").empty(),
          .has_utf8 = has_utf8_locale(environment)};
}

size_t terminal_width(int fd) {
  constexpr size_t kUsual = 80;
  winsize size{};
  return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : kUsual;
}

size_t terminal_height(int fd) {
  constexpr size_t kUsual = 24;
  winsize size{};
  return ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : kUsual;
}

Color choose_color(When when, const Terminal &terminal) noexcept {
  switch (when) {
  case When::kAlways:
    return Color::kOn;
  case When::kNever:
    return Color::kOff;
  case When::kAuto:
    break;
  }
  return terminal.is_terminal && !terminal.is_dumb && !terminal.refuses_color ? Color::kOn
                                                                              : Color::kOff;
}

ProgressMode choose_progress(When when, const Terminal &terminal) noexcept {
  switch (when) {
  case When::kAlways:
    return ProgressMode::kBar;
  case When::kNever:
    return ProgressMode::kOff;
  case When::kAuto:
    break;
  }
  return terminal.is_terminal && !terminal.is_dumb ? ProgressMode::kBar : ProgressMode::kLog;
}

} // namespace parallel_loader
