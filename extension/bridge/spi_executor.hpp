// spi_executor: an Executor inside the server, acting as the ledger's owner.
#pragma once

#include "core/connection/executor.hpp"

#include "extension/bridge/boundary.hpp"
#include "extension/server/sql/spi.hpp"

namespace parallel_loader {

/// The values as the server takes them; nullptr is NULL.  Valid as long as `params` are.
[[nodiscard]] std::vector<const char *> param_values(std::span<const Param> params);

/// Copies rows out of the server's memory.
[[nodiscard]] Rows to_rows(const SpiRows &rows);

class SpiExecutor final : public Executor {
public:
  explicit SpiExecutor(SpiMode mode) : mode_(mode) {}

  /// Throws PgError.
  Rows exec(std::string_view sql, std::span<const Param> params) override;
  using Executor::exec;

private:
  SpiMode mode_;
};

} // namespace parallel_loader
