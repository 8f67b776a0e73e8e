#include "core/source/types.hpp"

#include "core/base/error.hpp"
#include "core/base/quote.hpp"
#include "core/source/range_order.hpp"

#include <algorithm>
#include <iterator>
#include <set>

namespace parallel_loader {
namespace {

constexpr TypeOid kInterval = 1186;
constexpr int kInfiniteIntervalSince = 170000;
constexpr int kMultirangeSince = 140000;

// Types whose binary form is an OID that means something else, or nothing, on another server.
constexpr TypeOid kNamesByOid[] = {
    24,   // regproc
    2202, // regprocedure
    2203, // regoper
    2204, // regoperator
    2205, // regclass
    2206, // regtype
    4096, // regrole
    4089, // regnamespace
    3734, // regconfig
    3769, // regdictionary
    4191, // regcollation
};

// The receive functions of these refuse the empty value that their send functions write; that of
// tsquery does in most versions.
constexpr TypeOid kEmptyRefused[] = {
    22,   // int2vector
    30,   // oidvector
    3615, // tsquery
};

// A true array is the type that its element's typarray names; typlen and typcategory also fit
// types that merely can be subscripted, and typsubscript is there from 14 only.
constexpr std::string_view kLoadHead = R"sql(
WITH RECURSIVE reached(oid) AS (
  SELECT r.oid FROM pg_catalog.unnest($1::pg_catalog.oid[]) AS r(oid)
  UNION
  SELECT n.oid
  FROM reached AS r
  JOIN pg_catalog.pg_type AS t ON t.oid = r.oid
  CROSS JOIN LATERAL (
    SELECT e.oid FROM pg_catalog.pg_type AS e WHERE e.oid = t.typelem AND e.typarray = t.oid
    UNION ALL
    SELECT t.typbasetype WHERE t.typtype = 'd'
    UNION ALL
    SELECT g.rngsubtype FROM pg_catalog.pg_range AS g WHERE g.rngtypid = t.oid
    UNION ALL
    SELECT a.atttypid FROM pg_catalog.pg_attribute AS a
    WHERE t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped)sql";
constexpr std::string_view kLoadMultirangeMembers = R"sql(
    UNION ALL
    SELECT g.rngtypid FROM pg_catalog.pg_range AS g WHERE g.rngmultitypid = t.oid)sql";
constexpr std::string_view kLoadTail = R"sql(
  ) AS n(oid)
)
SELECT t.oid, pg_catalog.format_type(t.oid, NULL), s.nspname, t.typname, t.typtype,
  e.oid IS NOT NULL,
  t.typsend <> 0::pg_catalog.oid AND t.typreceive <> 0::pg_catalog.oid,
  coalesce(e.oid, g.oid, t.typbasetype),
  b.less, b.at_most, b.equal, b.at_least, b.more,
  a.attname, a.atttypid
FROM reached AS r
JOIN pg_catalog.pg_type AS t ON t.oid = r.oid
JOIN pg_catalog.pg_namespace AS s ON s.oid = t.typnamespace
LEFT JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem AND e.typarray = t.oid
CROSS JOIN LATERAL (
  SELECT pg_catalog.max(c.name) FILTER (WHERE c.strategy = 1) AS less,
    pg_catalog.max(c.name) FILTER (WHERE c.strategy = 2) AS at_most,
    pg_catalog.max(c.name) FILTER (WHERE c.strategy = 3) AS equal,
    pg_catalog.max(c.name) FILTER (WHERE c.strategy = 4) AS at_least,
    pg_catalog.max(c.name) FILTER (WHERE c.strategy = 5) AS more
  FROM (
    SELECT ao.amopstrategy AS strategy, 'OPERATOR(' || pg_catalog.quote_ident(os.nspname) || '.'
      || o.oprname || ')' AS name
    FROM pg_catalog.pg_opclass AS oc
    JOIN pg_catalog.pg_am AS am ON am.oid = oc.opcmethod AND am.amname = 'btree'
    JOIN pg_catalog.pg_amop AS ao ON ao.amopfamily = oc.opcfamily
      AND ao.amoplefttype = oc.opcintype AND ao.amoprighttype = oc.opcintype
    JOIN pg_catalog.pg_operator AS o ON o.oid = ao.amopopr
    JOIN pg_catalog.pg_namespace AS os ON os.oid = o.oprnamespace
    WHERE oc.opcdefault AND oc.opcintype = t.oid) AS c) AS b
