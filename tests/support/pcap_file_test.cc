#include "tests/support/packets.hh"
#include "tests/support/pcap_file.hh"

#include <gtest/gtest.h>

#include <fstream>

namespace weft::test {

namespace {

std::filesystem::path scratch(const char* name) {
    return std::filesystem::path{testing::TempDir()} / name;
}

class PcapFileForms : public testing::TestWithParam<std::pair<bool, bool>> {};

TEST_P(PcapFileForms, reads_back_what_was_written) {
    PcapFile file;
    file.big_endian = GetParam().first;
    file.nanoseconds = GetParam().second;
    file.packets = {
        {1'700'000'000'123'456'000, udp("10.0.0.1:5 > 10.0.0.2:53").payload("hello").bytes(), 47},
        {1'700'000'001'000'001'000, {}, 1'514},
    };
    const auto path = scratch("forms.pcap");
    const auto written = write_pcap(path, file);
    ASSERT_TRUE(written) << written.error().what;
    EXPECT_EQ(*written, 2u);
    const auto back = read_pcap(path);
    ASSERT_TRUE(back) << back.error().what;
    EXPECT_EQ(back->big_endian, file.big_endian);
    EXPECT_EQ(back->nanoseconds, file.nanoseconds);
    EXPECT_EQ(back->link_type, PcapFile::ethernet);
    ASSERT_EQ(back->packets.size(), 2u);
    for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(back->packets[i].time_ns, file.packets[i].time_ns);
        EXPECT_EQ(back->packets[i].bytes, file.packets[i].bytes);
        EXPECT_EQ(back->packets[i].original_bytes, file.packets[i].original_bytes);
    }
}

INSTANTIATE_TEST_SUITE_P(
    all,
    PcapFileForms,
    testing::Values(
        std::pair{false, false},
        std::pair{false, true},
        std::pair{true, false},
        std::pair{true, true}
    )
);

TEST(PcapFile, a_file_that_is_none_is_refused_with_a_reason) {
    const auto path = scratch("none.pcap");
    EXPECT_FALSE(read_pcap(scratch("absent.pcap")));
    std::ofstream{path} << "this is twenty-four bytes long";
    EXPECT_NE(read_pcap(path).error().what.find("classic pcap"), std::string::npos);
    PcapFile file;
    file.packets = {{0, Bytes(60), 60}};
    ASSERT_TRUE(write_pcap(path, file));
    std::filesystem::resize_file(path, 24 + 16 + 59);
    EXPECT_NE(read_pcap(path).error().what.find("inside record 1"), std::string::npos);
}

TEST(ChecksumsOk, finds_each_wrong_sum) {
    Bytes bytes = udp("10.0.0.1:5 > 10.0.0.2:53").bytes();
    EXPECT_TRUE(checksums_ok(bytes));
    bytes[22] = std::byte{1}; // ttl
    EXPECT_STREQ(checksums_ok(bytes).message(), "ip4 checksum is 66cf and should be a5cf");
    EXPECT_FALSE(checksums_ok(tcp("[fd00::1]:5 > [fd00::2]:53").wrong_checksum().bytes()));
    EXPECT_FALSE(checksums_ok(sctp("10.0.0.1:5 > 10.0.0.2:53").wrong_checksum().bytes()));
    EXPECT_FALSE(checksums_ok(icmp("10.0.0.1 > 10.0.0.2").vlan(3).wrong_checksum().bytes()));
}

} // namespace

} // namespace weft::test
