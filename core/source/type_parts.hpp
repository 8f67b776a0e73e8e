// type_parts: what values of a column are made of: the types that users have defined, at any depth.
#pragma once

#include "core/source/types.hpp"

#include <functional>
#include <set>
#include <string>

namespace parallel_loader {

class TypeParts {
public:
  /// `expression` is of type `type`.
  using Found = std::function<void(const std::string &expression, const TypeInfo &type)>;

  explicit TypeParts(const Types &types) : types_(types) {}

  /// Calls `found` for the type itself and for those that it is made of.  One that was found
  /// before, in whatever column, is not found again.  By expressions over the column's own value,
  /// so that no type has to be named: the role may lack USAGE on its schema.
  void find(const std::string &expression, TypeOid oid, const Found &found);

private:
  const Types &types_;
  std::set<TypeOid> seen_;
};

} // namespace parallel_loader
