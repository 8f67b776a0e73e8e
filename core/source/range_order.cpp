#include "core/source/range_order.hpp"

#include <algorithm>
#include <set>
#include <tuple>

namespace parallel_loader {
namespace {

enum class Place { kOutside, kInRange, kInMultirange };

bool is_built_in(std::string_view quoted_name) {
  return quoted_name.starts_with("pg_catalog.");
}

std::string shown(const std::string &name) {
  return name.empty() ? "none" : name;
}

class RangeCheck {
public:
  RangeCheck(const Types &source, const Types &destination, OrderRule rule)
      : source_(source), destination_(destination), rule_(rule) {}

  std::string reason(TypeOid source_type, TypeOid destination_type, Place place) {
    if (!seen_.insert({source_type, destination_type, place}).second)
      return {};
    const TypeInfo &source = source_.base(source_type);
    const TypeInfo &destination = destination_.base(destination_type);
    if (source.kind != destination.kind) // no value of the other, or meant to be
      return {};
    if (source.oid < kFirstUserOid && destination.oid < kFirstUserOid)
      return {};
    switch (source.kind) {
    case TypeKind::kArray:
      return reason(source.inner, destination.inner, place);
    case TypeKind::kMultirange:
      return reason(source.inner, destination.inner, Place::kInMultirange);
    case TypeKind::kRange:
      return range_reason(source, destination, std::max(place, Place::kInRange));
    case TypeKind::kComposite:
      return fields_reason(source, destination, place);
    case TypeKind::kBase:
    case TypeKind::kDomain:
    case TypeKind::kEnum:
    case TypeKind::kPseudo:
      return {};
    }
    return {};
  }

private:
  std::string range_reason(const TypeInfo &source, const TypeInfo &destination, Place place) {
    const RangeParts &there = source.range;
    const RangeParts &here = destination.range;
    if (there.canonical != here.canonical && (is_strict() || !here.canonical.empty()))
      return differs(source, "values have canonical function", there.canonical, here.canonical);
    if (there.operator_class != here.operator_class && !is_conversion(source, destination, place))
      return differs(source, "bounds are ordered by operator class", there.operator_class,
                     here.operator_class);
    if (matters(there.collation, here.collation, place))
      return differs(source, "bounds are ordered by collation", there.collation.name,
                     here.collation.name);
    return reason(source.inner, destination.inner, place);
  }

  // Numbers into wider numbers: an order of the server's own for other values.
  bool is_conversion(const TypeInfo &source, const TypeInfo &destination, Place place) const {
    return !is_strict() && is_built_in(destination.range.operator_class) &&
           (place == Place::kInRange || source_.get(source.inner).quoted_name !=
                                            destination_.get(destination.inner).quoted_name);
  }

  // Fields of a bound are ordered by collations of their own.
  std::string fields_reason(const TypeInfo &source, const TypeInfo &destination, Place place) {
    const size_t count = std::min(source.fields.size(), destination.fields.size());
    for (size_t i = 0; i < count; ++i) {
      const CompositeField &there = source.fields[i];
      const CompositeField &here = destination.fields[i];
      if (place != Place::kOutside && matters(there.collation, here.collation, place))
        return differs(source,
                       "field \"" + there.name + "\", part of a bound, is ordered by collation",
                       there.collation.name, here.collation.name);
      if (std::string why = reason(there.type, here.type, place); !why.empty())
        return why;
    }
    return {};
  }

  bool matters(const Collation &there, const Collation &here, Place place) const {
    if (there.identity == here.identity)
      return false;
    return is_strict() || place == Place::kInMultirange || !here.is_deterministic;
  }

  static std::string differs(const TypeInfo &type, const std::string &what,
                             const std::string &there, const std::string &here) {
    return "holds type " + type.name + ", whose " + what + " " + shown(there) +
           " on the source, but " + shown(here) + " on the destination";
  }

  bool is_strict() const { return rule_ == OrderRule::kSame; }

  const Types &source_;
  const Types &destination_;
  OrderRule rule_;
  std::set<std::tuple<TypeOid, TypeOid, Place>> seen_;
};

} // namespace

std::string why_other_ranges(const Types &source, TypeOid source_type, const Types &destination,
                             TypeOid destination_type, OrderRule rule) {
  return RangeCheck(source, destination, rule)
      .reason(source_type, destination_type, Place::kOutside);
}

} // namespace parallel_loader
