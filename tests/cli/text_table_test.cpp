// text_table_test: rows under headings.
#include "orchestrator/base/text_table.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

TEST(TextTable, aligns_as_psql_does) {
  EXPECT_EQ(text_table({{"table"}, {"rows", Align::kRight}, {"state"}},
                       {{"sales.orders", "12 345", "done"}, {"t\u00e4ble\n", "7", ""}}),
            " table        |   rows | state\n"
            "--------------+--------+-------\n"
            " sales.orders | 12 345 | done\n"
            " t\u00e4ble?       |      7 |\n");
}

TEST(TextTable, has_headings_without_rows) {
  EXPECT_EQ(text_table({{"run", Align::kRight}, {"state"}}, {}), " run | state\n"
                                                                 "-----+-------\n");
}

} // namespace
} // namespace parallel_loader
