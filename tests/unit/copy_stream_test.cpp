// copy_stream_test: streams of a source that behaves, and of sources that do not.
#include "core/stream/copy_stream.hpp"

#include "core/connection/poll_waiter.hpp"
#include "tests/unit/expect_error.hpp"
#include "tests/unit/fake_server.hpp"

namespace parallel_loader {
namespace {

using namespace testing;

const std::string_view kTrailer{"\377\377", 2};

std::string binary_row(std::string_view value) {
  return int16_bytes(1) + int32_bytes(static_cast<unsigned>(value.size())) + std::string(value);
}

/// What a stream dealt out.
struct Dealt {
  std::vector<std::string> segments;
  std::vector<std::string> reads;
  int64_t row_count = 0;
  int64_t byte_count = 0;
};

// Reads a whole stream that `source` sends, with a buffer of `buffer_size` bytes.
Dealt deal(const std::function<void(FakeBackend &)> &source, Format format, int64_t segment_bytes,
           size_t buffer_size = 7, bool is_row_by_row = false) {
  FakeServer server([&](FakeBackend &backend) {
    backend.admit();
    backend.answer_copy();
    source(backend);
  });
  PollWaiter waiter;
  Connection connection = Connection::open(server.conninfo(), "test", Server::kSource, waiter);
  CopyStream stream(connection, format, 1, segment_bytes);
  if (is_row_by_row)
    stream.go_row_by_row();
  stream.start("COPY t TO STDOUT");
  Dealt dealt;
  std::vector<char> buffer(buffer_size);
  while (stream.has_more()) {
    stream.begin_segment();
    std::string segment;
    while (const size_t size = stream.read(buffer)) {
      EXPECT_FALSE(stream.is_segment_drained());
      segment.append(buffer.data(), size);
      dealt.reads.emplace_back(buffer.data(), size);
    }
    EXPECT_TRUE(stream.is_segment_drained());
    dealt.segments.push_back(std::move(segment));
  }
  stream.finish();
  dealt.row_count = stream.row_count();
  dealt.byte_count = stream.byte_count();
  return dealt;
}

std::string header() {
  return std::string(kBinaryCopyHeader);
}

TEST(CopyStream, binary_segments_have_a_header_each_and_end_at_row_boundaries) {
  const auto source = [](FakeBackend &backend) {
    backend.send_copy_data(header() + binary_row("aaaa"));
    backend.send_copy_data(binary_row("bbbb"));
    backend.send_copy_data(binary_row("cccc"));
    backend.send_copy_data(kTrailer);
    backend.end_copy("COPY 3");
  };
  for (const size_t buffer_size : {1, 7, 20, 4096}) {
    const Dealt dealt = deal(source, Format::kBinary, 15, buffer_size);
    EXPECT_EQ(dealt.segments,
              (std::vector<std::string>{header() + binary_row("aaaa") + binary_row("bbbb"),
                                        header() + binary_row("cccc")}));
    EXPECT_EQ(dealt.row_count, 3);
    EXPECT_EQ(dealt.byte_count, 30);
  }
}

TEST(CopyStream, text_segments_are_whole_lines) {
  const Dealt dealt = deal(
      [](FakeBackend &backend) {
        for (const char *line : {"a\n", "\\\\.\n", "c\n"})
          backend.send_copy_data(line);
        backend.end_copy("COPY 3");
      },
      Format::kText, 5);
  EXPECT_EQ(dealt.segments, (std::vector<std::string>{"a\n\\\\.\n", "c\n"}));
}

TEST(CopyStream, row_by_row_no_read_holds_parts_of_two_rows) {
  const Dealt dealt = deal(
      [](FakeBackend &backend) {
        backend.send_copy_data("a\n");
        backend.send_copy_data("bbbbb\n");
        backend.send_copy_data("c\n");
        backend.end_copy("COPY 3");
      },
      Format::kText, 100, 4, true);
  EXPECT_EQ(dealt.reads, (std::vector<std::string>{"a\n", "bbbb", "b\n", "c\n"}));
  EXPECT_EQ(dealt.segments, std::vector<std::string>{"a\nbbbbb\nc\n"});
}

TEST(CopyStream, a_row_larger_than_a_segment_is_a_segment) {
  const std::string line(100'000, 'x');
  const Dealt dealt = deal(
      [&](FakeBackend &backend) {
        backend.send_copy_data(line + "\n");
        backend.send_copy_data("y\n");
        backend.end_copy("COPY 2");
      },
      Format::kText, 10, 4096);
  EXPECT_EQ(dealt.segments, (std::vector<std::string>{line + "\n", "y\n"}));
}

TEST(CopyStream, empty_result_has_no_segment) {
  const auto ends = [](FakeBackend &backend) { backend.end_copy("COPY 0"); };
  EXPECT_TRUE(deal(ends, Format::kText, 10).segments.empty());
  const auto one_message = [](FakeBackend &backend) {
    backend.send_copy_data(header() + std::string(kTrailer));
    backend.end_copy("COPY 0");
  };
  EXPECT_TRUE(deal(one_message, Format::kBinary, 10).segments.empty());
}

TEST(CopyStream, header_may_come_alone_and_with_an_extension) {
  std::string extended = header();
  extended.replace(15, 4, int32_bytes(3) + "ext");
  for (const std::string &first : {header(), extended}) {
    const Dealt dealt = deal(
        [&](FakeBackend &backend) {
          backend.send_copy_data(first);
          backend.send_copy_data(binary_row("a"));
          backend.send_copy_data(kTrailer);
          backend.end_copy("COPY 1");
        },
        Format::kBinary, 1000);
    EXPECT_EQ(dealt.segments, std::vector<std::string>{header() + binary_row("a")});
  }
}

TEST(CopyStream, malformed_header_is_refused) {
  std::string with_oids = header();
  with_oids[12] = 1;
  std::string with_extension = header();
  with_extension[18] = 1;
  for (const std::string &first : {std::string("PGCOPY\n\377\r\n\0", 11), header().substr(0, 18),
                                   with_oids, with_extension, "X" + header()})
    EXPECT_SQLSTATE("22P04", deal(
                                 [&](FakeBackend &backend) {
                                   backend.send_copy_data(first);
                                   backend.await_close();
                                 },
                                 Format::kBinary, 10));
}

TEST(CopyStream, malformed_row_is_refused_with_its_number) {
  const Error error = catch_error([] {
    (void)deal(
        [](FakeBackend &backend) {
          backend.send_copy_data(header() + binary_row("a"));
          backend.send_copy_data(binary_row("b") + "x");
          backend.await_close();
        },
        Format::kBinary, 10);
  });
  EXPECT_EQ(error.sqlstate(), "22P04");
  EXPECT_EQ(error.detail(), "Of row 2 of the stream: bytes follow its last field.");
}

TEST(CopyStream, text_that_is_not_one_line_is_refused) {
  for (const char *line : {"a", "a\nb\n", "\\.\n"})
    EXPECT_SQLSTATE("22P04", deal(
                                 [&](FakeBackend &backend) {
                                   backend.send_copy_data(line);
                                   backend.await_close();
                                 },
                                 Format::kText, 10));
}

TEST(CopyStream, data_after_the_trailer_is_refused) {
  EXPECT_SQLSTATE("22P04", deal(
                               [](FakeBackend &backend) {
                                 backend.send_copy_data(header() + std::string(kTrailer));
                                 backend.send_copy_data(binary_row("a"));
                                 backend.await_close();
                               },
                               Format::kBinary, 10));
}

TEST(CopyStream, stream_without_trailer_is_refused) {
  EXPECT_SQLSTATE("22P04", deal(
                               [](FakeBackend &backend) {
                                 backend.send_copy_data(header() + binary_row("a"));
                                 backend.end_copy("COPY 1");
                               },
                               Format::kBinary, 10));
}

TEST(CopyStream, other_row_count_of_the_source_is_refused) {
  const Error error = catch_error([] {
    (void)deal(
        [](FakeBackend &backend) {
          backend.send_copy_data("a\n");
          backend.end_copy("COPY 2");
        },
        Format::kText, 10);
  });
  EXPECT_EQ(error.sqlstate(), "08P01");
  EXPECT_EQ(error.message(), "source counted 2 rows, but 1 arrived");
}

TEST(CopyStream, connection_cut_at_a_row_boundary_is_no_end) {
  EXPECT_SQLSTATE("08006", deal([](FakeBackend &backend) { backend.send_copy_data("a\n"); },
                                Format::kText, 10));
}

TEST(CopyStream, connection_cut_between_copy_done_and_its_tag_is_no_end) {
  EXPECT_SQLSTATE("08006", deal(
                               [](FakeBackend &backend) {
                                 backend.send_copy_data("a\n");
                                 backend.send('c', {});
                               },
                               Format::kText, 10));
}

TEST(CopyStream, error_in_mid_stream_is_the_sources_own) {
  const Error error = catch_error([] {
    (void)deal(
        [](FakeBackend &backend) {
          backend.send_copy_data("a\n");
          backend.send_error("ERROR", "22P05", "character has no equivalent", {{'W', "in a row"}});
          backend.send_ready();
          backend.await_close();
        },
        Format::kText, 10);
  });
  EXPECT_EQ(error.sqlstate(), "22P05");
  EXPECT_EQ(error.message(), "could not read from source: character has no equivalent");
  EXPECT_EQ(error.detail(), "in a row");
}

} // namespace
} // namespace parallel_loader
