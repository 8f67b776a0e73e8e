#include "orchestrator/run/mover.hpp"

namespace parallel_loader {

std::optional<TableTask> task_of(const PullView &pull) {
  try {
    return TableTask{.source_table = parse_qualified_name(pull.source_table),
                     .table = parse_qualified_name(pull.table),
                     .key = pull.key.empty() ? std::nullopt : std::optional(pull.key),
                     .columns = pull.columns,
                     .filter = pull.filter.empty() ? std::nullopt : std::optional(pull.filter),
                     .chunk_size = std::nullopt,
                     .snapshot = std::nullopt,
                     .window = std::nullopt,
                     .format = pull.format == "text" ? "text" : "auto"};
  } catch (const Error &) {
    return std::nullopt;
  }
}

} // namespace parallel_loader
