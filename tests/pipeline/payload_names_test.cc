#include "pipeline/name_pattern.hh"
#include "pipeline/parse.hh"
#include "pipeline/payload_names.hh"
#include "tests/support/naive_names.hh"
#include "tests/support/name_payloads.hh"
#include "tests/support/pcap_file.hh"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>

namespace weft {

namespace {

using namespace std::string_literals;
using test::asking;
using test::client_hello;
using test::dns_query;
using test::HelloSpec;
using test::http_request;
using test::NaiveName;
using test::OwnedPacket;
using test::PacketSpec;

constexpr auto sni = FieldId::tls_sni;
constexpr auto host = FieldId::http_host;
constexpr auto qname = FieldId::dns_qname;

/// "tls.sni www.example.com", or "" where there is none; what the naive reading says is the same.
std::string name_in(OwnedPacket packet) {
    FlowKey key;
    if (parse(packet.packet, PortNumber{1}, Depth{}, key) != Drop::none)
        return "dropped";
    PayloadName found;
    found.text.fill('?');
    find_payload_name(packet.packet, key.shape(), found);
    const auto naive = test::naive_name(packet.packet, key.shape());
    EXPECT_EQ(naive.has_value(), found.present());
    if (!found.present())
        return "";
    EXPECT_EQ(*naive, (NaiveName{found.field, std::string{found.view()}}));
    return std::string{info(found.field).name} + " " + std::string{found.view()};
}

std::string name_in(const PacketSpec& packet) {
    return name_in(OwnedPacket{packet});
}

PacketSpec to_443(const std::string& payload) {
    return test::tcp("10.0.0.1:5000 > 10.0.0.2:443").payload(payload);
}
PacketSpec to_53(const std::string& payload) {
    return test::udp("10.0.0.1:5000 > 10.0.0.2:53").payload(payload);
}
std::string hello_with(const HelloSpec& spec) {
    return name_in(to_443(client_hello(spec)));
}
std::string request(const std::string& text) {
    return name_in(to_443(text));
}
std::string query(const std::string& bytes) {
    return name_in(to_53(bytes));
}
std::string repeated(std::string_view what, int times) {
    std::string out;
    for (int i = 0; i < times; ++i)
        out += what;
    return out;
}

} // namespace

TEST(PayloadNames, are_found_in_what_clients_send) {
    EXPECT_EQ(name_in(asking(sni, "www.example.com")), "tls.sni www.example.com");
    EXPECT_EQ(name_in(asking(host, "www.example.com")), "http.host www.example.com");
    EXPECT_EQ(name_in(asking(qname, "www.example.com")), "dns.qname www.example.com");
}

TEST(PayloadNames, are_found_over_ip6_and_behind_tags_and_options) {
    PacketSpec six = test::tcp("[fd00::1]:5000 > [fd00::2]:443").payload(client_hello("a.example"));
    EXPECT_EQ(name_in(six.vlan(5)), "tls.sni a.example");
    PacketSpec options =
        to_53(dns_query("a.example")).ip_options(test::hex_bytes("01 01 01 01")).qinq(5, 6);
    EXPECT_EQ(name_in(options), "dns.qname a.example");
}

TEST(PayloadNames, are_in_lower_case_and_without_the_last_dot) {
    EXPECT_EQ(name_in(asking(sni, "WWW.Example.COM")), "tls.sni www.example.com");
    EXPECT_EQ(name_in(asking(sni, "www.example.com.")), "tls.sni www.example.com");
    EXPECT_EQ(name_in(asking(host, "WWW.example.com.")), "http.host www.example.com");
    EXPECT_EQ(name_in(asking(qname, "wWw.eXample.com")), "dns.qname www.example.com");
}

TEST(PayloadNames, of_packets_without_payload_or_of_other_protocols_are_absent) {
    EXPECT_EQ(name_in(test::tcp("10.0.0.1:1 > 10.0.0.2:443").syn()), "");
    EXPECT_EQ(name_in(test::udp("10.0.0.1:1 > 10.0.0.2:53")), "");
    EXPECT_EQ(name_in(test::icmp("10.0.0.1 > 10.0.0.2")), "");
    EXPECT_EQ(name_in(test::arp_request("10.0.0.1 > 10.0.0.2")), "");
    EXPECT_EQ(
        name_in(test::udp("10.0.0.1:1 > 10.0.0.2:443").payload(client_hello("a.example"))), ""
    );
    EXPECT_EQ(name_in(test::tcp("10.0.0.1:1 > 10.0.0.2:53").payload(dns_query("a.example"))), "");
}

TEST(PayloadNames, sni_and_host_are_found_at_any_port_and_qname_at_53_alone) {
    const auto at = [](PacketSpec packet, const std::string& payload) {
        return name_in(packet.payload(payload));
    };
    EXPECT_EQ(at(test::tcp("10.0.0.1:1 > 10.0.0.2:8443"), client_hello("a.b")), "tls.sni a.b");
    EXPECT_EQ(at(test::tcp("10.0.0.1:1 > 10.0.0.2:8080"), http_request("a.b")), "http.host a.b");
    EXPECT_EQ(at(test::udp("10.0.0.1:1 > 10.0.0.2:5353"), dns_query("a.b")), "");
    EXPECT_EQ(at(test::udp("10.0.0.1:53 > 10.0.0.2:1"), dns_query("a.b")), "");
}

TEST(PayloadNames, of_later_fragments_are_absent) {
    EXPECT_EQ(name_in(asking(qname, "a.example").fragment(0, true)), "dns.qname a.example");
    EXPECT_EQ(name_in(asking(qname, "a.example").fragment(800, false)), "");
}

TEST(PayloadNames, bytes_behind_the_ip_packet_do_not_count) {
    PacketSpec packet = to_443("GET / HTTP/1.1\r\nHost: a.example\r\n");
    EXPECT_EQ(name_in(packet), "http.host a.example");
    EXPECT_EQ(name_in(packet.say_ip_bytes(20 + 20 + 30)), "");
}

// -- TLS

TEST(PayloadNames, a_hello_may_have_no_server_name_or_another_kind_of_it) {
    EXPECT_EQ(hello_with({.names = {}}), "");
    EXPECT_EQ(hello_with({.names = {{1, "a.example"}}}), "");
    EXPECT_EQ(hello_with({.names = {{1, "x.example"}, {0, "a.example"}}}), "tls.sni a.example");
    EXPECT_EQ(hello_with({.names = {{0, "a.example"}, {0, "b.example"}}}), "tls.sni a.example");
    EXPECT_EQ(hello_with({.names = {{0, ""}}}), "");
    EXPECT_EQ(hello_with({.names = {{0, "a..example"}}}), "");
    EXPECT_EQ(hello_with({.names = {{0, ".example"}}}), "");
    EXPECT_EQ(
        hello_with({.names = {{0, repeated("a.", 126) + "b"}}}),
        "tls.sni " + repeated("a.", 126) + "b"
    );
    EXPECT_EQ(hello_with({.names = {{0, repeated("a.", 126) + "bc"}}}), "");
}

TEST(PayloadNames, other_records_and_messages_are_no_hello) {
    EXPECT_EQ(hello_with({.names = {{0, "a.b"}}, .record = 23}), "");
    EXPECT_EQ(hello_with({.names = {{0, "a.b"}}, .message = 2}), "");
    EXPECT_EQ(hello_with({.names = {{0, "a.b"}}, .version = 0x0201}), "");
    EXPECT_EQ(hello_with({.names = {{0, "a.b"}}, .version = 0x0303}), "tls.sni a.b");
}

TEST(PayloadNames, of_a_hello_that_goes_on_in_another_packet_is_found_where_it_is_whole) {
    const std::string hello = client_hello("www.example.com");
    const std::size_t end = hello.find("www.example.com") + std::string{"www.example.com"}.size();
    for (std::size_t bytes = 0; bytes <= hello.size(); ++bytes)
        EXPECT_EQ(
            name_in(to_443(hello.substr(0, bytes))), bytes < end ? "" : "tls.sni www.example.com"
        ) << bytes;
}

TEST(PayloadNames, beyond_the_first_1500_bytes_of_payload_are_absent) {
    const auto with = [](std::size_t before) {
        const HelloSpec spec{
            .names = {{0, "a.example"}}, .before = {{0x0015, std::string(before, '\0')}}};
        return client_hello(spec);
    };
    const std::size_t around = with(0).find("a.example") + std::string{"a.example"}.size();
    EXPECT_EQ(name_in(to_443(with(1500 - around))), "tls.sni a.example");
    EXPECT_EQ(name_in(to_443(with(1501 - around))), "");
}

// -- HTTP

TEST(PayloadNames, hosts_are_read_without_port_and_blanks) {
    const auto host_line = [](const std::string& line) {
        return request("POST /a b HTTP/1.0\n" + line + "\n\n");
    };
    EXPECT_EQ(host_line("Host: a.example:8080"), "http.host a.example");
    EXPECT_EQ(host_line("hOST:\t a.example \t\r"), "http.host a.example");
    EXPECT_EQ(host_line("Host:10.0.0.2"), "http.host 10.0.0.2");
    EXPECT_EQ(host_line("Host:"), "");
    EXPECT_EQ(host_line("Host : a.example"), "");
    EXPECT_EQ(host_line("X-Host: a.example"), "");
    EXPECT_EQ(host_line("A: b\nHost: a.example\nHost: b.example"), "http.host a.example");
    EXPECT_EQ(host_line("\nHost: a.example"), "") << "of the body";
    EXPECT_EQ(host_line("Host: [fd00::1]:80"), "") << "no name";
}

TEST(PayloadNames, only_requests_of_http_1_have_hosts) {
    EXPECT_EQ(request("HTTP/1.1 200 OK\r\nHost: a.example\r\n\r\n"), "");
    EXPECT_EQ(request("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nHost: a.example\r\n"), "");
    EXPECT_EQ(request("get / HTTP/1.1\r\nHost: a.example\r\n\r\n"), "");
    EXPECT_EQ(request("GET  HTTP/1.1\r\nHost: a.example\r\n\r\n"), "");
    EXPECT_EQ(request("GET / HTTP/1.\r\nHost: a.example\r\n\r\n"), "");
    EXPECT_EQ(request("SSH-2.0-OpenSSH_9.2\r\nHost: a.example\r\n"), "");
    EXPECT_EQ(request("ABCDEFGHIJKLMNOP / HTTP/1.1\nHost: a.example\n"), "http.host a.example");
    EXPECT_EQ(request("ABCDEFGHIJKLMNOPQ / HTTP/1.1\nHost: a.example\n"), "");
}

TEST(PayloadNames, hosts_that_are_cut_or_behind_64_lines_are_absent) {
    EXPECT_EQ(request("GET / HTTP/1.1\r\nHost: a.exam"), "");
    EXPECT_EQ(request("GET / HTTP/1.1\n" + repeated("A:b\n", 62) + "Host: a.b\n"), "http.host a.b");
    EXPECT_EQ(request("GET / HTTP/1.1\n" + repeated("A:b\n", 63) + "Host: a.b\n"), "");
}

// -- DNS

TEST(PayloadNames, only_whole_queries_with_one_question_have_names) {
    const std::string whole = dns_query("www.example.com");
    for (std::size_t bytes = 0; bytes < whole.size(); ++bytes)
        EXPECT_EQ(query(whole.substr(0, bytes)), "") << bytes;
    const auto with = [&](std::size_t at, char value) {
        std::string changed = whole;
        changed[at] = value;
        return query(changed);
    };
    EXPECT_EQ(with(2, '\x81'), "") << "a response";
    EXPECT_EQ(with(2, '\x28'), "") << "an update";
    EXPECT_EQ(with(5, '\0'), "") << "no question";
    EXPECT_EQ(with(5, '\2'), "") << "two questions";
    EXPECT_EQ(with(11, '\1'), "dns.qname www.example.com") << "EDNS";
    EXPECT_EQ(query(dns_query("")), "") << "the root";
}

TEST(PayloadNames, compressed_and_endless_names_are_absent) {
    const std::string header = dns_query("").substr(0, 12), type_class = "\0\1\0\1"s;
    EXPECT_EQ(query(header + "\xc0\x0c" + type_class), "") << "a pointer to itself";
    EXPECT_EQ(query(header + "\1a\xc0\x0c" + type_class), "");
    EXPECT_EQ(query(header + std::string(1, '\x40') + std::string(64, 'a') + type_class), "");
    EXPECT_EQ(
        query(dns_query(repeated("a.", 126) + "b")), "dns.qname " + repeated("a.", 126) + "b"
    );
    EXPECT_EQ(query(dns_query(repeated("a.", 127) + "b")), "");
    const std::string label(63, 'a');
    EXPECT_EQ(query(dns_query(label + "." + label)), "dns.qname " + label + "." + label);
}

TEST(PayloadNames, a_dot_inside_a_label_is_none_between_labels) {
    const std::string header = dns_query("").substr(0, 12), rest = "\0\0\1\0\1"s;
    EXPECT_EQ(
        query(header + "\x9" + "a.example" + rest),
        "dns.qname a\xff"
        "example"
    );
}

// -- both readings

TEST(PayloadNames, random_changes_are_read_as_the_naive_reading_does) {
    std::mt19937_64 random{1};
    const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    std::map<std::string, int> seen;
    for (int i = 0; i < 40'000; ++i) {
        const FieldId field = std::array{sni, host, qname}[below(3)];
        std::string payload = test::payload_for(field, "a.Example.com");
        for (std::size_t changes = below(4); changes > 0 && !payload.empty(); --changes) {
            const std::size_t at = below(payload.size());
            switch (below(4)) {
            case 0:
                payload[at] = static_cast<char>(random());
                break;
            case 1:
                payload[at] = static_cast<char>(payload[at] + (below(2) == 0 ? 1 : -1));
                break;
            case 2:
                payload.erase(at, below(3));
                break;
            default:
                payload.insert(at, std::string{".:\n\0 \xc0"s}.substr(below(6), 1));
                break;
            }
        }
        PacketSpec packet = field == qname ? to_53(payload) : to_443(payload);
        const test::Bytes bytes = packet.bytes();
        const std::size_t head =
            below(4) == 0 && bytes.size() > 256 ? 256 + below(bytes.size() - 256) : bytes.size();
        ++seen[name_in(OwnedPacket{bytes, head}).substr(0, 9)];
        if (testing::Test::HasFailure())
            FAIL() << "seed 1, packet " << i;
    }
    for (const char* name : {"", "tls.sni a", "http.host", "dns.qname"})
        EXPECT_GT(seen[name], 2'000) << name;
}

// The counts are those of another reader (Scapy).
TEST(PayloadNames, of_real_captures_are_found) {
    if (test::shared_pcaps().empty())
        GTEST_SKIP() << "no captures here";
    std::map<std::string, std::size_t> packets;
    std::map<std::string, std::set<std::string>> names;
    for (const char* file : {"tls.pcap", "4KHttpRequests.pcap", "DnsPackets.pcap"}) {
        const auto captured = test::read_pcap(test::shared_pcap(file));
        ASSERT_TRUE(captured) << file;
        for (const test::PcapPacket& packet : captured->packets)
            if (const std::string name = name_in(OwnedPacket{packet.bytes}); !name.empty()) {
                ++packets[file];
                names[file].insert(name);
            }
    }
    EXPECT_EQ(packets["tls.pcap"], 3u);
    EXPECT_TRUE(names["tls.pcap"].contains("tls.sni ssl.gstatic.com"));
    EXPECT_EQ(packets["4KHttpRequests.pcap"], 385u);
    EXPECT_EQ(names["4KHttpRequests.pcap"].size(), 47u);
    EXPECT_EQ(packets["DnsPackets.pcap"], 216u);
    EXPECT_EQ(names["DnsPackets.pcap"].size(), 172u);
    EXPECT_TRUE(names["DnsPackets.pcap"].contains("dns.qname www.isc.org"));
}

} // namespace weft