LEFT JOIN LATERAL ()sql";
constexpr std::string_view kRangeInner =
    "SELECT x.rngsubtype FROM pg_catalog.pg_range AS x WHERE x.rngtypid = t.oid";
constexpr std::string_view kMultirangeInner =
    " UNION ALL SELECT x.rngtypid FROM pg_catalog.pg_range AS x WHERE x.rngmultitypid = t.oid";
constexpr std::string_view kLoadEnd = R"sql() AS g(oid) ON true
LEFT JOIN pg_catalog.pg_attribute AS a
  ON t.typtype = 'c' AND a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY t.oid, a.attnum)sql";

// What orders ranges and the fields of composites.  By itself, since few tables have such types and
// planning it takes the server longer than all else here.  `default` is what the database has, and
// columns of both catalogues differ between versions, as do spellings of a locale.  Without LIMIT
// the server may look at all collations first.
constexpr std::string_view kLoadOrders = R"sql(
SELECT m.oid, m.field, m.operator_class, m.canonical, l.name, l.identity, l.is_deterministic
FROM (
  SELECT r.rngtypid, NULL::pg_catalog.text,
    pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(o.opcname),
    (SELECT pg_catalog.quote_ident(fn.nspname) || '.' || pg_catalog.quote_ident(f.proname)
     FROM pg_catalog.pg_proc AS f JOIN pg_catalog.pg_namespace AS fn ON fn.oid = f.pronamespace
     WHERE f.oid = r.rngcanonical),
    r.rngcollation
  FROM pg_catalog.pg_range AS r
  JOIN pg_catalog.pg_opclass AS o ON o.oid = r.rngsubopc
  JOIN pg_catalog.pg_namespace AS n ON n.oid = o.opcnamespace
  WHERE r.rngtypid = ANY ($1::pg_catalog.oid[])
  UNION ALL
  SELECT t.oid, a.attname::pg_catalog.text, NULL, NULL, a.attcollation
  FROM pg_catalog.pg_type AS t
  JOIN pg_catalog.pg_attribute AS a ON a.attrelid = t.typrelid
  WHERE t.oid = ANY ($1::pg_catalog.oid[]) AND t.typtype = 'c'
    AND a.attnum > 0 AND NOT a.attisdropped AND a.attcollation <> 0::pg_catalog.oid)
  AS m(oid, field, operator_class, canonical, collation_oid)
LEFT JOIN LATERAL (
  SELECT pg_catalog.quote_ident(c.collname) || ' (' || w.locale
      || CASE WHEN c.collisdeterministic THEN ')' ELSE ', nondeterministic)' END AS name,
    CASE WHEN w.provider IN ('b', 'c')
        AND w.spelled IN ('c', 'posix', 'c.utf8', 'ucs_basic', 'pg_unicode_fast') THEN 'C'
      ELSE w.provider || ':' || w.spelled || ':' || coalesce(w.rules, '') END
      || CASE WHEN c.collisdeterministic THEN '' ELSE ':nondeterministic' END AS identity,
    c.collisdeterministic AS is_deterministic
  FROM pg_catalog.pg_collation AS c
  JOIN pg_catalog.pg_database AS d ON d.datname = pg_catalog.current_database()
  CROSS JOIN LATERAL (SELECT pg_catalog.to_jsonb(c), pg_catalog.to_jsonb(d)) AS j(c, d)
  CROSS JOIN LATERAL (SELECT
    CASE WHEN c.collprovider = 'd' THEN coalesce(j.d ->> 'datlocprovider', 'c')
      ELSE j.c ->> 'collprovider' END,
    CASE WHEN c.collprovider = 'd'
      THEN coalesce(j.d ->> 'datlocale', j.d ->> 'daticulocale', j.d ->> 'datcollate')
      ELSE coalesce(j.c ->> 'colllocale', j.c ->> 'colliculocale', j.c ->> 'collcollate') END,
    CASE WHEN c.collprovider = 'd' THEN j.d ->> 'daticurules'
      ELSE j.c ->> 'collicurules' END) AS v(provider, locale, rules)
  CROSS JOIN LATERAL (SELECT v.provider, coalesce(v.locale, ''), v.rules, pg_catalog.lower(
    pg_catalog.replace(coalesce(v.locale, ''), '-', '') COLLATE pg_catalog."C"))
    AS w(provider, locale, rules, spelled)
  WHERE c.oid = m.collation_oid
  LIMIT 1) AS l ON true)sql";

