#include "dataplane/worker.hh"

#include "base/check.hh"
#include "base/hash.hh"
#include "dataplane/buffers.hh"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_lcore.h>
#include <rte_prefetch.h>
#include <rte_rcu_qsbr.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <ctime>
#include <pthread.h>
#include <sched.h>
#include <sys/prctl.h>

namespace weft {

namespace {

constexpr std::uint32_t idle_turns_max = 4'096; // without a packet, before the first nap
constexpr std::uint32_t nap_us_first = 20;
constexpr std::uint32_t nap_us_max = 1'000;
constexpr unsigned commands_a_turn = 8;

void run_on(unsigned core) {
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(core, &set);
    pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

} // namespace

/// A small direct-mapped memory of what was reported, so that a flood from one address is one
/// record and not millions. An entry counts for `again_ms` of real time, whatever the switch's
/// clock does.
struct Worker::Seen {
    static constexpr std::size_t size = 1'024;
    static constexpr std::uint64_t again_ms = 100;
    struct Entry {
        std::uint64_t hash = 0;
        std::uint64_t tsc = 0;
    };
    std::array<Entry, size> entries;

    bool is_new(const Learned& learned, std::uint64_t tsc, std::uint64_t tsc_per_ms) noexcept {
        WordHash hash{0x5eed};
        hash.add(learned.mac << 16 | learned.vlan);
        hash.add(
            std::uint64_t{static_cast<std::uint32_t>(learned.port)} << 16 | index(learned.bridge)
        );
        Entry& entry = entries[hash.value() >> 54];
        if (entry.hash == hash.value() && tsc - entry.tsc < again_ms * tsc_per_ms)
            return false;
        entry = {hash.value(), tsc};
        return true;
    }
};

Worker::Worker(const Settings& settings, WorkersShared& shared, std::latch& ready)
    : settings_{settings},
      shared_{shared},
      plan_{new Plan},
      transmit_{settings.pool, reports_, settings.punt_rate},
      thread_{[this, &ready] { run(ready); }} {}

Worker::~Worker() {
    join();
    delete plan_.load();
}

void Worker::join() {
    if (thread_.joinable())
        thread_.join();
}

void Worker::attach(WorkerCounters& counters, std::size_t number) {
    pipeline_.emplace(counters, number);
}

std::unique_ptr<Plan> Worker::exchange_plan(std::unique_ptr<Plan> plan) {
    return std::unique_ptr<Plan>{plan_.exchange(plan.release(), std::memory_order_seq_cst)};
}

void Worker::run(std::latch& ready) noexcept {
    run_on(settings_.core);
    pthread_setname_np(pthread_self(), ("worker-" + std::to_string(index(settings_.id))).c_str());
    prctl(PR_SET_TIMERSLACK, 1'000ul); // naps of some tens of microseconds
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, nullptr);
    // Memory that this core works on is touched by it first, and so lies on its node.
    burst_.reset(new Burst);
    seen_ = std::make_unique<Seen>();
    const auto id = static_cast<unsigned>(index(settings_.id));
    const bool ok =
        rte_thread_register() == 0 && rte_rcu_qsbr_thread_register(shared_.qsbr, id) == 0;
    if (ok)
        rte_rcu_qsbr_thread_online(shared_.qsbr, id);
    registered_.store(ok, std::memory_order_release);
    ready.count_down();
    if (ok) {
        last_tsc_ = rte_rdtsc();
        loop();
        drain();
        rte_rcu_qsbr_thread_offline(shared_.qsbr, id);
        rte_rcu_qsbr_thread_unregister(shared_.qsbr, id);
        asleep_.store(true, std::memory_order_seq_cst);
    } else {
        shared_.receiving.fetch_sub(1, std::memory_order_acq_rel);
    }
    rte_thread_unregister();
}

void Worker::loop() noexcept {
    const auto id = static_cast<unsigned>(index(settings_.id));
    while (!shared_.stop.load(std::memory_order_relaxed)) {
        Plan& plan = *plan_.load(std::memory_order_seq_cst);
        bool worked = false;
        if (const World* now = shared_.world.load(std::memory_order_seq_cst); now != nullptr) {
            if (generation_.load(std::memory_order_relaxed) != now->generation)
                generation_.store(now->generation, std::memory_order_seq_cst);
            for (RxQueue& queue : plan.rx)
                worked |= poll(queue, plan);
        }
        if (!plan.handover.empty())
            worked |= Transmit::drain(plan) != 0;
        worked |= housekeep(plan);
        passes_.add(1);
        rte_rcu_qsbr_quiescent(shared_.qsbr, id);
        const std::uint64_t tsc = rte_rdtsc(); // once a turn: a reading costs some 40 cycles
        const std::uint64_t took = tsc - last_tsc_;
        last_tsc_ = tsc;
        if (worked) {
            busy_cycles.add(took);
            idle_turns_ = 0;
            nap_us_ = nap_us_first;
        } else if (++idle_turns_ > idle_turns_max) {
            nap();
        }
    }
}

/// One queue, one burst, from the device to the devices.
bool Worker::poll(RxQueue& queue, Plan& plan) noexcept {
    const World& now = *shared_.world.load(std::memory_order_acquire);
    const PortView* const view = now.ports.find(index(queue.id));
    if (view == nullptr) // its row came or went, and the device's plan does not follow yet
        return false;
    const RxBudget::Share share = queue.port->budget.take(burst_max);
    if (share.packets == 0)
        return false;
    const std::uint16_t count =
        rte_eth_rx_burst(queue.ethdev, queue.queue, taken_.buffer.data(), share.packets);
    queue.port->budget.give_back(share, static_cast<std::uint16_t>(share.packets - count));
    if (count == 0) {
        empty_polls.add(1);
        return false;
    }
    now_ms_ = shared_.clock.at(last_tsc_);

    Burst& burst = *burst_;
    burst.count = take_in(count);
    account_.received += count;
    queue.counters->rx_packets.add(count);
    queue.counters->rx_bytes.add(taken_.bytes);
    burst.bridge = view->bridge;
    burst.ingress = queue.id;
    pipeline_->now_ms = now_ms_;
    decide(burst, now, *pipeline_);
    if (burst.learned_count != 0)
        report_learned();
    transmit_.run(burst, taken_, plan, now_ms_, account_);
    count_rules(burst, *pipeline_);
    ledger_.post(account_);
    bursts.add(1);
    return true;
}

/// Describes the packets in taken_.buffer to the pipeline, in order; what cannot keep the receive
/// guarantee is dropped by name. Returns how many lanes they make.
std::uint32_t Worker::take_in(std::uint32_t count) noexcept {
    Burst& burst = *burst_;
    std::uint64_t bytes = 0;
    std::uint32_t bytes_max = 0;
    std::uint64_t others = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        rte_mbuf* const buffer = taken_.buffer[i];
        rte_prefetch0(rte_pktmbuf_mtod(buffer, void*));
        Packet& packet = burst.packet[i];
        describe(buffer, packet);
        others |= differs_from_plain(*buffer);
        bytes += packet.bytes;
        bytes_max = std::max(bytes_max, packet.bytes);
    }
    taken_.bytes = bytes;
    taken_.bytes_max = bytes_max;
    taken_.as_received = true;
    burst.unfinished = others != 0;
    return others == 0 ? count : take_in_others(count);
}

/// The same where some of the buffers are not plain.
std::uint32_t Worker::take_in_others(std::uint32_t count) noexcept {
    std::uint32_t lane = 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        rte_mbuf* buffer = taken_.buffer[i];
        Packet& packet = burst_->packet[lane];
        if (differs_from_plain(*buffer) == 0) {
            describe(buffer, packet);
        } else {
            buffer = take_in_other(buffer, packet);
            taken_.as_received = taken_.as_received && buffer != nullptr && buffer->nb_segs == 1 &&
                                 packet.l4_checksum != Checksum::partial;
            if (buffer == nullptr)
                continue;
        }
        taken_.buffer[lane++] = buffer;
    }
    return lane;
}

