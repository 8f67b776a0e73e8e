// exit_status: what the program's exit code says, for scripts.
#pragma once

#include <array>
#include <string_view>

namespace parallel_loader {

enum class ExitStatus : int {
  kDone = 0,
  kFailed = 1,
  kUsage = 2,
  kSourceUnreachable = 3,
  kDestinationUnreachable = 4,
  kDiffers = 5,
  kInterrupted = 130, // 128 + SIGINT, as shells have it
};

struct ExitStatusDoc {
  ExitStatus status;
  std::string_view meaning;
};

/// Every exit status, in the order in which the help lists them.
inline constexpr std::array<ExitStatusDoc, 7> kExitStatuses{{
    {ExitStatus::kDone, "done"},
    {ExitStatus::kFailed,
     "a table has failed, is not there, or is not ready, or sequences were not set"},
    {ExitStatus::kUsage, "wrong usage"},
    {ExitStatus::kSourceUnreachable,
     "the source cannot be reached, from here or from the destination server"},
    {ExitStatus::kDestinationUnreachable,
     "the destination cannot be reached, or its extension is missing or too old"},
    {ExitStatus::kDiffers, "verification has found differences"},
    {ExitStatus::kInterrupted, "interrupted by a signal"},
}};

} // namespace parallel_loader
