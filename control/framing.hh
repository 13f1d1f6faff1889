// Cuts the bytes of a connection into frames. Knows no socket and no protobuf.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace weft {

enum class Encoding : std::uint8_t { json, binary };

/// The largest frame that a peer may send: a JSON line without its newline, a binary message
/// without its length.
inline constexpr std::size_t frame_bytes_max = std::size_t{16} << 20;

struct NeedMore {};
struct Broken {
    std::string message; // one sentence; the connection cannot go on
};
/// A whole frame; the bytes are valid until the next call of the framer.
using Frame = std::variant<NeedMore, std::string_view, Broken>;

/// The first bytes of a connection decide: "WEFT" is binary (each message after its length as a
/// varint), "{" is JSON lines, anything else is Broken. Holds at most one frame of the largest size
/// plus what one read brings.
class Framer {
public:
    explicit Framer(std::size_t bytes_max = frame_bytes_max) : bytes_max_{bytes_max} {}

    /// The encoding is known: there are no first bytes that would tell it (a client reading
    /// replies).
    void expect(Encoding encoding) noexcept {
        state_ = encoding == Encoding::json ? State::json : State::binary;
    }
    /// Room for the next read; then commit() says how much of it was filled.
    std::span<char> space();
    void commit(std::size_t bytes) noexcept { end_ += bytes; }
    /// The next frame. Blank lines are skipped. After Broken: Broken again.
    Frame next();
    /// No more bytes will come: a last line without its newline is a frame.
    void finish() noexcept { finished_ = true; }

    /// Of the connection; json until its first bytes are there.
    Encoding encoding() const noexcept {
        return state_ == State::binary ? Encoding::binary : Encoding::json;
    }
    /// Held at this moment.
    std::size_t capacity() const noexcept { return buffer_.size(); }

private:
    enum class State : std::uint8_t { start, json, binary, broken };

    Frame broken(std::string message);
    Frame start();
    Frame next_line();
    Frame next_message();

    std::size_t bytes_max_;
    std::string buffer_; // [begin_, end_) is not yet consumed
    std::size_t begin_ = 0;
    std::size_t end_ = 0;
    std::size_t scanned_ = 0; // no newline in [begin_, begin_ + scanned_)
    State state_ = State::start;
    bool finished_ = false;
    std::string why_;
};

/// Appends the varint length of a binary frame.
void put_varint(std::string& out, std::uint64_t value);

} // namespace weft
