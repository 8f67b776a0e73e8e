//
// The whole computation is one statement on the source: only there do the key's own order and
// equality exist, and a sample of a large table is too much to send.
#include "core/plan/key_sample.hpp"

#include "core/base/error.hpp"
#include "core/base/list.hpp"
#include "core/base/quote.hpp"

#include <algorithm>
#include <charconv>

namespace parallel_loader {
namespace {

// A bound goes into the ledger once per chunk and into each chunk's COPY twice.
constexpr int kMostBoundBytes = 8000;

// The statement may hold a filter, and then runs under a search path of the source's role: nothing
// that lies there may stand in for these.  They bind alike, so parentheses say what belongs
// together.
constexpr char kPlus[] = " OPERATOR(pg_catalog.+) ";
constexpr char kMinus[] = " OPERATOR(pg_catalog.-) ";
constexpr char kTimes[] = " OPERATOR(pg_catalog.*) ";
constexpr char kBy[] = " OPERATOR(pg_catalog./) ";
constexpr char kThen[] = " OPERATOR(pg_catalog.||) ";
constexpr char kIsBelow[] = " OPERATOR(pg_catalog.<) ";
constexpr char kIsAtMost[] = " OPERATOR(pg_catalog.<=) ";
constexpr char kIsAtLeast[] = " OPERATOR(pg_catalog.>=) ";
constexpr char kIsAbove[] = " OPERATOR(pg_catalog.>) ";
constexpr char kDiffersFrom[] = " OPERATOR(pg_catalog.<>) ";
constexpr char kZero[] = "'0'::pg_catalog.float8";

std::string sql_number(double value) {
  char text[64];
  const auto [end, failure] = std::to_chars(text, text + sizeof(text), value);
  return "'" + std::string(text, end) + "'::pg_catalog.float8";
}

std::string sql_number(int64_t value) {
  return sql_number(static_cast<double>(value));
}

// How many pages of the relation one of the sample stands for.
double page_weight(const SampleSource &from) {
  if (from.method == SampleMethod::kAll || from.sample_pages <= 0)
    return 1;
  return static_cast<double>(from.pages) / static_cast<double>(from.sample_pages);
}

// k1, k2, …: what the statement calls the key's columns.
std::vector<std::string> key_aliases(const Key &key) {
  std::vector<std::string> names;
  for (size_t i = 1; i <= key.columns().size(); ++i)
    names.push_back("k" + std::to_string(i));
  return names;
}

// The number of the block that a row lies in.
constexpr std::string_view kBlock =
    "pg_catalog.split_part(pg_catalog.ltrim(ctid::pg_catalog.text, '('), ',', 1)";

// The key's columns in the types that bounds are compared in.
std::vector<std::string> key_expressions(const Key &key) {
  std::vector<std::string> expressions;
  for (const KeyColumn &column : key.columns())
    expressions.push_back(quote_identifier(column.name) + "::" + column.bound_type);
  return expressions;
}

// The first place in a block.
std::string tid_of(const std::string &block) {
  return std::string("('('") + kThen + block + kThen + "',0)')::pg_catalog.tid";
}

// `SELECT list FROM …` over the sampled rows.  In `list` the table's columns go by their names, as
// in the caller's filter, and parallel_loader_page.block is the block's number.
//
// Block i of S lies at (i + a fraction) × P/S; steps of the golden ratio keep the distances between
// 0.6 and 1.6 of their mean, and out of step with any period in the data.
std::string sample_rows(const SampleSource &from, const std::string &list,
                        const std::string &where) {
  const std::string condition = where.empty() ? "" : "(" + where + ")";
  if (from.method != SampleMethod::kBlocks) {
    std::string sql = "SELECT " + list + " FROM " + from.from_item;
    if (from.method == SampleMethod::kSystem) {
      const double percent = std::min(100.0, 100 / page_weight(from));
      sql += " TABLESAMPLE pg_catalog.system (" + sql_number(percent) + ") REPEATABLE (0)";
    }
    return sql + (condition.empty() ? "" : " WHERE " + condition);
  }
  // OFFSET keeps the look-up of one block a scan of its own, a TID Range Scan.
  const std::string step = std::string("(i") + kTimes + "'0.6180339887498949'::pg_catalog.float8)";
  const std::string block = "parallel_loader_page.block";
  return "SELECT s.* FROM (SELECT pg_catalog.floor((i" + std::string(kPlus) + step + kMinus +
         "pg_catalog.floor(" + step + "))" + kTimes + sql_number(page_weight(from)) +
         ")::bigint FROM pg_catalog.generate_series(0, " + std::to_string(from.sample_pages - 1) +
         ") AS g(i)) AS parallel_loader_page(block) CROSS JOIN LATERAL (SELECT " + list + " FROM " +
         from.from_item + " WHERE ctid" + kIsAtLeast + tid_of(block) + " AND ctid" + kIsBelow +
         tid_of("(" + block + kPlus + "1)") + (condition.empty() ? "" : " AND " + condition) +
         " OFFSET 0) AS s";
}

/// The statement of sample_key, part by part.
class CutQuery {
public:
  CutQuery(const SampleRequest &request, const PieceSize &size)
      : request_(request), size_(size), names_(key_aliases(request.key)), keys_(join(names_)),
        order_(" OVER (ORDER BY " + keys_ + ")"),
        running_(" OVER (ORDER BY " + keys_ + " ROWS UNBOUNDED PRECEDING)") {}

