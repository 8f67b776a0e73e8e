#include "core/ledger/local_relations.hpp"

#include "core/base/list.hpp"
#include "core/base/quote.hpp"
#include "core/ledger/pull_state.hpp"

#include <algorithm>

namespace parallel_loader {
namespace {

constexpr std::string_view kRecorded = R"sql(
SELECT pg_catalog.string_agg(w.word, ' ')
FROM (SELECT DISTINCT w.word
      FROM @ledger@.chunk AS c
      CROSS JOIN pg_catalog.unnest(pg_catalog.string_to_array(c.local_relations, ' ')) AS w(word)
      WHERE c.pull_id = $1::bigint AND c.state = 'done' AND w.word <> '') AS w)sql";

// The tree by pg_inherits: partitions, and children that a trigger may have filled.
constexpr std::string_view kWhatChanged = R"sql(
WITH RECURSIVE tree (oid) AS (
  SELECT $1::pg_catalog.oid
  UNION
  SELECT i.inhrelid FROM pg_catalog.pg_inherits AS i JOIN tree AS t ON i.inhparent = t.oid),
recorded AS (
  SELECT DISTINCT pg_catalog.split_part(w.word, ':', 1)::pg_catalog.oid AS oid,
    pg_catalog.split_part(w.word, ':', 2)::pg_catalog.oid AS filenode
  FROM pg_catalog.unnest(pg_catalog.string_to_array($2::pg_catalog.text, ' ')) AS w(word)
  WHERE w.word <> '' AND w.word NOT LIKE '@%' AND w.word NOT LIKE '=%')
SELECT r.oid, n.nspname, c.relname, c.oid IS NULL, t.oid IS NULL
FROM recorded AS r
LEFT JOIN pg_catalog.pg_class AS c ON c.oid = r.oid
LEFT JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN tree AS t ON t.oid = r.oid
WHERE c.oid IS NULL OR t.oid IS NULL OR c.relfilenode <> r.filenode
ORDER BY r.oid LIMIT 1)sql";

constexpr std::string_view kIsOtherServer = R"sql(
SELECT EXISTS (
  SELECT FROM pg_catalog.unnest(pg_catalog.string_to_array($1::pg_catalog.text, ' ')) AS w(word)
  WHERE w.word LIKE '@%' AND w.word <> '@' || s.system_identifier::pg_catalog.text)
FROM pg_catalog.pg_control_system() AS s)sql";

constexpr std::string_view kPullLoss = R"sql(
SELECT p."table"::pg_catalog.oid,
  coalesce(pg_catalog.bool_or(c.local_relations IS NULL), false),
  coalesce(pg_catalog.bool_or(u.pull_id IS NULL AND c.local_relations LIKE '%:u%'), false),
  coalesce(p.table_name, '')
FROM @ledger@.pull AS p
LEFT JOIN @ledger@.chunk AS c ON c.pull_id = p.pull_id AND c.state = 'done'
LEFT JOIN @ledger@.unlogged_chunk AS u ON u.pull_id = c.pull_id AND u.chunk = c.chunk
WHERE p.pull_id = $1::bigint AND c.pull_id IS NOT NULL
GROUP BY p."table", p.table_name)sql";

constexpr std::string_view kDisplayName = R"sql(
SELECT n.nspname, c.relname
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = $1::pg_catalog.oid)sql";

std::string oid_of(std::string_view word) {
  return std::string(word.substr(0, word.find(':')));
}

// Else it says something of another one, or of the server.
bool is_relation(std::string_view word) {
  return !word.starts_with('@') && !word.starts_with('=');
}

std::string decoded(std::string_view text) {
  std::string name;
  for (size_t at = 0; at < text.size(); at++) {
    if (text[at] == '%' && at + 2 < text.size()) {
      const std::string code(text.substr(at + 1, 2));
      name += code == "20" ? ' ' : code == "3A" ? ':' : '%';
      at += 2;
    } else {
      name += text[at];
    }
  }
  return name;
}