std::string load_statement(int server_version) {
  const bool has_multiranges = server_version >= kMultirangeSince;
  std::string sql(kLoadHead);
  if (has_multiranges)
    sql += kLoadMultirangeMembers;
  sql.append(kLoadTail).append(kRangeInner);
  if (has_multiranges)
    sql += kMultirangeInner;
  return sql.append(kLoadEnd);
}

TypeKind kind_of(char typtype, bool is_array) {
  switch (typtype) {
  case 'c':
    return TypeKind::kComposite;
  case 'd':
    return TypeKind::kDomain;
  case 'e':
    return TypeKind::kEnum;
  case 'r':
    return TypeKind::kRange;
  case 'm':
    return TypeKind::kMultirange;
  case 'p':
    return TypeKind::kPseudo;
  default:
    return is_array ? TypeKind::kArray : TypeKind::kBase;
  }
}

// 0 for NULL.
TypeOid to_oid(const Rows &rows, size_t row, size_t column) {
  return rows.is_null(row, column)
             ? 0
             : static_cast<TypeOid>(rows.required_integer(row, column, 0, UINT32_MAX));
}

Collation read_collation(const Rows &rows, size_t row) {
  if (rows.is_null(row, 5))
    return {};
  return {.name = rows.text(row, 4),
          .identity = rows.text(row, 5),
          .is_deterministic = rows.required_boolean(row, 6)};
}

TypeInfo read_type(const Rows &rows, size_t row) {
  return {.oid = rows.oid(row, 0),
          .name = rows.required_text(row, 1),
          .quoted_name =
              QualifiedName{rows.required_text(row, 2), rows.required_text(row, 3)}.quoted(),
          .kind = kind_of(rows.required_text(row, 4).front(), rows.required_boolean(row, 5)),
          .has_binary = rows.required_boolean(row, 6),
          .operators = {rows.text(row, 8), rows.text(row, 9), rows.text(row, 10),
                        rows.text(row, 11), rows.text(row, 12)},
          .inner = to_oid(rows, row, 7),
          .fields = {}};
}

std::vector<std::string> oids_of(const std::map<TypeOid, TypeInfo> &types, TypeKind kind) {
  std::vector<std::string> oids;
  for (const auto &[oid, type] : types)
    if (type.kind == kind)
      oids.push_back(std::to_string(oid));
  return oids;
}

void read_order(const Rows &rows, size_t row, TypeInfo &type) {
  if (type.kind == TypeKind::kRange) {
    type.range = {.operator_class = rows.required_text(row, 2),
                  .canonical = rows.text(row, 3),
                  .collation = read_collation(rows, row)};
    return;
  }
  for (CompositeField &field : type.fields)
    if (field.name == rows.text(row, 1))
      field.collation = read_collation(rows, row);
}

void load_orders(Executor &server, std::map<TypeOid, TypeInfo> &types) {
  const std::vector<std::string> ranges = oids_of(types, TypeKind::kRange);
  std::vector<std::string> oids = oids_of(types, TypeKind::kComposite);
  oids.insert(oids.end(), ranges.begin(), ranges.end());
  if (oids.empty())
    return;
  const Rows rows = server.exec(kLoadOrders, {Param(array_literal(oids))});
  for (size_t row = 0; row < rows.size(); ++row)
    if (const auto type = types.find(to_oid(rows, row, 0)); type != types.end())
      read_order(rows, row, type->second);
  for (const auto &[oid, type] : types)
    if (type.kind == TypeKind::kRange && type.range.operator_class.empty())
      throw Error(sqlstate::kProtocolViolation,
                  "a server's catalog does not say what orders range type " + type.name);
}

