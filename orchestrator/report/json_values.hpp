// json_values: what several documents say in the same way.
#pragma once

#include "orchestrator/run/run_view.hpp"

#include <nlohmann/json.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <vector>

namespace parallel_loader {

/// Keys keep the order in which they were added.
using Json = nlohmann::ordered_json;

/// Rises when a key goes or changes its meaning, not when one is added.
inline constexpr int kSchemaVersion = 1;

/// null for an empty text.
[[nodiscard]] Json text_or_null(const std::string &text);
/// `2026-01-31T12:00:00.000Z`; null for none.
[[nodiscard]] Json time_json(const std::optional<WallTime> &time);
/// Milliseconds; null for none.
[[nodiscard]] Json duration_json(const std::optional<std::chrono::milliseconds> &duration);
[[nodiscard]] Json failure_json(const std::optional<FailureView> &failure);

/// Of a comparison; null for none.
[[nodiscard]] Json verify_json(const std::optional<VerifyView> &verify);
[[nodiscard]] Json sequences_json(const std::vector<SequenceView> &sequences);
[[nodiscard]] Json item_json(const CheckItem &item);
/// A table of a run, without its chunks.
[[nodiscard]] Json pull_json(const PullView &pull, const RunView &run);
[[nodiscard]] Json chunks_json(const PullView &pull);

/// One line.  Messages of a server with another encoding may hold bytes that are no UTF-8: they are
/// replaced, since a document that cannot be written helps nobody.
[[nodiscard]] std::string json_line(const Json &document);

} // namespace parallel_loader
