// request_test: a request as bytes and back; what is no request is refused.
#include "extension/bridge/request.hpp"

#include "tests/unit/expect_error.hpp"

#include <cstring>

namespace parallel_loader {
namespace {

Request sample() {
  Request request;
  request.kind = RequestKind::kResume;
  request.source = {ConnInfo({{"host", "h"}, {"password", "secret"}}), PasswordRule::kMustBeUsed};
  request.pull.owner = 4'000'000'000U;
  request.pull.start = "1";
  request.pull.columns = {"a", "b c"};
  request.pull.kind = PullKind::kAppend;
  request.route = RouteSetting::kHeap;
  request.new_snapshot = true;
  return request;
}

TEST(Request, comes_back_as_it_was) {
  const Request request = parse_request(serialize_request(sample()));
  EXPECT_EQ(request.kind, RequestKind::kResume);
  EXPECT_EQ(request.source.conninfo.get("password"), "secret");
  EXPECT_EQ(request.source.password_rule, PasswordRule::kMustBeUsed);
  EXPECT_EQ(request.pull.owner, 4'000'000'000U);
  EXPECT_EQ(request.pull.start, "1");
  EXPECT_EQ(request.pull.end, std::nullopt);
  EXPECT_EQ(request.pull.columns, (std::vector<std::string>{"a", "b c"}));
  EXPECT_EQ(request.pull.kind, PullKind::kAppend);
  EXPECT_EQ(request.route, RouteSetting::kHeap);
  EXPECT_TRUE(request.new_snapshot);
}

TEST(Request, is_refused_once_it_was_wiped) {
  EXPECT_SQLSTATE("XX000", parse_request(std::string(serialize_request(sample()).size(), '\0')));
  EXPECT_SQLSTATE("XX000", parse_address(std::string(1000, '\0')));
}

// Each number of the bytes in turn; those of enums must not be taken for a value.
TEST(Request, has_no_enum_whose_value_is_zero) {
  for (const Request &request : {Request(), sample()}) {
    const std::string bytes = serialize_address(request.source);
    std::string damaged = bytes;
    std::memset(damaged.data() + damaged.size() - sizeof(int64_t), 0, sizeof(int64_t));
    EXPECT_NE(bytes, damaged);
    EXPECT_SQLSTATE("XX000", parse_address(damaged));
  }
  EXPECT_NE(static_cast<int>(Request().kind), 0);
  EXPECT_NE(static_cast<int>(Request().route), 0);
  EXPECT_NE(static_cast<int>(Request().pull.kind), 0);
}

TEST(Request, is_refused_when_it_is_cut_short_or_goes_on) {
  const std::string bytes = serialize_request(sample());
  for (size_t size = 0; size < bytes.size(); size++)
    EXPECT_SQLSTATE("XX000", parse_request(std::string_view(bytes).substr(0, size)));
  EXPECT_SQLSTATE("XX000", parse_request(bytes + '\0'));
}

TEST(Request, is_no_address) {
  EXPECT_SQLSTATE("XX000", parse_request(serialize_address(sample().source)));
  EXPECT_SQLSTATE("XX000", parse_address(serialize_request(sample())));
}

// Sizes and counts that would overflow, or take all memory.
TEST(Request, is_refused_when_a_number_in_it_is_beyond_its_bytes) {
  const std::string bytes = serialize_request(sample());
  for (const int64_t number : {int64_t{-1}, INT64_MAX, int64_t{1} << 40}) {
    for (size_t at = 0; at + sizeof(number) <= bytes.size(); at += sizeof(number)) {
      std::string damaged = bytes;
      std::memcpy(damaged.data() + at, &number, sizeof(number));
      try {
        static_cast<void>(parse_request(damaged));
      } catch (const Error &error) {
        EXPECT_EQ(error.sqlstate(), "XX000");
      }
    }
  }
}

} // namespace
} // namespace parallel_loader
