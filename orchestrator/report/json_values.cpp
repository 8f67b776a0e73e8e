#include "orchestrator/report/json_values.hpp"

#include <fmt/chrono.h>

namespace parallel_loader {

Json text_or_null(const std::string &text) {
  return text.empty() ? Json() : Json(text);
}

Json time_json(const std::optional<WallTime> &time) {
  if (!time)
    return nullptr;
  const auto since_epoch = std::chrono::floor<std::chrono::milliseconds>(time->time_since_epoch());
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:03}Z",
                     fmt::gmtime(static_cast<std::time_t>(seconds.count())),
                     (since_epoch - seconds).count());
}

Json duration_json(const std::optional<std::chrono::milliseconds> &duration) {
  return duration ? Json(duration->count()) : Json();
}

Json failure_json(const std::optional<FailureView> &failure) {
  if (!failure)
    return nullptr;
  return {{"sqlstate", text_or_null(failure->sqlstate)},
          {"message", failure->message},
          {"detail", text_or_null(failure->detail)},
          {"hint", text_or_null(failure->hint)},
          {"command", text_or_null(failure->command)}};
}

std::string json_line(const Json &document) {
  return document.dump(-1, ' ', false, Json::error_handler_t::replace);
}

} // namespace parallel_loader
