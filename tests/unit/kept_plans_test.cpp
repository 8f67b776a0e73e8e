// kept_plans_test: when a statement gets a plan of its own, and how it is named.
#include "core/connection/kept_plans.hpp"

#include <gtest/gtest.h>

namespace parallel_loader {
namespace {

TEST(KeptPlan, writes_parameters_as_literals) {
  const KeptPlan plan("p");
  EXPECT_EQ(plan.prepare("SELECT $1::text, $2::int"), "PREPARE p AS SELECT $1::text, $2::int");
  const Param params[] = {Param("it's \\ {\"a\"}"), Param()};
  EXPECT_EQ(plan.execute(params), "EXECUTE p(E'it''s \\\\ {\"a\"}', NULL)");
  EXPECT_EQ(plan.deallocate(), "DEALLOCATE p");
}

TEST(KeptPlans, are_for_statements_that_come_again_and_again) {
  KeptPlans plans;
  for (int turn = 0; turn < 3; turn++) {
    EXPECT_EQ(plans.find("SELECT $1::int"), nullptr);
    EXPECT_EQ(plans.find("SELECT $1::text"), nullptr);
  }
  KeptPlan *const plan = plans.find("SELECT $1::int");
  ASSERT_NE(plan, nullptr);
  EXPECT_EQ(plans.find("SELECT $1::int"), plan);
  EXPECT_NE(plans.find("SELECT $1::text")->deallocate(), plan->deallocate());
}

TEST(KeptPlans, are_taken_away_as_far_as_they_were_made) {
  KeptPlans plans;
  for (int turn = 0; turn < 4; turn++) {
    static_cast<void>(plans.find("SELECT $1::int"));
    static_cast<void>(plans.find("SELECT $1::text"));
  }
  EXPECT_TRUE(plans.deallocations().empty());
  KeptPlan *const plan = plans.find("SELECT $1::int");
  plan->is_made = true;
  EXPECT_EQ(plans.deallocations(), std::vector<std::string>{plan->deallocate()});
}

TEST(KeptPlans, have_a_limit) {
  KeptPlans plans;
  for (int number = 0; number < 1000; number++)
    for (int turn = 0; turn < 5; turn++)
      if (KeptPlan *const plan = plans.find("SELECT $1::int + " + std::to_string(number)))
        plan->is_made = true;
  EXPECT_LE(plans.deallocations().size(), 64U);
}

} // namespace
} // namespace parallel_loader
