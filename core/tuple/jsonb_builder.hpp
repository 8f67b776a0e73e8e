// jsonb_builder: makes values of type jsonb of what binary COPY sends of them.
#pragma once

#include "core/tuple/json_tree.hpp"
#include "core/tuple/tuple_text.hpp"

#include <string_view>
#include <vector>

namespace parallel_loader {

class JsonbBuilder {
public:
  explicit JsonbBuilder(TextEncoding encoding) : encoding_(encoding) {}

  /// Returns the value that jsonb_recv() makes of `field`, a varlena with its 4-byte header, valid
  /// until the next call; nothing when the value is left to that function.
  /// Format of the field: PostgreSQL, jsonb.c, jsonb_recv(); of the value: utils/jsonb.h.
  [[nodiscard]] std::string_view build(std::string_view field);

private:
  // How a container lists one of its values: its kind and its length, or where it ends.
  using Entry = uint32_t;

  [[nodiscard]] Entry write_value(const JsonValue &value);
  [[nodiscard]] Entry write_number(const JsonValue &value);
  [[nodiscard]] Entry write_container(const JsonValue &container, uint32_t flags);
  [[nodiscard]] size_t offset() const noexcept;
  void pad();

  TextEncoding encoding_;
  JsonTree tree_;
  std::vector<char> value_;
  char *at_ = nullptr; // where the value goes on
};

} // namespace parallel_loader
