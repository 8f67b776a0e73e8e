// row_hash: the SQL expression that makes a number of a row's text, the same on two servers.
#pragma once

#include "core/connection/executor.hpp"
#include "core/source/types.hpp"

#include <span>
#include <string>
#include <string_view>

namespace parallel_loader {

/// A column that is compared.  `type`: its built-in type if both sides have the same one under
/// their domains, else 0.
struct HashColumn {
  std::string name;
  TypeOid type = 0;
};

/// What bytes of a row's text are hashed.
enum class TextForm {
  kStored, // those of the database's own encoding
  kUtf8,   // converted to UTF8, bytes beyond ASCII written as octal escapes
};

/// Which function makes a 64-bit number of them.
enum class HashFunction {
  kServer, // hashtextextended, the same from version 11 on, but for the byte order of the machine
  kSha256, // the first eight bytes of sha256: slower, and the same everywhere
};

/// kStored where both databases hold the same bytes for the same text: of one encoding, or one of
/// SQL_ASCII, into which pulls do not convert.
[[nodiscard]] TextForm common_text_form(std::string_view source_encoding,
                                        std::string_view destination_encoding);

/// Asks both servers to hash a sample.
[[nodiscard]] HashFunction common_hash_function(Executor &source, Executor &destination);

/// An expression of type bigint over the columns' text as record output writes it: NULL and the
/// empty string differ, -0 and 0 do, and columns of different types with the same text do not.
///
/// The formats (DateStyle, bytea_output, …) are the session's.  Two texts are made independent of
/// them and of the server: timestamptz is written in UTC, since time zone tables differ between
/// servers, and "char" as a number, since its text form changed in version 15.
[[nodiscard]] std::string row_hash(std::span<const HashColumn> columns, TextForm form,
                                   HashFunction function);

} // namespace parallel_loader
