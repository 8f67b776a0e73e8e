// simdjson_builder: jsonb made of what simdjson reads.
#pragma once

#include <memory>
#include <string_view>

namespace parallel_loader {

class SimdjsonTree;
class SimdjsonBuilder;

class SimdjsonJsonb {
public:
  SimdjsonJsonb();
  ~SimdjsonJsonb();

  /// As JsonTree::read.
  [[nodiscard]] bool read(std::string_view text);
  /// As JsonbBuilder::build.
  [[nodiscard]] std::string_view build(std::string_view field);

private:
  std::unique_ptr<SimdjsonTree> tree_;
  std::unique_ptr<SimdjsonBuilder> builder_;
};

} // namespace parallel_loader