/// Counts how deep a walk into types within types has come: what the source says of its types may
/// be a chain of any length.
class Nesting {
public:
  static constexpr int kDeepest = 100;

  explicit Nesting(int &depth) : depth_(depth) {
    if (depth_ >= kDeepest)
      throw Error(sqlstate::kProgramLimitExceeded,
                  "types lie more than " + std::to_string(kDeepest) + " deep within each other");
    ++depth_;
  }
  Nesting(const Nesting &) = delete;
  Nesting &operator=(const Nesting &) = delete;
  ~Nesting() { --depth_; }

private:
  int &depth_;
};

/// Compares a source type with a destination type, all the way down.
class BinaryCheck {
public:
  BinaryCheck(const Types &source, const Types &destination)
      : source_(source), destination_(destination) {}

  std::string reason(TypeOid source_type, TypeOid destination_type) {
    if (!seen_.insert({source_type, destination_type}).second)
      return {};
    const Nesting nesting(depth_);
    const TypeInfo &source = source_.get(source_type);
    const TypeInfo &destination = destination_.get(destination_type);
    if (!is_same(source, destination))
      return "has type " + source.name + " on the source, but " + destination.name +
             " on the destination";
    if (std::ranges::find(kNamesByOid, source.oid) != std::end(kNamesByOid))
      return "has type " + source.name +
             ", which binary COPY sends as a number that means nothing on another server";
    if (std::ranges::find(kEmptyRefused, source.oid) != std::end(kEmptyRefused))
      return "has type " + source.name + ", whose empty value binary COPY cannot read";
    if (!source.has_binary || !destination.has_binary)
      return "has type " + source.name + ", which has no binary form";
    if (source.oid == kInterval && source_.server().version >= kInfiniteIntervalSince &&
        destination_.server().version < kInfiniteIntervalSince)
      return "has type interval, whose infinite values a server before version 17 misreads";
    return source.kind == TypeKind::kComposite ? fields_reason(source, destination)
                                               : inner_reason(source, destination);
  }

private:
  // The server's own types keep their OIDs; others are the same when they are called the same.
  static bool is_same(const TypeInfo &source, const TypeInfo &destination) {
    if (source.oid < kFirstUserOid || destination.oid < kFirstUserOid)
      return source.oid == destination.oid;
    return source.quoted_name == destination.quoted_name && source.kind == destination.kind;
  }

  std::string inner_reason(const TypeInfo &source, const TypeInfo &destination) {
    switch (source.kind) {
    case TypeKind::kArray:
    case TypeKind::kDomain:
    case TypeKind::kRange:
    case TypeKind::kMultirange:
      return within(source, reason(source.inner, destination.inner));
    case TypeKind::kBase:
    case TypeKind::kComposite:
    case TypeKind::kEnum:
    case TypeKind::kPseudo:
      return {};
    }
    return {};
  }

  std::string fields_reason(const TypeInfo &source, const TypeInfo &destination) {
    const auto has_same_name = [](const CompositeField &a, const CompositeField &b) {
      return a.name == b.name;
    };
    if (!std::ranges::equal(source.fields, destination.fields, has_same_name))
      return "has type " + source.name + ", whose fields differ on the destination";
    for (size_t i = 0; i < source.fields.size(); ++i)
      if (std::string why = reason(source.fields[i].type, destination.fields[i].type); !why.empty())
        return within(source, why);
    return {};
  }

  static std::string within(const TypeInfo &outer, const std::string &why) {
    return why.empty() ? why : "has type " + outer.name + ", whose content " + why;
  }

  const Types &source_;
  const Types &destination_;
  std::set<std::pair<TypeOid, TypeOid>> seen_;
  int depth_ = 0;
};

/// Looks for composites whose fields are called otherwise on the other side, all the way down.
class FieldOrderCheck {
public:
  FieldOrderCheck(const Types &source, const Types &destination)
      : source_(source), destination_(destination) {}

