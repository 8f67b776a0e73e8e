#include "core/tuple/tuple_column.hpp"

namespace parallel_loader {

// OIDs: PostgreSQL, src/include/catalog/pg_type.dat; they never change.
FieldKind field_kind(TypeOid type) noexcept {
  switch (type) {
  case 16: // bool
    return FieldKind::kBool;
  case 18: // "char"
    return FieldKind::kByte;
  case 21: // int2
    return FieldKind::kSwap2;
  case 23:  // int4
  case 26:  // oid
  case 28:  // xid
  case 29:  // cid
  case 700: // float4
    return FieldKind::kSwap4;
  case 20:   // int8
  case 701:  // float8
  case 790:  // money
  case 3220: // pg_lsn
  case 5069: // xid8
    return FieldKind::kSwap8;
  case 1082: // date
    return FieldKind::kDate;
  case 1083: // time
    return FieldKind::kTime;
  case 1114: // timestamp
  case 1184: // timestamptz
    return FieldKind::kTimestamp;
  case 1186: // interval
    return FieldKind::kInterval;
  case 774:  // macaddr8
  case 829:  // macaddr
  case 2950: // uuid
    return FieldKind::kFixed;
  case 25: // text
    return FieldKind::kText;
  case 1043: // varchar
    return FieldKind::kVarchar;
  case 1042: // bpchar
    return FieldKind::kBpchar;
  case 17: // bytea
    return FieldKind::kBytea;
  case 1700: // numeric
    return FieldKind::kNumeric;
  case 869: // inet
    return FieldKind::kInet;
  case 650: // cidr
    return FieldKind::kCidr;
  case 3802: // jsonb
    return FieldKind::kJsonb;
  default:
    return FieldKind::kOther;
  }
}

} // namespace parallel_loader
