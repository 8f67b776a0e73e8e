// terminal: what standard error can show, and what the user wants of it.
#pragma once

#include "orchestrator/base/paint.hpp"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace parallel_loader {

/// Looks up an environment variable; nullopt when it is not set.
using Environment = std::function<std::optional<std::string>(std::string_view name)>;

/// The program's own environment.
[[nodiscard]] std::optional<std::string> process_environment(std::string_view name);

enum class When { kAuto, kAlways, kNever };

struct Terminal {
  bool is_terminal = false;
  bool is_dumb = false;       // TERM=dumb: no colour, no line that is written over
  bool refuses_color = false; // NO_COLOR is set and not empty (no-color.org)
  bool has_utf8 = false;      // the locale's encoding
};

/// Of file descriptor `fd`.
[[nodiscard]] Terminal inspect_terminal(int fd, const Environment &environment);
/// The columns of `fd` now, since windows change; 80 where it cannot be told.
[[nodiscard]] size_t terminal_width(int fd);
/// The lines likewise; 24 where it cannot be told.
[[nodiscard]] size_t terminal_height(int fd);

/// A flag wins over all that the terminal and the environment say.
[[nodiscard]] Color choose_color(When when, const Terminal &terminal) noexcept;

enum class ProgressMode { kBar, kLog, kOff };
[[nodiscard]] ProgressMode choose_progress(When when, const Terminal &terminal) noexcept;

} // namespace parallel_loader
