#include "tests/dataplane/rig.hh"

#include "base/check.hh"
#include "control/language/language.hh"
#include "tests/dataplane/seen_by_tsan.hh"
#include "tests/support/pcap_file.hh"

#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_ring.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

namespace weft::test {

namespace {

std::atomic<unsigned> serial{0};

// No more than a test has under way: making and freeing pools is most of a test's time under the
// thread sanitizer.
constexpr unsigned end_buffers = 4'096;
constexpr std::uint32_t worker_buffers = 2'048;

std::string unique(const std::string& stem) {
    return stem + std::to_string(serial.fetch_add(1));
}

/// Rings may be made before the first dataplane of the process.
void start_dpdk() {
    static const bool started = Dataplane::start(with_seen_pools({})).has_value();
    check(started);
}

} // namespace

RingEnd::RingEnd(std::size_t rx_queues, std::size_t tx_queues, unsigned size) {
    start_dpdk();
    for (std::size_t i = 0; i < rx_queues; ++i)
        rx_.push_back(rte_ring_create(unique("test_rx").c_str(), 4'096, SOCKET_ID_ANY, 0));
    for (std::size_t i = 0; i < tx_queues; ++i)
        tx_.push_back(rte_ring_create(unique("test_tx").c_str(), size, SOCKET_ID_ANY, 0));
    pool_ = rte_pktmbuf_pool_create(
        unique("test_pool").c_str(), end_buffers, 0, 0, 2'176, SOCKET_ID_ANY
    );
    check(rx_.back() != nullptr && tx_.back() != nullptr && pool_ != nullptr);
    const std::string name = unique("test");
    const int id = rte_eth_from_rings(
        name.c_str(),
        rx_.data(),
        static_cast<unsigned>(rx_queues),
        tx_.data(),
        static_cast<unsigned>(tx_queues),
        0
    );
    check(id >= 0);
    watch_device(static_cast<std::uint16_t>(id), rx_queues, tx_queues);
    devargs_ = "net_ring_" + name;
}

RingEnd::~RingEnd() {
    take();
    for (rte_ring* ring : rx_) {
        void* left = nullptr;
        while (rte_ring_dequeue(ring, &left) == 0)
            rte_pktmbuf_free(static_cast<rte_mbuf*>(left));
        rte_ring_free(ring);
    }
    for (rte_ring* ring : tx_)
        rte_ring_free(ring);
    // Nothing of it may be lost, wherever the packets went.
    EXPECT_EQ(rte_mempool_avail_count(pool_), end_buffers) << "buffers leaked";
    rte_mempool_free(pool_);
}

void RingEnd::put(const Bytes& packet, std::size_t queue) {
    std::vector<std::size_t> sizes;
    for (std::size_t left = packet.size(); left > 0 || sizes.empty();) {
        sizes.push_back(std::min<std::size_t>(left, 2'048));
        left -= sizes.back();
    }
    put_buffer(segmented(packet, sizes), queue);
}

rte_mbuf* RingEnd::segmented(const Bytes& packet, std::vector<std::size_t> sizes) {
    rte_mbuf* head = nullptr;
    rte_mbuf* last = nullptr;
    std::size_t at = 0;
    for (const std::size_t size : sizes) {
        rte_mbuf* const next = rte_pktmbuf_alloc(pool_);
        check(next != nullptr && at + size <= packet.size());
        if (size != 0)
            std::memcpy(rte_pktmbuf_mtod(next, std::byte*), packet.data() + at, size);
        next->data_len = static_cast<std::uint16_t>(size);
        at += size;
        if (head == nullptr)
            head = next;
        else
            last->next = next;
        last = next;
    }
    head->pkt_len = static_cast<std::uint32_t>(packet.size());
    head->nb_segs = static_cast<std::uint16_t>(sizes.size());
    return head;
}

void RingEnd::put_buffer(rte_mbuf* buffer, std::size_t queue) {
    gives(buffer);
    check(rte_ring_enqueue(rx_[queue], buffer) == 0);
}

std::vector<rte_mbuf*> RingEnd::take_buffers() {
    std::vector<rte_mbuf*> taken;
    for (rte_ring* ring : tx_) {
        void* packet = nullptr;
        while (rte_ring_dequeue(ring, &packet) == 0) {
            taken.push_back(static_cast<rte_mbuf*>(packet));
            got(taken.back());
        }
    }
    return taken;
}

std::vector<Bytes> RingEnd::take() {
    std::vector<Bytes> taken;
    for (rte_mbuf* const buffer : take_buffers()) {
        Bytes bytes;
        for (const rte_mbuf* at = buffer; at != nullptr; at = at->next) {
            const auto* from = rte_pktmbuf_mtod(at, const std::byte*);
            bytes.insert(bytes.end(), from, from + at->data_len);
        }
        EXPECT_EQ(bytes.size(), buffer->pkt_len);
        taken.push_back(std::move(bytes));
        rte_pktmbuf_free(buffer);
    }
    return taken;
}

std::size_t RingEnd::waiting() const {
    std::size_t count = 0;
    for (const rte_ring* ring : tx_)
        count += rte_ring_count(ring);
    return count;
}

bool RingEnd::all_read() const {
    return std::all_of(rx_.begin(), rx_.end(), [](const rte_ring* ring) {
        return rte_ring_empty(ring) != 0;
    });
}

Rig::Rig(DataplaneConfig config) {
    if (config.worker_buffers == DataplaneConfig{}.worker_buffers)
        config.worker_buffers = worker_buffers;
    auto started = Dataplane::start(with_seen_pools(std::move(config)));
    if (!started)
        ADD_FAILURE() << started.error().what;
    dataplane = std::move(*started);
    tables = std::make_unique<Tables>(TableLimits{}, dataplane->workers(), *dataplane, 42);
    dataplane->attach(*tables);
    commit();
}

Rig::~Rig() {
    dataplane->stop();
    expect_closed_books();
    for (RingEnd* ring : rings_)
        ring->take();
    tables.reset();
}

PortId Rig::begin_port(std::string_view name, const std::string& devargs, PortDevice device) {
    const PortId id = tables->port_id(BridgeId::main, name).value();
    tables->set_port(id, {});
    commit();
    device.devargs = devargs;
    states[id].clear();
    dataplane->open_port(id, device);
    return id;
}

PortId Rig::port(std::string_view name, const std::string& devargs, PortDevice device) {
    const PortId id = begin_port(name, devargs, std::move(device));
    until([&] { return !states[id].empty(); });
    return id;
}

void Rig::erase_port(PortId port) {
    tables->erase_port(port);
    commit();
    dataplane->close_port(port);
}

Rig& Rig::flow(
    std::uint32_t priority, std::string_view match, std::string_view actions, std::uint32_t table
) {
    const auto parsed_match = parse_match(match);
    const auto parsed_actions = parse_actions(actions);
    EXPECT_TRUE(parsed_match) << match;
    EXPECT_TRUE(parsed_actions) << actions;
    const auto rule = tables->insert_rule({
        .table = tables->table_id(BridgeId::main, table).value(),
        .priority = priority,
        .match = *parsed_match,
        .actions = *parsed_actions,
    });
    EXPECT_TRUE(rule);
    commit();
    return *this;
}

const World& Rig::commit() {
    const World& world = tables->commit();
    dataplane->publish(world);
    return world;
}

std::shared_ptr<const Program> Rig::program(std::string_view actions) {
    auto program = tables->compile(BridgeId::main, parse_actions(actions).value());
    commit();
    return program;
}

std::uint64_t Rig::packet_out(PortId ingress, std::string_view actions, const Bytes& packet) {
    return dataplane->packet_out(ingress, BridgeId::main, program(actions), packet);
}

void Rig::handle(DataplaneEvent& event) {
    if (const auto* changed = std::get_if<PortChanged>(&event)) {
        states[changed->port] = changed->info.state;
        tables->set_link(changed->port, changed->info.link_up);
    }
    events.push_back(std::move(event));
    // Pointers in it are good inside this call only.
    if (auto* punted = std::get_if<Punted>(&events.back()))
        punted->spec = nullptr;
}

void Rig::until(const std::function<bool()>& done, const char* file, int line) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds{60};
    for (;;) {
        dataplane->poll([this](DataplaneEvent& event) { handle(event); });
        if (done())
            return;
        if (std::chrono::steady_clock::now() > deadline) {
            ADD_FAILURE_AT(file, line) << "waited in vain";
            return;
        }
        pollfd fd{.fd = dataplane->event_fd(), .events = POLLIN, .revents = 0};
        ::poll(&fd, 1, 1);
    }
}

void Rig::until_quiet() {
    until([this] { return dataplane->idle(); });
}

void Rig::until_closed(PortId port) {
    until([&] { return states[port] == "closed"; });
}

WorkerStats Rig::all() const {
    WorkerStats sum;
    for (std::size_t i = 0; i < dataplane->workers(); ++i) {
        const WorkerStats one = stats(i);
        sum.received += one.received;
        sum.made += one.made;
        sum.sent += one.sent;
        sum.taken += one.taken;
        sum.held += one.held;
        for (std::size_t reason = 0; reason < drop_count; ++reason)
            sum.dropped[reason] += one.dropped[reason];
    }
    return sum;
}

std::uint64_t Rig::dropped(Drop reason) const {
    return all().dropped[static_cast<std::size_t>(reason)];
}

void Rig::expect_closed_books(bool nothing_held) const {
    for (std::size_t i = 0; i < dataplane->workers(); ++i) {
        const WorkerStats of = stats(i);
        std::uint64_t dropped_sum = 0;
        for (const std::uint64_t count : of.dropped)
            dropped_sum += count;
        EXPECT_EQ(of.received + of.made, of.sent + dropped_sum + of.taken + of.held)
            << "worker " << i;
        EXPECT_EQ(of.dropped[0], 0u) << "dropped for no reason";
        EXPECT_TRUE(of.held == 0 || !nothing_held) << "worker " << i << " holds " << of.held;
    }
}

TemporaryFolder::TemporaryFolder() {
    std::string path = std::filesystem::temp_directory_path() / "weft-test-XXXXXX";
    check(mkdtemp(path.data()) != nullptr);
    path_ = path;
}

TemporaryFolder::~TemporaryFolder() {
    std::error_code none;
    std::filesystem::remove_all(path_, none);
}

std::vector<Bytes> numbered(std::size_t count, std::size_t bytes, std::size_t first) {
    std::vector<Bytes> packets;
    for (std::size_t i = 0; i < count; ++i)
        packets.push_back(
            udp("10.0.0.1:" + std::to_string(first + i) + " > 10.0.0.2:53").size(bytes).bytes()
        );
    return packets;
}

std::string write_capture(const std::string& path, const std::vector<Bytes>& packets) {
    PcapFile file;
    for (const Bytes& packet : packets)
        file.packets.push_back({.bytes = packet});
    EXPECT_TRUE(write_pcap(path, file));
    return path;
}

std::vector<Bytes> read_capture(const std::string& path) {
    auto file = read_pcap(path);
    EXPECT_TRUE(file) << path;
    std::vector<Bytes> packets;
    if (file)
        for (PcapPacket& packet : file->packets)
            packets.push_back(std::move(packet.bytes));
    return packets;
}

} // namespace weft::test
