// What the workers' loop promises: it takes nothing from the heap, whatever packets and control ask
// of it. This program's operator new counts what workers ask for.
#include "control/language/language.hh"
#include "tests/dataplane/rig.hh"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <new>
#include <pthread.h>

namespace {

std::atomic<std::uint64_t> allocations_of_workers{0};

bool is_worker() noexcept {
    char name[16] = "";
    return pthread_getname_np(pthread_self(), name, sizeof name) == 0 &&
           std::strncmp(name, "worker-", 7) == 0;
}

void* allocate(std::size_t bytes, std::size_t alignment) {
    if (is_worker())
        allocations_of_workers.fetch_add(1, std::memory_order_relaxed);
    const std::size_t whole = (bytes + alignment - 1) / alignment * alignment;
    if (void* memory = std::aligned_alloc(alignment, whole == 0 ? alignment : whole))
        return memory;
    throw std::bad_alloc{};
}

} // namespace

void* operator new(std::size_t bytes) {
    return allocate(bytes, alignof(std::max_align_t));
}
void* operator new[](std::size_t bytes) {
    return allocate(bytes, alignof(std::max_align_t));
}
void* operator new(std::size_t bytes, std::align_val_t alignment) {
    return allocate(bytes, static_cast<std::size_t>(alignment));
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete[](void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::align_val_t) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t, std::align_val_t) noexcept {
    std::free(memory);
}

namespace weft::test {
namespace {

TEST(Loop, takes_nothing_from_the_heap_whatever_packets_and_control_ask) {
    RingEnd a{2, 1}, b;
    Rig rig{{.workers = 2}};
    const PortId p1 = rig.port("p1", a, {.queues = 2});
    rig.port("p2", b);
    rig.tables->set_group(
        BridgeId::main,
        rig.tables->group_id(BridgeId::main, 1).value(),
        {.type = GroupType::all,
         .buckets =
             {{.actions = parse_actions("output(\"p2\");").value()},
              {.actions = parse_actions("ip.ttl--; output(\"p2\");").value()}}}
    );
    rig.flow(1, "1", "output(normal);");
    rig.flow(9, "udp.src == 1000", "controller(); output(\"p2\");");
    rig.flow(9, "udp.src == 1001", "clone { vlan.push(0x8100); output(\"p2\"); } group(1);");
    rig.flow(9, "udp.src == 1002", "call(0);");
    const std::uint64_t at_start = allocations_of_workers.load();
    EXPECT_GT(at_start, 0u) << "nothing is counted";
    for (int round = 0; round < 50; ++round) {
        for (const Bytes& packet : numbered(20)) {
            a.put(packet, 0);
            a.put(packet, 1);
        }
        rig.packet_out(p1, "output(flood);", numbered(1)[0]);
        rig.dataplane->trace(p1, BridgeId::main, numbered(1)[0]);
        rig.flow(static_cast<std::uint32_t>(10 + round), "arp", "drop;"); // a generation
        rig.until([&] { return rig.all().received == 40u * (static_cast<unsigned>(round) + 1); });
        b.take();
    }
    rig.until_quiet();
    EXPECT_GT(rig.all().sent, 2'000u);
    EXPECT_GT(rig.all().taken, 0u);
    EXPECT_EQ(allocations_of_workers.load(), at_start);
}

} // namespace
} // namespace weft::test
