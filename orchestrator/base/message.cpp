#include "orchestrator/base/message.hpp"

#include "orchestrator/base/text.hpp"

namespace parallel_loader {

namespace {

/// Messages quote names and values of users, which may hold escape sequences; line ends stay.
std::string printable_lines(std::string_view text) {
  std::string result;
  while (true) {
    const size_t end = text.find('\n');
    result += printable(text.substr(0, end));
    if (end == std::string_view::npos)
      return result;
    result += '\n';
    text.remove_prefix(end + 1);
  }
}

std::string line(std::string_view label, Ink ink, std::string_view text, Color color) {
  return "parallel-loader: " + paint(label, ink, color) + " " + printable_lines(text) + "\n";
}

std::string problem(std::string_view label, Ink ink, const Error &error,
                    const MessageStyle &style) {
  const bool shows_sqlstate = style.verbosity == Verbosity::kVerbose && !error.sqlstate().empty();
  std::string text = line(
      label, ink, (shows_sqlstate ? error.sqlstate() + ": " : "") + error.message(), style.color);
  if (!error.detail().empty())
    text += line("detail:", Ink::kCyan, error.detail(), style.color);
  if (!error.hint().empty())
    text += hint_text(error.hint(), style);
  return text;
}

} // namespace

std::string error_text(const Error &error, const MessageStyle &style) {
  return problem("error:", Ink::kRed, error, style);
}

std::string warning_text(const Error &error, const MessageStyle &style) {
  return problem("warning:", Ink::kYellow, error, style);
}

std::string hint_text(std::string_view hint, const MessageStyle &style) {
  return line("hint:", Ink::kCyan, hint, style.color);
}

std::string note_text(std::string_view note) {
  return "parallel-loader: " + printable_lines(note) + "\n";
}

} // namespace parallel_loader
