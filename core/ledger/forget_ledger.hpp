// forget_ledger: what parallel_pull_forget and parallel_pull_keep change in the ledger.
#pragma once

#include "core/ledger/ledger_executor.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace parallel_loader {

/// Which marks and pulls of a local table are meant; nullopt means all.
struct ForgetSubject {
  uint32_t table = 0;
  std::optional<std::string> source_table; // as SQL writes it, with or without schema
  std::optional<std::string> filter;
};

/// Every call is one or more statements in the Executor's current transaction.
class ForgetLedger {
public:
  ForgetLedger(Executor &executor, const ForgetSubject &subject,
               std::string_view schema = kExtensionSchema);

  /// The roles that own the pulls that the marks and bounds come from.
  [[nodiscard]] std::vector<uint32_t> owners();
  /// Removes marks, and the bounds of done whole pulls, from which an append would go on; returns
  /// how many of either.
  [[nodiscard]] int64_t forget();
  /// Records `relations` (see core/ledger/local_relations.hpp) as where the rows of marks, done
  /// whole pulls and unfinished pulls are; returns how many of them.
  [[nodiscard]] int64_t keep(const std::string &relations);

private:
  [[nodiscard]] Rows exec(std::string_view statement, std::vector<Param> more = {});

  LedgerExecutor executor_;
  std::vector<Param> params_;
};

} // namespace parallel_loader
