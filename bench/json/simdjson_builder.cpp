#include "bench/json/simdjson_builder.hpp"

#include "bench/json/simdjson_tree.hpp"
#include "core/tuple/numeric_field.hpp"
#include "core/tuple/tuple_text.hpp"
#include "core/tuple/varlena.hpp"

// JsonbBuilder once more, on another tree: the same code writes the jsonb.
#define JsonTree SimdjsonTree
#define JsonbBuilder SimdjsonBuilder
#include "core/tuple/jsonb_builder.cpp" // NOLINT(bugprone-suspicious-include)
#undef JsonbBuilder
#undef JsonTree

namespace parallel_loader {

// simdjson checks itself that a text is UTF-8, so the builder is told that any byte will do.
SimdjsonJsonb::SimdjsonJsonb()
    : tree_(std::make_unique<SimdjsonTree>()),
      builder_(std::make_unique<SimdjsonBuilder>(TextEncoding::kSingleByte)) {}

SimdjsonJsonb::~SimdjsonJsonb() = default;

bool SimdjsonJsonb::read(std::string_view text) {
  return tree_->read(text);
}

std::string_view SimdjsonJsonb::build(std::string_view field) {
  return builder_->build(field);
}

} // namespace parallel_loader