/// The same for a buffer that is not plain. Null where its packet was dropped. What the device said
/// of the packet goes from the buffer, which will be sent, to the description.
rte_mbuf* Worker::take_in_other(rte_mbuf* buffer, Packet& packet) noexcept {
    bool malformed = false;
    if (!head_is_ready(*buffer))
        buffer = ready_head(buffer, settings_.pool, malformed);
    if (buffer == nullptr) {
        account_.drop(malformed ? Drop::malformed : Drop::no_buffers);
        return nullptr;
    }
    describe(buffer, packet);
    read_checksum_flags(*buffer, packet);
    buffer->ol_flags &= buffer_flags;
    return buffer;
}

void Worker::report_learned() noexcept {
    for (std::uint32_t i = 0; i < burst_->learned_count; ++i) {
        const Learned& learned = burst_->learned[i];
        if (reports_.half_full() || !seen_->is_new(learned, last_tsc_, shared_.clock.tsc_per_ms()))
            continue;
        Report report;
        report.kind = Report::Kind::learned;
        report.learned = learned;
        static_cast<void>(reports_.push(report)); // it may come again
    }
}

/// Control's commands, a bounded number a turn.
bool Worker::housekeep(Plan& plan) noexcept {
    Command command;
    unsigned done = 0;
    while (done < commands_a_turn && commands_.pop(command)) {
        ++done;
        const World* const now = shared_.world.load(std::memory_order_acquire);
        Report report;
        report.ticket = command.ticket;
        if (command.kind == Command::Kind::trace) {
            run_trace(command, now);
            report.kind = Report::Kind::trace_done;
        } else {
            run_packet_out(command, *now, plan);
            report.kind = Report::Kind::packet_out_done;
        }
        check(reports_.answer(report));
        commands_done.add(1);
    }
    return done != 0;
}