std::string sentence(const Rows &row, const std::string &recorded_name) {
  if (row.boolean(0, 3)) {
    return (recorded_name.empty() ? "The table with OID " + row.text(0, 0)
                                  : "Table " + recorded_name) +
           ", which rows went into, no longer exists.";
  }
  const std::string name = QualifiedName{row.text(0, 1), row.text(0, 2)}.display();
  if (row.boolean(0, 4))
    return "Table " + name + ", which rows went into, is no longer part of it.";
  return "Since rows went into table " + name +
         ", it was emptied (TRUNCATE) or rewritten (VACUUM FULL, CLUSTER, ALTER TABLE).";
}

} // namespace

std::vector<std::string> split_words(std::string_view text) {
  std::vector<std::string> words;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    if (end > begin)
      words.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return words;
}

bool has_unlogged(std::string_view relations) {
  return relations.find(":u") != std::string_view::npos;
}

std::string merge_local_relations(std::string_view relations, std::string_view more) {
  std::vector<std::string> words = split_words(relations);
  for (std::string &word : split_words(more))
    words.push_back(std::move(word));
  std::ranges::sort(words);
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return join(words, " ");
}

std::string words_without(std::string_view relations, std::string_view known) {
  std::vector<std::string> others = split_words(known);
  std::ranges::sort(others);
  std::string text;
  for (const std::string &word : split_words(relations))
    if (!std::ranges::binary_search(others, word))
      add_to_list(text, word, " ");
  return text;
}

std::optional<std::string> find_other_filenode(std::string_view recorded,
                                               std::string_view written) {
  std::vector<std::string> known = split_words(recorded);
  std::ranges::sort(known);
  for (const std::string &word : split_words(written)) {
    if (!is_relation(word) || std::ranges::binary_search(known, word))
      continue;
    const std::string oid = oid_of(word);
    if (std::ranges::any_of(known, [&](const std::string &other) { return oid_of(other) == oid; }))
      return oid;
  }
  return std::nullopt;
}

std::string recorded_name(std::string_view relations, std::string_view oid) {
  const std::string begin = "=" + std::string(oid) + "=";
  for (const std::string &word : split_words(relations))
    if (word.starts_with(begin))
      return decoded(std::string_view(word).substr(begin.size()));
  return {};
}

std::string LocalRelations::recorded(int64_t pull_id) {
  return executor_.exec(kRecorded, {std::to_string(pull_id)}).text(0, 0);
}

std::optional<std::string> LocalRelations::why_changed(uint32_t table, std::string_view relations,
                                                       std::string_view table_name) {
  const std::string text(relations);
  if (text.empty())
    return std::nullopt;
  if (executor_.exec(kIsOtherServer, {text}).boolean(0, 0))
    return "The ledger was restored from another server. It does not say which tables of this "
           "server have the rows.";
  const Rows row = executor_.exec(kWhatChanged, {std::to_string(table), text});
  if (row.empty())
    return std::nullopt;
  const std::string oid = row.text(0, 0);
  return sentence(row, oid == std::to_string(table) ? std::string(table_name)
                                                    : recorded_name(relations, oid));
}

std::optional<std::string> LocalRelations::why_pull_changed(int64_t pull_id) {
  const Rows loss = executor_.exec(kPullLoss, {std::to_string(pull_id)});
  if (loss.empty()) // no chunk is done
    return std::nullopt;
  if (loss.boolean(0, 1))
    return "Its chunks were done by an older version, which did not record the tables that they "
           "went into.";
  const auto table = static_cast<uint32_t>(loss.integer(0, 0));
  if (std::optional<std::string> change = why_changed(table, recorded(pull_id), loss.text(0, 3)))
    return change;
  return loss.boolean(0, 2) ? std::optional(unlogged_loss()) : std::nullopt;
}

std::string LocalRelations::display_name(std::string_view oid) {
  const Rows row = executor_.exec(kDisplayName, {std::string(oid)});
  return row.empty() ? std::string(oid) : QualifiedName{row.text(0, 0), row.text(0, 1)}.display();
}

std::string unlogged_loss() {
  return "The rows went into an unlogged table, which was emptied when the server started after a "
         "crash.";
}

std::string local_change_hint(std::string_view table, std::string_view next_call) {
  if (next_call.empty())
    return kBeginAnew;
  return "If the table has all rows that it should have, call parallel_pull_keep(" +
         quote_literal(table) + ") and then " + std::string(next_call) +
         ". Otherwise empty it and pull it again.";
}

} // namespace parallel_loader
