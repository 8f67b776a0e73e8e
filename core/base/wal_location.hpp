// wal_location: reads the numbers by which a server says where its write-ahead log stands.
#pragma once

#include "core/base/pure.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace parallel_loader {

/// Reads a pg_lsn such as `16/B374D848`; nullopt for anything else.
[[nodiscard]] std::optional<uint64_t> parse_lsn(std::string_view text) noexcept;

/// Reads a timeline's number, from 1; nullopt for anything else.
[[nodiscard]] std::optional<uint64_t> parse_timeline(std::string_view text) noexcept;

} // namespace parallel_loader
