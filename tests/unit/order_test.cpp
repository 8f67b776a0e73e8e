// order_test: an order as bytes and back; what is no order is refused.
#include "extension/bridge/order.hpp"

#include "tests/unit/expect_error.hpp"

#include <cstring>

namespace parallel_loader {
namespace {

Order sample() {
  Order order;
  order.kind = OrderKind::kResume;
  order.source = {ConnInfo({{"host", "h"}, {"password", "secret"}}), PasswordRule::kMustBeUsed};
  order.request.owner = 4'000'000'000U;
  order.request.start = "1";
  order.request.columns = {"a", "b c"};
  order.request.kind = PullKind::kAppend;
  order.route = RouteSetting::kHeap;
  order.new_snapshot = true;
  return order;
}

TEST(Order, comes_back_as_it_was) {
  const Order order = parse_order(serialize_order(sample()));
  EXPECT_EQ(order.kind, OrderKind::kResume);
  EXPECT_EQ(order.source.conninfo.get("password"), "secret");
  EXPECT_EQ(order.source.password_rule, PasswordRule::kMustBeUsed);
  EXPECT_EQ(order.request.owner, 4'000'000'000U);
  EXPECT_EQ(order.request.start, "1");
  EXPECT_EQ(order.request.end, std::nullopt);
  EXPECT_EQ(order.request.columns, (std::vector<std::string>{"a", "b c"}));
  EXPECT_EQ(order.request.kind, PullKind::kAppend);
  EXPECT_EQ(order.route, RouteSetting::kHeap);
  EXPECT_TRUE(order.new_snapshot);
}

TEST(Order, is_refused_once_it_was_wiped) {
  EXPECT_SQLSTATE("XX000", parse_order(std::string(serialize_order(sample()).size(), '\0')));
  EXPECT_SQLSTATE("XX000", parse_address(std::string(1000, '\0')));
}

// Each number of the bytes in turn; those of enums must not be taken for a value.
TEST(Order, has_no_enum_whose_value_is_zero) {
  for (const Order &order : {Order(), sample()}) {
    const std::string bytes = serialize_address(order.source);
    std::string damaged = bytes;
    std::memset(damaged.data() + damaged.size() - sizeof(int64_t), 0, sizeof(int64_t));
    EXPECT_NE(bytes, damaged);
    EXPECT_SQLSTATE("XX000", parse_address(damaged));
  }
  EXPECT_NE(static_cast<int>(Order().kind), 0);
  EXPECT_NE(static_cast<int>(Order().route), 0);
  EXPECT_NE(static_cast<int>(Order().request.kind), 0);
}

TEST(Order, is_refused_when_it_is_cut_short_or_goes_on) {
  const std::string bytes = serialize_order(sample());
  for (size_t size = 0; size < bytes.size(); size++)
    EXPECT_SQLSTATE("XX000", parse_order(std::string_view(bytes).substr(0, size)));
  EXPECT_SQLSTATE("XX000", parse_order(bytes + '\0'));
}

TEST(Order, is_no_address) {
  EXPECT_SQLSTATE("XX000", parse_order(serialize_address(sample().source)));
  EXPECT_SQLSTATE("XX000", parse_address(serialize_order(sample())));
}

// Sizes and counts that would overflow, or take all memory.
TEST(Order, is_refused_when_a_number_in_it_is_beyond_its_bytes) {
  const std::string bytes = serialize_order(sample());
  for (const int64_t number : {int64_t{-1}, INT64_MAX, int64_t{1} << 40}) {
    for (size_t at = 0; at + sizeof(number) <= bytes.size(); at += sizeof(number)) {
      std::string damaged = bytes;
      std::memcpy(damaged.data() + at, &number, sizeof(number));
      try {
        static_cast<void>(parse_order(damaged));
      } catch (const Error &error) {
        EXPECT_EQ(error.sqlstate(), "XX000");
      }
    }
  }
}

} // namespace
} // namespace parallel_loader
