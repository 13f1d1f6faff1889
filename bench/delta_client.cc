// How soon does one delta reach the workers? A controller without an interpreter between it and the
// socket.
//
//     delta_client SOCKET COUNT
//
// Adds a flow, then removes it, and so on, each in a transaction of its own with a barrier behind
// it. Between blocks of them it has the same exchange with a process that only answers, on the core
// of the switch's control thread: what the machine takes for it. Prints the microseconds from the
// first byte sent until the switch has seen that all workers run it, until the barrier's answer is
// here, and until that of the other process is, one delta a line.
#include "base/check.hh"
#include "control/codec_binary.hh"
#include "control/framing.hh"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <string>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

namespace weft::bench {

using Clock = std::chrono::steady_clock;

constexpr std::uint64_t block = 50; // the machine's moods last longer

int connected_to(const std::string& path) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    check(path.size() < sizeof address.sun_path);
    path.copy(address.sun_path, path.size());
    check(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
    return fd;
}

class Connection {
public:
    explicit Connection(int fd) : fd_{fd} { send("WEFT"); }
    ~Connection() { ::close(fd_); }
    Connection(const Connection&) = delete;
    Connection& operator=(const Connection&) = delete;

    void send(std::string_view bytes) {
        check(::send(fd_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    }
    control::Reply reply() {
        for (;;) {
            if (const Frame frame = replies_.next(); const auto* bytes = std::get_if<1>(&frame)) {
                control::Reply reply;
                check(reply.ParseFromArray(bytes->data(), static_cast<int>(bytes->size())));
                return reply;
            }
            const auto space = replies_.space();
            const ssize_t got = ::recv(fd_, space.data(), space.size(), 0);
            check(got > 0);
            replies_.commit(static_cast<std::size_t>(got));
        }
    }

private:
    int fd_;
    Framer replies_ = binary_framer();

    /// As if the beginning of a binary connection had come.
    static Framer binary_framer() {
        Framer framer;
        std::string_view{"WEFT"}.copy(framer.space().data(), 4);
        framer.commit(4);
        check(std::holds_alternative<NeedMore>(framer.next()));
        return framer;
    }
};

/// Answers whatever comes with an ACK and a barrier's answer, with the system calls of weftd's
/// loop: a read that does not wait, a look at all descriptors, a write. Ends with its socket.
[[noreturn]] void answer_at_once(int fd, std::uint64_t count) {
    check(::fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
    const int poll = ::epoll_create1(0);
    epoll_event wanted{};
    wanted.events = EPOLLIN | EPOLLET;
    check(::epoll_ctl(poll, EPOLL_CTL_ADD, fd, &wanted) == 0);
    std::vector<std::string> answers;
    for (std::uint64_t i = 0; i < count; ++i) {
        control::Reply ack;
        ack.mutable_ack()->set_id("delta " + std::to_string(i));
        ack.mutable_ack()->set_generation(i + 1);
        ack.mutable_ack()->set_added(1);
        control::Reply passed;
        passed.mutable_barrier()->set_id("barrier");
        passed.mutable_barrier()->set_generation(i + 1);
        answers.push_back(encode_binary(ack) + encode_binary(passed));
    }
    std::array<char, 65'536> request;
    std::array<epoll_event, 128> events;
    for (std::uint64_t at = 0;;) {
        const ssize_t got = ::recv(fd, request.data(), request.size(), 0);
        if (got == 0)
            ::_exit(0);
        ::epoll_wait(poll, events.data(), events.size(), got > 0 ? 0 : -1);
        if (got <= 4) // nothing, or the beginning of the connection
            continue;
        const std::string& answer = answers.at(at++);
        check(::send(fd, answer.data(), answer.size(), 0) == static_cast<ssize_t>(answer.size()));
    }
}

/// A process of its own, as the switch is.
int connected_to_echo(std::uint64_t count) {
    std::array<int, 2> ends{};
    check(::socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()) == 0);
    const pid_t child = ::fork();
    check(child >= 0);
    if (child == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        ::close(ends[0]);
        answer_at_once(ends[1], count);
    }
    ::close(ends[1]);
    return ends[0];
}

std::string delta(std::uint64_t number) {
    control::Request request;
    request.mutable_transaction()->set_id("delta " + std::to_string(number));
    control::Op& op = *request.mutable_transaction()->add_ops();
    op.set_weight(number % 2 == 0 ? 1 : -1);
    char match[48];
    std::snprintf(
        match,
        sizeof match,
        "eth.dst == 06:00:00:00:%02x:%02x",
        static_cast<unsigned>(number / 2 >> 8 & 0xff),
        static_cast<unsigned>(number / 2 & 0xff)
    );
    op.mutable_flow()->set_priority(200);
    op.mutable_flow()->set_match(match);
    op.mutable_flow()->set_actions("output(\"out\");");
    return encode_binary(request);
}

struct Took {
    double visible_us; // 0: nothing is known of workers
    double answered_us;
};

Took timed(Connection& with, const std::string& bytes) {
    using Micro = std::chrono::duration<double, std::micro>;
    const auto began = Clock::now(); // CLOCK_MONOTONIC
    with.send(bytes);
    const control::Reply ack = with.reply();
    const control::Reply passed = with.reply();
    const Micro answered = Clock::now() - began;
    check(ack.has_ack() && ack.ack().added() + ack.ack().removed() == 1);
    check(passed.has_barrier() && !passed.barrier().timeout());
    check(passed.barrier().generation() >= ack.ack().generation());
    const std::uint64_t passed_ns = passed.barrier().passed_ns();
    const Micro visible = std::chrono::nanoseconds{passed_ns} - began.time_since_epoch();
    return {.visible_us = passed_ns == 0 ? 0 : visible.count(), .answered_us = answered.count()};
}

void run(const std::string& path, std::uint64_t count) {
    control::Request request;
    request.mutable_barrier()->set_id("barrier");
    const std::string barrier = encode_binary(request);
    std::vector<std::string> deltas;
    for (std::uint64_t i = 0; i < count; ++i)
        deltas.push_back(delta(i) + barrier);
    Connection echo{connected_to_echo(count)};
    Connection weft{connected_to(path)};
    std::vector<Took> of_weft;
    std::vector<Took> of_echo;
    for (std::uint64_t at = 0; at < count; at += block) {
        const std::uint64_t end = std::min(at + block, count);
        for (std::uint64_t i = at; i < end; ++i)
            of_weft.push_back(timed(weft, deltas[i]));
        for (std::uint64_t i = at; i < end; ++i)
            of_echo.push_back(timed(echo, deltas[i]));
    }
    for (std::uint64_t i = 0; i < count; ++i)
        std::printf(
            "%.1f %.1f %.1f\n",
            of_weft[i].visible_us,
            of_weft[i].answered_us,
            of_echo[i].answered_us
        );
}

} // namespace weft::bench

int main(int count, char** arguments) {
    if (count != 3) {
        std::fprintf(stderr, "usage: delta_client SOCKET COUNT\n");
        return 2;
    }
    weft::bench::run(arguments[1], std::strtoull(arguments[2], nullptr, 10));
}
