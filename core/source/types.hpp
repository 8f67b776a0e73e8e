// types: what one server says of its data types, and whether binary COPY carries a type unchanged.
#pragma once

#include "core/connection/executor.hpp"
#include "core/connection/server_info.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace parallel_loader {

using TypeOid = uint32_t;

/// OIDs below this belong to the server itself and mean the same on every server
/// (FirstGenbkiObjectId).
inline constexpr TypeOid kFirstUserOid = 10000;

enum class TypeKind { kBase, kArray, kComposite, kDomain, kEnum, kRange, kMultirange, kPseudo };

/// By what it orders, not by its name: two servers may mean different things by one name.
struct Collation {
  std::string name;     // for people, with its locale; empty: none
  std::string identity; // equal for collations that order alike, whatever they are called
  bool is_deterministic = true;
};

struct CompositeField {
  std::string name;
  TypeOid type = 0;
  Collation collation = {};
};

/// What a range type is made of, beside its subtype.
struct RangeParts {
  std::string operator_class; // qualified, as is the function
  std::string canonical;      // empty: none
  Collation collation = {};
};

struct TypeInfo {
  TypeOid oid = 0;
  std::string name;        // format_type() under an empty search path: qualified unless built in
  std::string quoted_name; // "schema"."typname", never with a default length
  TypeKind kind = TypeKind::kBase;
  bool has_binary = false; // has both a send and a receive function
  /// The operators of its default btree class, by strategy (<, <=, =, >=, >), as
  /// `OPERATOR("s".<)`; empty where it has no class of its own: pg_catalog's serve it then.
  std::array<std::string, 5> operators;
  TypeOid inner =
      0; // element of an array, base of a domain, subtype of a range, range of a multirange
  std::vector<CompositeField> fields; // of a composite, dropped ones left out
  RangeParts range = {};              // of a range
};

/// The types of one server that a table reaches, by OID.
class Types {
public:
  /// Looks up `roots` and all types they are made of.  The same SQL serves source (12 to 18) and
  /// destination (14 to 18); the session's search_path must be empty or pg_catalog.
  [[nodiscard]] static Types load(Executor &server, std::span<const TypeOid> roots);

  Types() = default;
  explicit Types(ServerInfo server) : server_(std::move(server)) {}

  [[nodiscard]] const ServerInfo &server() const noexcept { return server_; }
  void add(TypeInfo type);
  /// Adds those of the same server that are not there yet.
  void add(Types &&more) { types_.merge(more.types_); }
  [[nodiscard]] bool has(TypeOid oid) const { return types_.contains(oid); }
  /// Throws Error 08P01 when the server did not describe `oid`.
  [[nodiscard]] const TypeInfo &get(TypeOid oid) const;
  /// The type under any domains.  Throws Error 08P01 when there is none, as get does.
  [[nodiscard]] const TypeInfo &base(TypeOid oid) const;
  /// True if `oid` is, or is made of, the built-in type `wanted`.
  [[nodiscard]] bool contains(TypeOid oid, TypeOid wanted) const;

private:
  ServerInfo server_;
  std::map<TypeOid, TypeInfo> types_;
};

/// Types of one server, each of which is looked up once: right for as long as the session sees the
/// same catalogs, as under one snapshot.
class TypeCache {
public:
  /// As Types::load, with more types than these reach.
  [[nodiscard]] const Types &load(Executor &server, std::span<const TypeOid> roots);
  /// The catalogs may have changed.
  void clear() { types_.reset(); }

private:
  std::optional<Types> types_;
};

template <class Column>
[[nodiscard]] std::vector<TypeOid> column_types(const std::vector<Column> &columns) {
  std::vector<TypeOid> types;
  types.reserve(columns.size());
  for (const Column &column : columns)
    types.push_back(column.type);
  return types;
}

/// The types of all columns of a table, on either side.
template <class Column>
[[nodiscard]] Types load_column_types(Executor &server, const std::vector<Column> &columns) {
  return Types::load(server, column_types(columns));
}

/// Returns an empty string when binary COPY carries a value of `source_type` into a column of
/// `destination_type` unchanged, else the reason in a few words ("has type text, but …").
/// Rules: the table in docs/internals.md, "Binary or text".
[[nodiscard]] std::string why_not_binary(const Types &source, TypeOid source_type,
                                         const Types &destination, TypeOid destination_type);

/// Returns an empty string unless the text form of `source_type`, read as `destination_type`, would
/// put values into other fields than they came from: composites are written by position, so fields
/// of other names there are what this finds.  Else the reason, worded as above.
[[nodiscard]] std::string why_not_text(const Types &source, TypeOid source_type,
                                       const Types &destination, TypeOid destination_type);

} // namespace parallel_loader
