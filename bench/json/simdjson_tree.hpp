// simdjson_tree: what JsonTree gives, read by simdjson, to see what that would take.
#pragma once

#include "core/tuple/json_tree.hpp"

#include <simdjson.h>

#include <memory>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace parallel_loader {

/// Stands in for JsonTree in JsonbBuilder.  Also reads \u escapes and all numbers that JSON has.
class SimdjsonTree {
public:
  [[nodiscard]] bool read(std::string_view text);

  [[nodiscard]] const JsonValue &root() const noexcept { return stack_.front(); }
  [[nodiscard]] size_t size() const noexcept { return values_.size() + 1; }
  [[nodiscard]] std::span<const JsonValue> values(const JsonValue &container) const noexcept;

private:
  void read_value(simdjson::ondemand::value value);
  void read_array(simdjson::ondemand::array array);
  void read_object(simdjson::ondemand::object object);
  void push(JsonValue::Kind kind, std::string_view text);
  void close(JsonValue::Kind kind, size_t first);
  void sort_pairs(size_t first);

  simdjson::ondemand::parser parser_;
  std::vector<char> padded_; // simdjson reads past the end of a text
  std::vector<JsonValue> stack_;
  std::vector<JsonValue> values_;
};

} // namespace parallel_loader
