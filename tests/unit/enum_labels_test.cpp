// enum_labels_test: which changes of an enum's labels change what its values mean.
#include "core/source/enum_labels.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

Shape labels(const std::string &lines) {
  return {{.part = ShapePart::kLabels,
           .name = "mood",
           .place = "(NULL::\"public\".\"t\").\"mood\"",
           .type = lines,
           .words = {}}};
}

TEST(EnumLabels, further_labels_are_no_change) {
  EXPECT_FALSE(find_label_change(labels("sad\nglad"), labels("sad\nglad")));
  EXPECT_FALSE(find_label_change(labels("sad\nglad"), labels("low\nsad\nso-so\nglad\nhigh")));
  EXPECT_FALSE(find_label_change(labels("sad"), labels("sad\n")));
}

TEST(EnumLabels, labels_renamed_swapped_or_gone_are_a_change) {
  for (const std::string now : {"low\nglad", "glad\nsad", "sad", "", "sadglad"}) {
    const auto change = find_label_change(labels("sad\nglad"), labels(now));
    ASSERT_TRUE(change) << now;
    EXPECT_EQ(change->name, "mood");
    EXPECT_EQ(change->sentence(), "Labels of its enum have other names, or another order.");
  }
}

TEST(EnumLabels, plans_that_did_not_record_them_are_not_compared) {
  EXPECT_FALSE(find_label_change({}, labels("sad")));
  EXPECT_TRUE(EnumLabels().empty());
}

} // namespace
} // namespace parallel_loader
