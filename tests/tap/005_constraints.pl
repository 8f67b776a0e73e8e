# Constraints, triggers, defaults and domains of the destination act as they do for COPY by the
# caller; a violation carries the server's own error, and the chunk that failed leaves no row.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::RealBin/lib";

use ParallelLoader::Test;
use Test::More;

my $pair = ParallelLoader::Test->new(source => {hba => 'local all reader scram-sha-256'});

# Enough bytes for several chunks of one megabyte at least.
$pair->source_sql(<<'SQL');
CREATE TABLE items (id integer PRIMARY KEY, code text, parent integer, note text);
INSERT INTO items SELECT i, 'code ' || i, i % 100, repeat('n', 150)
FROM generate_series(1, 20000) AS i;
SQL

# Makes the destination's table anew, with these constraints.
sub make_table {
  my ($definition, $more) = @_;
  $pair->destination_sql("DROP TABLE IF EXISTS items CASCADE; CREATE TABLE items ($definition);"
      . ($more // ''));
  return;
}

my $PLAIN = 'id integer, code text, parent integer, note text';

# Pulls all of the source's items in these formats and expects this violation.
sub violates {
  my ($rule, $sqlstate, $pattern, @formats) = @_;
  local $Test::Builder::Level = $Test::Builder::Level + 1;
  for my $format (@formats ? @formats : qw(binary text)) {
    my $rows_before = $pair->destination_sql('SELECT count(*) FROM items');
    my $result = $pair->error_is($pair->pull_sql('items', undef, undef, {format => $format}),
      $sqlstate, $pattern, "$rule in $format: the server's own SQLSTATE and detail");
    my $pull = $pair->pull;
    my $detail = ($result->error // {detail => ''})->{detail};
    like($detail, qr/\b$pull->{pull_id}\b/, '… the detail names the pull');
    like($result->summary, qr/items/, '… the error names the table');
    like($result->summary, qr/chunk \d+/, '… and the chunk');
    is($pull->{state}, 'failed', '… the pull has failed');
    is($pull->{sqlstate}, $sqlstate, '… the ledger keeps the SQLSTATE');
    my @chunks = $pair->chunks($pull->{pull_id});
    my @failed = grep { ($_->{sqlstate} // '') eq $sqlstate } @chunks;
    cmp_ok(scalar @failed, '>=', 1, '… and the chunk that failed');
    my $done = 0;
    $done += $_->{rows} for grep { $_->{state} eq 'done' } @chunks;
    is($pair->destination_sql('SELECT count(*) FROM items'), $rows_before + $done,
      '… only done chunks have left rows');
    $pair->destination_sql("DELETE FROM items WHERE note NOT LIKE 'mine%' OR note IS NULL");
  }
  return;
}

# ---- violations ----

make_table($PLAIN, q(ALTER TABLE items ADD PRIMARY KEY (id);
  INSERT INTO items VALUES (15000, 'x', 1, 'mine');));
violates('primary key', '23505', qr/"items_pkey".*Key \(id\)=\(15000\) already exists/s);

make_table($PLAIN, q(CREATE UNIQUE INDEX items_code ON items (code);
  INSERT INTO items VALUES (0, 'code 700', 1, 'mine');));
violates('unique index', '23505', qr/"items_code".*Key \(code\)=\(code 700\) already exists/s);

make_table($PLAIN, q(ALTER TABLE items ADD UNIQUE (code) DEFERRABLE INITIALLY DEFERRED;
  INSERT INTO items VALUES (0, 'code 700', 1, 'mine');));
violates('deferred unique constraint', '23505', qr/Key \(code\)=\(code 700\) already exists/);

make_table("$PLAIN, CHECK (id <> 4711)");
violates('check', '23514', qr/check constraint.*Failing row contains \(4711/s);

make_table($PLAIN, 'ALTER TABLE items ADD extra integer NOT NULL');
violates('not null', '23502', qr/null value in column "extra".*Failing row contains/s);

$pair->destination_sql('CREATE TABLE parents (id integer PRIMARY KEY);'
    . 'INSERT INTO parents SELECT generate_series(0, 98)');
make_table("$PLAIN, FOREIGN KEY (parent) REFERENCES parents");
violates('foreign key', '23503', qr/Key \(parent\)=\(99\) is not present in table "parents"/);

make_table("$PLAIN, FOREIGN KEY (parent) REFERENCES parents DEFERRABLE INITIALLY DEFERRED");
violates('deferred foreign key', '23503',
  qr/Key \(parent\)=\(99\) is not present in table "parents"/);

make_table("$PLAIN, EXCLUDE USING btree (code WITH =)",
  q(INSERT INTO items VALUES (0, 'code 700', 1, 'mine')));
violates('exclusion constraint', '23P01', qr/code 700/);

$pair->destination_sql(q(CREATE DOMAIN short AS text CHECK (VALUE <> 'code 12345')));
make_table('id integer, code short, parent integer, note text');
violates('domain', '23514', qr/value for domain short violates check constraint/, 'auto');

make_table('id integer, code varchar(9), parent integer, note text');
violates('length', '22001', qr/too long.*character varying\(9\)/s, 'auto');

# ---- constraints that hold ----

make_table("$PLAIN, PRIMARY KEY (id), UNIQUE (code), CHECK (id > 0),"
    . ' FOREIGN KEY (parent) REFERENCES parents');
$pair->destination_sql('INSERT INTO parents VALUES (99)');
$pair->pull_returns(20000, 'items', undef, undef, {},
  'constraints that hold do not stand in the way');
$pair->same_rows('SELECT * FROM items', '… and all rows arrive');

# ---- triggers ----

$pair->destination_sql(<<'SQL');
CREATE ROLE caller LOGIN;
CREATE TABLE log (who name, whom name, event text, id integer);
GRANT SELECT, INSERT ON log TO caller;
CREATE FUNCTION note_row() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO log VALUES (current_user, session_user, tg_when || ' ' || tg_level, new.id);
  RETURN new;
END $$;
CREATE FUNCTION note_statement() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO log VALUES (current_user, session_user, tg_when || ' ' || tg_level, NULL);
  RETURN NULL;
END $$;
CREATE FUNCTION even_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF new.id % 2 = 1 THEN
    RETURN NULL;
  END IF;
  new.code := new.code || ' changed by ' || current_user;
  RETURN new;
END $$;
CREATE FUNCTION count_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO log SELECT current_user, session_user, 'transition', count(*) FROM added;
  RETURN NULL;
END $$;
SQL
my $GRANTS = 'GRANT INSERT, SELECT ON items TO caller;'
  . 'GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO caller';

for my $format (qw(binary text)) {
  make_table($PLAIN, <<"SQL");
TRUNCATE log;
CREATE TRIGGER a BEFORE INSERT ON items FOR EACH ROW WHEN (new.id <= 3) EXECUTE FUNCTION note_row();
CREATE TRIGGER b AFTER INSERT ON items FOR EACH ROW WHEN (new.id <= 3) EXECUTE FUNCTION note_row();
CREATE TRIGGER c BEFORE INSERT ON items FOR EACH STATEMENT EXECUTE FUNCTION note_statement();
CREATE TRIGGER d AFTER INSERT ON items FOR EACH STATEMENT EXECUTE FUNCTION note_statement();
CREATE TRIGGER e AFTER INSERT ON items REFERENCING NEW TABLE AS added FOR EACH STATEMENT
  EXECUTE FUNCTION count_rows();
$GRANTS
SQL
  $pair->pull_returns(20000, 'items', undef, undef, {format => $format},
    "triggers do not change the row count, $format");
  is($pair->destination_sql(q(SELECT string_agg(event || ' ' || id, ', ' ORDER BY event, id)
      FROM log WHERE event IN ('BEFORE ROW', 'AFTER ROW'))),
    'AFTER ROW 1, AFTER ROW 2, AFTER ROW 3, BEFORE ROW 1, BEFORE ROW 2, BEFORE ROW 3',
    "row triggers fire once a row, $format");
  is($pair->destination_sql(q(SELECT count(*) FROM log WHERE event = 'BEFORE STATEMENT')),
    $pair->destination_sql(q(SELECT count(*) FROM log WHERE event = 'AFTER STATEMENT')),
    "statement triggers fire in pairs, $format");
  is($pair->destination_sql(q(SELECT sum(id) FROM log WHERE event = 'transition')), 20000,
    "transition tables show every row once, $format");
  is($pair->destination_sql('SELECT DISTINCT who, whom FROM log'), 'postgres|postgres',
    "triggers run as the caller, $format");

  make_table($PLAIN, 'CREATE TRIGGER even_only BEFORE INSERT ON items FOR EACH ROW'
      . " EXECUTE FUNCTION even_only(); $GRANTS");
  my $result = $pair->try_sql($pair->pull_sql('items', undef, undef, {format => $format}));
  ok($result->is_ok, "a trigger that suppresses rows is not taken for a short stream, $format")
    or diag $result->summary;
  $pair->same_rows({
      source => q(SELECT id, code || ' changed by postgres' AS code, parent, note FROM items
        WHERE id % 2 = 0),
      destination => 'SELECT * FROM items'}, "… its rows are changed or left out, $format");
}

# The caller is who calls, not who logged in.
$pair->source_sql(q(CREATE ROLE reader LOGIN PASSWORD 'secret'; GRANT SELECT ON items TO reader));
my $reader = $pair->dsn('postgres', 'user=reader password=secret');
$pair->destination_sql('GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO caller');
for my $case (
  ['a caller who logs in', 'caller', '', 'caller|caller'],
  ['a caller by SET ROLE', 'postgres', 'SET ROLE caller; ', 'caller|caller'])
{
  my ($rule, $user, $set, $expected) = @$case;
  make_table("$PLAIN, made_by name DEFAULT current_user", <<"SQL");
TRUNCATE log;
CREATE TRIGGER a BEFORE INSERT ON items FOR EACH ROW WHEN (new.id = 1) EXECUTE FUNCTION note_row();
CREATE TRIGGER b AFTER INSERT ON items FOR EACH ROW WHEN (new.id = 2) EXECUTE FUNCTION note_row();
$GRANTS
SQL
  my $result = $pair->try_sql($set . $pair->pull_sql('items', undef, undef, {dsn => $reader}),
    user => $user);
  is($result->summary, 'success: 20000', "$rule can pull");
  is($pair->destination_sql('SELECT DISTINCT who, whom FROM log'), $expected,
    '… and is whom triggers run as');
  is($pair->destination_sql('SELECT DISTINCT made_by FROM items'), 'caller',
    '… and whom defaults name');
}

# An error raised by a trigger is the user's error, whole.
make_table($PLAIN, <<'SQL');
CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION 'no % today', new.code USING ERRCODE = 'AB123', DETAIL = 'A detail.',
    HINT = 'A hint.';
END $$;
CREATE TRIGGER refuse BEFORE INSERT ON items FOR EACH ROW WHEN (new.id = 9000)
  EXECUTE FUNCTION refuse();
SQL
violates('trigger that raises', 'AB123', qr/no code 9000 today.*A detail\..*A hint\./s);

# Disabled triggers and session_replication_role are the destination's business, as for COPY.
make_table($PLAIN,
  'CREATE TRIGGER refuse BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION refuse();'
    . 'ALTER TABLE items DISABLE TRIGGER refuse');
$pair->pull_returns(20000, 'items', undef, undef, {}, 'a disabled trigger does not fire');

$pair->nothing_left('no process or session is left');
$pair->finish;
