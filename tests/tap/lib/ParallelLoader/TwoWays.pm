# TwoWays: a database in which the same rows go into two tables, `by_heap.t` by the heap route and
# `by_copy.t` by the server's own COPY FROM, and what became of them is compared.
package ParallelLoader::TwoWays;

use strict;
use warnings;

use Encode qw(encode_utf8);
use FindBin;
use ParallelLoader::RandomTable;
use ParallelLoader::Session;
use ParallelLoader::Test qw(literal);
use PostgreSQL::Test::Utils;

my $MODULE = "$FindBin::RealBin/../module/heap_rows";

# %1$s: the module, %2$s: a file, %3$s: the encoding.
my $FUNCTIONS = <<'SQL';
CREATE FUNCTION heap_rows("table" regclass, columns text[], rows bytea[]) RETURNS bigint
  STRICT LANGUAGE c AS %1$s;
CREATE FUNCTION write_copy_file(path text, rows bytea[]) RETURNS void STRICT LANGUAGE c AS %1$s;
CREATE FUNCTION read_copy_file(file bytea) RETURNS bytea[] STRICT LANGUAGE c AS %1$s;

-- An error as ASCII.  A message may quote bytes that are no text of the encoding; errors that go
-- through the extension have question marks in their place.
CREATE FUNCTION error_text(state text, message text) RETURNS text LANGUAGE sql AS $$
SELECT state || ': ' || regexp_replace(encode(textsend(message), 'escape'), '(\\[0-7]{3}|[?])+', '?', 'g')
$$;

-- What becomes of the rows: their count, or the error.
CREATE FUNCTION by_heap(columns text[], rows bytea[]) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  RETURN heap_rows('by_heap.t', columns, rows);
EXCEPTION WHEN OTHERS THEN
  RETURN error_text(sqlstate, sqlerrm);
END $$;

CREATE FUNCTION by_copy(columns text[], rows bytea[]) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  row_count bigint;
BEGIN
  PERFORM write_copy_file(%2$s, rows);
  EXECUTE format('COPY by_copy.t (%%s) FROM %%L (FORMAT binary)',
    (SELECT string_agg(quote_ident(name), ', ') FROM unnest(columns) AS name), %2$s);
  GET DIAGNOSTICS row_count = ROW_COUNT;
  RETURN row_count;
EXCEPTION WHEN OTHERS THEN
  RETURN error_text(sqlstate, sqlerrm);
END $$;

CREATE FUNCTION is_error(outcome text) RETURNS boolean IMMUTABLE LANGUAGE sql AS
  $$SELECT outcome LIKE '_____: %%'$$;

CREATE FUNCTION copied(source text) RETURNS bytea[] LANGUAGE plpgsql SET client_encoding = %3$s AS $$
BEGIN
  EXECUTE format('COPY (%%s) TO %%L (FORMAT binary)', source, %2$s);
  RETURN read_copy_file(pg_read_binary_file(%2$s));
END $$;

-- The tuples of a table without transactions and places; those with values in TOAST have no bytes.
-- Here as below they are in the order of what they are: from 16 on, several pages are added at once, and
-- which of them a row comes to depends on the size of batches.
-- Dead ones do not count: rows that are refused late are in the table by the heap route, which
-- inserts whenever there are many bytes.
CREATE FUNCTION tuples(tab regclass) RETURNS TABLE (number bigint, tuple text) LANGUAGE sql AS $$
SELECT row_number() OVER (ORDER BY t.tuple COLLATE "C"), t.tuple
FROM (SELECT concat_ws('|', t_infomask & 7, t_infomask2 & 2047, t_hoff, t_bits,
    CASE WHEN t_infomask & 4 = 0 THEN encode(t_data, 'hex') END) AS tuple
  FROM generate_series(0, pg_relation_size(tab) / current_setting('block_size')::integer - 1) AS block
  CROSS JOIN LATERAL heap_page_items(get_raw_page(tab::text, block::integer))
  WHERE pg_xact_status(t_xmin::text::xid8) <> 'aborted') AS t
$$;

