// version_test: the order of versions.
#include "orchestrator/base/version.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

TEST(Version, compares_numbers_and_not_texts) {
  EXPECT_TRUE(is_older("0.5", "0.6"));
  EXPECT_TRUE(is_older("0.9", "0.10"));
  EXPECT_TRUE(is_older("0.10", "1.0"));
  EXPECT_TRUE(is_older("0.6", "0.6.1"));
  EXPECT_FALSE(is_older("0.6", "0.6"));
  EXPECT_FALSE(is_older("0.10", "0.9"));
  EXPECT_FALSE(is_older("1.0", "0.10"));
}

TEST(Version, text_that_is_no_version_is_the_oldest) {
  EXPECT_TRUE(is_older("", "0.6"));
  EXPECT_TRUE(is_older("unpackaged", "0.6"));
  EXPECT_TRUE(is_older("..", "0.6"));
}

} // namespace
} // namespace parallel_loader
