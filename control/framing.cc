#include "control/framing.hh"

#include <algorithm>
#include <cstring>

namespace weft {

namespace {

constexpr std::size_t read_bytes = 64 << 10;
constexpr std::size_t keep_bytes = 1 << 20; // a buffer that a large frame grew goes back to this

bool blank(std::string_view line) {
    return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

} // namespace

std::span<char> Framer::space() {
    if (begin_ == end_) {
        begin_ = end_ = scanned_ = 0;
        if (buffer_.size() > keep_bytes) {
            buffer_.clear();
            buffer_.shrink_to_fit();
        }
    } else if (buffer_.size() - end_ < read_bytes && begin_ > 0) {
        std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
        end_ -= begin_;
        begin_ = 0;
    }
    if (buffer_.size() - end_ < read_bytes)
        buffer_.resize(std::max(end_ + read_bytes, std::min(2 * buffer_.size(), bytes_max_)));
    return {buffer_.data() + end_, buffer_.size() - end_};
}

Frame Framer::broken(std::string message) {
    state_ = State::broken;
    why_ = std::move(message);
    return Broken{why_};
}

Frame Framer::start() {
    constexpr std::string_view magic = "WEFT";
    const std::string_view head{buffer_.data() + begin_, end_ - begin_};
    if (head.empty())
        return NeedMore{};
    if (head.front() == '{') {
        state_ = State::json;
        return NeedMore{};
    }
    if (head.substr(0, magic.size()) != magic.substr(0, head.size()))
        return broken("a connection must begin with \"{\" (JSON lines) or \"WEFT\" (binary)");
    if (head.size() >= magic.size()) {
        begin_ += magic.size();
        state_ = State::binary;
    }
    return NeedMore{};
}

Frame Framer::next() {
    if (state_ == State::start) {
        Frame frame = start();
        if (std::holds_alternative<Broken>(frame))
            return frame;
    }
    switch (state_) {
    case State::json:
        return next_line();
    case State::binary:
        return next_message();
    case State::broken:
        return Broken{why_};
    case State::start:
        break;
    }
    return NeedMore{};
}

Frame Framer::next_line() {
    while (true) {
        const std::string_view rest{buffer_.data() + begin_, end_ - begin_};
        const std::size_t newline = rest.find('\n', scanned_);
        const bool whole = newline != std::string_view::npos;
        if ((whole ? newline : rest.size()) > bytes_max_)
            return broken("a line is longer than " + std::to_string(bytes_max_) + " bytes");
        if (!whole && (!finished_ || rest.empty())) {
            scanned_ = rest.size();
            return NeedMore{};
        }
        const std::string_view line = rest.substr(0, newline);
        begin_ += whole ? newline + 1 : rest.size();
        scanned_ = 0;
        if (!blank(line))
            return line;
    }
}

Frame Framer::next_message() {
    std::uint64_t bytes = 0;
    std::size_t at = begin_;
    for (unsigned shift = 0;; shift += 7) {
        if (shift > 28) // the limit needs 25 bits
            return broken("a frame's length is longer than 5 bytes");
        if (at == end_)
            return NeedMore{};
        const auto byte = static_cast<unsigned char>(buffer_[at++]);
        bytes |= std::uint64_t{byte & 0x7fU} << shift;
        if (byte < 0x80)
            break;
    }
    if (bytes > bytes_max_)
        return broken(
            "a frame of " + std::to_string(bytes) + " bytes is longer than " +
            std::to_string(bytes_max_)
        );
    if (end_ - at < bytes)
        return NeedMore{};
    begin_ = at + bytes;
    return std::string_view{buffer_.data() + at, bytes};
}

void put_varint(std::string& out, std::uint64_t value) {
    while (value >= 0x80) {
        out += static_cast<char>((value & 0x7f) | 0x80);
        value >>= 7;
    }
    out += static_cast<char>(value);
}

} // namespace weft
