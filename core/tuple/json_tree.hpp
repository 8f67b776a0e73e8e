// json_tree: the values of a JSON text.
#pragma once

#include "core/base/pure.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

struct JsonValue {
  enum class Kind : uint8_t { kNull, kFalse, kTrue, kString, kNumber, kArray, kObject };

  Kind kind = Kind::kNull;
  uint32_t size = 0;          // bytes of a string or number; values of an array; pairs of an object
  uint32_t first = 0;         // of an array or object: where its values begin in the tree
  const char *text = nullptr; // of a string, without quotes and escapes, or of a number

  [[nodiscard]] bool is_container() const noexcept {
    return kind == Kind::kArray || kind == Kind::kObject;
  }
};

/// Reads texts one after the other, as strictly as RFC 8259, and some of them not at all: those
/// with \u escapes, numbers with exponents or of many digits, and many levels.  Memory is kept.
class JsonTree {
public:
  static constexpr size_t kMaxBytes = size_t{256} << 10;
  static constexpr size_t kMaxNumberBytes = 48;
  static constexpr unsigned kMaxLevels = 64;

  /// Returns whether `text` is one JSON value, and one that is read.  `text` must outlive the
  /// tree's use.  Strings are taken as they are: their encoding is the caller's to check.
  [[nodiscard]] bool read(std::string_view text);

  [[nodiscard]] const JsonValue &root() const noexcept { return stack_.front(); }
  /// How many values there are, keys included.
  [[nodiscard]] size_t size() const noexcept { return values_.size() + 1; }
  /// The values of an array; of an object, keys and values by turns: each key once, with its last
  /// value, in the order of jsonb (shorter keys first, then by bytes).
  [[nodiscard]] std::span<const JsonValue> values(const JsonValue &container) const noexcept;

private:
  [[nodiscard]] bool read_value(unsigned level);
  [[nodiscard]] bool read_array(unsigned level);
  [[nodiscard]] bool read_object(unsigned level);
  [[nodiscard]] bool read_string();
  [[nodiscard]] bool read_escaped_string(const char *begin);
  [[nodiscard]] bool read_number();
  [[nodiscard]] bool read_literal(std::string_view word, JsonValue::Kind kind);
  [[nodiscard]] size_t skip_digits() noexcept;
  void skip_plain() noexcept;
  void skip_space() noexcept;
  [[nodiscard]] bool take(char wanted) noexcept;
  void push(JsonValue::Kind kind, std::string_view text);
  void close(JsonValue::Kind kind, size_t first);
  void sort_pairs(size_t first);

  const char *at_ = nullptr;
  const char *end_ = nullptr;
  std::vector<JsonValue> stack_;  // values whose container is still open
  std::vector<JsonValue> values_; // of closed containers
  std::string unescaped_;         // strings that had escapes
};

} // namespace parallel_loader
