// finding_test: findings are said once and in the order of their weight; columns that do not fit.
#include "core/check/column_check.hpp"
#include "core/check/finding.hpp"
#include "core/check/source_check.hpp"

#include "tests/unit/fake_executor.hpp"
#include "tests/unit/sample_catalog.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

using namespace testing;

std::vector<std::string> texts(const Findings &findings) {
  std::vector<std::string> texts;
  for (const Finding &finding : findings.sorted())
    texts.push_back(std::string(level_name(finding.level)) + " " + finding.item + ": " +
                    finding.message);
  return texts;
}

using Texts = std::vector<std::string>;

TEST(Findings, come_in_the_order_of_their_levels) {
  Findings findings;
  findings.info("a", "one");
  findings.error("b", "two");
  findings.warning("c", "three");
  findings.error("d", "four");
  EXPECT_EQ(texts(findings),
            (Texts{"error b: two", "error d: four", "warning c: three", "info a: one"}));
}

TEST(Findings, say_nothing_twice_and_lose_no_hint) {
  Findings findings;
  findings.error("rights", "permission denied");
  findings.error("plan", Error("42501", "permission denied"), "Grant it.");
  ASSERT_EQ(findings.sorted().size(), 1U);
  EXPECT_EQ(findings.sorted()[0].item, "rights");
  EXPECT_EQ(findings.sorted()[0].hint, "Grant it.");
}

/// What the check says of two tables with these columns.
Findings check(std::vector<SourceColumn> there, std::vector<DestinationColumn> here,
               std::optional<std::vector<std::string>> columns = std::nullopt,
               FormatChoice format = FormatChoice::kAuto) {
  const SourceTable source = source_table(std::move(there));
  const Types types = builtin_types();
  DestinationTable destination;
  destination.name = {"public", "t"};
  destination.columns = std::move(here);
  Findings findings;
  const TablePair tables{source, types, destination, types};
  static_cast<void>(check_columns({tables, columns, format}, findings));
  return findings;
}

TEST(ColumnCheck, names_every_column_that_is_missing) {
  const Findings findings = check({column("a", kInteger), column("b", kText), column("c", kText)},
                                  {{"a", kInteger, false}});
  EXPECT_EQ(texts(findings),
            (Texts{"error columns: column \"b\" of table \"public.t\" does not exist on the "
                   "destination",
                   "error columns: column \"c\" of table \"public.t\" does not exist on the "
                   "destination"}));
  EXPECT_FALSE(findings.sorted()[1].hint.empty());
}

TEST(ColumnCheck, finds_nothing_wrong_with_generated_columns) {
  const Findings findings = check({column("a", kInteger), column("b", kInteger)},
                                  {{"a", kInteger, false}, {"b", kInteger, true}});
  EXPECT_EQ(
      texts(findings),
      (Texts{
          "info columns: column \"b\" is generated on the destination: it is computed, not copied",
          "info format: rows are copied in binary format"}));
}

TEST(ColumnCheck, tells_types_that_differ_and_the_format) {
  const Findings findings = check({column("a", kInteger)}, {{"a", kBigint, false}});
  ASSERT_EQ(findings.sorted().size(), 2U);
  EXPECT_EQ(findings.sorted()[0].item, "types");
  EXPECT_EQ(findings.sorted()[1].item, "format");
  const Findings refused =
      check({column("a", kInteger)}, {{"a", kBigint, false}}, std::nullopt, FormatChoice::kBinary);
  EXPECT_EQ(texts(refused), (Texts{"error columns: binary format cannot carry column \"a\""}));
}

TEST(SourceCheck, names_the_rights_that_are_missing) {
  const SourceTable table = source_table({column("a", kInteger), column("b", kText)});
  FakeExecutor source;
  source.answers = {Rows(4, {"a", "t", "t", "reader", "b", "t", "f", "reader"})};
  const std::vector<std::string> columns{"a", "b"};
  EXPECT_EQ(missing_source_rights(source, table, columns),
            "Run on the source: GRANT SELECT (\"b\") ON \"public\".\"t\" TO \"reader\";");
  source.answers = {Rows(4, {"a", "t", "t", "reader", "b", "t", "t", "reader"})};
  EXPECT_EQ(missing_source_rights(source, table, columns), "");
}

TEST(EncodingCheck, warns_of_what_may_not_be_converted) {
  Findings same, wider, narrower;
  check_encodings("UTF8", "UTF8", same);
  check_encodings("LATIN1", "UTF8", wider);
  check_encodings("UTF8", "LATIN1", narrower);
  EXPECT_TRUE(same.sorted().empty());
  EXPECT_EQ(wider.sorted()[0].level, FindingLevel::kInfo);
  EXPECT_EQ(narrower.sorted()[0].level, FindingLevel::kWarning);
}

} // namespace
} // namespace parallel_loader
