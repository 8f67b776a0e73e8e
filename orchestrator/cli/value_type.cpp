#include "orchestrator/cli/value_type.hpp"

#include "core/base/quote.hpp"
#include "orchestrator/base/failure.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>

namespace parallel_loader {

namespace {

std::optional<int> parse_int(std::string_view text) {
  int number = 0;
  const char *end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end ? std::optional(number) : std::nullopt;
}

struct Quantity {
  int number = 0;
  std::string_view unit; // empty: none
};

/// `64MB` and `64 MB` alike.
std::optional<Quantity> parse_quantity(std::string_view text) {
  const size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  const auto number = parse_int(text.substr(0, digits));
  if (!number)
    return std::nullopt;
  std::string_view unit = text.substr(digits);
  unit.remove_prefix(std::min(unit.find_first_not_of(' '), unit.size()));
  return Quantity{*number, unit};
}

struct Unit {
  std::string_view name;
  int64_t factor;
};

/// `text` in units of factor 1; nullopt where it is none, or out of range.
std::optional<int> parse_in(std::string_view text, std::span<const Unit> units) {
  const auto quantity = parse_quantity(text);
  if (!quantity)
    return std::nullopt;
  const auto unit = std::ranges::find(units, quantity->unit, &Unit::name);
  if (unit == units.end())
    return std::nullopt;
  const int64_t value = quantity->number * unit->factor;
  return value <= std::numeric_limits<int>::max() ? std::optional(static_cast<int>(value))
                                                  : std::nullopt;
}

constexpr std::array<Unit, 4> kSizes{
    {{"kB", 1}, {"MB", 1024}, {"GB", int64_t{1024} * 1024}, {"TB", int64_t{1024} * 1024 * 1024}}};
constexpr std::array<Unit, 5> kTimes{{{"", 1}, {"s", 1}, {"min", 60}, {"h", 3600}, {"d", 86400}}};

} // namespace

ValueType<std::string> text_type(std::string name) {
  return {std::move(name), "", [](std::string_view text) { return std::string(text); }};
}

ValueType<int> number_type(int least, int most) {
  return {"N", fmt::format("Give a number from {} to {}.", least, most),
          [least, most](std::string_view text) {
            const auto number = parse_int(text);
            return number && *number >= least && *number <= most ? number : std::nullopt;
          }};
}

ValueType<std::string> size_type() {
  return {"SIZE", "Give at least 64kB, in kB, MB, GB or TB, like 64MB.",
          [](std::string_view text) {
            constexpr int kLeastKb = 64; // the extension's bound
            const auto kilobytes = parse_in(text, kSizes);
            return kilobytes && *kilobytes >= kLeastKb ? std::optional(std::string(text))
                                                       : std::nullopt;
          }};
}

ValueType<int> rate_type() {
  return {"RATE", "Give what may pass in a second, with kB, MB or GB, like 50MB; 0 is no limit.",
          [](std::string_view text) {
            if (text.ends_with("/s"))
              text.remove_suffix(2);
            return text == "0" ? std::optional(0) : parse_in(text, kSizes);
          }};
}

ValueType<std::chrono::seconds> duration_type() {
  return {"TIME", "Give seconds, or a time like 30s, 5min or 1h, from 1s to 24h.",
          [](std::string_view text) -> std::optional<std::chrono::seconds> {
            constexpr int kDay = 24 * 60 * 60;
            const auto value = parse_in(text, kTimes);
            if (!value || *value < 1 || *value > kDay)
              return std::nullopt;
            return std::chrono::seconds(*value);
          }};
}

ValueType<std::vector<std::string>> columns_type() {
  return {"LIST", R"(Give names as in SQL, with commas between them: 'id, "Odd Name"'.)",
          [](std::string_view text) -> std::optional<std::vector<std::string>> {
            try {
              return split_identifier_list(text);
            } catch (const Error &) {
              return std::nullopt;
            }
          }};
}

} // namespace parallel_loader
