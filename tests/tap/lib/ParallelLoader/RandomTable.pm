# RandomTable: tables with random columns, and rows for them that mostly fit.  All that is random
# about one follows from its number, so that a number repeats it.
package ParallelLoader::RandomTable;

use strict;
use utf8;
use warnings;

use List::Util qw(max min shuffle);
use ParallelLoader::Test qw(literal);

# ---- randomness ----

sub _pick { return $_[rand @_] }
sub _chance { return rand() < $_[0] }
sub _between { my ($low, $high) = @_; return $low + int rand($high - $low + 1) }
sub _quoted { return map { literal($_) } @_ }
sub _digits { my ($count) = @_; return join '', map { int rand 10 } 1 .. $count }

# An integer of up to that many bits, any magnitude being as likely.
sub _integer {
  my ($bits) = @_;
  my $value = int rand 2**_between(1, $bits - 1);
  return sprintf '%.0f', _chance(0.5) ? $value : -$value;
}

sub _hex { my ($count) = @_; return join '', map { sprintf '%02x', rand 256 } 1 .. $count }
sub _bytea { return "'\\x$_[0]'" }

# ---- text ----

my %LETTERS = (
  UTF8 => ['a' .. 'z', ' ', qw(é ß € 日 本 Ω 😀), "\x{301}"],
  LATIN1 => ['a' .. 'z', ' ', qw(é ß ü ÿ ¡ Ð)],
  SQL_ASCII => ['a' .. 'z', ' ', qw(é € 😀)],
  EUC_JP => ['a' .. 'z', ' ', qw(日 本 語 ア ｱ 丂)],
);
my $letters;

# The lengths at which a value's header, its compression and its place change.
sub _length {
  return _pick(0, 1, _between(2, 40), _between(2, 40)) if _chance(0.65);
  return _between(120, 131) if _chance(0.6);
  return _pick(_between(250, 520), _between(1900, 2100), _between(1900, 2100), 9000, 100_000)
    if _chance(0.3);
  return _between(2, 60);
}

# SQL: text of up to `limit` characters, if there is a limit.
sub _text {
  my ($limit) = @_;
  my $length = _length();
  $length = min($length, $limit - (_chance(0.5) ? 0 : int rand $limit)) if defined $limit;
  return sprintf 'noise(%d, %d)', rand 1e6, $length if $length > 600 && _chance(0.5);
  my @some = _chance(0.5) ? ('a' .. 'z') : @$letters;
  my $word = join '', map { _pick(@some) } 1 .. min($length, 600);
  return literal($word) if $length <= 600;
  return sprintf 'left(repeat(%s, %d), %d)', literal($word), 1 + $length / 600, $length;
}

sub _word { return join '', map { _pick('a' .. 'z') } 1 .. _between(1, 8) }

