#include "core/base/quote.hpp"

#include "core/base/error.hpp"

namespace parallel_loader {
namespace {

bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

bool is_lower_start(char c) {
  return (c >= 'a' && c <= 'z') || c == '_';
}

// As the server's scanner has it: any byte above ASCII may begin an identifier.
bool is_identifier_start(char c) {
  return is_lower_start(c) || (c >= 'A' && c <= 'Z') || static_cast<unsigned char>(c) >= 0x80;
}

bool is_identifier_part(char c) {
  return is_identifier_start(c) || (c >= '0' && c <= '9') || c == '$';
}

// Messages need no list of reserved words: they are read by people.
std::string display_part(std::string_view name) {
  bool is_plain = !name.empty() && is_lower_start(name.front());
  for (const char c : name)
    is_plain = is_plain && (is_lower_start(c) || (c >= '0' && c <= '9') || c == '$');
  return is_plain ? std::string(name) : quote_identifier(name);
}

/// Reads identifiers from the front of a text.
class Scanner {
public:
  explicit Scanner(std::string_view text) : text_(text), rest_(text) {}

  std::string identifier() {
    skip_space();
    if (rest_.empty())
      fail();
    return rest_.front() == '"' ? quoted() : unquoted();
  }

  /// Takes `separator` if it comes next.
  bool take(char separator) {
    skip_space();
    if (rest_.empty() || rest_.front() != separator)
      return false;
    rest_.remove_prefix(1);
    return true;
  }

  void expect_end() {
    skip_space();
    if (!rest_.empty())
      fail();
  }

  [[noreturn]] void fail() const {
    throw Error(sqlstate::kSyntaxError, "invalid name syntax: \"" + std::string(text_) + "\"", {},
                "Put a name into double quotes if it is not all lower case, or contains characters "
                "other than letters, digits and underscores.");
  }

private:
  void skip_space() {
    while (!rest_.empty() && is_space(rest_.front()))
      rest_.remove_prefix(1);
  }

  std::string quoted() {
    std::string name;
    for (size_t i = 1; i < rest_.size(); ++i) {
      if (rest_[i] != '"') {
        name += rest_[i];
      } else if (i + 1 < rest_.size() && rest_[i + 1] == '"') {
        name += rest_[i++];
      } else {
        rest_.remove_prefix(i + 1);
        if (name.empty())
          fail();
        return name;
      }
    }
    fail();
  }

  std::string unquoted() {
    if (!is_identifier_start(rest_.front()))
      fail();
    std::string name;
    while (!rest_.empty() && is_identifier_part(rest_.front())) {
      const char c = rest_.front();
      name += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
      rest_.remove_prefix(1);
    }
    return name;
  }

  std::string_view text_;
  std::string_view rest_;
};

} // namespace

std::string quote_identifier(std::string_view name) {
  std::string quoted = "\"";
  for (const char c : name) {
    if (c == '"')
      quoted += '"';
    quoted += c;
  }
  return quoted += '"';
}

std::string quote_literal(std::string_view value) {
  std::string quoted = value.find('\\') == std::string_view::npos ? "'" : "E'";
  for (const char c : value) {
    if (c == '\'' || c == '\\')
      quoted += c;
    quoted += c;
  }
  return quoted += '\'';
}

std::string QualifiedName::quoted() const {
  return schema.empty() ? quote_identifier(name)
                        : quote_identifier(schema) + "." + quote_identifier(name);
}

std::string QualifiedName::display() const {
  return schema.empty() ? display_part(name) : display_part(schema) + "." + display_part(name);
}

std::string QualifiedName::cited() const {
  return "\"" + (schema.empty() ? name : schema + "." + name) + "\"";
}

std::vector<std::string> split_identifier(std::string_view text, size_t max_parts) {
  Scanner scanner(text);
  std::vector<std::string> parts;
  do {
    if (parts.size() == max_parts)
      scanner.fail();
    parts.push_back(scanner.identifier());
  } while (scanner.take('.'));
  scanner.expect_end();
  return parts;
}

QualifiedName parse_qualified_name(std::string_view text) {
  std::vector<std::string> parts = split_identifier(text, 2);
  if (parts.size() == 1)
    return {{}, std::move(parts[0])};
  return {std::move(parts[0]), std::move(parts[1])};
}

std::vector<std::string> split_identifier_list(std::string_view text) {
  Scanner scanner(text);
  std::vector<std::string> names;
  do
    names.push_back(scanner.identifier());
  while (scanner.take(','));
  scanner.expect_end();
  return names;
}

} // namespace parallel_loader