  [[nodiscard]] std::string text() const {
    return "WITH sample AS (" + sample() + "), total AS (" + total() + "), piece AS (" + piece() +
           "), key AS (" + key() + "), run AS (" + run() + "), boundary AS (" + boundary() +
           "), bound AS (" + bound() + "), checked AS (" + checked() + "), numbered AS (" +
           numbered() +
           "), cut AS (SELECT number, pg_catalog.max(bound) AS bound, pg_catalog.sum(w) AS w,"
           " pg_catalog.sum(n) AS n FROM numbered GROUP BY number)"
           " SELECT c.bound, (c.w" +
           kTimes + "p.scale)::bigint, (c.n" + kTimes + "p.weight)::bigint, (p.null_w" + kTimes +
           "p.scale)::bigint, (p.null_n" + kTimes + "p.weight)::bigint, p.wanted::bigint, " +
           (has_blocks() ? "p.blocks" : "p.wanted::bigint") +
           " FROM piece AS p LEFT JOIN cut AS c ON true ORDER BY c.number";
  }

private:
  [[nodiscard]] bool has_blocks() const { return request_.from.method == SampleMethod::kBlocks; }

  // w: weight in bytes, m: the pull takes the row, o: its key is NULL, b: its block.
  [[nodiscard]] std::string sample() const {
    std::string wanted = request_.key.condition(request_.range);
    // The line break ends a comment that the filter may end with.
    if (!request_.filter.empty())
      wanted += (wanted.empty() ? "(" : " AND (") + request_.filter + "\n)";
    const std::string is_taken =
        wanted.empty() || request_.is_range_in_where ? "true" : "coalesce(" + wanted + ", false)";
    std::string list;
    std::vector<std::string> expressions = key_expressions(request_.key);
    // Cut between blocks, no block is read for two pieces.
    if (request_.key.is_ctid() && !request_.is_cut_in_blocks)
      expressions = {tid_of(std::string(kBlock))};
    for (size_t i = 0; i < names_.size(); ++i)
      list += expressions[i] + " AS " + names_[i] + ", ";
    list += request_.row_size + " AS w, " + is_taken + " AS m, " +
            request_.key.condition({.start = {}, .end = {}, .nulls = true}) + " AS o, " +
            (has_blocks() ? "parallel_loader_page.block" : "NULL::bigint") + " AS b";
    return sample_rows(request_.from, list, request_.is_range_in_where ? wanted : std::string());
  }

  [[nodiscard]] static std::string total() {
    return "SELECT coalesce(pg_catalog.sum(w), 0) AS all_w,"
           " coalesce(pg_catalog.sum(w) FILTER (WHERE m AND NOT o), 0) AS key_w,"
           " coalesce(pg_catalog.sum(w) FILTER (WHERE m AND o), 0) AS null_w,"
           " pg_catalog.count(*) FILTER (WHERE m AND o) AS null_n,"
           " pg_catalog.count(DISTINCT b) FILTER (WHERE m AND NOT o) AS blocks FROM sample";
  }

