#include "orchestrator/base/condition.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace parallel_loader {

std::string condition_text(std::string_view sqlstate) {
  using Named = std::pair<std::string_view, std::string_view>;
  constexpr std::array<Named, 29> kConditions{{
      {"08001", "connection not made"},
      {"08006", "connection lost"},
      {"08P01", "protocol violation"},
      {"0A000", "feature not supported"},
      {"22001", "string data right truncation"},
      {"22003", "numeric value out of range"},
      {"22021", "character not in repertoire"},
      {"22P02", "invalid text representation"},
      {"22P04", "bad copy file format"},
      {"23502", "not null violation"},
      {"23503", "foreign key violation"},
      {"23505", "unique violation"},
      {"23514", "check violation"},
      {"25006", "read only transaction"},
      {"40001", "serialization failure"},
      {"40P01", "deadlock detected"},
      {"42501", "insufficient privilege"},
      {"42703", "undefined column"},
      {"42804", "datatype mismatch"},
      {"42809", "wrong object type"},
      {"42P01", "undefined table"},
      {"53100", "disk full"},
      {"53200", "out of memory"},
      {"53300", "too many connections"},
      {"53400", "configuration limit exceeded"},
      {"55000", "object not in prerequisite state"},
      {"55006", "object in use"},
      {"57014", "query canceled"},
      {"57P01", "admin shutdown"},
  }};
  if (sqlstate.empty())
    return "error";
  for (const auto &[code, name] : kConditions)
    if (code == sqlstate)
      return fmt::format("{} ({})", name, code);
  return std::string(sqlstate);
}

} // namespace parallel_loader
