// target_table: the local table that rows go to: what may be one, and what its columns are.
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

struct TargetColumn {
  const char *name;
  Oid type;
  bool is_generated;
  int number;            // attribute number
  const char *type_name; // with its modifier
  const char *content;   // see type_content
};

struct TargetTable {
  const char *schema;
  const char *name;
  int column_count;
  TargetColumn *columns; // live ones, by position
};

/// Raises the error that COPY would raise when the table cannot be loaded by the current user:
/// 42809 (not a table), 42501 (rights, catalogues), 0A000 (row security, temporary or distributed
/// tables), 25006 (read-only transaction, standby).  Holds no lock afterwards.
void target_table_check(Oid table);

/// Its parts, in the order in which they are made.
void target_table_check_transaction(Oid table);
void target_table_check_kind(Oid table);
void target_table_check_storage(Oid table);
void target_table_check_rights(Oid table);
void target_table_check_row_security(Oid table);

/// True if the current user has the rights of the table's owner.
bool target_table_is_own(Oid table);
/// The same of another role.
bool target_table_belongs_to(Oid table, Oid role);

/// Raises 42P01 when there is no such relation.
void target_table_require(Oid table);

/// Describes the table, in the current memory context.
TargetTable target_table_describe(Oid table);

/// Finds a table by its name as SQL writes it.  Raises 42P01.
Oid target_table_find(const char *name);

/// The table's name as messages show it: schema-qualified, quoted where needed.
char *target_table_display_name(Oid table);

} // namespace parallel_loader
