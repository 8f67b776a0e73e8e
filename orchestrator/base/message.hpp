// message: errors, warnings and hints as the program writes them to standard error.
#pragma once

#include "core/base/error.hpp"
#include "orchestrator/base/paint.hpp"

#include <string>
#include <string_view>

namespace parallel_loader {

enum class Verbosity { kQuiet, kNormal, kVerbose };

struct MessageStyle {
  Verbosity verbosity = Verbosity::kNormal;
  Color color = Color::kOff;
};

/// `parallel-loader: error: …`, then `detail` and `hint` on lines of their own where there are any;
/// kVerbose puts the SQLSTATE before the message.  Ends with a newline.
[[nodiscard]] std::string error_text(const Error &error, const MessageStyle &style);
/// The same as a warning: what went wrong did not stop the run.
[[nodiscard]] std::string warning_text(const Error &error, const MessageStyle &style);
/// `parallel-loader: hint: …`.
[[nodiscard]] std::string hint_text(std::string_view hint, const MessageStyle &style);
/// `parallel-loader: …`: what kVerbose tells.
[[nodiscard]] std::string note_text(std::string_view note);

} // namespace parallel_loader
