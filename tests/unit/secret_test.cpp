// secret_test: what is wiped is gone, also behind the end of the text.
#include "core/base/secret.hpp"

#include "core/connection/conninfo.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

TEST(Secret, is_overwritten_to_the_end_of_its_memory) {
  std::string text(100, 'x');
  const char *bytes = text.data();
  const size_t capacity = text.capacity();
  text = "short";
  wipe(text);
  EXPECT_EQ(text, "");
  EXPECT_EQ(text.data(), bytes);
  EXPECT_TRUE(std::all_of(bytes, bytes + capacity, [](char byte) { return byte == '\0'; }));
}

TEST(Secret, is_overwritten_at_the_end_of_its_scope) {
  std::string text = "secret";
  { const WipeAtEnd wiped(text); }
  EXPECT_EQ(text, "");
}

TEST(ConnInfo, wipes_secrets_alone) {
  ConnInfo info({{"host", "h"}, {"password", "p"}, {"sslpassword", "s"}});
  info.wipe_secrets();
  EXPECT_EQ(info.get("host"), "h");
  EXPECT_EQ(info.get("password"), "");
  EXPECT_EQ(info.get("sslpassword"), "");
}

TEST(ConnInfo, moves_and_copies_whole) {
  ConnInfo first({{"host", "h"}, {"password", "p"}});
  ConnInfo second = first;
  const ConnInfo third = std::move(first);
  second = ConnInfo({{"host", "h"}, {"password", "q"}});
  EXPECT_EQ(third.get("password"), "p");
  EXPECT_EQ(second.get("password"), "q");
}

} // namespace
} // namespace parallel_loader
