// wal_location_test: WAL locations and timelines, and what is none.
#include "core/base/wal_location.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

TEST(WalLocation, is_read_from_two_hexadecimal_numbers) {
  EXPECT_EQ(parse_lsn("0/0"), 0U);
  EXPECT_EQ(parse_lsn("16/B374D848"), 0x16B374D848U);
  EXPECT_EQ(parse_lsn("FFFFFFFF/ffffffff"), UINT64_MAX);
}

TEST(WalLocation, anything_else_is_none) {
  for (const char *text : {"", "/", "x/y", "1/", "/1", "1", "1/2/3", "100000000/0", "0/100000000",
                           "-1/0", " 1/0", "0x1/0", "1/0 "})
    EXPECT_EQ(parse_lsn(text), std::nullopt) << text;
}

TEST(WalLocation, timeline_is_a_number_from_1) {
  EXPECT_EQ(parse_timeline("1"), 1U);
  EXPECT_EQ(parse_timeline("4294967295"), UINT32_MAX);
  for (const char *text : {"", "0", "-1", "x", "1x", " 1", "4294967296", "99999999999999999999"})
    EXPECT_EQ(parse_timeline(text), std::nullopt) << text;
}

} // namespace
} // namespace parallel_loader
