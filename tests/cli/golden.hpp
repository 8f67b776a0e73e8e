// golden: compares a screen with the file of its name in tests/cli/golden.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

namespace parallel_loader {

/// The root of the source tree, from the path this file was compiled under.
inline std::filesystem::path source_root() {
  return std::filesystem::path(__FILE__).parent_path().parent_path().parent_path();
}

inline std::string read_file(const std::filesystem::path &path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

/// With UPDATE_GOLDEN=1 in the environment the file is written instead; look at `git diff` then.
inline void expect_golden(const std::string &name, const std::string &text) {
  const std::filesystem::path path = source_root() / "tests/cli/golden" / name;
  if (std::getenv("UPDATE_GOLDEN") != nullptr)
    std::ofstream(path, std::ios::binary) << text;
  EXPECT_EQ(read_file(path), text) << "differs from " << path;
}

} // namespace parallel_loader
