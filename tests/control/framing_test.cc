#include "control/framing.hh"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace weft {
namespace {

/// Every frame of `bytes` given in pieces of `piece` bytes; "broken" last where it broke.
std::vector<std::string>
frames(std::string_view bytes, std::size_t piece, std::size_t bytes_max = 1'000) {
    Framer framer{bytes_max};
    std::vector<std::string> found;
    for (bool last = false; !last;) {
        const std::size_t count = std::min(piece, bytes.size());
        const auto space = framer.space();
        std::memcpy(space.data(), bytes.data(), count);
        framer.commit(count);
        bytes.remove_prefix(count);
        last = bytes.empty();
        if (last)
            framer.finish();
        for (Frame frame = framer.next(); !std::holds_alternative<NeedMore>(frame);
             frame = framer.next()) {
            if (std::holds_alternative<Broken>(frame)) {
                EXPECT_TRUE(std::holds_alternative<Broken>(framer.next()));
                found.emplace_back("broken");
                return found;
            }
            found.emplace_back(std::get<std::string_view>(frame));
        }
    }
    return found;
}

using Frames = std::vector<std::string>;

TEST(Framer, cuts_lines_however_they_arrive) {
    for (const std::size_t piece : {1U, 2U, 3U, 7U, 100U})
        EXPECT_EQ(frames("{a}\n\n  \t\r\n{b\"\n{last}", piece), (Frames{"{a}", "{b\"", "{last}"}))
            << piece;
}

TEST(Framer, cuts_binary_messages_however_they_arrive) {
    const std::string bytes = std::string{"WEFT\x03"} + "abc" + std::string(1, '\0') + "\x02\n{";
    for (const std::size_t piece : {1U, 2U, 3U, 7U, 100U})
        EXPECT_EQ(frames(bytes, piece), (Frames{"abc", "", "\n{"})) << piece;
}

TEST(Framer, refuses_any_other_beginning) {
    for (const std::string_view bytes :
         {"GET / HTTP/1.1\r\n", "WEFU", " {", "\n{", "W{", "[", "\x16\x03\x01"})
        EXPECT_EQ(frames(bytes, 1), Frames{"broken"}) << bytes;
    EXPECT_EQ(frames("WEF", 1), Frames{});
}

TEST(Framer, refuses_a_line_over_the_limit_and_takes_one_at_it) {
    const std::string line = "{" + std::string(999, 'x');
    EXPECT_EQ(frames(line + "\n{}\n", 64), (Frames{line, "{}"}));
    EXPECT_EQ(frames(line + "x\n{}\n", 64), Frames{"broken"});
    EXPECT_EQ(frames(line + "xyz", 64), Frames{"broken"}); // long before its newline
}

TEST(Framer, refuses_a_length_over_the_limit_before_the_bytes_come) {
    EXPECT_EQ(frames("WEFT\xe9\x07", 1), Frames{"broken"}); // 1001
    EXPECT_EQ(frames("WEFT\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 1), Frames{"broken"});
    EXPECT_EQ(frames("WEFT\x80\x80\x80\x80\x80", 1), Frames{"broken"});
}

TEST(Framer, holds_no_more_than_a_frame_and_gives_the_memory_back) {
    constexpr std::size_t limit = 4 << 20;
    Framer framer{limit};
    std::string line = "{" + std::string(limit - 1, 'x') + "\n";
    std::size_t most = 0;
    for (int round = 0; round < 3; ++round) {
        for (std::string_view rest = line; !rest.empty();) {
            const auto space = framer.space();
            const std::size_t count = std::min(space.size(), rest.size());
            std::memcpy(space.data(), rest.data(), count);
            framer.commit(count);
            rest.remove_prefix(count);
            most = std::max(most, framer.capacity());
            const Frame frame = framer.next();
            ASSERT_EQ(std::holds_alternative<NeedMore>(frame), !rest.empty());
        }
    }
    EXPECT_LE(most, limit + (256U << 10));
    static_cast<void>(framer.space());
    EXPECT_LE(framer.capacity(), 128U << 10);
}

} // namespace
} // namespace weft
