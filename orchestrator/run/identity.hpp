// identity: how two sessions find out that they are in the same database.
#pragma once

#include <string_view>

namespace parallel_loader {

/// Which database of which server, as a text that both ends of one have in common.
inline constexpr std::string_view kIdentity = R"sql(
SELECT pg_catalog.concat(
  pg_catalog.to_char(pg_catalog.timezone('UTC', pg_catalog.pg_postmaster_start_time()),
                     'YYYY-MM-DD HH24:MI:SS.US'), ' ', d.oid)
FROM pg_catalog.pg_database AS d
WHERE d.datname OPERATOR(pg_catalog.=) pg_catalog.current_database())sql";

} // namespace parallel_loader
