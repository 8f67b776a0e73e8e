// caller_executor: an Executor inside the server with the rights of the current user.
#pragma once

#include "core/connection/executor.hpp"

#include "extension/bridge/boundary.hpp"
#include "extension/bridge/request.hpp"
#include "extension/server/sql/spi.hpp"

namespace parallel_loader {

/// Reads and writes values as the session on the source of the same request does.
class CallerExecutor final : public Executor {
public:
  CallerExecutor(SpiMode mode, const Request &request) : mode_(mode), request_(request) {}

  /// Runs a statement that holds a filter: names in it are found along the caller's search path,
  /// with an empty one elsewhere.  Throws PgError.
  Rows exec_filter(std::string_view sql) { return run(sql, {}, request_.pull.search_path); }

  /// Throws PgError.
  Rows exec(std::string_view sql, std::span<const Param> params) override;
  using Executor::exec;

private:
  Rows run(std::string_view sql, std::span<const Param> params, const std::string &path);

  SpiMode mode_;
  const Request &request_;
};

} // namespace parallel_loader