  std::string reason(TypeOid source_type, TypeOid destination_type) {
    if (!seen_.insert({source_type, destination_type}).second)
      return {};
    const Nesting nesting(depth_);
    const TypeInfo &source = source_.base(source_type);
    const TypeInfo &destination = destination_.base(destination_type);
    if (source.kind != destination.kind)
      return {}; // the text of one is no value of the other, or is meant to be
    if (source.kind != TypeKind::kComposite)
      return source.inner != 0 && destination.inner != 0 ? reason(source.inner, destination.inner)
                                                         : std::string();
    return fields_reason(source, destination);
  }

private:
  // Another number of fields is an error of the destination's input function.
  std::string fields_reason(const TypeInfo &source, const TypeInfo &destination) {
    if (source.fields.size() != destination.fields.size())
      return {};
    for (size_t i = 0; i < source.fields.size(); ++i) {
      if (source.fields[i].name != destination.fields[i].name)
        return "has type " + source.name + ", whose field " + std::to_string(i + 1) +
               " is called \"" + source.fields[i].name + "\" on the source, but \"" +
               destination.fields[i].name + "\" on the destination";
      if (std::string why = reason(source.fields[i].type, destination.fields[i].type); !why.empty())
        return why;
    }
    return {};
  }

  const Types &source_;
  const Types &destination_;
  std::set<std::pair<TypeOid, TypeOid>> seen_;
  int depth_ = 0;
};

} // namespace

Types Types::load(Executor &server, std::span<const TypeOid> roots) {
  Types types(server_info(server));
  std::vector<std::string> oids;
  for (const TypeOid root : roots)
    oids.push_back(std::to_string(root));
  const Rows rows =
      server.exec(load_statement(types.server().version), {Param(array_literal(oids))});
  for (size_t row = 0; row < rows.size(); ++row) {
    TypeInfo &type =
        types.types_.try_emplace(to_oid(rows, row, 0), read_type(rows, row)).first->second;
    if (!rows.is_null(row, 13))
      type.fields.push_back({.name = rows.text(row, 13), .type = to_oid(rows, row, 14)});
  }
  load_orders(server, types.types_);
  return types;
}

const Types &TypeCache::load(Executor &server, std::span<const TypeOid> roots) {
  std::vector<TypeOid> missing;
  std::ranges::copy_if(roots, std::back_inserter(missing),
                       [&](TypeOid root) { return !types_ || !types_->has(root); });
  if (!types_)
    types_ = Types::load(server, missing);
  else if (!missing.empty())
    types_->add(Types::load(server, missing));
  return *types_;
}

void Types::add(TypeInfo type) {
  types_.insert_or_assign(type.oid, std::move(type));
}

const TypeInfo &Types::get(TypeOid oid) const {
  const auto found = types_.find(oid);
  if (found == types_.end())
    throw Error(sqlstate::kProtocolViolation,
                "a server's catalog does not describe type " + std::to_string(oid));
  return found->second;
}

const TypeInfo &Types::base(TypeOid oid) const {
  const TypeInfo *type = &get(oid);
  for (size_t step = 0; type->kind == TypeKind::kDomain; ++step) {
    if (step == types_.size())
      throw Error(sqlstate::kProtocolViolation,
                  "domain " + type->name + " is a domain over itself, a server says");
    type = &get(type->inner);
  }
  return *type;
}

bool Types::contains(TypeOid oid, TypeOid wanted) const {
  std::set<TypeOid> seen;
  std::vector<TypeOid> open{oid};
  while (!open.empty()) {
    const TypeOid next = open.back();
    open.pop_back();
    if (next == wanted)
      return true;
    if (!seen.insert(next).second)
      continue;
    const TypeInfo &type = get(next);
    if (type.inner != 0)
      open.push_back(type.inner);
    for (const CompositeField &field : type.fields)
      open.push_back(field.type);
  }
  return false;
}

std::string why_not_binary(const Types &source, TypeOid source_type, const Types &destination,
                           TypeOid destination_type) {
  std::string reason = BinaryCheck(source, destination).reason(source_type, destination_type);
  return !reason.empty() ? reason
                         : why_other_ranges(source, source_type, destination, destination_type,
                                            OrderRule::kSame);
}

std::string why_not_text(const Types &source, TypeOid source_type, const Types &destination,
                         TypeOid destination_type) {
  return FieldOrderCheck(source, destination).reason(source_type, destination_type);
}

} // namespace parallel_loader
