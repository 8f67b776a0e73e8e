#include "extension/bridge/spi_executor.hpp"

namespace parallel_loader {

std::vector<const char *> param_values(std::span<const Param> params) {
  std::vector<const char *> values;
  values.reserve(params.size());
  for (const Param &param : params)
    values.push_back(param ? param->c_str() : nullptr);
  return values;
}

Rows to_rows(const SpiRows &rows) {
  std::vector<std::optional<std::string>> cells;
  cells.reserve(rows.row_count * rows.column_count);
  for (uint64 index = 0; index < rows.row_count * rows.column_count; index++) {
    const char *value = rows.values[index];
    cells.push_back(value != nullptr ? std::optional<std::string>(value) : std::nullopt);
  }
  return {static_cast<size_t>(rows.column_count), std::move(cells), rows.affected};
}

Rows SpiExecutor::exec(std::string_view sql, std::span<const Param> params) {
  const std::string statement(sql);
  const std::vector<const char *> values = param_values(params);
  return to_rows(call([&]() noexcept {
    return spi_execute(mode_, statement.c_str(), static_cast<int>(values.size()), values.data());
  }));
}

} // namespace parallel_loader