  // scale: bytes of the relation for one of the sample; piece_w: bytes of the sample in a piece.
  [[nodiscard]] std::string piece() const {
    const std::string weight = sql_number(page_weight(request_.from));
    const std::string scale = request_.bytes
                                  ? std::string("CASE WHEN all_w") + kIsAbove + kZero + " THEN " +
                                        sql_number(*request_.bytes) + kBy + "all_w END"
                                  : weight;
    const std::string scaled =
        "SELECT t.*, coalesce(" + scale + ", 1) AS scale, " + weight + " AS weight FROM total AS t";
    const std::string bytes = std::string("key_w") + kTimes + "scale" + kBy;
    const std::string wanted =
        "SELECT s.*, greatest(1, least(" + sql_number(size_.most_pieces) + ", pg_catalog.floor(" +
        bytes + sql_number(size_.least_bytes) + "), greatest(pg_catalog.ceil(" + bytes +
        sql_number(size_.wanted_bytes) + "), " + sql_number(size_.wanted_pieces) +
        "))) AS wanted FROM (" + scaled + ") AS s";
    const std::string pieces = has_blocks() ? "least(wanted, greatest(blocks, 1))" : "wanted";
    return std::string("SELECT w.*, greatest(1, key_w") + kBy + pieces + ") AS piece_w FROM (" +
           wanted + ") AS w";
  }

  [[nodiscard]] std::string key() const {
    return "SELECT " + keys_ +
           ", pg_catalog.sum(w) AS w, pg_catalog.count(*) AS n FROM sample"
           " WHERE m AND NOT o GROUP BY " +
           keys_;
  }

  [[nodiscard]] std::string run() const {
    return "SELECT k.*, p.piece_w, pg_catalog.sum(k.w)" + running_ + kMinus +
           "k.w AS before FROM key AS k CROSS JOIN piece AS p";
  }

  // A piece ends where the next multiple of the piece_w is passed, and before a value that fills a
  // piece by itself; after such a value the first rule cuts.
  [[nodiscard]] std::string boundary() const {
    const std::string piece = std::string("pg_catalog.floor(before") + kBy + "piece_w)";
    return "SELECT *, " + piece + kDiffersFrom + "pg_catalog.lag(" + piece + ")" + order_ +
           " OR (w" + kIsAtLeast + "piece_w AND before" + kIsAbove + kZero +
           ") AS is_boundary FROM run";
  }

  [[nodiscard]] std::string bound() const {
    std::string inside;
    if (request_.range.start)
      inside += " AND " + request_.key.compare(names_, ">", *request_.range.start);
    if (request_.range.end)
      inside += " AND " + request_.key.compare(names_, "<", *request_.range.end);
    // format() writes a value as COPY does, whatever casts to text there are.
    const std::string value =
        names_.size() == 1 ? "pg_catalog.format('%s', k1)" : "ROW(" + keys_ + ")::pg_catalog.text";
    return "SELECT *, CASE WHEN is_boundary" + inside + " THEN " + value +
           " END AS bound FROM boundary";
  }

  // A text that would read back as another value could stand in the wrong order.
  [[nodiscard]] std::string checked() const {
    std::string same;
    for (size_t i = 0; i < names_.size(); ++i)
      same += " AND pg_catalog.format('%s', " + names_[i] +
              ")::" + request_.key.columns()[i].bound_type + request_.key.comparison("=") +
              names_[i];
    return "SELECT " + keys_ + ", w, n, CASE WHEN pg_catalog.octet_length(bound)" + kIsAtMost +
           std::to_string(kMostBoundBytes) + same + " THEN bound END AS bound FROM bound";
  }

  [[nodiscard]] std::string numbered() const {
    return "SELECT w, n, bound, pg_catalog.count(bound)" + running_ + " AS number FROM checked";
  }

