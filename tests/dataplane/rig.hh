// A whole dataplane in a test: real workers, tables and devices, without root or huge pages.
// Packets come and go through rings that the test holds the other ends of, or through files.
#pragma once

#include "dataplane/dataplane.hh"
#include "tests/support/packets.hh"

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct rte_ring;

namespace weft::test {

/// The test's end of a net_ring device: what is put in, the switch receives; what it sends is taken
/// out.
class RingEnd {
public:
    explicit RingEnd(std::size_t rx_queues = 1, std::size_t tx_queues = 1, unsigned size = 1'024);
    ~RingEnd();
    RingEnd(const RingEnd&) = delete;
    RingEnd& operator=(const RingEnd&) = delete;

    /// Device arguments for a port row.
    const std::string& devargs() const noexcept { return devargs_; }
    void put(const Bytes& packet, std::size_t queue = 0);
    void put(const PacketSpec& packet, std::size_t queue = 0) { put(packet.bytes(), queue); }
    /// Any buffer, of whatever chain; the ring's then.
    void put_buffer(rte_mbuf* buffer, std::size_t queue = 0);
    /// A packet in segments of these sizes, of this end's pool.
    rte_mbuf* segmented(const Bytes& packet, std::vector<std::size_t> sizes);
    rte_mempool* pool() noexcept { return pool_; }
    /// What was sent so far, in order over the queues. Frees it.
    std::vector<Bytes> take();
    /// The same as buffers, which the caller frees.
    std::vector<rte_mbuf*> take_buffers();
    std::size_t waiting() const;
    bool all_read() const;

private:
    std::vector<rte_ring*> rx_, tx_;
    rte_mempool* pool_;
    std::string devargs_;
};

/// A dataplane with one bridge "main". Its rings are declared before it.
class Rig {
public:
    explicit Rig(DataplaneConfig config = {});
    ~Rig();

    /// A port row and its device, once that is open or has failed.
    PortId port(std::string_view name, const std::string& devargs, PortDevice device = {});
    PortId port(std::string_view name, RingEnd& ring, PortDevice device = {}) {
        rings_.push_back(&ring);
        return port(name, ring.devargs(), std::move(device));
    }
    /// The same without waiting.
    PortId begin_port(std::string_view name, const std::string& devargs, PortDevice device = {});
    /// The row goes; the device follows.
    void erase_port(PortId port);
    Rig& flow(
        std::uint32_t priority,
        std::string_view match,
        std::string_view actions,
        std::uint32_t table = 0
    );
    const World& commit();
    std::shared_ptr<const Program> program(std::string_view actions);
    std::uint64_t packet_out(PortId ingress, std::string_view actions, const Bytes& packet);

    /// Runs the control thread's part until `done`; fails the test after a very long time.
    void until(
        const std::function<bool()>& done,
        const char* file = __builtin_FILE(),
        int line = __builtin_LINE()
    );
    /// Until everything that was put in has come out somewhere and nothing moves any more.
    void until_quiet();
    void until_closed(PortId port);
    PortInfo info(PortId port) { return dataplane->port_info(port).value_or(PortInfo{}); }

    WorkerStats stats(std::size_t worker) const { return dataplane->worker_stats(worker); }
    /// Over all workers.
    WorkerStats all() const;
    std::uint64_t dropped(Drop reason) const;
    /// The books of every worker close, and nothing is held.
    void expect_closed_books(bool nothing_held = true) const;

    // Declared in the order of their lives.
    std::unique_ptr<Dataplane> dataplane;
    std::unique_ptr<Tables> tables;
    std::vector<DataplaneEvent> events;   // everything that was told, in order
    std::map<PortId, std::string> states; // the last that was told

    template <class Event>
    std::vector<const Event*> told() const {
        std::vector<const Event*> found;
        for (const DataplaneEvent& event : events)
            if (const auto* one = std::get_if<Event>(&event))
                found.push_back(one);
        return found;
    }

private:
    void handle(DataplaneEvent& event);

    std::vector<RingEnd*> rings_; // may hold copies of the workers' pools
};

/// A folder that goes with the test.
class TemporaryFolder {
public:
    TemporaryFolder();
    ~TemporaryFolder();
    std::string operator/(std::string_view name) const { return path_ / name; }

private:
    std::filesystem::path path_;
};

/// Distinct packets: UDP, `count` of them, of `bytes` each, numbered in their source ports from
/// `first`.
std::vector<Bytes> numbered(std::size_t count, std::size_t bytes = 64, std::size_t first = 1'000);
/// Writes them to a capture file.
std::string write_capture(const std::string& path, const std::vector<Bytes>& packets);
std::vector<Bytes> read_capture(const std::string& path);

} // namespace weft::test
