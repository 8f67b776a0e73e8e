// types_test: which types binary COPY carries from one server to another.
#include "core/source/types.hpp"

#include "tests/unit/expect_error.hpp"
#include "tests/unit/fake_executor.hpp"
#include "tests/unit/sample_catalog.hpp"

namespace parallel_loader {
namespace {

using namespace testing;

class BinaryRuleTest : public ::testing::Test {
protected:
  std::string why(TypeOid source_type, TypeOid destination_type) const {
    return why_not_binary(source, source_type, destination, destination_type);
  }
  void add_to_both(const TypeInfo &type) {
    source.add(type);
    destination.add(type);
  }

  Types source = builtin_types();
  Types destination = builtin_types();
};

TEST_F(BinaryRuleTest, same_builtin_type_is_carried) {
  for (const TypeOid type : {kBool, kInteger, kText, kNumeric, kUuid, kIntegerArray, kChar})
    EXPECT_EQ(why(type, type), "");
}

TEST_F(BinaryRuleTest, different_types_are_not) {
  EXPECT_EQ(why(kInteger, kBigint), "has type int4 on the source, but int8 on the destination");
}

TEST_F(BinaryRuleTest, user_types_are_the_same_by_name_whatever_their_oid) {
  source.add(user_type(kUserBase, "mood", TypeKind::kEnum));
  destination.add(user_type(kUserBase + 5, "mood", TypeKind::kEnum));
  EXPECT_EQ(why(kUserBase, kUserBase + 5), "");
}

TEST_F(BinaryRuleTest, user_types_of_another_kind_or_name_differ) {
  source.add(user_type(kUserBase, "mood", TypeKind::kEnum));
  destination.add(user_type(kUserBase, "mood", TypeKind::kBase));
  destination.add(user_type(kUserBase + 1, "humour", TypeKind::kEnum));
  EXPECT_NE(why(kUserBase, kUserBase), "");
  EXPECT_NE(why(kUserBase, kUserBase + 1), "");
  EXPECT_NE(why(kUserBase, kText), "");
}

TEST_F(BinaryRuleTest, names_sent_as_oids_are_not_carried_however_deep) {
  add_to_both(user_type(kUserBase, "d", TypeKind::kDomain, kRegclassArray));
  TypeInfo composite = user_type(kUserBase + 1, "c", TypeKind::kComposite);
  composite.fields = {{"a", kInteger}, {"b", kUserBase}};
  add_to_both(composite);
  for (const TypeOid type : {kRegclass, kRegclassArray, kUserBase, kUserBase + 1})
    EXPECT_NE(why(type, type).find("regclass"), std::string::npos) << type;
}

TEST_F(BinaryRuleTest, type_without_binary_form_is_not_carried) {
  EXPECT_EQ(why(kAclitem, kAclitem), "has type aclitem, which has no binary form");
}

TEST_F(BinaryRuleTest, types_whose_empty_value_cannot_be_read_are_not_carried) {
  for (const auto &[oid, name] : {std::pair<TypeOid, std::string_view>{22, "int2vector"},
                                  {30, "oidvector"},
                                  {3615, "tsquery"}}) {
    source.add(builtin(oid, name));
    destination.add(builtin(oid, name));
    EXPECT_NE(why(oid, oid), "");
  }
}

TEST_F(BinaryRuleTest, missing_binary_form_on_one_side_suffices) {
  TypeInfo type = user_type(kUserBase, "seg", TypeKind::kBase);
  source.add(type);
  type.has_binary = false;
  destination.add(type);
  EXPECT_NE(why(kUserBase, kUserBase), "");
}

TEST_F(BinaryRuleTest, composites_need_the_same_fields_in_the_same_order) {
  TypeInfo type = user_type(kUserBase, "c", TypeKind::kComposite);
  type.fields = {{"a", kInteger}, {"b", kText}};
  source.add(type);
  destination.add(type);
  EXPECT_EQ(why(kUserBase, kUserBase), "");
  for (const std::vector<CompositeField> &fields :
       {std::vector<CompositeField>{{"a", kInteger}},
        {{"b", kText}, {"a", kInteger}},
        {{"a", kInteger}, {"b", kNumeric}},
        {{"a", kInteger}, {"b", kText}, {"c", kText}}}) {
    type.fields = fields;
    destination.add(type);
    EXPECT_NE(why(kUserBase, kUserBase), "");
  }
}

TEST_F(BinaryRuleTest, ranges_and_multiranges_follow_their_subtype) {
  add_to_both(user_type(kUserBase, "aclrange", TypeKind::kRange, kAclitem));
  add_to_both(user_type(kUserBase + 1, "aclmultirange", TypeKind::kMultirange, kUserBase));
  add_to_both(user_type(kUserBase + 2, "intrange", TypeKind::kRange, kInteger));
  EXPECT_NE(why(kUserBase, kUserBase), "");
  EXPECT_NE(why(kUserBase + 1, kUserBase + 1), "");
  EXPECT_EQ(why(kUserBase + 2, kUserBase + 2), "");
}

TEST_F(BinaryRuleTest, intervals_go_as_text_from_17_to_older_servers) {
  source = builtin_types(170000);
  EXPECT_NE(why(kInterval, kInterval), "");
  destination = builtin_types(170000);
  EXPECT_EQ(why(kInterval, kInterval), "");
  source = builtin_types(160000);
  EXPECT_EQ(why(kInterval, kInterval), "");
}

TEST(Types, base_looks_under_domains) {
  Types types = builtin_types();
  types.add(user_type(kUserBase, "d", TypeKind::kDomain, kInteger));
  types.add(user_type(kUserBase + 1, "dd", TypeKind::kDomain, kUserBase));
  EXPECT_EQ(types.base(kUserBase + 1).oid, kInteger);
}

TEST(Types, contains_looks_into_everything) {
  Types types = builtin_types();
  TypeInfo composite = user_type(kUserBase, "c", TypeKind::kComposite);
  composite.fields = {{"a", kIntegerArray}};
  types.add(composite);
  EXPECT_TRUE(types.contains(kUserBase, kInteger));
  EXPECT_FALSE(types.contains(kUserBase, kChar));
}

TEST(Types, type_that_the_server_left_out_breaks_the_protocol) {
  EXPECT_SQLSTATE("08P01", Types().get(kInteger));
}

TEST(Types, domain_over_itself_has_no_base) {
  Types types;
  types.add(user_type(kUserBase, "d", TypeKind::kDomain, kUserBase));
  types.add(user_type(kUserBase + 1, "e", TypeKind::kDomain, kUserBase + 2));
  types.add(user_type(kUserBase + 2, "f", TypeKind::kDomain, kUserBase + 1));
  for (const TypeOid type : {kUserBase, kUserBase + 1, kUserBase + 2})
    EXPECT_SQLSTATE("08P01", types.base(type)) << type;
}

TEST(Types, cycle_of_types_ends_every_walk) {
  Types types = builtin_types();
  types.add(user_type(kUserBase, "a", TypeKind::kArray, kUserBase + 1));
  types.add(user_type(kUserBase + 1, "b", TypeKind::kRange, kUserBase));
  TypeInfo composite = user_type(kUserBase + 2, "c", TypeKind::kComposite);
  composite.fields = {{"self", kUserBase + 2}, {"a", kUserBase}};
  types.add(composite);
  for (const TypeOid type : {kUserBase, kUserBase + 2}) {
    EXPECT_EQ(why_not_binary(types, type, types, type), "");
    EXPECT_EQ(why_not_text(types, type, types, type), "");
    EXPECT_FALSE(types.contains(type, kChar));
  }
}

TEST(Types, chain_of_types_may_be_long_but_is_not_followed_for_ever) {
  Types types = builtin_types();
  constexpr TypeOid kLength = 1000000;
  for (TypeOid link = 0; link < kLength; ++link)
    types.add(user_type(kUserBase + link, "a", TypeKind::kArray,
                        link + 1 < kLength ? kUserBase + link + 1 : kInteger));
  EXPECT_SQLSTATE("54000", why_not_binary(types, kUserBase, types, kUserBase));
  EXPECT_SQLSTATE("54000", why_not_text(types, kUserBase, types, kUserBase));
  EXPECT_FALSE(types.contains(kUserBase, kChar));
  const TypeOid near_end = kUserBase + kLength - 50;
  EXPECT_EQ(why_not_binary(types, near_end, types, near_end), "");
}

TEST(Types, load_refuses_a_type_without_its_kind) {
  for (const size_t missing : {0, 1, 2, 3, 4, 5, 6}) {
    std::vector<std::optional<std::string>> values{
        "20000", "s.c", "s", "c", "b", "f", "t", std::nullopt, {}, {}, {}, {}, {}, {}, {}};
    values.resize(15);
    values[missing] = missing % 2 == 0 ? std::nullopt : std::optional<std::string>("");
    FakeExecutor server;
    server.answers = {one_row({"150020", "UTF8"}), Rows(15, values)};
    EXPECT_SQLSTATE("08P01", Types::load(server, std::vector<TypeOid>{20000})) << missing;
  }
}

TEST(Types, load_gathers_the_fields_of_a_composite) {
  FakeExecutor server;
  const auto field = [](std::string name, std::string type) {
    return std::vector<std::optional<std::string>>{"20000",
                                                   "s.c",
                                                   "s",
                                                   "c",
                                                   "c",
                                                   "f",
                                                   "t",
                                                   "0",
                                                   std::nullopt,
                                                   std::nullopt,
                                                   std::nullopt,
                                                   std::nullopt,
                                                   std::nullopt,
                                                   std::move(name),
                                                   std::move(type)};
  };
  std::vector<std::optional<std::string>> values = field("a", "23");
  for (auto &value : field("b", "25"))
    values.push_back(value);
  server.answers = {one_row({"150020", "UTF8"}), Rows(15, values),
                    one_row({"20000", "b", std::nullopt, std::nullopt, "default (C)", "C", "t"})};
  const Types types = Types::load(server, std::vector<TypeOid>{20000});
  const TypeInfo &type = types.get(20000);
  EXPECT_EQ(type.kind, TypeKind::kComposite);
  EXPECT_EQ(type.quoted_name, "\"s\".\"c\"");
  ASSERT_EQ(type.fields.size(), 2U);
  EXPECT_EQ(type.fields[1].name, "b");
  EXPECT_EQ(type.fields[0].collation.identity, "");
  EXPECT_EQ(type.fields[1].collation.identity, "C");
  EXPECT_EQ(server.calls.at(1).params.at(0), "{\"20000\"}");
}

TEST(Types, load_asks_what_orders_ranges_and_needs_an_answer) {
  const auto described =
      one_row({"20000", "s.r", "s", "r", "r", "f", "t", "25", {}, {}, {}, {}, {}, {}, {}});
  FakeExecutor server;
  server.answers = {one_row({"150020", "UTF8"}), described,
                    one_row({"20000", {}, "pg_catalog.text_ops", {}, "\"C\" (C)", "C", "t"})};
  const Types types = Types::load(server, std::vector<TypeOid>{20000});
  EXPECT_EQ(types.get(20000).range.operator_class, "pg_catalog.text_ops");
  EXPECT_EQ(types.get(20000).range.collation.identity, "C");
  FakeExecutor silent;
  silent.answers = {one_row({"150020", "UTF8"}), described, Rows(7, {})};
  EXPECT_SQLSTATE("08P01", Types::load(silent, std::vector<TypeOid>{20000}));
}

TEST(Types, load_asks_once_where_nothing_has_an_order_of_its_own) {
  FakeExecutor server;
  server.answers = {
      one_row({"150020", "UTF8"}),
      one_row(
          {"23", "integer", "pg_catalog", "int4", "b", "f", "t", "0", {}, {}, {}, {}, {}, {}, {}})};
  (void)Types::load(server, std::vector<TypeOid>{23});
  EXPECT_EQ(server.calls.size(), 2U);
}

TEST(Types, load_asks_for_multiranges_from_14_only) {
  for (const auto &[version, has_multiranges] : {std::pair{"130022", false}, {"140000", true}}) {
    FakeExecutor server;
    server.answers = {one_row({version, "UTF8"}), Rows(15, {})};
    (void)Types::load(server, std::vector<TypeOid>{23});
    EXPECT_EQ(server.calls.at(1).sql.find("rngmultitypid") != std::string::npos, has_multiranges);
  }
}

} // namespace
} // namespace parallel_loader
