// fake_executor: an Executor that answers from a list and keeps what it was asked.
#pragma once

#include "core/connection/executor.hpp"

#include <deque>
#include <string>
#include <vector>

namespace parallel_loader::testing {

class FakeExecutor final : public Executor {
public:
  struct Call {
    std::string sql;
    std::vector<Param> params;
  };

  /// The statements answered so far.
  std::vector<Call> calls;
  /// What the next statements return; nothing when it has run out.
  std::deque<Rows> answers;

  using Executor::exec;
  Rows exec(std::string_view sql, std::span<const Param> params) override {
    calls.push_back({std::string(sql), {params.begin(), params.end()}});
    if (answers.empty())
      return {};
    Rows rows = std::move(answers.front());
    answers.pop_front();
    return rows;
  }
};

/// One row of text values.
inline Rows one_row(std::vector<std::optional<std::string>> values) {
  const size_t column_count = values.size();
  return Rows(column_count, std::move(values));
}

/// The outcome of a command that touched `count` rows.
inline Rows affected(uint64_t count) {
  return Rows(0, {}, count);
}

} // namespace parallel_loader::testing
