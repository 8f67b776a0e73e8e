// tuple_column: what a tuple decoder must know of a column of the table that tuples are made for.
#pragma once

#include "core/source/types.hpp"

#include <cstdint>

namespace parallel_loader {

/// How the values of a type come in binary COPY and lie in a tuple.
enum class FieldKind : uint8_t {
  kBool,
  kByte,  // "char"
  kSwap2, // numbers that differ in byte order alone: int2
  kSwap4, // int4, oid, xid, cid, float4
  kSwap8, // int8, float8, money, xid8, pg_lsn
  kDate,
  kTime,
  kTimestamp, // with or without time zone
  kInterval,
  kFixed, // bytes as they are: uuid, macaddr, macaddr8
  kText,
  kVarchar,
  kBpchar,
  kBytea,
  kNumeric,
  kInet,
  kCidr,
  kJsonb,
  kArray, // of elements of one of the kinds above
  kOther, // left to the type's receive function
};

/// The kind of a built-in type; kOther for all others, domains included.
[[nodiscard]] FieldKind field_kind(TypeOid type) noexcept;

/// What an array's column must know of its elements.
struct ArrayElement {
  TypeOid type = 0;
  FieldKind kind = FieldKind::kOther;
  int16_t length = 1;
  uint8_t alignment = 1;
};

/// A column of the destination table.  A dropped one has `field` = -1 and is NULL.
struct TupleColumn {
  FieldKind kind = FieldKind::kOther;
  int16_t length = 0;       // typlen: bytes; -1 varlena; -2 cstring
  uint8_t alignment = 1;    // 1, 2, 4 or 8 bytes
  bool is_packable = false; // a varlena whose storage allows 1-byte headers (attstorage <> 'p')
  int32_t typmod = -1;
  bool is_not_null = false;
  bool checks_null = false;  // its receive function looks at NULLs, too: that of a domain
  int field = -1;            // its position in the row; -1: not in the row, NULL
  ArrayElement element = {}; // of kind kArray
};

} // namespace parallel_loader
