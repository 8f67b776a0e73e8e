// old_holder_test: how the name of a snapshot tells who has exported it.
#include "core/source/old_holder.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

TEST(OldHolder, reads_the_virtual_transaction_from_the_name) {
  EXPECT_EQ(exporting_transaction("00000005-00000042-1"), "5/66");
  EXPECT_EQ(exporting_transaction("0000000A-FFFFFFFF-12"), "10/4294967295");
}

TEST(OldHolder, takes_no_other_text_for_a_name) {
  for (const char *text :
       {"", "5-42-1", "00000005-00000042", "00000005-00000042-", "-0000005-00000042-1",
        "00000005x00000042-1", "0x000005-00000042-1", "000000050-00000042-1"})
    EXPECT_EQ(exporting_transaction(text), "") << text;
}

} // namespace
} // namespace parallel_loader
