// json_document: an object on one line, written key by key, as a list of thousands of tables takes
// several times the memory of its text.
#pragma once

#include "orchestrator/report/json_values.hpp"

#include <string>
#include <string_view>
#include <utility>

namespace parallel_loader {

class JsonDocument {
public:
  JsonDocument() = default;
  /// Begins with the keys of `object`.
  explicit JsonDocument(const Json &object);

  void add(std::string_view key, const Json &value);
  /// A list of what `make` returns for each item: a value, or the text of another document.
  template <class Items, class Make>
  void add_list(std::string_view key, const Items &items, Make make) {
    add_key(key);
    text_ += '[';
    bool is_first = true;
    for (const auto &item : items) {
      if (!std::exchange(is_first, false))
        text_ += ',';
      append(make(item));
    }
    text_ += ']';
  }

  [[nodiscard]] std::string text() && { return std::move(text_ += '}'); }

private:
  void add_key(std::string_view key);
  void append(const Json &value) { text_ += json_line(value); }
  void append(const std::string &text) { text_ += text; }

  std::string text_ = "{";
};

} // namespace parallel_loader
