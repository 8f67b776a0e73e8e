#include "core/base/record_literal.hpp"

#include "core/base/error.hpp"

namespace parallel_loader {
namespace {

constexpr std::string_view kSpaces = " \t\r\n\f\v";

class RecordReader {
public:
  explicit RecordReader(std::string_view text) : text_(text) {}

  std::vector<std::string> fields(size_t field_count) {
    skip_space();
    if (take() != '(')
      fail("It does not begin with a left parenthesis.");
    std::vector<std::string> fields;
    char end = ',';
    while (end == ',')
      fields.push_back(field(end));
    skip_space();
    if (at_ != text_.size())
      fail("Text follows its right parenthesis.");
    if (fields.size() != field_count)
      fail("It has " + std::to_string(fields.size()) + " fields, but the key has " +
           std::to_string(field_count) + " columns.");
    return fields;
  }

private:
  // Reads up to and including the comma or parenthesis that ends the field.
  std::string field(char &end) {
    std::string value;
    bool is_quoted = false;
    bool is_null = true; // nothing at all, not even quotes
    for (;;) {
      const char c = take();
      if (!is_quoted && (c == ',' || c == ')')) {
        if (is_null)
          fail("It contains a null value. The fields of a bound cannot be null.");
        end = c;
        return value;
      }
      is_null = false;
      if (c == '\\')
        value += take();
      else if (c != '"')
        value += c;
      else if (is_quoted && at_ < text_.size() && text_[at_] == '"')
        value += take();
      else
        is_quoted = !is_quoted;
    }
  }

  void skip_space() {
    while (at_ < text_.size() && kSpaces.find(text_[at_]) != std::string_view::npos)
      ++at_;
  }

  char take() {
    if (at_ == text_.size())
      fail("It has no end.");
    return text_[at_++];
  }

  [[noreturn]] void fail(std::string detail) const {
    throw Error(sqlstate::kInvalidParameterValue,
                "bound \"" + std::string(text_) + "\" cannot be read as a row of the key",
                std::move(detail), "Write it as (1,\"a b\").");
  }

  std::string_view text_;
  size_t at_ = 0;
};

} // namespace

std::vector<std::string> parse_record(std::string_view text, size_t field_count) {
  return RecordReader(text).fields(field_count);
}

} // namespace parallel_loader
