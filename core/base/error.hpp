// error: the one failure type of core/, with everything the server can show to a user.
#pragma once

#include "core/base/pure.hpp"

#include <exception>
#include <string>
#include <string_view>

namespace parallel_loader {

/// SQLSTATEs that core/ raises by itself; those of the source are passed on as they come.
namespace sqlstate {
inline constexpr std::string_view kCannotConnect = "08001";
inline constexpr std::string_view kConnectionLost = "08006";
inline constexpr std::string_view kProtocolViolation = "08P01";
inline constexpr std::string_view kFeatureNotSupported = "0A000";
inline constexpr std::string_view kInvalidParameterValue = "22023";
inline constexpr std::string_view kBadCopyFileFormat = "22P04";
inline constexpr std::string_view kPasswordRequired = "2F003";
inline constexpr std::string_view kInsufficientPrivilege = "42501";
inline constexpr std::string_view kSyntaxError = "42601";
inline constexpr std::string_view kDuplicateColumn = "42701";
inline constexpr std::string_view kUndefinedColumn = "42703";
inline constexpr std::string_view kUndefinedTable = "42P01";
inline constexpr std::string_view kDatatypeMismatch = "42804";
inline constexpr std::string_view kWrongObjectType = "42809";
inline constexpr std::string_view kInvalidColumnReference = "42P10";
inline constexpr std::string_view kUndefinedObject = "42704";
inline constexpr std::string_view kProgramLimitExceeded = "54000";
inline constexpr std::string_view kInternalError = "XX000";
} // namespace sqlstate

/// A failure with its SQLSTATE (five characters), primary message, detail and hint, in the wording
/// of the PostgreSQL error style guide.  `detail` and `hint` may be empty.
class Error : public std::exception {
public:
  Error(std::string_view sqlstate, std::string message, std::string detail = {},
        std::string hint = {});

  [[nodiscard]] const char *what() const noexcept override { return message_.c_str(); }
  [[nodiscard]] const std::string &sqlstate() const noexcept { return sqlstate_; }
  [[nodiscard]] const std::string &message() const noexcept { return message_; }
  [[nodiscard]] const std::string &detail() const noexcept { return detail_; }
  [[nodiscard]] const std::string &hint() const noexcept { return hint_; }

  /// The same with one more sentence, on a line of its own, in the detail.
  [[nodiscard]] Error with_detail(std::string_view sentence) const;

private:
  std::string sqlstate_;
  std::string message_;
  std::string detail_;
  std::string hint_;
};

} // namespace parallel_loader
