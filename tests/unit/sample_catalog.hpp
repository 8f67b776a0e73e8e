// sample_catalog: types and tables that the tests of keys, plans and column maps share.
#pragma once

#include "core/source/column_map.hpp"

#include <utility>

namespace parallel_loader::testing {

inline constexpr TypeOid kBool = 16, kChar = 18, kBigint = 20, kSmallint = 21, kInteger = 23,
                         kText = 25, kDate = 1082, kTimestamp = 1114, kTimestamptz = 1184,
                         kInterval = 1186, kNumeric = 1700, kUuid = 2950, kRegclass = 2205,
                         kRegclassArray = 2210, kAclitem = 1033, kIntegerArray = 1007;
inline constexpr TypeOid kUserBase = 20000;

inline TypeInfo builtin(TypeOid oid, std::string_view name) {
  return {.oid = oid,
          .name = std::string(name),
          .quoted_name = "\"pg_catalog\".\"" + std::string(name) + "\"",
          .kind = TypeKind::kBase,
          .has_binary = true,
          .operators = {},
          .inner = 0,
          .fields = {}};
}

inline TypeInfo user_type(TypeOid oid, std::string_view name, TypeKind kind, TypeOid inner = 0) {
  TypeInfo type = builtin(oid, name);
  type.name = "s." + std::string(name);
  type.quoted_name = "\"s\".\"" + std::string(name) + "\"";
  type.kind = kind;
  type.inner = inner;
  return type;
}

/// The built-in types that the tests use.
inline Types builtin_types(int version = 150000) {
  Types types({.version = version, .encoding = "UTF8"});
  for (const auto &[oid, name] : {std::pair<TypeOid, std::string_view>{kBool, "bool"},
                                  {kChar, "char"},
                                  {kBigint, "int8"},
                                  {kSmallint, "int2"},
                                  {kInteger, "int4"},
                                  {kText, "text"},
                                  {kDate, "date"},
                                  {kTimestamp, "timestamp"},
                                  {kTimestamptz, "timestamptz"},
                                  {kInterval, "interval"},
                                  {kNumeric, "numeric"},
                                  {kUuid, "uuid"},
                                  {kRegclass, "regclass"}})
    types.add(builtin(oid, name));
  TypeInfo aclitem = builtin(kAclitem, "aclitem");
  aclitem.has_binary = false;
  types.add(aclitem);
  for (const auto &[oid, inner] :
       {std::pair<TypeOid, TypeOid>{kIntegerArray, kInteger}, {kRegclassArray, kRegclass}}) {
    TypeInfo array = builtin(oid, "_" + types.get(inner).name);
    array.kind = TypeKind::kArray;
    array.inner = inner;
    types.add(array);
  }
  return types;
}

inline SourceColumn column(std::string_view name, TypeOid type, bool is_not_null = false) {
  return {.name = std::string(name), .type = type, .is_not_null = is_not_null, .collation = {}};
}

inline SourceTable source_table(std::vector<SourceColumn> columns) {
  SourceTable table;
  table.oid = 16384;
  table.name = {"public", "t"};
  table.columns = std::move(columns);
  return table;
}

} // namespace parallel_loader::testing
