// range_order_test: ranges whose bounds are ordered otherwise on the destination.
#include "core/source/range_order.hpp"

#include "tests/unit/expect_error.hpp"
#include "tests/unit/sample_catalog.hpp"

namespace parallel_loader {
namespace {

using namespace testing;

constexpr TypeOid kRange = kUserBase, kMultirange = kUserBase + 1, kArray = kUserBase + 2,
                  kDomain = kUserBase + 3, kComposite = kUserBase + 4, kBound = kUserBase + 5;

const Collation kC = {.name = "\"C\" (C)", .identity = "C"};
const Collation kEnglish = {.name = "en (en)", .identity = "i:en:"};
const Collation kCaseless = {
    .name = "nd (und, nondeterministic)", .identity = "i:und:", .is_deterministic = false};

class RangeOrderTest : public ::testing::Test {
protected:
  /// A range over `subtype`, and types that hold it.
  static Types types_with(const RangeParts &parts, TypeOid subtype = kText,
                          const Collation &field = {}) {
    Types types = builtin_types();
    TypeInfo bound = user_type(kBound, "bound", TypeKind::kComposite);
    bound.fields = {{"word", kText, field}};
    types.add(bound);
    TypeInfo range = user_type(kRange, "words", TypeKind::kRange, subtype);
    range.range = parts;
    types.add(range);
    types.add(user_type(kMultirange, "multiwords", TypeKind::kMultirange, kRange));
    types.add(user_type(kArray, "_words", TypeKind::kArray, kRange));
    types.add(user_type(kDomain, "some_words", TypeKind::kDomain, kArray));
    TypeInfo composite = user_type(kComposite, "entry", TypeKind::kComposite);
    composite.fields = {{"id", kInteger}, {"words", kDomain}};
    types.add(composite);
    return types;
  }
  static RangeParts by(const Collation &collation,
                       const std::string &operator_class = "pg_catalog.text_ops") {
    return {.operator_class = operator_class, .canonical = {}, .collation = collation};
  }
  static std::string why(const Types &source, const Types &destination, OrderRule rule,
                         TypeOid type = kRange) {
    return why_other_ranges(source, type, destination, type, rule);
  }
};

TEST_F(RangeOrderTest, same_order_is_the_same_whatever_it_is_called) {
  Collation other_name = kC;
  other_name.name = "default (C.UTF-8)";
  for (const TypeOid type : {kRange, kMultirange, kArray, kDomain, kComposite, kInteger})
    EXPECT_EQ(why(types_with(by(kC)), types_with(by(other_name)), OrderRule::kSame, type), "");
}

TEST_F(RangeOrderTest, collation_that_tells_less_apart_makes_other_values) {
  for (const TypeOid type : {kRange, kMultirange, kArray, kDomain, kComposite})
    for (const OrderRule rule : {OrderRule::kSame, OrderRule::kSameValues})
      EXPECT_EQ(why(types_with(by(kC)), types_with(by(kCaseless)), rule, type),
                "holds type s.words, whose bounds are ordered by collation \"C\" (C) on the "
                "source, but nd (und, nondeterministic) on the destination");
}

TEST_F(RangeOrderTest, another_deterministic_collation_matters_to_multiranges_alone) {
  for (const Collation &there : {kEnglish, kCaseless}) {
    EXPECT_NE(why(types_with(by(there)), types_with(by(kC)), OrderRule::kSame), "");
    EXPECT_EQ(why(types_with(by(there)), types_with(by(kC)), OrderRule::kSameValues), "");
    EXPECT_NE(why(types_with(by(there)), types_with(by(kC)), OrderRule::kSameValues, kMultirange),
              "");
  }
}

TEST_F(RangeOrderTest, operator_classes_of_users_may_take_anything_for_equal) {
  const Types own = types_with(by(kC, "public.caseless_ops"));
  const Types pattern = types_with(by(kC, "pg_catalog.text_pattern_ops"));
  const Types usual = types_with(by(kC));
  EXPECT_NE(why(usual, own, OrderRule::kSameValues), "");
  EXPECT_EQ(why(own, usual, OrderRule::kSameValues), "");
  EXPECT_NE(why(own, usual, OrderRule::kSameValues, kMultirange), "");
  EXPECT_NE(why(usual, pattern, OrderRule::kSame), "");
  EXPECT_EQ(why(usual, pattern, OrderRule::kSameValues), "");
  EXPECT_NE(why(usual, pattern, OrderRule::kSameValues, kMultirange), "");
}

TEST_F(RangeOrderTest, numbers_may_become_wider_ones) {
  const Types narrow = types_with({"pg_catalog.int4_ops", "", {}}, kInteger);
  const Types wide = types_with({"pg_catalog.int8_ops", "", {}}, kBigint);
  for (const TypeOid type : {kRange, kMultirange})
    EXPECT_EQ(why(narrow, wide, OrderRule::kSameValues, type), "");
}

TEST_F(RangeOrderTest, canonical_function_of_the_destination_writes_other_bounds) {
  const Types with = types_with({"pg_catalog.int4_ops", "public.canonical", {}}, kInteger);
  const Types without = types_with({"pg_catalog.int4_ops", "", {}}, kInteger);
  EXPECT_EQ(why(without, with, OrderRule::kSameValues),
            "holds type s.words, whose values have canonical function none on the source, but "
            "public.canonical on the destination");
  EXPECT_NE(why(with, without, OrderRule::kSame), "");
  EXPECT_EQ(why(with, without, OrderRule::kSameValues), "");
}

TEST_F(RangeOrderTest, fields_of_bounds_count_and_other_fields_do_not) {
  const RangeParts records = {"pg_catalog.record_ops", "", {}};
  const Types there = types_with(records, kBound, kC);
  const Types here = types_with(records, kBound, kCaseless);
  EXPECT_NE(why(there, here, OrderRule::kSameValues), "");
  EXPECT_EQ(why(there, here, OrderRule::kSameValues, kBound), "");
}

TEST_F(RangeOrderTest, binary_is_for_the_same_order_only) {
  const Types there = types_with(by(kEnglish));
  const Types here = types_with(by(kC));
  EXPECT_NE(why_not_binary(there, kRange, here, kRange), "");
  EXPECT_EQ(why_not_binary(there, kRange, there, kRange), "");
}

} // namespace
} // namespace parallel_loader