  const SampleRequest &request_;
  const PieceSize &size_;
  std::vector<std::string> names_;
  std::string keys_;
  std::string order_;
  std::string running_;
};

// What a type without an order, a value without a text that reads back, or a filter that fails on
// some row says.  The pull may still be possible, and if not, its COPY tells.
bool is_about_sample(const Error &error) {
  const std::string_view code = error.sqlstate();
  return code.starts_with("22") || code.starts_with("0A") || code == "42883" || code == "42P22" ||
         code == "42P01" || code == "42703";
}

// What the source estimates may be anything, as far as sums of it stay numbers; how it cuts decides
// which rows come.
int64_t estimate(const Rows &rows, size_t row, size_t column) {
  constexpr int64_t kMost = 1LL << 48;
  return std::clamp<int64_t>(rows.integer(row, column), 0, kMost);
}

KeySample read_sample(const Rows &rows, const PieceSize &size) {
  const int64_t most = std::max<int64_t>(size.most_pieces, 1);
  KeySample sample;
  sample.null_bytes = estimate(rows, 0, 3);
  sample.null_rows = estimate(rows, 0, 4);
  sample.wanted_pieces = std::clamp<int64_t>(rows.integer(0, 5), 1, most);
  sample.blocks = estimate(rows, 0, 6);
  // A value as large as a piece makes two of one, and what lies before the first bound is one.
  if (rows.size() > static_cast<size_t>(most) * 3 + 2)
    throw Error(sqlstate::kProtocolViolation,
                "source cuts the key into " + std::to_string(rows.size()) +
                    " pieces, but was asked for " + std::to_string(most) + " at most");
  for (size_t row = 0; row < rows.size(); ++row) {
    if (row > 0 && rows.is_null(row, 0))
      throw Error(sqlstate::kProtocolViolation, "source cuts the key at a null value");
    sample.pieces.push_back({.start = rows.at(row, 0),
                             .rows = estimate(rows, row, 2),
                             .bytes = estimate(rows, row, 1)});
  }
  return sample;
}

} // namespace

// An error must not end the transaction: it holds the snapshot.  Going back to the savepoint gives
// up the locks that the statement took on indexes.
std::optional<Rows> try_exec(Executor &source, std::string_view sql, const FilterPath &path) {
  source.exec("SAVEPOINT parallel_loader_sample");
  std::optional<Rows> rows;
  try {
    rows = exec_along(source, path, sql);
  } catch (const Error &error) {
    if (!is_about_sample(error))
      throw;
  }
  source.exec("ROLLBACK TO SAVEPOINT parallel_loader_sample");
  source.exec("RELEASE SAVEPOINT parallel_loader_sample");
  return rows;
}

SampleSource SampleSource::of(std::string from_item, int64_t pages, int64_t sample_pages,
                              bool has_tid_ranges) {
  SampleMethod method = has_tid_ranges ? SampleMethod::kBlocks : SampleMethod::kSystem;
  if (pages <= sample_pages)
    method = SampleMethod::kAll;
  return {std::move(from_item), method, pages, std::min(pages, sample_pages)};
}

std::optional<KeySample> sample_key(Executor &source, const SampleRequest &request,
                                    const PieceSize &size) {
  std::optional<Rows> rows = try_exec(source, CutQuery(request, size).text(), request.filter_path);
  if (!rows || rows->empty())
    return std::nullopt;
  return read_sample(*rows, size);
}

std::optional<double> sample_correlation(Executor &source, const SampleSource &from,
                                         const Key &key) {
  const std::vector<std::string> names = key_aliases(key);
  const std::vector<std::string> expressions = key_expressions(key);
  std::string list = std::string(kBlock) + "::pg_catalog.float8 AS b";
  for (size_t i = 0; i < names.size(); ++i)
    list += ", " + expressions[i] + " AS " + names[i];
  const std::optional<Rows> rows = try_exec(
      source, "SELECT pg_catalog.round(1000 * pg_catalog.abs(pg_catalog.corr(b, r)))"
              "::bigint FROM (SELECT b, pg_catalog.rank() OVER (ORDER BY " +
                  join(names) + ") AS r FROM (" + sample_rows(from, list, {}) + ") AS s) AS t");
  if (!rows || rows->empty() || rows->is_null(0, 0))
    return std::nullopt;
  return static_cast<double>(rows->required_integer(0, 0, 0, 1000)) / 1000;
}

std::string row_size_expression(Executor &source, uint32_t table_oid,
                                const std::optional<std::vector<std::string>> &columns) {
  const Rows rows = source.exec(
      "SELECT a.attname, a.attlen FROM pg_catalog.pg_attribute AS a"
      " WHERE a.attrelid = $1::pg_catalog.oid AND a.attnum > 0 AND NOT a.attisdropped"
      " AND ($2::pg_catalog.text[] IS NULL"
      " OR a.attname::pg_catalog.text = ANY ($2::pg_catalog.text[])) ORDER BY a.attnum",
      {Param(std::to_string(table_oid)), columns ? Param(array_literal(*columns)) : Param()});
  constexpr int64_t kRowOverhead = 28; // header and line pointer
  int64_t fixed = kRowOverhead;
  std::string variable;
  for (size_t row = 0; row < rows.size(); ++row) {
    if (const int64_t length = rows.required_integer(row, 1, -2, INT16_MAX); length > 0)
      fixed += length;
    else
      variable += std::string(kPlus) + "coalesce(pg_catalog.pg_column_size(" +
                  quote_identifier(rows.required_text(row, 0)) + "), 0)";
  }
  return "(" + sql_number(fixed) + variable + ")";
}

} // namespace parallel_loader