-- Of what the rows' values are and take.
CREATE FUNCTION texts(tab regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text;
BEGIN
  EXECUTE format('SELECT md5(string_agg(t::text, chr(10) ORDER BY t::text COLLATE "C")) FROM %%s AS t', tab) INTO result;
  RETURN result;
EXCEPTION WHEN OTHERS THEN -- there are values that cannot be written
  RETURN sqlstate || ': ' || sqlerrm;
END $$;

CREATE FUNCTION sizes(tab regclass) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  result text;
BEGIN
  EXECUTE format('SELECT md5(string_agg(s.sizes, chr(10) ORDER BY s.sizes COLLATE "C")) FROM (SELECT concat_ws(%%L, %%s) AS sizes FROM %%s AS t) AS s', ',',
    (SELECT string_agg(format('pg_column_size(%%1$I), pg_column_compression(%%1$I)', attname), ', ')
     FROM pg_attribute WHERE attrelid = tab AND attnum > 0 AND NOT attisdropped AND attlen = -1), tab) INTO result;
  RETURN result;
EXCEPTION WHEN syntax_error THEN -- no such column
  RETURN NULL;
END $$;

-- How the two tables differ.
CREATE FUNCTION differences() RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  RETURN QUERY SELECT left(format('tuple %%s by heap %%s, by copy %%s', number, h.tuple, c.tuple), 4000)
    FROM tuples('by_heap.t') AS h FULL JOIN tuples('by_copy.t') AS c USING (number)
    WHERE h.tuple IS DISTINCT FROM c.tuple ORDER BY number LIMIT 1;
  RETURN QUERY SELECT format('row %%s is another one', number)
    FROM (SELECT row_number() OVER (ORDER BY t USING OPERATOR(pg_catalog.*<)) AS number, t AS image FROM by_heap.t) AS h
    FULL JOIN (SELECT row_number() OVER (ORDER BY t USING OPERATOR(pg_catalog.*<)) AS number, t AS image FROM by_copy.t) AS c USING (number)
    WHERE NOT coalesce(h.image *= c.image, false) ORDER BY number LIMIT 1;
  RETURN QUERY SELECT 'text by heap ' || texts('by_heap.t') || ', by copy ' || texts('by_copy.t')
    WHERE texts('by_heap.t') IS DISTINCT FROM texts('by_copy.t');
  RETURN QUERY SELECT 'values take another size or are compressed otherwise'
    WHERE sizes('by_heap.t') IS DISTINCT FROM sizes('by_copy.t');
  RETURN QUERY SELECT 'damage: ' || v::text FROM verify_heapam('by_heap.t', check_toast => true) AS v;
  PERFORM bt_index_check(indexrelid, heapallindexed => true)
    FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid JOIN pg_am AS a ON a.oid = relam
    WHERE indrelid = 'by_heap.t'::regclass AND amname = 'btree';
END $$;

CREATE FUNCTION difference(rows bytea[], heap text, copy text) RETURNS text IMMUTABLE LANGUAGE sql AS
  $$SELECT format('by heap %%s, by copy %%s: rows %%s', heap, copy, left(rows::text, 4000))$$;

-- Gives the rows to both tables; each alone if they are refused together: of several errors the
-- heap route may meet another one first, as it may within a row unless the columns travel in the
-- table's order.  Returns differences and at last what came of it.
CREATE FUNCTION load_both(columns text[], rows bytea[], is_in_order boolean) RETURNS SETOF text LANGUAGE plpgsql
SET client_encoding = %3$s AS $$
DECLARE
  heap text := by_heap(columns, rows);
  copy text := by_copy(columns, rows);
  alone text[] := '{}';
  sole text;
  payload bytea;
BEGIN
  IF is_error(heap) AND is_error(copy) THEN
    PERFORM FROM by_heap.t LIMIT 1;
    IF found THEN RETURN NEXT 'rows are left'; END IF;
    FOREACH payload IN ARRAY rows LOOP
      sole := by_heap(columns, ARRAY[payload]);
      alone := alone || sole;
      copy := by_copy(columns, ARRAY[payload]);
      IF sole <> copy AND (is_in_order OR NOT is_error(sole) OR NOT is_error(copy)) THEN RETURN NEXT difference(ARRAY[payload], sole, copy); END IF;
    END LOOP;
    IF heap <> ALL (alone) THEN RETURN NEXT 'together an error that no row has: ' || heap; END IF;
  ELSIF heap <> copy THEN
    RETURN NEXT difference(rows, heap, copy);
  END IF;
  RETURN QUERY SELECT differences();
  RETURN NEXT CASE WHEN is_error(heap) THEN 'refused ' || left(heap, 5) ELSE 'loaded' END;
END $$;

-- The row's corruptions: with its structure as it was, or not.
CREATE FUNCTION corruptions(payload bytea, masks integer[]) RETURNS TABLE (bad bytea, is_content boolean)
LANGUAGE plpgsql AS $$
DECLARE
  size integer := length(payload);
  content boolean[] := array_fill(false, ARRAY[size]);
  position integer := 2;
  field integer;
BEGIN
  WHILE position < size LOOP
    field := ('x' || encode(substr(payload, position + 1, 4), 'hex'))::bit(32)::integer;
    RETURN QUERY SELECT overlay(payload PLACING decode(lpad(to_hex(length), 8, '0'), 'hex') FROM position + 1), false
      FROM unnest(ARRAY[-2147483648, -2, -1, 0, field - 1, field + 1, 65536, 2147483647]) AS length
      WHERE length <> field;
    position := position + 4;
    FOR number IN position + 1 .. position + field LOOP
      content[number] := true;
    END LOOP;
    position := position + greatest(field, 0);
  END LOOP;
  RETURN QUERY SELECT set_byte(payload, at, get_byte(payload, at) # mask), content[at + 1]
    FROM generate_series(0, size - 1) AS at, unnest(masks) AS mask;
  RETURN QUERY SELECT substr(payload, 1, kept), false FROM generate_series(0, size - 1) AS kept;
  RETURN QUERY SELECT payload || more, false FROM unnest('{"\\x00","\\xff","\\xffff"}'::bytea[]) AS more;
  RETURN QUERY SELECT overlay(payload PLACING decode(lpad(to_hex(count & 65535), 4, '0'), 'hex') FROM 1), false
    FROM unnest(ARRAY[-1, -2, 0, 32767, -32768]) AS count;
END $$;

-- Gives each corruption of the first short rows to both tables.  A stream that is cut at another place than the row's end has
-- COPY FROM read on in what comes next; so the heap route must refuse it, or do as COPY FROM does.
CREATE FUNCTION load_corrupt(columns text[], rows bytea[], masks integer[], row_count integer) RETURNS SETOF text
LANGUAGE plpgsql SET client_encoding = %3$s AS $$
DECLARE
  case_count bigint := 0;
  payload bytea;
  heap text;
  copy text;
  broken record;
BEGIN
  FOR payload IN SELECT r FROM unnest(rows) AS r WHERE length(r) <= 200 LIMIT row_count LOOP
    FOR broken IN SELECT bad, is_content FROM corruptions(payload, masks) LOOP
      case_count := case_count + 1;
      heap := by_heap(columns, ARRAY[broken.bad]);
      CONTINUE WHEN NOT broken.is_content AND heap LIKE '22P04: %%';
      copy := by_copy(columns, ARRAY[broken.bad]);
      IF heap <> copy THEN RETURN NEXT difference(ARRAY[broken.bad], heap, copy); END IF;
    END LOOP;
  END LOOP;
  RETURN QUERY SELECT differences();
  RETURN NEXT case_count;
END $$;
SQL

# A database of that encoding on a node.
sub new {
  my ($class, $node, $encoding) = @_;
  my $self = bless {node => $node, encoding => $encoding}, $class;
  my $name = lc $encoding;
  my $server = ParallelLoader::Session->new($node);
  $server->query_safe("CREATE DATABASE $name TEMPLATE template0 ENCODING '$encoding' LC_COLLATE 'C' LC_CTYPE 'C'");
  $self->{session} = ParallelLoader::Session->new($node, dbname => $name);
  $self->sql("SET client_encoding = 'UTF8'; SET client_min_messages = warning");
  $self->sql('CREATE EXTENSION amcheck; CREATE EXTENSION pageinspect');
  my $file = PostgreSQL::Test::Utils::tempdir() . '/rows';
  $self->sql(sprintf $FUNCTIONS, map { literal($_) } $MODULE, $file, $encoding);
  $self->sql($ParallelLoader::RandomTable::SETUP);
  $self->_find_features;
  return $self;
}

# Runs SQL and returns its output; dies when it fails.
sub sql { my ($self, $sql) = @_; return $self->{session}->query_safe(encode_utf8($sql)) }

sub _find_features {
  my ($self) = @_;
  my %features;
  for my $extension (split /\n/, $self->sql(
    q(SELECT name FROM pg_available_extensions WHERE name IN ('citext', 'hstore', 'ltree'))))
  {
    $self->sql("CREATE EXTENSION $extension");
    $features{$extension} = 1;
  }
  $features{xml} = $self->{session}->query(q(SELECT '<a/>'::xml))->is_ok;
  $self->{has_lz4} = $self->sql(q(SELECT count(*) FROM pg_settings
    WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals)));
  $self->{types} = [ParallelLoader::RandomTable::types($self->sql('SHOW server_version_num'), \%features)];
  return;
}

# The types of columns, those that matter most each for itself.
sub single_types { my ($self) = @_; return ParallelLoader::RandomTable::single_types(@{$self->{types}}) }

# The random table of that number, as new; more options as for RandomTable.
sub random_table {
  my ($self, $number, %options) = @_;
  return ParallelLoader::RandomTable->new($number, %{$self}{qw(encoding has_lz4 types)}, %options);
}

sub table_of_type {
  my ($self, $number, $type) = @_;
  return ParallelLoader::RandomTable->of_type($number, $type, %{$self}{qw(encoding has_lz4)});
}

# Makes both tables and gives them rows with one of the functions above; `more` are arguments in SQL.
# Returns what it returns as lines, or what went wrong.
sub load {
  my ($self, $function, $table, $row_count, @more) = @_;
  my $names = join ', ', map { literal($_) } $table->column_names;
  my $arguments = join ', ', "ARRAY[$names]::text[]", 'copied($source$' . $table->source_sql($row_count) . '$source$)', @more;
  my $result = $self->{session}->query(encode_utf8(join ";\n", 'DROP SCHEMA IF EXISTS by_heap, by_copy CASCADE',
    $table->create_sql('by_heap'), $table->create_sql('by_copy'), "SELECT * FROM $function($arguments)"));
  return $result->is_ok ? split /\n/, $result->out : substr($result->summary, 0, 800);
}

sub close { my ($self) = @_; $self->{session}->close; return }

1;
