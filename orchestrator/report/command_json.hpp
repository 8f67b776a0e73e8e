// command_json: the JSON documents of the commands beside `copy` and `resume`; docs/json.md has
// their keys.  Each is one line without its end.
#pragma once

#include "orchestrator/run/mover.hpp"
#include "orchestrator/run/run_view.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

/// A table that a command has looked at, or why it could not.
struct TableOf {
  std::string source_table = {};
  std::string table = {}; // on the destination
  std::optional<FailureView> failure = {};
};

struct PlannedTable : TableOf {
  std::string key = {}; // what its ranges are cut on; empty: one piece
  std::vector<PlannedChunk> chunks = {};
  std::vector<std::string> warnings = {};
};

struct CheckedTable : TableOf {
  std::vector<CheckItem> items = {};
};

struct VerifiedTable : TableOf {
  VerifyView verify = {};
  std::vector<VerifiedRange> ranges = {};
};

struct AppendedTable : TableOf {
  int64_t rows = 0; // that were new
};

/// A pull that `cancel` or `alter` was about.
struct ChangedPull {
  std::string id = {};
  std::string source_table = {};
  std::string table = {};
  bool is_changed = false; // false: it had ended already, or see `failure`
  std::optional<FailureView> failure = {};
};

/// `failure` of each: what kept the command itself from its work.
using CommandFailure = std::optional<FailureView>;

[[nodiscard]] std::string plan_document(std::span<const PlannedTable> tables,
                                        const CommandFailure &failure);
[[nodiscard]] std::string check_document(std::span<const CheckedTable> tables,
                                         const CommandFailure &failure);
[[nodiscard]] std::string verify_document(std::span<const VerifiedTable> tables,
                                          const CommandFailure &failure);
[[nodiscard]] std::string append_document(std::span<const AppendedTable> tables,
                                          const CommandFailure &failure);
[[nodiscard]] std::string sequences_document(const std::vector<SequenceView> &sequences,
                                             const CommandFailure &failure);
[[nodiscard]] std::string status_document(std::span<const RunView> runs,
                                          const CommandFailure &failure);
/// `command`: cancel or alter.
[[nodiscard]] std::string change_document(std::string_view command,
                                          std::span<const ChangedPull> pulls,
                                          const CommandFailure &failure);

} // namespace parallel_loader
