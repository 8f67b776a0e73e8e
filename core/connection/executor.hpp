// executor: runs one SQL statement, over libpq or inside the server, with text in and text out.
#pragma once

#include "core/base/pure.hpp"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

/// A statement parameter in text form; nullopt is NULL.  Statements cast them: `$1::bigint`.
using Param = std::optional<std::string>;

/// The result of a statement, every value in text form.  A source may answer whatever it likes, so
/// whoever reads a place that is not there, or a value that is not of the kind wanted, throws Error
/// 08P01: a protocol violation of the server that answered.
class Rows {
public:
  Rows() = default;
  /// `server` is what errors call the server that answered; a literal.
  Rows(size_t column_count, std::vector<std::optional<std::string>> values, uint64_t affected = 0,
       std::string_view server = "server")
      : column_count_(column_count), values_(std::move(values)), affected_(affected),
        server_(server) {}

  [[nodiscard]] size_t size() const noexcept {
    return column_count_ == 0 ? 0 : values_.size() / column_count_;
  }
  [[nodiscard]] bool empty() const noexcept { return size() == 0; }
  [[nodiscard]] size_t column_count() const noexcept { return column_count_; }
  [[nodiscard]] bool is_null(size_t row, size_t column) const {
    return !at(row, column).has_value();
  }
  /// The value as text; an empty string for NULL.
  [[nodiscard]] std::string text(size_t row, size_t column) const {
    return at(row, column).value_or(std::string());
  }
  [[nodiscard]] const std::optional<std::string> &at(size_t row, size_t column) const {
    if (row >= size() || column >= column_count_)
      throw_missing(row, column);
    return values_[row * column_count_ + column];
  }
  /// The value as a 64-bit integer; 0 for NULL.
  [[nodiscard]] int64_t integer(size_t row, size_t column) const;
  /// The value as a boolean (`t` or `true`); false for NULL.
  [[nodiscard]] bool boolean(size_t row, size_t column) const;

  /// The value as text where the statement cannot return NULL.
  [[nodiscard]] const std::string &value(size_t row, size_t column) const;
  /// The same where the statement cannot return NULL, nor an empty text.
  [[nodiscard]] const std::string &required_text(size_t row, size_t column) const;
  /// Nor a number outside of [lowest, highest].
  [[nodiscard]] int64_t required_integer(size_t row, size_t column, int64_t lowest = INT64_MIN,
                                         int64_t highest = INT64_MAX) const;
  /// A number from 0 to INT32_MAX.
  [[nodiscard]] int required_count(size_t row, size_t column) const;
  /// Nor anything but `t` and `f`, or their long forms.
  [[nodiscard]] bool required_boolean(size_t row, size_t column) const;
  /// An OID that is not 0.
  [[nodiscard]] uint32_t oid(size_t row, size_t column) const;
  /// Nor more or fewer rows.
  void require_size(size_t row_count) const;

  /// Rows that an INSERT, UPDATE or DELETE touched.
  [[nodiscard]] uint64_t affected() const noexcept { return affected_; }

private:
  size_t column_count_ = 0;
  std::vector<std::optional<std::string>> values_;
  uint64_t affected_ = 0;
  std::string_view server_ = "server";

  [[noreturn]] void throw_missing(size_t row, size_t column) const;
  [[noreturn]] void throw_unlike(size_t row, size_t column, std::string_view wanted) const;
};

class Executor {
public:
  Executor() = default;
  Executor(const Executor &) = delete;
  Executor &operator=(const Executor &) = delete;
  virtual ~Executor() = default;

  /// Runs one statement.  Throws Error with the SQLSTATE of the server that ran it.
  virtual Rows exec(std::string_view sql, std::span<const Param> params) = 0;

  Rows exec(std::string_view sql) { return exec(sql, std::span<const Param>()); }
  Rows exec(std::string_view sql, std::initializer_list<Param> params) {
    return exec(sql, std::span<const Param>(params.begin(), params.size()));
  }
};

/// Writes text values as an array literal for a `$n::text[]` parameter.
[[nodiscard]] std::string array_literal(std::span<const std::string> values);
/// The same where values may be NULL.
[[nodiscard]] std::string array_literal(std::span<const std::optional<std::string>> values);

} // namespace parallel_loader
