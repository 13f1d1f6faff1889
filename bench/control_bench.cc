// What does a delta cost the control thread, and does that depend on how many rows stand? The whole
// way of a binary frame without socket and workers: decode, judge, commit, answer.
//
//     control_bench [ROWS [BATCH]]
//
// Loads ROWS flows (100,000) in transactions of BATCH (1,000), then adds and removes single rows
// with so many installed. For counts of instructions run it under `valgrind --tool=callgrind` with
// `--toggle-collect='weft::bench::load*'`, or with `...'weft::bench::delta*'` for the single rows.
#include "base/check.hh"
#include "control/codec_binary.hh"
#include "control/framing.hh"
#include "control/switch.hh"
#include "pipeline/tables.hh"
#include "tests/control/engine.hh"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <unistd.h>
#include <vector>

namespace weft::bench {

using Clock = std::chrono::steady_clock;

class QuietSession final : public OrderedSession {
public:
    QuietSession() : OrderedSession{Peer{.number = 99, .encoding = Encoding::binary}} {}
    std::uint64_t bytes = 0;
    std::string last;

private:
    void deliver(std::string frame) override {
        bytes += frame.size();
        last = std::move(frame);
    }
    void deliver_event(std::string, std::uint64_t) override {}
};

std::string mac(std::uint64_t number) {
    char text[18];
    std::snprintf(
        text,
        sizeof text,
        "02:%02x:%02x:%02x:%02x:%02x",
        static_cast<unsigned>(number >> 32 & 0xff),
        static_cast<unsigned>(number >> 24 & 0xff),
        static_cast<unsigned>(number >> 16 & 0xff),
        static_cast<unsigned>(number >> 8 & 0xff),
        static_cast<unsigned>(number & 0xff)
    );
    return text;
}

std::string frame(std::uint64_t first, std::uint64_t count, int weight) {
    control::Request request;
    control::Transaction& transaction = *request.mutable_transaction();
    transaction.set_id(std::to_string(first) + (weight > 0 ? "+" : "-"));
    for (std::uint64_t i = first; i < first + count; ++i) {
        control::Op& op = *transaction.add_ops();
        op.set_weight(weight);
        op.mutable_flow()->set_priority(100);
        op.mutable_flow()->set_match("eth.dst == " + mac(i));
        op.mutable_flow()->set_actions("output(\"p2\");");
    }
    return request.SerializeAsString();
}

/// One frame, all the way; grace periods end at once.
void run_frame(test::Engine& engine, QuietSession& session, const std::string& frame) {
    Decoded decoded = decode_binary(frame);
    session.begin_request();
    engine.engine->handle(session, std::get<control::Request>(decoded));
    session.end_request();
    while (session.owed() != 0)
        engine.engine->poll();
    engine.engine->poll();
    engine.reclaimer.run_all();
}

[[gnu::noipa]] void load(test::Engine& engine, QuietSession& session, const std::string& frame) {
    run_frame(engine, session, frame);
}
[[gnu::noipa]] void delta(test::Engine& engine, QuietSession& session, const std::string& frame) {
    run_frame(engine, session, frame);
}

std::uint64_t resident_bytes() {
    std::ifstream file{"/proc/self/statm"};
    std::uint64_t size = 0, resident = 0;
    file >> size >> resident;
    return resident * static_cast<std::uint64_t>(sysconf(_SC_PAGESIZE));
}

double us(Clock::duration took) {
    return std::chrono::duration<double, std::micro>(took).count();
}

void run(std::uint64_t rows, std::uint64_t batch) {
    test::Engine engine{{}, {.rules = static_cast<std::uint32_t>(rows + rows / 4 + 10'000)}};
    QuietSession session;
    engine.engine->connected(session);
    const std::uint64_t before = resident_bytes();
    Clock::duration loading{};
    for (std::uint64_t first = 0; first < rows; first += batch) {
        const std::string bytes = frame(first, std::min(batch, rows - first), 1);
        const auto began = Clock::now();
        load(engine, session, bytes);
        loading += Clock::now() - began;
    }
    check(engine.engine->rows().count() == rows);
    std::printf(
        "load %8llu flows by %-6llu %8.3f s  %7.2f us/row  %6.0f bytes/row, rows alone %.0f\n",
        static_cast<unsigned long long>(rows),
        static_cast<unsigned long long>(batch),
        us(loading) / 1e6,
        us(loading) / static_cast<double>(rows),
        static_cast<double>(resident_bytes() - before) / static_cast<double>(rows),
        static_cast<double>(engine.engine->rows().memory_bytes()) / static_cast<double>(rows)
    );
    std::vector<double> took;
    for (std::uint64_t i = 0; i < 2'000; ++i) {
        const std::string bytes = frame(rows + i / 2, 1, i % 2 == 0 ? 1 : -1);
        const auto began = Clock::now();
        delta(engine, session, bytes);
        took.push_back(us(Clock::now() - began));
    }
    check(engine.engine->rows().count() == rows);
    std::sort(took.begin(), took.end());
    std::printf(
        "one delta, %llu installed   median %.2f us  p99 %.2f us\n",
        static_cast<unsigned long long>(rows),
        took[took.size() / 2],
        took[took.size() * 99 / 100]
    );
    engine.engine->disconnected(session);
}

} // namespace weft::bench

int main(int count, char** arguments) {
    const std::uint64_t rows = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 100'000;
    const std::uint64_t batch = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 1'000;
    weft::bench::run(rows, batch);
}