void Worker::run_packet_out(const Command& command, const World& now, Plan& plan) noexcept {
    now_ms_ = shared_.clock.at(rte_rdtsc());
    ++account_.made;
    if (now.bridges.find(index(command.bridge)) == nullptr) {
        rte_pktmbuf_free(command.packet);
        account_.drop(Drop::no_such_table);
        ledger_.post(account_);
        return;
    }
    Burst& burst = *burst_;
    taken_.buffer[0] = command.packet;
    burst.count = take_in(1);
    burst.bridge = command.bridge;
    burst.ingress = command.ingress;
    pipeline_->now_ms = now_ms_;
    process_with(burst, *command.actions, now, *pipeline_);
    if (burst.learned_count != 0)
        report_learned();
    transmit_.run(burst, taken_, plan, now_ms_, account_);
    ledger_.post(account_);
}

/// The code that live packets run, on bytes that nobody sends. Nothing is booked, counted or
/// learned.
void Worker::run_trace(const Command& command, const World* now) noexcept {
    if (now == nullptr || now->bridges.find(index(command.bridge)) == nullptr)
        return;
    TraceJob& job = *command.trace;
    Burst& burst = *burst_;
    const std::size_t bytes = job.memory.size() - job.headroom;
    burst.packet[0] = Packet{};
    burst.packet[0].data = job.memory.data() + job.headroom;
    burst.packet[0].bytes = static_cast<std::uint32_t>(bytes);
    burst.packet[0].head_bytes = static_cast<std::uint16_t>(std::min<std::size_t>(bytes, 0xffff));
    burst.packet[0].headroom_bytes = static_cast<std::uint16_t>(job.headroom);
    burst.count = 1;
    burst.unfinished = false;
    burst.bridge = command.bridge;
    burst.ingress = command.ingress;
    pipeline_->now_ms = shared_.clock.at(rte_rdtsc());
    pipeline_->story = job.story.get();
    process(burst, *now, *pipeline_);
    pipeline_->story = nullptr;
}

/// Offline to the grace periods, so nobody waits for a sleeper; the loop reads root and plan anew
/// afterwards.
void Worker::nap() noexcept {
    const auto id = static_cast<unsigned>(index(settings_.id));
    sleeps.add(1);
    rte_rcu_qsbr_thread_offline(shared_.qsbr, id);
    asleep_.store(true, std::memory_order_seq_cst);
    const timespec time{.tv_sec = 0, .tv_nsec = static_cast<long>(nap_us_) * 1'000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &time, nullptr);
    rte_rcu_qsbr_thread_online(shared_.qsbr, id);
    asleep_.store(false, std::memory_order_seq_cst);
    nap_us_ = std::min(std::max(nap_us_, nap_us_first) * 2, nap_us_max);
    last_tsc_ = rte_rdtsc();
}

/// After the last burst: commands that were given, and what others still hand over.
void Worker::drain() noexcept {
    Plan& plan = *plan_.load(std::memory_order_seq_cst);
    while (housekeep(plan)) {}
    shared_.receiving.fetch_sub(1, std::memory_order_acq_rel);
    while (shared_.receiving.load(std::memory_order_acquire) != 0)
        if (Transmit::drain(plan) == 0)
            rte_pause();
    while (Transmit::drain(plan) != 0) {}
    passes_.add(1);
}

} // namespace weft
