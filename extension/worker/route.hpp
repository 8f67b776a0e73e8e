// route: how rows get into the table: COPY FROM, or heap tuples made here.
#pragma once

#include "core/source/column_map.hpp"

#include "extension/bridge/order.hpp"
#include "extension/server/load/copy_from.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace parallel_loader {

/// A column map in the form that the server's side takes.
class TargetColumns {
public:
  explicit TargetColumns(const ColumnMap &map);

  /// `description` is for error contexts.  Valid as long as this, the map and `description` live.
  [[nodiscard]] CopyTarget target(Oid table, const char *description) const;

private:
  std::vector<const char *> names_;
  bool is_binary_;
};

struct RouteChoice {
  bool is_heap = false;
  std::string reason; // why not the heap route; empty when it is
  [[nodiscard]] std::string_view name() const noexcept { return is_heap ? "heap" : "copy"; }
};

/// The route of one chunk into a table that the caller has locked, or would have.
/// Throws Error 0A000 when the setting asks for the heap route where it is not possible.
[[nodiscard]] RouteChoice choose_route(const CopyTarget &target, RouteSetting setting);

/// Says it to the log at DEBUG1.
void log_route(const RouteChoice &choice, const std::string &description);

} // namespace parallel_loader
