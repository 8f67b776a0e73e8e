#include "core/source/char_text.hpp"

#include "core/base/error.hpp"

#include <algorithm>
#include <iterator>

namespace parallel_loader {
namespace {

constexpr int kEscapedSince = 150000;

bool is_octal(char c, char lowest) {
  return lowest <= c && c <= '7';
}

// The escape of a byte from 0x80 on; COPY and the text of arrays and composites double backslashes,
// which leaves the last one before the digits.
bool has_escape(std::string_view field) {
  for (size_t at = field.find('\\'); at != std::string_view::npos; at = field.find('\\', at + 1))
    if (field.size() - at >= 4 && is_octal(field[at + 1], '2') && field[at + 1] <= '3' &&
        is_octal(field[at + 2], '0') && is_octal(field[at + 3], '0'))
      return true;
  return false;
}

bool has_high_byte(std::string_view field) {
  return std::ranges::any_of(
      field, [](char c) { return static_cast<unsigned char>(c) >= 0x80; });
}

[[noreturn]] void throw_unreadable(const std::string &column, int64_t number, CharFlaw flaw) {
  throw Error(sqlstate::kFeatureNotSupported,
              "value of column \"" + column + "\" cannot be pulled as text between these servers",
              "Row " + std::to_string(number) +
                  " of the stream holds a \"char\" that is no ASCII character" +
                  (flaw == CharFlaw::kEscape
                       ? ": its text form changed in version 15."
                       : ": the source converts it to the encoding of this database."),
              "Use format => 'binary' if all columns allow it, or leave the column out with "
              "columns.");
}

} // namespace

CharFlaw find_char_flaw(const ServerInfo &source, const ServerInfo &destination) {
  if (source.version >= kEscapedSince)
    return destination.version >= kEscapedSince ? CharFlaw::kNone : CharFlaw::kEscape;
  const bool is_converted = source.encoding != destination.encoding &&
                            source.encoding != "SQL_ASCII" && destination.encoding != "SQL_ASCII";
  return is_converted ? CharFlaw::kConverted : CharFlaw::kNone;
}

std::vector<std::string> CharText::columns() const {
  std::vector<std::string> names;
  std::ranges::transform(fields_, std::back_inserter(names), &Field::column);
  return names;
}

// A tab inside a value is written as `\t`.
static std::string_view after_field(std::string_view row) {
  const size_t tab = row.find('\t');
  return tab == std::string_view::npos ? std::string_view() : row.substr(tab + 1);
}

void CharText::require_readable(std::string_view row, int64_t number) const {
  size_t index = 0;
  for (const Field &field : fields_) {
    for (; index < field.index; ++index)
      row = after_field(row);
    const std::string_view value = row.substr(0, row.find('\t'));
    if (flaw_ == CharFlaw::kEscape ? has_escape(value) : has_high_byte(value))
      throw_unreadable(field.column, number, flaw_);
  }
}

} // namespace parallel_loader
