// char_text: rows in text whose "char" values would be others on the destination.
#pragma once

#include "core/connection/server_info.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

/// What happens to the text of a "char" that is no ASCII character.
enum class CharFlaw {
  kNone,
  kEscape,    // a backslash and three digits, from version 15 on; read as a backslash before
  kConverted, // one byte, before version 15, that the source converts to another encoding
};

[[nodiscard]] CharFlaw find_char_flaw(const ServerInfo &source, const ServerInfo &destination);

/// ASCII characters, which is nearly all that this type is used for, have one text everywhere; so
/// the others are looked for in each row.
class CharText {
public:
  CharText() = default;
  explicit CharText(CharFlaw flaw) : flaw_(flaw) {}

  /// Field `index`, from 0, of each row is, or is made of, "char"; its column's name is for people.
  void add(size_t index, std::string column) { fields_.push_back({index, std::move(column)}); }

  [[nodiscard]] bool empty() const noexcept { return flaw_ == CharFlaw::kNone || fields_.empty(); }
  [[nodiscard]] std::vector<std::string> columns() const;

  /// Throws Error 0A000 if `row`, the `number`th of a COPY in text, has such a value.  In values
  /// that are made of more than "char" this may find text that only looks like one.
  void require_readable(std::string_view row, int64_t number) const;

private:
  struct Field {
    size_t index;
    std::string column;
  };

  CharFlaw flaw_ = CharFlaw::kNone;
  std::vector<Field> fields_; // by index
};

} // namespace parallel_loader
