// ledger_executor: an Executor for statements on the ledger, whose schema they leave open.
#pragma once

#include "core/connection/executor.hpp"

#include <string>
#include <string_view>

namespace parallel_loader {

/// Where the extension keeps its ledger.
inline constexpr std::string_view kExtensionSchema = "parallel_loader";

/// Runs statements in which `@ledger@` stands for the quoted schema of the ledger's tables.  Those
/// are to be constants: a value goes by a parameter, which stays as it is.
class LedgerExecutor final : public Executor {
public:
  LedgerExecutor(Executor &executor, std::string_view schema);

  Rows exec(std::string_view statement, std::span<const Param> params) override;
  using Executor::exec;

  /// The schema, quoted.
  [[nodiscard]] const std::string &schema() const noexcept { return schema_; }

private:
  Executor &executor_;
  std::string schema_;
};

/// How the ledger stores text that may be missing.
[[nodiscard]] inline Param null_if_empty(std::string_view text) {
  return text.empty() ? Param() : Param(std::string(text));
}

/// `text` with `replacement` for each `mark`.
[[nodiscard]] std::string replace_marks(std::string_view text, std::string_view mark,
                                        std::string_view replacement);

} // namespace parallel_loader
