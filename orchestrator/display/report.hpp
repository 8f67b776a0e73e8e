// report: the end of a run as text and as JSON; pure, so that its screens can be tested.
#pragma once

#include "core/base/error.hpp"
#include "orchestrator/base/paint.hpp"
#include "orchestrator/run/run.hpp"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace parallel_loader {

/// A table with rows, size, time, rate and state; `failure` names the state of a run that failed.
[[nodiscard]] std::string summary_text(const Run &run, const Error *failure, Color color);

/// What a run that did not finish leaves behind and what to do with it; nullopt when it left
/// nothing.
[[nodiscard]] std::optional<std::string> leftover_hint(const Run &run);

/// The command tag, as psql shows it: `COPY 1234567`.
[[nodiscard]] std::string command_tag(const Run &run);

/// One JSON object on one line, without its end; its keys are json_fields(), in that order.
[[nodiscard]] std::string json_document(const Run &run, const Error *failure);

struct JsonField {
  std::string_view key;
  std::string_view type;
  std::string_view meaning;
};
[[nodiscard]] std::span<const JsonField> json_fields() noexcept;

} // namespace parallel_loader
