#include "core/source/type_parts.hpp"

#include "core/base/quote.hpp"

namespace parallel_loader {

void TypeParts::find(const std::string &expression, TypeOid oid, const Found &found) {
  if (oid < kFirstUserOid || !seen_.insert(oid).second)
    return;
  const TypeInfo &type = types_.get(oid);
  found(expression, type);
  switch (type.kind) {
  case TypeKind::kDomain:
    return find(expression, type.inner, found);
  case TypeKind::kArray:
    return find("(" + expression + ")[1]", type.inner, found);
  case TypeKind::kRange:
    return find("pg_catalog.lower(" + expression + ")", type.inner, found);
  case TypeKind::kMultirange:
    return find("pg_catalog.range_merge(" + expression + ")", type.inner, found);
  case TypeKind::kComposite:
    for (const CompositeField &field : type.fields)
      find("(" + expression + ")." + quote_identifier(field.name), field.type, found);
    return;
  case TypeKind::kBase:
  case TypeKind::kEnum:
  case TypeKind::kPseudo:
    return;
  }
}

} // namespace parallel_loader
