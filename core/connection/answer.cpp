#include "core/connection/answer.hpp"

#include "core/base/error.hpp"

#include <libpq-fe.h>

namespace parallel_loader {

void Answer::add(pg_result *result) {
  const auto column_count = static_cast<size_t>(PQnfields(result));
  if (column_count_.value_or(column_count) != column_count)
    throw Error(sqlstate::kProtocolViolation, "answer to one statement has rows of several kinds");
  column_count_ = column_count;
  last_bytes_ = 0;
  const int row_count = PQntuples(result);
  for (int row = 0; row < row_count; ++row)
    for (int column = 0; column < static_cast<int>(column_count); ++column)
      if (PQgetisnull(result, row, column))
        values_.emplace_back();
      else
        add_value({PQgetvalue(result, row, column),
                   static_cast<size_t>(PQgetlength(result, row, column))});
  bytes_ += last_bytes_;
  if (server_ == Server::kSource && bytes_ + values_.size() * sizeof(values_.front()) > kMostBytes)
    throw Error(sqlstate::kProgramLimitExceeded,
                "answer of the source to a query of Parallel Loader takes more than " +
                    std::to_string(kMostBytes >> 20) + " MB",
                {}, "Check what answers at the source's address.");
}

void Answer::add_value(std::string_view value) {
  last_bytes_ += value.size();
  if (is_text_ != nullptr && (value.find('\0') != std::string_view::npos || !is_text_(value)))
    has_flaw_ = true;
  values_.emplace_back(std::in_place, value);
}

Rows Answer::take(uint64_t affected) {
  if (has_flaw_)
    throw Error("22021", "source sent a text that is not valid in this database's encoding",
                "It was part of the answer to a query of Parallel Loader: a name, or a value of "
                "the key.");
  return Rows(column_count_.value_or(0), std::move(values_), affected,
              server_ == Server::kSource ? "source" : "destination");
}

} // namespace parallel_loader
