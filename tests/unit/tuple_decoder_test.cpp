// tuple_decoder_test: the tuples of whole rows, and what is left of broken ones.
#include "core/tuple/tuple_decoder.hpp"

#include "tests/unit/tuple_fixture.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>

namespace parallel_loader {
namespace {

using namespace testing;

std::string header(uint16_t column_count, uint16_t infomask, std::string_view bitmap = {}) {
  std::string out = std::string(12, '\0') + "\377\377\377\377" + std::string(2, '\0');
  out += native(column_count) + native(infomask);
  const size_t size = (23 + bitmap.size() + 7) / 8 * 8;
  out += static_cast<char>(size);
  out += bitmap;
  out.resize(size);
  return out;
}

std::string zeros(size_t count) {
  return std::string(count, '\0');
}

TEST(TupleDecoder, lays_out_fixed_lengths_aligned) {
  Decoding it(in_order({kBoolColumn, kInt2Column, kBoolColumn, kInt4Column, kInt8Column}));
  it.decode(
      {field("\1"), field("\1\2"), field(zeros(1)), field("\1\2\3\4"), field("\1\2\3\4\5\6\7\10")});
  EXPECT_EQ(it.tuple(), header(5, 0) + "\1" + zeros(1) + native<uint16_t>(0x0102) + zeros(1) +
                            zeros(3) + native<uint32_t>(0x01020304) + zeros(4) +
                            native<uint64_t>(0x0102030405060708));
}

TEST(TupleDecoder, lays_out_packed_values_without_alignment) {
  Decoding it(in_order({kTextColumn, kInt4Column, kTextColumn}));
  it.decode({field("abc"), field(big_endian(7, 4)), field("")});
  EXPECT_EQ(it.tuple(),
            header(3, 2) + short_varlena("abc") + native<uint32_t>(7) + short_varlena(""));
}

TEST(TupleDecoder, packs_up_to_126_bytes) {
  Decoding it(in_order({kBoolColumn, kTextColumn}));
  it.decode({field("\1"), field(std::string(126, 'x'))});
  EXPECT_EQ(it.tuple(), header(2, 2) + "\1" + short_varlena(std::string(126, 'x')));
  it.decode({field("\1"), field(std::string(127, 'x'))});
  EXPECT_EQ(it.tuple(), header(2, 2) + "\1" + zeros(3) + long_varlena(std::string(127, 'x')));
}

TEST(TupleDecoder, packs_nothing_of_plain_storage) {
  TupleColumn plain = kTextColumn;
  plain.is_packable = false;
  Decoding it(in_order({kBoolColumn, plain}));
  it.decode({field("\1"), field("abc")});
  EXPECT_EQ(it.tuple(), header(2, 2) + "\1" + zeros(3) + long_varlena("abc"));
}

TEST(TupleDecoder, aligns_long_values_as_their_type_says) {
  TupleColumn wide = kOtherColumn;
  wide.alignment = 8;
  Decoding it(in_order({kInt4Column, wide}));
  it.receiver.answer = long_varlena(std::string(200, 'y'));
  it.decode({field(big_endian(1, 4)), field("z")});
  EXPECT_EQ(it.tuple(), header(2, 2) + native<uint32_t>(1) + zeros(4) + it.receiver.answer);
}

// More than a batch takes at first, so that the room is what the decoder has asked for and
// AddressSanitizer sees a byte beyond it.
TEST(TupleDecoder, has_room_for_the_most_padding) {
  TupleColumn plain = kTextColumn;
  plain.is_packable = false;
  plain.alignment = 8;
  const std::string text(61, 'x'); // with its header it ends one byte behind a multiple of eight
  Decoding it(in_order(std::vector<TupleColumn>(1600, plain)));
  it.decode(std::vector<std::string>(1600, field(text)));
  EXPECT_EQ(it.tuple().size(), 24U + 1600 * 72 - 7);
  EXPECT_EQ(it.walk().values.back(), text);
}

TEST(TupleDecoder, marks_nulls_in_the_bitmap) {
  Decoding it(in_order({kInt4Column, kTextColumn, kInt4Column}));
  it.decode({field(big_endian(1, 4)), kNullField, field(big_endian(2, 4))});
  EXPECT_EQ(it.tuple(), header(3, 1, "\5") + native<uint32_t>(1) + native<uint32_t>(2));
  it.decode({kNullField, field("a"), kNullField});
  EXPECT_EQ(it.tuple(), header(3, 3, "\2") + short_varlena("a"));
  it.decode({kNullField, kNullField, kNullField});
  EXPECT_EQ(it.tuple(), header(3, 1, zeros(1)));
}

TEST(TupleDecoder, makes_room_for_bitmaps_of_any_size) {
  for (size_t count = 1; count <= 1664; count += count < 80 ? 1 : 97) {
    Decoding it(in_order(std::vector<TupleColumn>(count, kBoolColumn)));
    std::vector<std::string> fields(count, field("\1"));
    fields.back() = kNullField;
    it.decode(fields);
    const WalkedTuple walked = it.walk();
    ASSERT_EQ(walked.values.size(), count);
    for (size_t i = 0; i < count; ++i)
      ASSERT_EQ(walked.values[i].has_value(), i + 1 < count) << i;
  }
}

TEST(TupleDecoder, takes_fields_by_their_position) {
  std::vector<TupleColumn> columns = {kInt4Column, kTextColumn, kBoolColumn};
  columns[0].field = 2;
  columns[1].field = 0;
  columns[2].field = 1;
  Decoding it(columns);
  it.decode({field("abc"), field("\1"), field(big_endian(9, 4))});
  EXPECT_EQ(it.tuple(), header(3, 2) + native<uint32_t>(9) + short_varlena("abc") + "\1");
}

TEST(TupleDecoder, leaves_columns_that_are_not_in_the_row_null) {
  TupleColumn dropped; // nothing is known of its type
  dropped.length = 0;
  std::vector<TupleColumn> columns = {kInt4Column, dropped, kTextColumn};
  columns[0].field = 0;
  columns[2].field = 1;
  Decoding it(columns);
  it.decode({field(big_endian(9, 4)), field("abc")});
  EXPECT_EQ(it.tuple(), header(3, 3, "\5") + native<uint32_t>(9) + short_varlena("abc"));
}

TEST(TupleDecoder, ignores_fields_of_no_column) {
  std::vector<TupleColumn> columns = {kInt4Column};
  columns[0].field = 1;
  Decoding it(columns);
  it.decode({kNullField, field(big_endian(9, 4))});
  EXPECT_EQ(it.tuple(), header(1, 0) + native<uint32_t>(9));
  it.decode({field("abc"), kNullField});
  EXPECT_EQ(it.tuple(), header(1, 1, zeros(1)));
}

TEST(TupleDecoder, decodes_a_row_of_no_columns) {
  Decoding it({});
  it.decode({});
  EXPECT_EQ(it.tuple(), header(0, 0));
}

TEST(TupleDecoder, begins_tuples_at_multiples_of_eight_and_pads_with_zeros) {
  Decoding it(in_order({kTextColumn}));
  std::string expected;
  for (size_t size = 0; size < 40; ++size) {
    it.decode({field(std::string(size, 'x'))});
    EXPECT_EQ(it.batch.tuples().back().offset, expected.size());
    expected += header(1, 2) + short_varlena(std::string(size, 'x'));
    EXPECT_EQ(it.batch.tuples().back().length, expected.size() - it.batch.tuples().back().offset);
    expected.resize((expected.size() + 7) / 8 * 8);
    EXPECT_EQ(std::string(it.batch.data(), it.batch.size_bytes()), expected);
  }
  EXPECT_EQ(it.batch.tuples().size(), 40U);
}

TEST(TupleDecoder, says_where_a_null_may_not_be) {
  std::vector<TupleColumn> columns = in_order({kInt4Column, kTextColumn});
  columns[0].is_not_null = true;
  Decoding it(columns);
  it.decode({kNullField, field("a")});
  EXPECT_TRUE(it.batch.tuples()[0].breaks_not_null);
  it.decode({field(big_endian(1, 4)), kNullField});
  EXPECT_FALSE(it.batch.tuples()[1].breaks_not_null);
}

TEST(TupleDecoder, says_so_of_columns_that_are_not_in_the_row) {
  std::vector<TupleColumn> columns = {kInt4Column, kTextColumn};
  columns[0].field = 0;
  columns[1].is_not_null = true;
  columns[1].checks_null = true; // nothing is received of what is not there
  Decoding it(columns);
  it.decode({field(big_endian(1, 4))});
  EXPECT_TRUE(it.batch.tuples()[0].breaks_not_null);
  EXPECT_TRUE(it.receiver.null_columns.empty());
}

TEST(TupleDecoder, shows_nulls_to_receivers_that_check_them) {
  std::vector<TupleColumn> columns = in_order({kOtherColumn, kOtherColumn});
  columns[1].checks_null = true;
  Decoding it(columns);
  it.decode({kNullField, kNullField});
  EXPECT_EQ(it.receiver.null_columns, std::vector<size_t>{1});
  it.receiver.is_null_refused = true;
  EXPECT_SQLSTATE("23502", it.decode({field("a"), kNullField}));
  EXPECT_EQ(it.batch.tuples().size(), 1U);
}

TEST(TupleDecoder, takes_what_the_receiver_returns) {
  Decoding it(in_order({kInt4Column, kOtherColumn, kInt4Column}));
  it.decode({field(big_endian(1, 4)), field("abc"), field(big_endian(2, 4))});
  EXPECT_EQ(it.tuple(), header(3, 2) + native<uint32_t>(1) + short_varlena("<abc>") + zeros(2) +
                            native<uint32_t>(2));
  ASSERT_EQ(it.receiver.calls.size(), 1U);
  EXPECT_EQ(it.receiver.calls[0].column, 1U);
  EXPECT_EQ(it.receiver.calls[0].field, "abc");
}

TEST(TupleDecoder, packs_what_the_receiver_returns) {
  for (const size_t size : {0, 125, 126, 127, 128, 70000}) {
    const std::string data(size, 'x');
    Decoding it(in_order({kBoolColumn, kOtherColumn, kTextColumn}));
    it.receiver.answer = long_varlena(data);
    it.decode({field("\1"), field("?"), field("end")});
    EXPECT_EQ(it.tuple(), header(3, 2) + "\1" +
                              (size <= 126 ? short_varlena(data) : zeros(3) + long_varlena(data)) +
                              short_varlena("end"));
  }
}

TEST(TupleDecoder, takes_a_packed_value_as_it_is) {
  Decoding it(in_order({kBoolColumn, kOtherColumn}));
  it.receiver.answer = short_varlena("abc");
  it.decode({field("\1"), field("?")});
  EXPECT_EQ(it.tuple(), header(2, 2) + "\1" + short_varlena("abc"));
}

TEST(TupleDecoder, takes_a_compressed_value_as_it_is) {
  Decoding it(in_order({kBoolColumn, kOtherColumn}));
  const bool is_little = std::endian::native == std::endian::little;
  it.receiver.answer = native<uint32_t>(is_little ? 12 << 2 | 2 : 12 | 0x40000000) + "compress";
  it.decode({field("\1"), field("?")});
  EXPECT_EQ(it.tuple(), header(2, 2) + "\1" + zeros(3) + it.receiver.answer);
}

TEST(TupleDecoder, takes_fixed_lengths_and_strings_of_the_receiver) {
  TupleColumn point = column_of(FieldKind::kOther, 16);
  TupleColumn string = column_of(FieldKind::kOther, -2);
  string.alignment = 1;
  Decoding fixed(in_order({kBoolColumn, point}));
  fixed.receiver.answer = "0123456789abcdef";
  fixed.decode({field("\1"), field("?")});
  EXPECT_EQ(fixed.tuple(), header(2, 0) + "\1" + zeros(7) + "0123456789abcdef");
  Decoding text(in_order({kBoolColumn, string}));
  text.receiver.answer = std::string("abc\0", 4);
  text.decode({field("\1"), field("?")});
  EXPECT_EQ(text.tuple(), header(2, 2) + "\1" + text.receiver.answer);
}

TEST(TupleDecoder, refuses_what_no_receive_function_returns) {
  const auto refuses = [](int16_t length, const std::string &answer) {
    TupleColumn column = column_of(FieldKind::kOther, length);
    Decoding it(in_order({column}));
    it.receiver.answer = answer;
    EXPECT_SQLSTATE("XX000", it.decode({field("?")})) << length << " " << answer.size();
    EXPECT_TRUE(it.batch.tuples().empty());
  };
  refuses(8, "short");
  refuses(8, "longer than eight");
  refuses(-1, "abc");
  refuses(-1, long_varlena("abc") + "more");
  refuses(-1, short_varlena("abc").substr(0, 3));
  const bool is_little = std::endian::native == std::endian::little;
  refuses(-1, std::string(1, is_little ? '\x01' : '\x80') + std::string(17, 'p')); // a pointer
  refuses(-2, "abc");
  refuses(-2, std::string("a\0c\0", 4));
}

TEST(TupleDecoder, leaves_the_batch_as_it_was_when_the_receiver_throws) {
  Decoding it(in_order({kTextColumn, kOtherColumn, kOtherColumn}));
  it.decode({field("first"), field("a"), field("b")});
  const std::string before(it.batch.data(), it.batch.size_bytes());
  EXPECT_SQLSTATE("22P03",
                  it.decode({field(std::string(100000, 'x')), field("a"), field("refused")}));
  EXPECT_EQ(it.batch.tuples().size(), 1U);
  EXPECT_EQ(std::string(it.batch.data(), it.batch.size_bytes()), before);
  it.decode({field("second"), field("a"), field("b")});
  EXPECT_EQ(it.walk().values[0], "second");
}

TEST(TupleDecoder, says_what_is_wrong_with_a_malformed_row) {
  Decoding it(in_order({kInt4Column}));
  const Error error = catch_error([&] { it.decode({field("abcd"), field("abcd")}); });
  EXPECT_EQ(error.sqlstate(), "22P04");
  EXPECT_EQ(error.message(), "source sent a malformed row");
  EXPECT_EQ(error.detail(), "Of row 1 of the stream: it has 2 fields, not 1.");
}

// Columns of most kinds, and a row that all of them hold.
const std::vector<TupleColumn> kSampleColumns =
    in_order({kBoolColumn, kTextColumn, kInt8Column, column_of(FieldKind::kNumeric, -1),
              kInt2Column, column_of(FieldKind::kBytea, -1), column_of(FieldKind::kTimestamp, 8, 3),
              column_of(FieldKind::kBpchar, -1, 7), kOtherColumn, kTextColumn});

std::string sample_row() {
  return row_of({field("\1"), field("Stra\303\237e"), field(big_endian(77, 8)),
                 field(std::string("\0\2\0\0\0\0\0\2\0\1\3\350", 12)), field("ab"), field("bytes"),
                 field(big_endian(5000, 8)), field("abc"), field("other"), kNullField});
}

TEST(TupleDecoder, decodes_the_sample) {
  Decoding it(kSampleColumns);
  it.decode_row(sample_row());
  EXPECT_EQ(it.walk().values[1], "Stra\303\237e");
  ASSERT_EQ(it.receiver.calls.size(), 1U); // all but one are written directly
  EXPECT_EQ(it.receiver.calls[0].column, 8U);
}

TEST(TupleDecoder, rejects_every_truncation) {
  Decoding it(kSampleColumns);
  const std::string row = sample_row();
  for (size_t size = 0; size < row.size(); ++size)
    EXPECT_SQLSTATE("22P04", it.decode_row(row.substr(0, size))) << size;
  EXPECT_TRUE(it.batch.tuples().empty());
  EXPECT_SQLSTATE("22P04", it.decode_row(row + "x"));
}

TEST(TupleDecoder, survives_every_flipped_byte) {
  const std::string row = sample_row();
  size_t tuple_count = 0;
  for (size_t at = 0; at < row.size(); ++at)
    for (int bits = 1; bits < 256; ++bits) {
      Decoding it(kSampleColumns);
      std::string flipped = row;
      flipped[at] = static_cast<char>(flipped[at] ^ bits);
      try {
        it.decode_row(flipped);
        ASSERT_EQ(it.walk().flaw, "") << at << " " << bits;
        ++tuple_count;
      } catch (const Error &error) {
        ASSERT_EQ(error.sqlstate(), "22P04") << at << " " << bits;
        ASSERT_TRUE(it.batch.tuples().empty());
      }
    }
  EXPECT_GT(tuple_count, row.size() * 64); // most flips hit values
}

TEST(TupleDecoder, rejects_a_tuple_that_the_server_could_not_form) {
  // A receiver that claims the most a varlena can be; its bytes are never touched but the header.
  class Huge : public FieldReceiver {
  public:
    explicit Huge(size_t size)
        : size_(size), memory_(static_cast<char *>(std::malloc(size)), &std::free) {
      const auto header = static_cast<uint32_t>(size);
      const bool is_little = std::endian::native == std::endian::little;
      const std::string bytes = native(is_little ? header << 2 : header);
      std::memcpy(memory_.get(), bytes.data(), 4);
    }
    std::string_view receive(size_t /*column*/, std::string_view /*field*/) override {
      return {memory_.get(), size_};
    }
    void receive_null(size_t /*column*/) override {}

  private:
    size_t size_;
    std::unique_ptr<char, decltype(&std::free)> memory_;
  };
  Huge receiver(0x3FFFFFFF);
  const std::vector<TupleColumn> columns = in_order({kOtherColumn});
  TupleDecoder decoder(columns, 1, TextEncoding::kUtf8, receiver);
  TupleBatch batch;
  EXPECT_SQLSTATE("54000", decoder.decode(row_of({field("?")}), batch));
  EXPECT_TRUE(batch.tuples().empty());
  EXPECT_LT(batch.capacity_bytes(), size_t{1} << 20);
}

TEST(TupleDecoder, refuses_columns_that_cannot_be) {
  FakeReceiver receiver({});
  const auto refuses = [&](std::vector<TupleColumn> columns, size_t field_count) {
    EXPECT_SQLSTATE("XX000", TupleDecoder(columns, field_count, TextEncoding::kUtf8, receiver));
  };
  std::vector<TupleColumn> twice(2, kInt4Column);
  twice[0].field = twice[1].field = 0;
  refuses(twice, 2);
  refuses(in_order({kInt4Column, kInt4Column}), 1);
  refuses(in_order({column_of(FieldKind::kSwap4, 8)}), 1);
  refuses(in_order({column_of(FieldKind::kText, 8)}), 1);
  TupleColumn odd = kInt4Column;
  odd.alignment = 3;
  refuses(in_order({odd}), 1);
  refuses(std::vector<TupleColumn>(1665, TupleColumn{}), 0);
}

TEST(TupleBatch, gives_back_what_a_huge_row_has_taken) {
  Decoding it(in_order({kTextColumn}));
  it.decode({field("small")});
  const size_t usual = it.batch.capacity_bytes();
  it.batch.clear();
  EXPECT_EQ(it.batch.capacity_bytes(), usual);
  EXPECT_EQ(it.batch.size_bytes(), 0U);
  EXPECT_TRUE(it.batch.tuples().empty());
  it.decode({field(std::string(TupleBatch::kKeptBytes, 'x'))});
  EXPECT_GT(it.batch.capacity_bytes(), TupleBatch::kKeptBytes);
  it.batch.clear();
  EXPECT_LE(it.batch.capacity_bytes(), TupleBatch::kKeptBytes);
  it.decode({field("again")});
  EXPECT_EQ(it.walk().values[0], "again");
}

} // namespace
} // namespace parallel_loader
