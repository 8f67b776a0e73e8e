// enum_labels: the labels of the enums that a source's columns hold, as COPY writes them now.
//
// A value is stored as a number, and goes out as the label that the number has by then, whatever
// the snapshot: ALTER TYPE … RENAME VALUE waits for no reader.
#pragma once

#include "core/source/column_shape.hpp"
#include "core/source/source_table.hpp"
#include "core/source/types.hpp"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace parallel_loader {

class EnumLabels {
public:
  EnumLabels() = default;
  /// The enums that these columns hold, at any depth.
  EnumLabels(const SourceTable &table, const Types &types, std::span<const std::string> columns);

  [[nodiscard]] bool empty() const noexcept { return enums_.empty(); }
  /// Their labels as of now, as lines of part kLabels.  Takes no lock, and names no type but the
  /// table's own.
  [[nodiscard]] Shape read(Executor &source) const;

private:
  struct Enum {
    std::string column;
    std::string expression; // NULL, of the enum's type
  };

  std::vector<Enum> enums_;
};

/// The first enum of `planned`, of the parts kLabels and kMemberLabels, whose labels have other
/// names, or another order, by now; new ones beside them do not matter.
[[nodiscard]] std::optional<ShapeChange> find_label_change(const Shape &planned, const Shape &now);

} // namespace parallel_loader
