// pinned_settings: settings that sessions of ours have on both servers, whatever roles and
// databases say.  Plain data, since the parts that call the server read it, too.
#pragma once

#include "core/base/pure.hpp"

namespace parallel_loader {

struct PinnedSetting {
  const char *name;
  const char *value;
  int since_version = 0; // of the server, as in server_version_num
};

/// A pull takes as long as it takes.  First of all: a role's own limit may be shorter than the rest
/// takes.  lock_timeout is not among them, as some waits have one.
inline constexpr PinnedSetting kNoTimeouts[] = {{"statement_timeout", "0"},
                                                {"idle_in_transaction_session_timeout", "0"},
                                                {"idle_session_timeout", "0", 140000},
                                                {"transaction_timeout", "0", 170000}};

/// What values mean as texts, but for DateStyle, TimeZone and the encoding, which follow the pull.
inline constexpr PinnedSetting kTextForms[] = {
    {"IntervalStyle", "postgres"}, {"extra_float_digits", "3"}, {"bytea_output", "hex"},
    {"xmloption", "content"},      {"array_nulls", "on"},       {"lc_monetary", "C"}};

} // namespace parallel_loader
