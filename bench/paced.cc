// A source of packets that arrive by schedule whether the switch has time or not, and a sink that
// takes their times. It is a library that is loaded into a switch (LD_PRELOAD) and hooks itself to
// two null devices of it: net_null_paced becomes the source, net_null_meter the sink. So any
// program with DPDK ports can be measured, with the code that its users run.
//
//   schedule -> virtual queue of 1,024 -> rx callback of net_null_paced -> the switch
//                     | full: lost                                            |
//                                            tx callback of net_null_meter <- +
//
// A packet's time begins when the schedule says that it arrives, so a switch that is late is not
// measured as if its packets had waited for it. The null device fills each burst from the pool that
// the switch gave it; the callback writes over what has arrived and gives the rest back.
#include "bench/paced.hh"

#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_malloc.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>
#include <utility>

namespace weft::paced {

namespace {

void add(Word& word, std::uint64_t n) noexcept {
    word.store(word.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
}
void raise(Word& word, std::uint64_t n) noexcept {
    if (n > word.load(std::memory_order_relaxed))
        word.store(n, std::memory_order_relaxed);
}

class Source {
public:
    Source(Header& header, const std::byte* frames)
        : orders_{header.orders},
          counts_{header.source},
          frames_{frames},
          frame_count_{header.orders.frames},
          frame_bytes_{header.orders.frame_bytes} {}

    /// Of `count` packets, makes as many into arrivals as wait and frees the others.
    std::uint16_t poll(rte_mbuf** packets, std::uint16_t count) noexcept {
        const std::uint64_t now = rte_rdtsc();
        if (const auto run = orders_.run.load(std::memory_order_acquire); run != run_) {
            if (!is_awake(run, now))
                return wake(packets, count, now);
            begin(run, now);
        }
        if (run_ != 0 && !stopped_)
            let_arrive(now);
        last_poll_ = now;
        const auto taken = static_cast<std::uint16_t>(std::min<std::uint64_t>(waiting_, count));
        for (std::uint16_t i = 0; i < taken; ++i)
            make(*packets[i]);
        if (taken != count)
            rte_pktmbuf_free_bulk(packets + taken, static_cast<unsigned>(count - taken));
        if (taken != 0)
            add(counts_.taken, taken);
        return taken;
    }

private:
    /// Arrivals that wait, first to last; what overflowed between two ranges is in neither.
    struct Range {
        std::uint64_t first;
        std::uint64_t count;
    };

    /// A switch may sleep while nothing comes: before a run it gets single packets for a while, 50
    /// in a millisecond, so that the run does not begin in the middle of a nap.
    bool is_awake(std::uint64_t run, std::uint64_t now) noexcept {
        if (std::exchange(waking_for_, run) != run) {
            awake_at_ = now + rte_get_tsc_hz() / 200;
            next_waker_ = now;
        }
        return now >= awake_at_;
    }

    /// One packet of no run, where it is time for it.
    std::uint16_t wake(rte_mbuf** packets, std::uint16_t count, std::uint64_t now) noexcept {
        const std::uint16_t given = now >= next_waker_ && count != 0 ? 1 : 0;
        if (given != 0) {
            next_waker_ = now + rte_get_tsc_hz() / 50'000;
            write(*packets[0], {0, now});
        }
        if (given != count)
            rte_pktmbuf_free_bulk(packets + given, static_cast<unsigned>(count - given));
        return given;
    }

    void begin(std::uint64_t run, std::uint64_t now) noexcept {
        run_ = run;
        stopped_ = false;
        after_pause_ = false;
        start_ = last_poll_ = now;
        per_cycle_ = static_cast<double>(orders_.packets_per_s.load(std::memory_order_relaxed)) /
                     static_cast<double>(rte_get_tsc_hz());
        cycles_each_ = 1.0 / per_cycle_;
        arrived_ = waiting_ = number_ = 0;
        head_ = tail_ = 0;
        for (Word* word :
             {&counts_.arrived,
              &counts_.overflowed,
              &counts_.taken,
              &counts_.waiting_max,
              &counts_.pause_max_tsc,
              &counts_.pauses,
              &counts_.lost_by_pauses})
            word->store(0, std::memory_order_relaxed);
        counts_.run.store(run, std::memory_order_release);
    }

    void let_arrive(std::uint64_t now) noexcept {
        if (orders_.stop.load(std::memory_order_relaxed) == run_) {
            stopped_ = true;
            return;
        }
        raise(counts_.pause_max_tsc, now - last_poll_);
        if (now - last_poll_ > pause_tsc_) {
            add(counts_.pauses, 1);
            after_pause_ = true;
        } else if (waiting_ < caught_up_packets) {
            after_pause_ = false;
        }
        const auto due = static_cast<std::uint64_t>(static_cast<double>(now - start_) * per_cycle_);
        const std::uint64_t fresh = due - arrived_;
        if (fresh == 0)
            return;
        const std::uint64_t fit = std::min(fresh, queue_packets - waiting_);
        if (fit != 0)
            append({arrived_, fit});
        waiting_ += fit;
        arrived_ = due;
        counts_.arrived.store(due, std::memory_order_relaxed);
        raise(counts_.waiting_max, waiting_);
        if (fresh == fit)
            return;
        add(counts_.overflowed, fresh - fit);
        if (after_pause_)
            add(counts_.lost_by_pauses, fresh - fit);
    }

    // At most one range for each waiting packet, so the ring never fills.
    void append(Range range) noexcept {
        if (head_ != tail_) {
            Range& last = ranges_[(tail_ - 1) % ranges_.size()];
            if (last.first + last.count == range.first) {
                last.count += range.count;
                return;
            }
        }
        ranges_[tail_++ % ranges_.size()] = range;
    }

    void make(rte_mbuf& packet) noexcept {
        Range& range = ranges_[head_ % ranges_.size()];
        const std::uint64_t arrival = range.first++;
        if (--range.count == 0)
            ++head_;
        --waiting_;
        write(
            packet,
            {run_ << 48 | number_++,
             start_ + static_cast<std::uint64_t>(static_cast<double>(arrival + 1) * cycles_each_)}
        );
    }

    void write(rte_mbuf& packet, const Stamp& stamp) noexcept {
        auto* const data = rte_pktmbuf_mtod(&packet, std::byte*);
        const std::size_t body = frame_bytes_ - sizeof(Stamp);
        std::memcpy(data, frames_ + next_frame_ * frame_bytes_, body);
        if (++next_frame_ == frame_count_)
            next_frame_ = 0;
        std::memcpy(data + body, &stamp, sizeof stamp);
        packet.data_len = static_cast<std::uint16_t>(frame_bytes_);
        packet.pkt_len = static_cast<std::uint32_t>(frame_bytes_);
    }

    const Orders& orders_;
    SourceCounts& counts_;
    const std::byte* const frames_;
    const std::uint64_t frame_count_, frame_bytes_;

    std::uint64_t run_ = 0;
    std::uint64_t waking_for_ = 0, awake_at_ = 0, next_waker_ = 0;
    bool stopped_ = false;
    bool after_pause_ = false; // and has not caught up since
    const std::uint64_t pause_tsc_ = rte_get_tsc_hz() / 1'000'000 * pause_us;
    std::uint64_t start_ = 0, last_poll_ = 0;
    double per_cycle_ = 0, cycles_each_ = 0;
    std::uint64_t arrived_ = 0; // that the queue was asked to take
    std::uint64_t waiting_ = 0, number_ = 0, next_frame_ = 0;
    std::uint64_t head_ = 0, tail_ = 0;
    std::array<Range, queue_packets> ranges_{};
};

class Sink {
public:
    explicit Sink(Header& header) : counts_{header.sink} {}

    void take(rte_mbuf* const* packets, std::uint16_t count) noexcept {
        const std::uint64_t now = rte_rdtsc();
        for (std::uint16_t i = 0; i < count; ++i) {
            Stamp stamp;
            const rte_mbuf& packet = *packets[i];
            if (packet.data_len < sizeof stamp)
                continue;
            std::memcpy(
                &stamp,
                rte_pktmbuf_mtod(&packet, const std::byte*) + packet.data_len - sizeof stamp,
                sizeof stamp
            );
            note(stamp, now);
        }
    }

private:
    void note(const Stamp& stamp, std::uint64_t now) noexcept {
        const std::uint64_t run = stamp.run_number >> 48;
        const std::uint64_t number = stamp.run_number & 0xffff'ffff'ffff;
        // The first packet of a run is not always number 0: it may have been lost. Runs only rise.
        if (run > run_)
            begin(run);
        if (run != run_ || run_ == 0)
            return add(counts_.foreign, 1);
        if (number < expected_)
            add(counts_.out_of_order, 1);
        else
            expected_ = number + 1;
        const std::uint64_t latency = now > stamp.arrival_tsc ? now - stamp.arrival_tsc : 0;
        add(counts_.latency[bucket_of(latency)], 1);
        raise(counts_.latency_max_tsc, latency);
        add(counts_.received, 1);
    }

    void begin(std::uint64_t run) noexcept {
        run_ = run;
        expected_ = 0;
        for (Word* word :
             {&counts_.received, &counts_.out_of_order, &counts_.foreign, &counts_.latency_max_tsc})
            word->store(0, std::memory_order_relaxed);
        for (Word& word : counts_.latency)
            word.store(0, std::memory_order_relaxed);
        counts_.run.store(run, std::memory_order_release);
    }

    SinkCounts& counts_;
    std::uint64_t run_ = 0, expected_ = 0;
};

std::uint16_t receive(
    std::uint16_t,
    std::uint16_t,
    rte_mbuf** packets,
    std::uint16_t count,
    std::uint16_t,
    void* source
) noexcept {
    return static_cast<Source*>(source)->poll(packets, count);
}

std::uint16_t
send(std::uint16_t, std::uint16_t, rte_mbuf** packets, std::uint16_t count, void* sink) noexcept {
    static_cast<Sink*>(sink)->take(packets, count);
    return count;
}

/// The port of that name when it has queues, else RTE_MAX_ETHPORTS. Asks nothing of DPDK before
/// there is a port, and so not before DPDK has started.
std::uint16_t ready_port(const char* name) {
    for (std::uint16_t port = 0; port < RTE_MAX_ETHPORTS; ++port) {
        char found[RTE_ETH_NAME_MAX_LEN];
        rte_eth_dev_info info;
        if (rte_eth_dev_is_valid_port(port) != 0 &&
            rte_eth_dev_get_name_by_port(port, found) == 0 && std::strcmp(found, name) == 0 &&
            rte_eth_dev_info_get(port, &info) == 0 && info.nb_rx_queues != 0 &&
            info.nb_tx_queues != 0)
            return port;
    }
    return RTE_MAX_ETHPORTS;
}

std::uint16_t wait_for_port(const char* name) {
    for (;;) {
        if (const auto port = ready_port(name); port != RTE_MAX_ETHPORTS)
            return port;
        std::this_thread::sleep_for(std::chrono::milliseconds{20});
    }
}

[[noreturn]] void give_up(const char* why) {
    std::fprintf(stderr, "paced source: %s\n", why);
    std::_Exit(1);
}

/// Frames in huge pages, as a device's buffers would be.
const std::byte* copy_of(const std::byte* frames, std::size_t bytes) {
    void* const copy = rte_malloc("paced_frames", bytes, 64);
    if (copy == nullptr)
        give_up("no memory for the frames");
    std::memcpy(copy, frames, bytes);
    return static_cast<const std::byte*>(copy);
}

void attach(std::byte* file) {
    auto& header = *reinterpret_cast<Header*>(file);
    const auto source_port = wait_for_port("net_null_paced");
    const auto sink_port = wait_for_port("net_null_meter");
    const std::size_t bytes = header.orders.frames * header.orders.frame_bytes;
    // These live as long as the process: the switch may poll until its last moment.
    auto* const source = new Source{header, copy_of(file + frames_at, bytes)};
    rte_eth_dev_info info;
    rte_eth_dev_info_get(sink_port, &info);
    for (std::uint16_t queue = 0; queue < info.nb_tx_queues; ++queue)
        if (rte_eth_add_tx_callback(sink_port, queue, send, new Sink{header}) == nullptr)
            give_up("net_null_meter takes no callback");
    if (rte_eth_add_rx_callback(source_port, 0, receive, source) == nullptr)
        give_up("net_null_paced takes no callback");
    header.source.tsc_hz.store(rte_get_tsc_hz(), std::memory_order_release);
}

/// In the program that it was loaded into, before main().
[[gnu::constructor]] void begin() {
    const char* const path = std::getenv("WEFT_PACED");
    if (path == nullptr)
        return;
    const int file = open(path, O_RDWR | O_CLOEXEC);
    struct stat about {};
    if (file < 0 || fstat(file, &about) != 0)
        give_up("cannot open the file that WEFT_PACED names");
    void* const memory = mmap(
        nullptr,
        static_cast<std::size_t>(about.st_size),
        PROT_READ | PROT_WRITE,
        MAP_SHARED,
        file,
        0
    );
    close(file);
    if (memory == MAP_FAILED)
        give_up("cannot map the file that WEFT_PACED names");
    std::thread{[memory] { attach(static_cast<std::byte*>(memory)); }}.detach();
}

} // namespace

} // namespace weft::paced
