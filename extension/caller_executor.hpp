// caller_executor: an Executor inside the server with the rights of the current user.
#pragma once

#include "core/executor.hpp"

#include "extension/boundary.hpp"
#include "extension/order.hpp"
#include "extension/server/spi.hpp"

namespace parallel_loader {

/// Reads and writes values as the session on the source of the same order does.
class CallerExecutor final : public Executor {
public:
  CallerExecutor(SpiMode mode, const Order &order) : mode_(mode), order_(order) {}

  /// Throws PgError.
  Rows exec(std::string_view sql, std::span<const Param> params) override;
  using Executor::exec;

private:
  SpiMode mode_;
  const Order &order_;
};

} // namespace parallel_loader
