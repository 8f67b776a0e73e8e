#include "extension/bridge/caller_executor.hpp"

#include "extension/bridge/spi_executor.hpp"

namespace parallel_loader {

Rows CallerExecutor::exec(std::string_view sql, std::span<const Param> params) {
  return run(sql, params, {});
}

Rows CallerExecutor::run(std::string_view sql, std::span<const Param> params,
                         const std::string &path) {
  const std::string statement(sql);
  const std::vector<const char *> values = param_values(params);
  const SpiFormats formats = {request_.pull.timezone.c_str(), request_.pull.date_order.c_str(),
                              path.c_str()};
  return to_rows(call([&]() noexcept {
    return spi_execute_as_caller(mode_, &formats, statement.c_str(),
                                 static_cast<int>(values.size()), values.data());
  }));
}

} // namespace parallel_loader
