// json_tree_test: which texts are read, and what their values are.
#include "core/tuple/json_tree.hpp"

#include <gtest/gtest.h>

#include <string>

namespace parallel_loader {
namespace {

// The value written out again: strings in bars, with what they stand for.
std::string written(const JsonTree &tree, const JsonValue &value) {
  using Kind = JsonValue::Kind;
  switch (value.kind) {
  case Kind::kNull:
    return "null";
  case Kind::kFalse:
    return "false";
  case Kind::kTrue:
    return "true";
  case Kind::kNumber:
    return std::string(value.text, value.size);
  case Kind::kString:
    return "|" + std::string(value.text, value.size) + "|";
  case Kind::kArray:
  case Kind::kObject:
    break;
  }
  std::string out = value.kind == Kind::kArray ? "[" : "{";
  for (const JsonValue &each : tree.values(value))
    out += written(tree, each) + ' ';
  return out + (value.kind == Kind::kArray ? "]" : "}");
}

// Reads a copy of exact size, so that AddressSanitizer sees a read past the end.
std::string read(JsonTree &tree, const std::string &text) {
  const std::vector<char> exact(text.begin(), text.end());
  return tree.read({exact.data(), exact.size()}) ? written(tree, tree.root()) : "not read";
}

std::string read(const std::string &text) {
  JsonTree tree;
  return read(tree, text);
}

TEST(JsonTree, reads_each_kind_of_value) {
  EXPECT_EQ(read("null"), "null");
  EXPECT_EQ(read(" true\n"), "true");
  EXPECT_EQ(read("\t\rfalse"), "false");
  EXPECT_EQ(read("-12.50"), "-12.50");
  EXPECT_EQ(read("\"\""), "||");
  EXPECT_EQ(read("[]"), "[]");
  EXPECT_EQ(read("{ }"), "{}");
  EXPECT_EQ(read(R"([1, "two", [3, {}], null])"), "[1 |two| [3 {} ] null ]");
  EXPECT_EQ(read(R"({"a": [], "b": {"c": 0}})"), "{|a| [] |b| {|c| 0 } }");
}

TEST(JsonTree, orders_keys_as_jsonb_and_keeps_the_last_of_each) {
  EXPECT_EQ(read(R"({"bb": 1, "c": 2, "a": 3})"), "{|a| 3 |c| 2 |bb| 1 }");
  EXPECT_EQ(read(R"({"a": 1, "a": 2})"), "{|a| 2 }");
  EXPECT_EQ(read(R"({"b": 1, "a": 2, "b": [3], "a": 4, "b": 5})"), "{|a| 4 |b| 5 }");
  EXPECT_EQ(read("{\"\xc3\xa9\": 1, \"zz\": 2, \"\": 3}"), "{|| 3 |zz| 2 |\xc3\xa9| 1 }");
}

TEST(JsonTree, resolves_escapes_but_those_of_code_points) {
  EXPECT_EQ(read(R"("\"\\\/\b\f\n\r\t")"), "|\"\\/\b\f\n\r\t|");
  EXPECT_EQ(read(R"(["a\nb", "plain", "\\", {"k\t": "\"v\""}])"),
            "[|a\nb| |plain| |\\| {|k\t| |\"v\"| } ]");
  EXPECT_EQ(read(R"("\u0041")"), "not read");
  EXPECT_EQ(read(R"("\x")"), "not read");
  EXPECT_EQ(read("\"\\"), "not read");
  EXPECT_EQ(read("\"\\\""), "not read");
}

TEST(JsonTree, finds_what_ends_a_string_at_any_place) {
  for (size_t length = 0; length < 40; ++length) {
    const std::string text(length, 'x');
    EXPECT_EQ(read("\"" + text + "\""), "|" + text + "|");
    for (const char *end : {"", "\x1f", "\n"})
      EXPECT_EQ(read("\"" + text + end + "yyyyyyyyy"), "not read") << length;
    EXPECT_EQ(read("\"" + text + "\x1f\""), "not read") << length;
    EXPECT_EQ(read("\"" + text + "\\n" + text + "\\\"\""), "|" + text + "\n" + text + "\"|");
    EXPECT_EQ(read("\"" + text + "\x7f\x80\xff !#[]^\""), "|" + text + "\x7f\x80\xff !#[]^|");
  }
}

TEST(JsonTree, refuses_what_is_not_json) {
  for (const char *text : {"",           " ",     "nul",       "nullx",
                           "True",       "01",    "-",         "+1",
                           "1.",         ".5",    "-01",       "1..2",
                           "--1",        "0x1",   "NaN",       "'a'",
                           "[",          "]",     "[1",        "[1,",
                           "[1,]",       "[,1]",  "[1 2]",     "[1}",
                           "{",          "}",     "{\"a\"}",   "{\"a\":}",
                           "{\"a\":1,}", "{1:2}", "{\"a\" 1}", "{\"a\":1 \"b\":2}",
                           "{,}",        "1 2",   "\"a\"b",    "{}{}",
                           "\"a"})
    EXPECT_EQ(read(text), "not read") << text;
  EXPECT_EQ(read(std::string("1\0", 2)), "not read");
}

TEST(JsonTree, leaves_what_is_large_or_deep_or_has_an_exponent) {
  EXPECT_EQ(read("1e5"), "not read");
  EXPECT_EQ(read("-1.5E-3"), "not read");
  EXPECT_EQ(read(std::string(JsonTree::kMaxNumberBytes, '9')),
            std::string(JsonTree::kMaxNumberBytes, '9'));
  EXPECT_EQ(read(std::string(JsonTree::kMaxNumberBytes + 1, '9')), "not read");
  EXPECT_NE(read(std::string(64, '[') + std::string(64, ']')), "not read");
  EXPECT_EQ(read(std::string(70, '[') + std::string(70, ']')), "not read");
  EXPECT_EQ(read(std::string(1'000'000, '[')), "not read");
  EXPECT_EQ(read("\"" + std::string(JsonTree::kMaxBytes, 'x') + "\""), "not read");
}

TEST(JsonTree, can_be_used_again_after_any_text) {
  JsonTree tree;
  EXPECT_EQ(read(tree, R"([1, {"a": "\n"}, )"), "not read");
  EXPECT_EQ(read(tree, R"({"b": ["\t", 2]})"), "{|b| [|\t| 2 ] }");
  EXPECT_EQ(read(tree, "7"), "7");
  EXPECT_EQ(tree.size(), 1U);
}

} // namespace
} // namespace parallel_loader
