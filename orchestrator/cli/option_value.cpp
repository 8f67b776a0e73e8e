#include "orchestrator/cli/option_value.hpp"

#include "core/base/quote.hpp"
#include "orchestrator/base/failure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

namespace parallel_loader {

namespace {

Failure invalid_value(std::string_view option, std::string_view value, std::string hint) {
  return usage_failure(fmt::format("invalid value \"{}\" for option \"--{}\"", value, option),
                       std::move(hint));
}

std::optional<int> parse_int(std::string_view text) {
  int number = 0;
  const char *end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end ? std::optional(number) : std::nullopt;
}

When parse_when(std::string_view option, std::string_view value) {
  if (value == "auto")
    return When::kAuto;
  if (value == "always")
    return When::kAlways;
  if (value == "never")
    return When::kNever;
  throw invalid_value(option, value, "Give auto, always or never.");
}

} // namespace

void apply_columns(CopyOptions &options, std::string_view value) {
  try {
    options.columns = split_identifier_list(value);
  } catch (const Error &) {
    throw invalid_value("columns", value,
                        R"(Give names as in SQL, with commas between them: 'id, "Odd Name"'.)");
  }
}

void apply_jobs(CopyOptions &options, std::string_view value) {
  constexpr int kMost = 256; // as workers of the functions
  const auto jobs = parse_int(value);
  if (!jobs || *jobs < 1 || *jobs > kMost)
    throw invalid_value("jobs", value, fmt::format("Give a number from 1 to {}.", kMost));
  options.jobs = *jobs;
}

void apply_chunk_size(CopyOptions &options, std::string_view value) {
  constexpr std::array<std::string_view, 4> kUnits{"kB", "MB", "GB", "TB"};
  const size_t digits = std::min(value.find_first_not_of("0123456789"), value.size());
  std::string_view unit = value.substr(digits);
  unit.remove_prefix(std::min(unit.find_first_not_of(' '), unit.size()));
  if (digits == 0 || std::ranges::find(kUnits, unit) == kUnits.end())
    throw invalid_value("chunk-size", value, "Give a number with kB, MB, GB or TB, like 64MB.");
  options.chunk_size = value;
}

void apply_format(CopyOptions &options, std::string_view value) {
  constexpr std::array<std::string_view, 3> kFormats{"auto", "text", "binary"};
  if (std::ranges::find(kFormats, value) == kFormats.end())
    throw invalid_value("format", value, "Give auto, text or binary.");
  options.format = value;
}

void apply_progress(CopyOptions &options, std::string_view value) {
  options.progress = parse_when("progress", value);
}

void apply_color(CopyOptions &options, std::string_view value) {
  options.color = parse_when("color", value);
}

void apply_report_every(CopyOptions &options, std::string_view value) {
  constexpr int kDay = 24 * 60 * 60;
  const auto seconds = parse_int(value);
  if (!seconds || *seconds < 1 || *seconds > kDay)
    throw invalid_value("report-every", value,
                        fmt::format("Give a number of seconds from 1 to {}.", kDay));
  options.report_every = std::chrono::seconds(*seconds);
}

} // namespace parallel_loader
