// table_selection: which tables of the source a command is about, and where each goes.
#pragma once

#include "core/base/quote.hpp"
#include "core/source/source_session.hpp"
#include "core/source/source_table.hpp"
#include "orchestrator/base/failure.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace parallel_loader {

/// As the user names tables: each of `tables` is TABLE, TABLE=TARGET_TABLE or a pattern.
struct TableNames {
  std::vector<std::string> tables;
  std::vector<std::string> schemas;  // patterns: all tables in them
  bool all = false;                  // all tables of all schemas
  std::vector<std::string> excludes; // names or patterns, which win over all else
};

/// A name that was longer than a server's names are.
struct CutName {
  std::string given;
  std::string cut;

  friend bool operator==(const CutName &, const CutName &) = default;
};

/// A table that is there on the source.
struct SelectedTable {
  uint32_t oid = 0; // on the source
  QualifiedName source;
  QualifiedName destination; // as given: its schema may be empty where the user gave none
  char kind = 'r';           // pg_class.relkind
  int64_t bytes = 0;         // pg_table_size, of all leaves for a partitioned table; 0: unknown
};

/// A name or pattern that nothing was found for.
struct MissingTable {
  std::string name; // as given
  Error error;
  bool is_pattern = false;
};

struct TableSelection {
  std::vector<SelectedTable> tables; // each once, in the order in which they were named
  std::vector<MissingTable> missing;
  std::vector<CutName> cut_names;
};

/// Looks the tables up.
///
/// Patterns, schemas and `all` stand for ordinary and partitioned tables, with these exceptions:
/// a partition comes with its partitioned table where that is selected, even if it is named, and
/// not at all where that is excluded; tables of extensions, temporary ones, those of system schemas
/// and of Parallel Loader's own schemas come only by their exact names.  A pattern without schema,
/// and a name without one, are looked for along the search path of the source's role.
///
/// Throws Failure kUsage for what is no name or pattern, for two tables that are to go into the
/// same one, for one that is to go into two, for a partition that is excluded from a selected
/// table, and when nothing at all is named; Error as the source has it.
[[nodiscard]] TableSelection select_tables(SourceSession &session, const TableNames &names);

/// Finds the table of `name`, as `--key-for` and its kin name it, in `selection`; nullptr when it
/// is not in there.  Throws Failure kUsage for what is no name.
[[nodiscard]] const SelectedTable *
find_selected(SourceSession &session, const TableSelection &selection, const std::string &name);

/// The table, by its name along the source's search path.  Throws Error 42P01, with what to do,
/// when it is not there.
[[nodiscard]] SourceTable find_source_table(SourceSession &session, const QualifiedName &name);

} // namespace parallel_loader