# The limit in a type's parentheses; one that does not fit may go a little over it.
sub _limited_text {
  my ($destination, $is_wild) = @_;
  my ($limit) = $destination =~ /\((\d+)/;
  return _text($limit) unless $is_wild && defined $limit;
  return _pick(literal('x' x $limit . ' ' x 3), literal('x' x ($limit + 1)), _text($limit + 2));
}

# ---- numbers and times ----

my @NUMERICS = (qw(0 0.00 1 -1 10 100 1000 9999 10000 10001 99990000 0.1 0.0001 0.00010 1.50 123456.789000
    1e-40 -1e-40 1e40 1e300 12345678901234567890.12345678901234567890 0.9999 99.995 -0.004),
  '0.' . '0' x 62 . '1', '0.' . '0' x 63 . '1', '1' . '0' x 251, '1' . '0' x 256, '9' x 1000,
  '1' x 500 . '.' . '7' x 500);
my @SPECIAL_NUMERICS = qw(NaN Infinity -Infinity);

sub _numeric {
  my ($destination, $is_wild) = @_;
  my ($precision, $scale) = $destination =~ /\((\d+), *(-?\d+)/;
  return literal(_pick(@NUMERICS, @SPECIAL_NUMERICS, _number(_between(0, 45), _between(0, 45))))
    if !defined $precision || $is_wild && _chance(0.5);
  return literal(_number(max(0, $precision - $scale + _between(-1, 2)), max(0, $scale))) if $is_wild;
  return "'NaN'" if _chance(0.1);
  my $whole = _between(0, max(0, $precision - $scale - 1));
  return literal(_number($whole, _chance(0.7) ? max(0, $scale) : _between(0, max(0, $scale) + 4)));
}

sub _number {
  my ($whole, $decimals) = @_;
  my $digits = _chance(0.3) ? '0' x $decimals : _digits($decimals);
  return (_chance(0.5) ? '-' : '') . '0' . _digits($whole) . ($decimals ? ".$digits" : '');
}

sub _clock { return sprintf '%02d:%02d:%02d.%06d', rand 24, rand 60, rand 60, rand 1e6 }
sub _day { return sprintf '%04d-%02d-%02d%s', _between(1, 4700), _between(1, 12), _between(1, 28), _pick('', '', ' BC') }
sub _moment { my ($date, $era) = split / /, _day(); return "$date " . _clock() . ($era ? ' BC' : '') }
sub _zone { return sprintf '%s%02d:%02d', _pick('+', '-'), rand 16, rand 60 }
sub _fraction { my ($digits) = @_; return map { "$digits($_)" } 0 .. 6 }

my @DAYS = ('4713-11-24 BC', '5874897-12-31', 'infinity', '-infinity', '0001-12-31 BC', '2000-01-01', '1999-12-31');
my @MOMENTS = ('4713-11-24 00:00:00 BC', '294276-12-31 23:59:59.999999', 'infinity', '-infinity',
  '2000-01-01 00:00:00', '1999-12-31 23:59:59.999999', '0001-12-31 23:59:59.5 BC', 'epoch');
my @CLOCKS = qw(00:00:00 24:00:00 23:59:59.999999 23:59:59.9999995 00:00:00.000001 12:00:00);
my @SPANS = ('0', '1 mon -1 day 00:00:00.000001', '178000000 years', '-178000000 years', '-1 us',
  '2147483647 days', '1 year 2 months 3 days 04:05:06.789');

sub _span {
  return join ' ', _integer(12) . ' mons', _integer(20) . ' days', _integer(30) . ' seconds',
    _integer(25) . ' us';
}

# A wire image of numeric: often not a normal one, or none at all.
sub _numeric_image {
  my @digits = map { _pick(0, 1, 10, 999, 1000, 5000, 9000, 9999, 10000, 40000, _between(0, 9999)) } 1 .. _between(0, 5);
  my $count = _chance(0.9) ? @digits : _between(0, 6);
  return _bytea(unpack 'H*', pack 'n n n n n*', $count,
    _pick(0, 0, 1, 2, 63, 64, 0xFFFF, 0xFFFE, 0xFFC0, 0xFFBF, 0x7FFF, 0x8000) & 0xFFFF,
    _pick(0, 0, 0x4000, 0x4000, 0xC000, 0xD000, 0xF000, 0x8000, 1),
    _pick(0, 0, 1, 2, 3, 4, 5, 8, 62, 63, 64, 0x3FFF, 0x4000), @digits);
}

# ---- documents ----

my @JSON_NUMBERS = (qw(0 -0 1 -1 10 9999 10000 100000000 0.1 0.0 -0.00 1.50 0.0001 0.00001 12345.678 100.0010
    1e5 -2.5E-3 1e-300 123456789012345678901234567890.123456789),
  '9' x 48, '9' x 49, '0.' . '0' x 45 . '1', '0.' . '0' x 62 . '1', '1' . '0' x 70);
my @JSON_FLAWS = ('01', '1.', '.5', '-', '+1', '1e', '0x1', 'tru', 'nullx', 'NaN', "'a'", '{"a"}', '{"a":}',
  '{1:2}', '[1,]', '[,1]', '{"a":1,}', '[1', '"a', '1 2', '');
my @JSON_ESCAPES = ('\\n', '\\"', '\\\\', '\\/', '\\b\\f\\r\\t', '\\u00e9', '\\u0000', '\\ud83d\\ude00', '\\ud83d', '\\x', '\\');
my @JSON_BYTES = ("\xc3\xa9", "\xe6\x97\xa5", "\xff", "\x7f", "\x1f", "\x01");

sub _json_string {
  my ($is_wild) = @_;
  my @special = (@JSON_ESCAPES[0 .. 4], $is_wild ? (@JSON_ESCAPES, @JSON_BYTES) : ());
  my $text = join '', map { _chance(0.04) ? _pick(@special) : _pick('a' .. 'z', ' ', ',', ':', '{', ']') }
    1 .. _pick(0, 1, 7, 8, 9, _between(0, 40));
  return qq("$text");
}

# A document as text, its bytes being characters; one that is wild may be none.
sub _json {
  my ($is_wild, $level) = @_;
  my $gap = sub { return _chance(0.1) ? _pick(' ', "\n", "\t\r ") : '' };
  return _pick(@JSON_FLAWS) if $is_wild && _chance(0.02);
  my $kind = rand($level > 4 ? 0.6 : 1);
  return _pick('null', 'true', 'false') if $kind < 0.15;
  return _json_string($is_wild) if $kind < 0.4;
  return _chance(0.5) ? _pick(@JSON_NUMBERS) : _number(_between(0, 12), _between(0, 8)) =~ s/^(-?)0+(?=\d)/$1/r if $kind < 0.6;
  my $count = _chance(0.1) ? _between(30, 70) : _between(0, 4);
  my @values = map { $gap->() . _json($is_wild, $level + 1 + ($count > 9) * 3) . $gap->() } 1 .. $count;
  return '[' . join(',', @values) . ']' if $kind < 0.75;
  return '{' . join(',', map { $gap->() . (_chance(0.5) ? '"' . _pick('a' .. 'd') . '"' : _json_string($is_wild)) . $gap->() . ":$_" } @values) . '}';
}

sub _json_image {
  my $text = _json(1, 0);
  $text = '[' x 70 . ']' x 70 if _chance(0.01);
  return _bytea(unpack 'H*', _pick("\1", "\1", "\1", "\1", "\1", "\1", "\1", "\2") . $text);
}

sub _address_image {
  my $size = _pick(4, 4, 16, 16, 0, 5);
  return _bytea(unpack('H*', pack 'C4', _pick(2, 2, 3, 3, 1), _pick(0, 8, 24, 31, 32, 33, 64, 128, 129, 255),
    _pick(0, 1, 2), _chance(0.9) ? $size : 4) . _pick('00' x $size, _hex($size), 'ff' . '00' x ($size && $size - 1)));
}

# Of elements of one of the types in _disguise().
sub _array_image {
  my ($type, @sizes) = @_;
  my @elements = map { _chance(0.1) ? 'ffffffff' : do {
    my $value = _hex(_pick(@sizes));
    $value =~ s/[89a-f](.)/6$1/g if $type == 25;
    sprintf '%08x%s', length($value) / 2, $value } } 1 .. _pick(0, _between(1, 3), _between(1, 40));
  my $image = unpack 'H*', pack 'N N N', _chance(0.9) ? 1 : _pick(0, 2, 7, 0xFFFFFFFF), _pick(0, 1, 0, 1, 2),
    _chance(0.95) ? $type : _pick(0, 16, 23, 25, 99999);
  $image .= unpack 'H*', pack 'N N', _chance(0.9) ? scalar @elements : _pick(0, 1, 41, 0x7FFFFFFF, 0xFFFFFFFF),
    _pick(1, 1, 0, 7, 0xFFFFFFFF, 0x7FFFFFFF, 0x7FFFFFF0, 0x80000000) if @elements || _chance(0.5);
  return _bytea(join '', $image, @elements);
}

# Integers around the limits of dates and times, as they travel.
my @DAY_NUMBERS = (0, -1, 2147483647, -2147483648, -2451545, -2451546, 2145031948, 2145031949,
  2147483646, -2147483647);
my @TIME_NUMBERS = qw(0 -1 1 86400000000 86400000001 86399999999 500000 1500000 999999 9223372036854775807
  -9223372036854775808 -211813488000000000 -211813488000000001 9223371331199999999
  9223371331200000000 -9223372036854775807 9223372036854775806);

# ---- types ----

my @INTEGER_RANGES = ('empty', '[1,5)', '(,)', '(,3]', '[7,)', '(-3,9]');
my @NUMBER_RANGES = ('empty', '(0.5,1e40]', '[1.50,1.50]', '(,)', '[-Infinity,NaN)', '(,0.00)');

my @TEXT_ARRAYS = ('{}', '{NULL}', '{"",a,"b c"}', '{{a,b},{c,NULL}}');

sub _limited_array { my @type = @_; return 'ARRAY[' . join(',', map { _limited_text(@type) } 1 .. _between(1, 5)) . ']' }

# Each: type on the source, types here, texts of edge values, a function that makes a random one as
# SQL of the type here and of whether it may fit ill, and the least server version.
my @TYPES = (
  ['bool', ['bool'], [qw(true false)]],
  ['int2', ['int2'], [qw(0 1 -1 32767 -32768)], sub { _integer(16) }],
  ['int4', ['int4'], [qw(0 1 -1 2147483647 -2147483648)], sub { _integer(32) }],
  ['int8', ['int8'], [qw(0 -1 9223372036854775807 -9223372036854775808)], sub { literal(_integer(53)) }],
  ['oid', ['oid', 'regtype'], [qw(0 23 4294967295)]],
  ['xid', ['xid'], [qw(0 3 4294967295)]],
  ['cid', ['cid'], [qw(0 7 4294967295)]],
  ['xid8', ['xid8'], [qw(0 4294967296 18446744073709551615)]],
  ['float4', ['float4'], [qw(0 -0 NaN Infinity -Infinity 1e-45 3.4028235e38 1.17549435e-38)],
    sub { literal(sprintf '%.9g', rand(2e6) - 1e6) }],
  ['float8', ['float8'], [qw(0 -0 NaN Infinity -Infinity 4.9e-324 1.7976931348623157e308 -2.2e-308)],
    sub { literal(sprintf '%.17g', (rand() - 0.5) * 10**_between(-300, 300)) }],
  ['numeric', ['numeric', 'numeric', 'numeric(10,2)', 'numeric(38,10)', 'numeric(5,0)', 'numeric(20,20)',
    'numeric(1000,500)', 'price', 'price_below'], [], \&_numeric],
  ['numeric', ['numeric(4,-2)', 'numeric(3,6)', 'numeric(1,-1000)'], [], \&_numeric, 150000],
  ['money', ['money'], [qw(0 -0.01 92233720368547758.07 -92233720368547758.08)], sub { literal(_number(9, 2)) }],
  ['"char"', ['"char"'], ['a', '', ' '], sub { '(' . _between(-128, 127) . ')::int' }],
  ['text', ['name'], ['', 'pg_class', 'x' x 63], sub { _text($_[1] ? 70 : 15) }],
  ['text', ['text', 'text', 'text COLLATE "C"', 'varchar', 'bpchar', 'short_text'], ['', ' '],
    sub { _text($_[0] eq 'short_text' && !$_[1] ? 19 : undef) }],
  ['text', ['varchar(1)', 'varchar(10)', 'varchar(126)', 'varchar(127)', 'varchar(3000)', 'char(1)', 'char(10)',
    'char(126)', 'char(127)', 'char(2500)', 'ten'], ['', ' '], \&_limited_text],
  ['text', ['citext'], ['', 'MiXed'], sub { _text() }, 0, 'citext'],
  ['hstore', ['hstore'], ['', 'a=>1', 'a=>NULL, "b c"=>"d"'], undef, 0, 'hstore'],
  ['ltree', ['ltree'], ['', 'Top', 'Top.a.b_c'], undef, 0, 'ltree'],
  ['bytea', ['bytea'], ['', '\x00', '\xff00'], sub { _chance(0.1) ? sprintf 'decode(noise(%d, %d), \'hex\')',
    rand 1e6, 2 * _length() : _bytea(_hex(_between(0, 140))) }],
  ['varbit', ['varbit', 'varbit(40)', 'bit(8)', 'bit(13)'], [], sub {
    my ($limit) = $_[0] =~ /(\d+)/;
    my $size = $_[1] || !defined $limit ? _between(0, 200) : $_[0] =~ /^bit/ ? $limit : _between(0, $limit);
    return "'" . join('', map { int rand 2 } 1 .. $size) . "'" }],
  ['date', ['date'], \@DAYS, sub { literal(_day()) }],
  ['time', ['time', _fraction('time')], \@CLOCKS, sub { literal(_clock()) }],
  ['timetz', ['timetz', _fraction('timetz')], ['24:00:00+15:59', '00:00:00-15:59:59', '23:59:59.9999999+00'],
    sub { literal(_clock() . _zone()) }],
  ['timestamp', ['timestamp', _fraction('timestamp')], \@MOMENTS, sub { literal(_moment()) }],
  ['timestamptz', ['timestamptz', _fraction('timestamptz')], \@MOMENTS, sub { literal(_moment()) }],
  ['interval', ['interval', _fraction('interval'), 'interval year to month', 'interval day to second(3)',
    'interval hour', 'interval minute to second', 'interval day'], \@SPANS, sub { literal(_span()) }],
  ['interval', ['interval', 'interval(2)'], ['infinity', '-infinity'], sub { literal(_span()) }, 170000],
  ['uuid', ['uuid'], ['00000000-0000-0000-0000-000000000000'], sub { literal(_hex(16)) }],
  ['macaddr', ['macaddr'], ['ff:ff:ff:ff:ff:ff'], sub { literal(_hex(6)) }],
  ['macaddr8', ['macaddr8'], ['ff:ff:ff:ff:ff:ff:ff:ff'], sub { literal(_hex(8)) }],
  ['inet', ['inet'], ['0.0.0.0/0', '10.1.2.3', '10.1.2.3/8', '::1', 'fe80::1/64', '::/0']],
  ['cidr', ['cidr'], ['0.0.0.0/0', '10.0.0.0/8', '10.1.2.3/32', '2001:db8::/32']],
  ['pg_lsn', ['pg_lsn'], [qw(0/0 FFFFFFFF/FFFFFFFF)], sub { literal(sprintf '%X/%X', rand 2**31, rand 2**31) }],
  ['tid', ['tid'], ['(0,0)', '(4294967295,65535)', '(7,1)']],
  ['pg_snapshot', ['pg_snapshot'], ['1:1:', '10:20:11,15']],
  ['json', ['json'], ['null', '{}', '{"a" : [1, 2.50, null], "b":"\\u00e9"}'], sub { sprintf '(to_json(%s::text))', _text() }],
  ['jsonb', ['jsonb'], ['null', '{}', '[]', '"a"', '0', 'true', '{"a": {"b": [1, 2.50, true, "x"]}}', '-1e300'],
    sub { return _chance(0.7) ? literal(_json(0, 0)) : sprintf '(jsonb_build_object(%s, %s::text))', literal(_word()), _text() }],
  ['jsonpath', ['jsonpath'], ['$', '$.a[*] ? (@.b > 3)']],
  ['xml', ['xml'], ['', '<a/>', '<a b="c">text</a>'], sub { literal('<' . _word() . '/>') }, 0, 'xml'],
  ['int4[]', ['int4[]', 'some_ints'], ['{}', '{1,NULL,3}', '{{1,2},{3,4}}', '[5:7]={1,2,3}', '[-2:-1][0:0]={{1},{2}}'],
    sub { literal('{' . join(',', map { _integer(32) } 1 .. _between(0, 60)) . '}') }],
  ['text[]', ['text[]'], \@TEXT_ARRAYS, sub { 'ARRAY[' . join(',', map { _text() } 1 .. _between(1, 5)) . ']' }],
  ['varchar[]', ['varchar(5)[]', 'varchar[]'], \@TEXT_ARRAYS, \&_limited_array],
  ['bpchar[]', ['char(5)[]', 'bpchar[]'], \@TEXT_ARRAYS, \&_limited_array],
  ['numeric[]', ['numeric[]', 'numeric(30,2)[]'], ['{}', '{1.00,NULL,1e20}', '{{0},{NaN}}'],
    sub { 'ARRAY[' . join(',', map { _numeric('numeric(12,4)') } 1 .. _between(1, 5)) . ']' }],
  ['bool[]', ['bool[]'], ['{t,f,NULL}']],
  ['int8[]', ['int8[]'], ['{}', '{NULL,NULL}', '{-9223372036854775808,NULL}'],
    sub { literal('{' . join(',', map { _integer(53) } 1 .. _between(0, 20)) . '}') }],
  ['uuid[]', ['uuid[]'], ['{}'], sub { literal('{' . join(',', map { _chance(0.1) ? 'NULL' : _hex(16) } 1 .. _between(1, 9)) . '}') }],
  ['macaddr[]', ['macaddr[]'], ['{ff:ff:ff:ff:ff:ff,NULL}'], sub { literal('{' . join(',', map { _hex(6) } 1 .. _between(1, 9)) . '}') }],
  ['inet[]', ['inet[]'], ['{10.1.2.3/8,NULL,::1}', '{}']],
  ['jsonb[]', ['jsonb[]'], ['{1,NULL}', '{}']],
  ['timestamp[]', ['timestamp[]', 'timestamp(1)[]'], ['{infinity}', '{2000-01-01 00:00:00.55}']],
  ['int2vector', ['int2vector'], ['1', '1 -2 3']],
  ['oidvector', ['oidvector'], ['1', '1 2 4294967295']],
  ['int4range', ['int4range'], \@INTEGER_RANGES],
  ['int8range', ['int8range'], \@INTEGER_RANGES],
  ['numrange', ['numrange'], \@NUMBER_RANGES],
  ['daterange', ['daterange'], ['empty', '[2000-01-01,2001-01-01)', '[-infinity,infinity]']],
  ['tsrange', ['tsrange'], ['empty', '[2000-01-01,2001-01-01 00:00:00.5]', '(,infinity]']],
  ['int4multirange', ['int4multirange'], ['{}', '{[1,5),[7,)}', '{(,)}']],
  ['nummultirange', ['nummultirange'], ['{}', '{(0.5,1e40]}', '{[1.0,1.0],(2,3)}']],
  ['pair', ['pair'], ['(,)', '(1,)', '(,"")'], sub { sprintf 'ROW(%s, %s)', _integer(32), _text() }],
  ['nest', ['nest'], ['(,,)', '("(1,a)",1.50,"{""(2,b)"",NULL}")'],
    sub { sprintf 'ROW(ROW(%s, %s), %s, NULL)', _integer(32), _text(300), _numeric('numeric(6,2)') }],
  ['pair[]', ['pair[]'], ['{}', '{"(1,a)","(,)",NULL}']],
  ['int4', ['sure_int'], [qw(0 -1)], sub { _integer(32) }],
  ['mood', ['mood'], [qw(sad fine happy)]],
  ['tsvector', ['tsvector'], ['', 'a', 'a:1A,3 b:2C fat', '\'two words\':16383'], sub { literal(join ' ', map { _word() } 1 .. 20) }],
  ['point', ['point'], ['(0,-0)', '(NaN,Infinity)', '(1e308,4.9e-324)']],
  ['lseg', ['lseg'], ['[(0,0),(1,1)]']],
  ['line', ['line'], ['{1,2,3}']],
  ['box', ['box'], ['(1,2),(3,4)', '(3,0),(1,9)']],
  ['path', ['path'], ['[(0,0)]', '((0,0),(1,1),(2,0))']],
  ['polygon', ['polygon'], ['((0,0))', '((0,0),(1,1),(2,0))']],
  ['circle', ['circle'], ['<(0,0),0>', '<(1,2),Infinity>']],
);

# SQL for each database in which such tables are made.
our $SETUP = <<'SQL';
CREATE TYPE mood AS ENUM ('sad', 'fine', 'happy');
CREATE TYPE pair AS (a integer, b text);
CREATE TYPE nest AS (p pair, n numeric(6,2), more pair[]);
CREATE DOMAIN short_text AS text CHECK (length(value) < 20);
CREATE DOMAIN ten AS varchar(10);
CREATE DOMAIN sure_int AS integer NOT NULL;
CREATE DOMAIN price AS numeric(8,2) CHECK (value >= -100000);
CREATE DOMAIN price_below AS price CHECK (value < 100000);
CREATE DOMAIN some_ints AS integer[] CHECK (cardinality(value) < 50);
CREATE FUNCTION noise(seed integer, size integer) RETURNS text IMMUTABLE LANGUAGE sql AS
  $$SELECT coalesce(left(string_agg(md5(seed || '/' || i), ''), size), '') FROM generate_series(1, size / 32 + 1) AS i$$;
SQL

# Types of which the heap route stores values without a call of the server.
my $DIRECT = qr/^(?:bool|"char"|int[248]|oid|xid8?|cid|float[48]|numeric|money|text|varchar|char|bytea|date
  |time|timestamp|timestamptz|interval|uuid|macaddr8?|pg_lsn|inet|cidr|jsonb)\b|^"char"$/x;

# Types for which _disguise() makes more than noise.
my $DISGUISED = qr/^(?:numeric|date|time|jsonb|inet|cidr|int[48]\[\]|text\[\])/;

sub _is_direct { my ($type) = @_; return $type->[1][0] =~ $DIRECT }

# The types that a server has.  `version` is its number, `features` a hash of names.
sub types {
  my ($version, $features) = @_;
  return grep { $version >= ($_->[4] // 0) && (!defined $_->[5] || $features->{$_->[5]}) } @TYPES;
}

# The same, but each of the types here alone where values are stored without a call of the server.
sub single_types {
  return map {
    my ($source, $destinations, @how) = @$_;
    _is_direct($_) ? map { [$source, [$_], @how] } @$destinations : $_;
  } @_;
}

# ---- columns ----

# A column of one of the types: its type here, its type on the source, and a function that gives its
# values as SQL.
sub _column {
  my ($type, $is_sound) = @_;
  my ($source, $destinations, $edges, $random) = @$type;
  my $destination = _pick(@$destinations);
  my $is_wild = !$is_sound && _chance(0.1);
  my @edges = _quoted(@$edges);
  my $value = sub {
    return $random && (!@edges || _chance(0.6)) ? $random->($destination, $is_wild) : _pick(@edges);
  };
  return {destination => $destination, source => $source, value => $value};
}

# Lets the fields of a column be those of another type, which have the same size or any.
sub _disguise {
  my ($column) = @_;
  my $destination = $column->{destination};
  my ($source, $value) = ('bytea', sub { _bytea(_hex(_between(0, 24))) });
  $value = \&_numeric_image if $destination =~ /^numeric\b(?!.*\[)|^price/;
  ($source, $value) = ('int8', sub { literal(_pick(@TIME_NUMBERS, _integer(53))) }) if $destination =~ /^time(?!tz)(?!.*\[)|^money/;
  ($source, $value) = ('int4', sub { literal(_pick(@DAY_NUMBERS, _integer(32))) }) if $destination =~ /^date$|^float4|^xid$/;
  $value = \&_json_image if $destination eq 'jsonb';
  $value = \&_address_image if $destination =~ /^inet$|^cidr$/;
  $value = sub { _array_image(23, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5) } if $destination eq 'int4[]';
  $value = sub { _array_image(20, 8, 8, 8, 8, 8, 8, 8, 8, 8, 4) } if $destination eq 'int8[]';
  $value = sub { _array_image(25, 0 .. 12, 125 .. 128) } if $destination eq 'text[]';
  $value = sub { _bytea(_pick('00', '01', '02', 'ff', '80')) } if $destination =~ /^bool$|^"char"/;
  return {%$column, source => $source, value => $value};
}

# ---- tables ----

my @NAMES = ('two words', 'SELECT', 'CamelCase', 'a"b');
my $VARLENA = qr/^(?:text|varchar|char|bytea|numeric|json|varbit|citext|hstore|price|short)|\[\]/;

# Options: encoding, has_lz4, and types as `types` gives them; columns => their number; is_sound => 1
# for a plain table and rows that it takes; is_typed => 1 for a source that has each column's type.
sub new {
  my ($class, $number, %options) = @_;
  srand $number;
  $letters = $LETTERS{$options{encoding}};
  my @direct = grep { _is_direct($_) } @{$options{types}};
  my @columns;
  my $count = $options{columns} // _pick(_between(1, 4), _between(1, 12), _between(1, 20));
  for my $index (1 .. $count) {
    my $column = _column(_pick(@direct && _chance(0.5) ? @direct : @{$options{types}}), $options{is_sound});
    $column = _disguise($column) if !$options{is_sound} && !$options{is_typed} && _chance($column->{destination} =~ $DISGUISED ? 0.15 : 0.02);
    $column->{name} = _chance(0.05) && @NAMES >= $index ? $NAMES[$index - 1] : "c$index";
    $column->{null_rate} = _pick(0, 0, 0.1, 0.5);
    $column->{null_rate} = 0 if $column->{destination} eq 'sure_int' && _chance(0.9);
    push @columns, $column;
  }
  my $self = bless {number => $number, columns => \@columns, more => []}, $class;
  my $has_id = !$options{is_sound} && _chance(0.7);
  $self->_add_id if $has_id;
  $self->{is_in_order} = $options{is_sound} || _chance(0.5);
  $self->{layout} = [$self->{is_in_order} ? @{$self->{columns}} : shuffle(@{$self->{columns}})];
  $self->_add_furniture($options{has_lz4}) unless $options{is_sound};
  $self->_hold_to_bound if $has_id && _chance(0.1);
  return $self;
}

# A table of one column of one type.
sub of_type {
  my ($class, $number, $type, %options) = @_;
  my $self = $class->new($number, %options, types => [$type], columns => 1, is_sound => 1);
  $self->{columns}[0]{null_rate} = 0;
  return $self;
}

sub _name { my ($column) = @_; return '"' . ($column->{name} =~ s/"/""/gr) . '"' }

# A key, mostly without two rows of the same.
sub _add_id {
  my ($self) = @_;
  my $next = 0;
  my $repeats = _chance(0.15);
  push @{$self->{columns}}, {destination => 'bigint', source => 'bigint', name => 'id', null_rate => 0,
    value => sub { return $repeats && _chance(0.05) ? $next : ++$next }};
  push @{$self->{more}}, _pick('ALTER TABLE %s.t ADD PRIMARY KEY (id)', 'ALTER TABLE %s.t ADD UNIQUE (id)',
    'CREATE INDEX ON %s.t (id)', 'CREATE INDEX ON %s.t USING hash (id)',
    'CREATE UNIQUE INDEX ON %s.t ((id %% 1000)) WHERE id > 3');
  return;
}

# Makes the table a partition.
sub _hold_to_bound {
  my ($self) = @_;
  push @{$self->{more}}, 'CREATE TABLE %1$s.root (LIKE %1$s.t) PARTITION BY RANGE (id)',
    sprintf 'ALTER TABLE %%1$s.root ATTACH PARTITION %%1$s.t FOR VALUES FROM (1) TO (%d)', _pick(1000, 1000, 20);
  return;
}

# What stands around the columns that travel, and how they are kept.
sub _add_furniture {
  my ($self, $has_lz4) = @_;
  for my $number (1 .. _pick(0, 0, 1, 2, 3)) {
    my $type = _pick(qw(integer text boolean bigint box sure_int), 'char(7)');
    splice @{$self->{layout}}, _between(0, scalar @{$self->{layout}}), 0,
      {destination => $type, name => "gone$number", is_dropped => _chance(0.6)};
  }
  push @{$self->{more}}, map { "ALTER TABLE %s.t DROP $_->{name}" } grep { $_->{is_dropped} } @{$self->{layout}};
  for my $column (@{$self->{columns}}) {
    my $name = _name($column) =~ s/%/%%/gr;
    my $alter = "ALTER TABLE %s.t ALTER $name SET";
    push @{$self->{more}}, "$alter NOT NULL" if _chance($column->{null_rate} ? 0.02 : 0.4);
    push @{$self->{more}}, "ALTER TABLE %s.t ADD CHECK ($name IS NOT NULL OR " . _pick('true', 'true', 'false') . ')'
      if _chance(0.05);
    next unless $column->{destination} =~ $VARLENA;
    push @{$self->{more}}, "$alter STORAGE " . _pick(qw(EXTERNAL MAIN EXTENDED), $column->{destination} =~ /\((\d{1,3})\)/ ? 'PLAIN' : ())
      if _chance(0.2);
    push @{$self->{more}}, "$alter COMPRESSION " . _pick('pglz', $has_lz4 ? 'lz4' : ()) if _chance(0.2);
  }
  push @{$self->{more}}, 'ALTER TABLE %s.t SET (' . _pick('fillfactor = 40', 'toast_tuple_target = 200') . ')'
    if _chance(0.15);
  return;
}

# SQL that makes the table `t` in a schema of that name, which is new.
sub create_sql {
  my ($self, $schema) = @_;
  my @definitions = map { _name($_) . " $_->{destination}" } @{$self->{layout}};
  my $columns = join ', ', @definitions;
  return join ";\n", "CREATE SCHEMA $schema", "CREATE TABLE $schema.t ($columns)",
    map { sprintf $_, $schema } @{$self->{more}};
}

# True if the columns travel in the order in which they stand in the table.
sub is_in_order { return $_[0]{is_in_order} }

# The names of the columns that travel.
sub column_names { my ($self) = @_; return map { $_->{name} } @{$self->{columns}} }

# SQL that makes that table on the source, with that many rows.
sub source_table_sql {
  my ($self, $name, $row_count) = @_;
  my $columns = join ', ', map { _name($_) . " $_->{source}" } @{$self->{columns}};
  return "CREATE TABLE $name ($columns); INSERT INTO $name " . $self->source_sql($row_count);
}

# A query for that many rows as the source has them; other ones with each call.
sub source_sql {
  my ($self, $row_count) = @_;
  my @rows;
  for (1 .. $row_count) {
    push @rows, '(' . join(', ', map {
      'CAST(' . (_chance($_->{null_rate}) ? 'NULL' : $_->{value}->()) . " AS $_->{source})" } @{$self->{columns}}) . ')';
  }
  return 'VALUES ' . join ",\n", @rows;
}

1;
