// route: see route.hpp.
#include "extension/worker/route.hpp"

#include "extension/bridge/boundary.hpp"
#include "extension/server/load/heap_route.hpp"
#include "extension/server/process/session.hpp"

namespace parallel_loader {

TargetColumns::TargetColumns(const ColumnMap &map) : is_binary_(map.format == Format::kBinary) {
  names_.reserve(map.columns.size());
  for (const std::string &column : map.columns)
    names_.push_back(column.c_str());
}

CopyTarget TargetColumns::target(Oid table, const char *description) const {
  return {table, is_binary_, static_cast<int>(names_.size()), names_.data(), description};
}

RouteChoice choose_route(const CopyTarget &target, RouteSetting setting) {
  if (setting == RouteSetting::kCopy)
    return {.is_heap = false, .reason = "parallel_loader.route is copy"};
  const char *reason = target.is_binary
                           ? call([&]() noexcept { return why_not_heap_route(&target); })
                           : "the format is text";
  if (reason == nullptr)
    return {.is_heap = true, .reason = {}};
  if (setting == RouteSetting::kHeap)
    throw Error(sqlstate::kFeatureNotSupported, "table cannot be loaded by the heap route",
                "The reason is: " + std::string(reason) + ".",
                "Set parallel_loader.route to auto.");
  return {.is_heap = false, .reason = reason};
}

void log_route(const RouteChoice &choice, const std::string &description) {
  const std::string text = description + " by the " + std::string(choice.name()) + " route" +
                           (choice.reason.empty() ? "" : ": " + choice.reason);
  call([&]() noexcept { session_log_debug(text.c_str()); });
}

} // namespace parallel_loader
