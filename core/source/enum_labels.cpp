#include "core/source/enum_labels.hpp"

#include "core/base/list.hpp"
#include "core/base/quote.hpp"
#include "core/source/type_parts.hpp"

#include <algorithm>

namespace parallel_loader {
namespace {

// In their order, a line each.  Labels with a line break are compared all the same.
constexpr std::string_view kSeparator = "'\\n'";

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

bool holds_in_order(std::string_view all, std::string_view some) {
  const std::vector<std::string_view> now = split_lines(all);
  auto from = now.begin();
  return std::ranges::all_of(split_lines(some), [&](std::string_view label) {
    from = std::find(from, now.end(), label);
    return from != now.end() && from++ != now.end();
  });
}

} // namespace

EnumLabels::EnumLabels(const SourceTable &table, const Types &types,
                       std::span<const std::string> columns) {
  TypeParts parts(types);
  for (const std::string &name : columns) {
    const SourceColumn *column = table.find_column(name);
    if (column == nullptr)
      continue;
    const std::string value = "(NULL::" + table.name.quoted() + ")." + quote_identifier(name);
    parts.find(value, column->type, [&](const std::string &expression, const TypeInfo &type) {
      if (type.kind == TypeKind::kEnum)
        enums_.push_back({name, expression});
    });
  }
}

Shape EnumLabels::read(Executor &source) const {
  Shape shape;
  if (enums_.empty())
    return shape;
  std::string list;
  // What has COALESCE of a domain's value is of the type under it.
  for (const Enum &one : enums_)
    add_to_list(list, ("pg_catalog.array_to_string(pg_catalog.enum_range(COALESCE(NULL, " +
                       one.expression) +
                          "))::pg_catalog.text[], E" + std::string(kSeparator) + ")");
  const Rows row = source.exec("SELECT " + list);
  for (size_t index = 0; index < enums_.size(); ++index)
    shape.push_back({.part = ShapePart::kLabels,
                     .name = enums_[index].column,
                     .place = enums_[index].expression,
                     .type = row.text(0, static_cast<int>(index)),
                     .words = {}});
  return shape;
}

std::optional<ShapeChange> find_label_change(const Shape &planned, const Shape &now) {
  for (const ShapeLine &line : planned) {
    if (line.part != ShapePart::kLabels && line.part != ShapePart::kMemberLabels)
      continue;
    const auto found = std::ranges::find_if(now, [&](const ShapeLine &one) {
      return one.part == line.part && one.place == line.place;
    });
    if (found != now.end() && !holds_in_order(found->type, line.type))
      return ShapeChange{
          .part = line.part, .name = line.name, .before = line.words, .after = found->words};
  }
  return std::nullopt;
}

} // namespace parallel_loader
