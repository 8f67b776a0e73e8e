// answer: the rows of a statement's answer, taken in one at a time and bounded.
#pragma once

#include "core/connection/connection.hpp"
#include "core/connection/executor.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

class Answer {
public:
  /// What an answer may take in memory.  A partition of a table takes less than a kilobyte.
  static constexpr size_t kMostBytes = 64 << 20;

  /// `is_text` tells what is text in our encoding; nullptr: all is.
  Answer(Server server, TextCheck is_text) : server_(server), is_text_(is_text) {}

  /// Takes the rows of a result.  Throws Error 54000 when they get too many, 08P01 when they are no
  /// rows of the same statement: the rest of the answer is better not read.
  void add(pg_result *result);

  /// What has come.  Throws Error 22021 when some of it is no text.
  [[nodiscard]] Rows take(uint64_t affected);

  /// Bytes of the values in the result added last.
  [[nodiscard]] size_t last_bytes() const noexcept { return last_bytes_; }

private:
  void add_value(std::string_view value);

  Server server_;
  TextCheck is_text_;
  std::optional<size_t> column_count_;
  std::vector<std::optional<std::string>> values_;
  size_t bytes_ = 0;
  size_t last_bytes_ = 0;
  bool has_flaw_ = false;
};

} // namespace parallel_loader
