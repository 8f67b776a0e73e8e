// expect_error: runs code that must throw parallel_loader::Error and hands the error back.
#pragma once

#include "core/base/error.hpp"

#include <gtest/gtest.h>

namespace parallel_loader::testing {

/// Returns the Error that `code` throws; fails the test when it throws none.
template <class Code> Error catch_error(Code &&code) {
  try {
    code();
  } catch (const Error &error) {
    return error;
  }
  ADD_FAILURE() << "no Error was thrown";
  return Error("", "");
}

} // namespace parallel_loader::testing

#define EXPECT_SQLSTATE(code, ...)                                                                 \
  EXPECT_EQ(::parallel_loader::testing::catch_error([&] { (void)(__VA_ARGS__); }).sqlstate(), code)
