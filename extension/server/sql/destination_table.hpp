// destination_table: the local table that rows go to: what may be one, and what its columns are.
#pragma once

#include "extension/server/base/postgres.hpp"

namespace parallel_loader {

struct ColumnDescription {
  const char *name;
  Oid type;
  bool is_generated;
  int number;            // attribute number
  const char *type_name; // with its modifier
  const char *content;   // see type_content
};

struct TableDescription {
  const char *schema;
  const char *name;
  int column_count;
  ColumnDescription *columns; // live ones, by position
};

/// Raises the error that COPY would raise when the table cannot be loaded by the current user:
/// 42809 (not a table), 42501 (rights, catalogues), 0A000 (row security, temporary or distributed
/// tables), 25006 (read-only transaction, standby).  Holds no lock afterwards.
void destination_table_check(Oid table);

/// Its parts, in the order in which they are made.
void destination_table_check_transaction(Oid table);
void destination_table_check_kind(Oid table);
void destination_table_check_storage(Oid table);
void destination_table_check_rights(Oid table);
void destination_table_check_row_security(Oid table);

/// True if the current user has the rights of the table's owner.
bool destination_table_is_own(Oid table);
/// The same of another role.
bool destination_table_belongs_to(Oid table, Oid role);

/// Raises 42P01 when there is no such relation.
void destination_table_require(Oid table);

/// Describes the table, in the current memory context.
TableDescription destination_table_describe(Oid table);

/// Finds a table by its name as SQL writes it.  Raises 42P01.
Oid destination_table_find(const char *name);

/// The table's name as messages show it: schema-qualified, quoted where needed.
char *destination_table_display_name(Oid table);

} // namespace parallel_loader
