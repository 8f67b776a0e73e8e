// size_text_test: sizes in words, and the units they are told in.
#include "core/base/size_text.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

TEST(SizeText, has_a_unit) {
  EXPECT_EQ(size_text(0), "0 bytes");
  EXPECT_EQ(size_text(8192), "8 kB");
  EXPECT_EQ(size_text(1536), "1.5 kB");
  EXPECT_EQ(size_text(100 << 20), "100 MB");
  EXPECT_EQ(size_text(int64_t{1540} << 30), "1.5 TB");
}

TEST(SizeText, unit_is_the_smallest_with_fewer_than_the_limit) {
  EXPECT_EQ(size_unit(0, 1024).name, "B");
  EXPECT_EQ(size_unit(1023, 1024).name, "B");
  EXPECT_EQ(size_unit(1024, 1024).name, "kB");
  EXPECT_EQ(size_unit(1000, 999.95).name, "kB");
  EXPECT_EQ(size_unit(1000, 999.95).bytes, 1024);
  EXPECT_EQ(size_unit(1e30, 1024).name, "PB");
}

} // namespace
} // namespace parallel_loader
