#include "core/stream/copy_rows.hpp"

#include "core/base/byte_order.hpp"
#include "core/base/error.hpp"

#include <utility>

namespace parallel_loader {
namespace {

constexpr std::string_view kTrailer{"\377\377", 2};
constexpr size_t kSignatureSize = 11;
constexpr uint32_t kOidsFlag = 1U << 16;
constexpr uint32_t kCriticalFlags = 0xFFFF0000; // an unknown flag among these changes the format

[[noreturn]] void throw_malformed(std::string message, std::string detail) {
  throw Error(sqlstate::kBadCopyFileFormat, std::move(message), std::move(detail));
}

// Takes the header off the stream's first message.
std::string_view strip_header(std::string_view message) {
  constexpr std::string_view kWhat = "source sent a malformed COPY header";
  if (!message.starts_with(kBinaryCopyHeader.substr(0, kSignatureSize)))
    throw_malformed(std::string(kWhat), "Its signature is not that of binary COPY.");
  message.remove_prefix(kSignatureSize);
  if (message.size() < 8)
    throw_malformed(std::string(kWhat), "It is cut short.");
  const uint32_t flags = load_big_endian<uint32_t>(message.data());
  const uint32_t extension_size = load_big_endian<uint32_t>(message.data() + 4);
  if ((flags & kOidsFlag) != 0)
    throw_malformed(std::string(kWhat), "Its rows hold OIDs.");
  if ((flags & kCriticalFlags) != 0)
    throw_malformed(std::string(kWhat), "It has an unrecognized flag.");
  message.remove_prefix(8);
  if (extension_size > message.size())
    throw_malformed(std::string(kWhat), "Its extension area is cut short.");
  message.remove_prefix(extension_size);
  return message;
}

} // namespace

void CopyRows::start(std::string_view sql) {
  source_.copy_out(sql);
  next();
}

void CopyRows::next() {
  for (;;) {
    std::string_view message = source_.copy_row();
    if (message.empty())
      return end();
    if (is_first_ && format_ == Format::kBinary)
      message = strip_header(message);
    is_first_ = false;
    if (message.empty())
      continue; // the header came alone
    if (has_trailer_)
      throw_malformed("source sent data after the end of its rows", {});
    if (format_ == Format::kBinary && message == kTrailer) {
      has_trailer_ = true;
      continue;
    }
    row_ = message;
    ++row_count_;
    byte_count_ += static_cast<int64_t>(message.size());
    return;
  }
}

void CopyRows::end() {
  source_row_count_ = source_.copy_end();
  if (format_ == Format::kBinary && !has_trailer_)
    throw_malformed("source did not mark the end of its rows", {});
  is_finished_ = true;
}

void CopyRows::finish() const {
  if (!is_finished_)
    throw Error(sqlstate::kInternalError, "COPY stream was not read to its end");
  if (source_row_count_ != static_cast<uint64_t>(row_count_))
    throw Error(sqlstate::kProtocolViolation,
                "source counted " + std::to_string(source_row_count_) + " rows, but " +
                    std::to_string(row_count_) + " arrived");
}

} // namespace parallel_loader
