// enum_labels: see enum_labels.hpp.
#include "core/enum_labels.hpp"

#include "core/quote.hpp"

#include <algorithm>
#include <set>

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

/// A type that is reached a second time was seen.
class EnumLabels::Walk {
public:
  Walk(const Types &types, std::vector<Enum> &found) : types_(types), found_(found) {}

  void enter(const std::string &column, const std::string &expression, TypeOid oid) {
    if (oid < kFirstUserOid || !seen_.insert(oid).second)
      return;
    const TypeInfo &type = types_.get(oid);
    switch (type.kind) {
    case TypeKind::kDomain:
      return enter(column, expression, type.inner);
    case TypeKind::kArray:
      return enter(column, "(" + expression + ")[1]", type.inner);
    case TypeKind::kRange:
      return enter(column, "pg_catalog.lower(" + expression + ")", type.inner);
    case TypeKind::kMultirange:
      return enter(column, "pg_catalog.range_merge(" + expression + ")", type.inner);
    case TypeKind::kComposite:
      for (const CompositeField &field : type.fields)
        enter(column, "(" + expression + ")." + quote_identifier(field.name), field.type);
      return;
    case TypeKind::kEnum:
      found_.push_back({column, expression});
      return;
    case TypeKind::kBase:
    case TypeKind::kPseudo:
      return;
    }
  }

private:
  const Types &types_;
  std::vector<Enum> &found_;
  std::set<TypeOid> seen_;
};

EnumLabels::EnumLabels(const SourceTable &table, const Types &types,
                       std::span<const std::string> columns) {
  Walk walk(types, enums_);
  for (const std::string &name : columns)
    if (const SourceColumn *column = table.find_column(name); column != nullptr)
      walk.enter(name, "(NULL::" + table.name.quoted() + ")." + quote_identifier(name),
                 column->type);
}

Shape EnumLabels::read(Executor &source) const {
  Shape shape;
  if (enums_.empty())
    return shape;
  std::string list;
  // What has COALESCE of a domain's value is of the type under it.
  for (const Enum &one : enums_)
    list += (list.empty() ? "" : ", ") +
            ("pg_catalog.array_to_string(pg_catalog.enum_range(COALESCE(NULL, " + one.expression) +
            "))::pg_catalog.text[], E" + std::string(kSeparator) + ")";
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
    if (line.part != ShapePart::kLabels)
      continue;
    const auto found = std::ranges::find_if(now, [&](const ShapeLine &one) {
      return one.part == ShapePart::kLabels && one.place == line.place;
    });
    if (found != now.end() && !holds_in_order(found->type, line.type))
      return ShapeChange{.part = ShapePart::kLabels, .name = line.name, .before = {}, .after = {}};
  }
  return std::nullopt;
}

} // namespace parallel_loader
