// How soon does one delta reach the workers? A controller without an interpreter between it and the
// socket.
//
//     delta_client SOCKET COUNT
//
// Adds a flow, then removes it, and so on, each in a transaction of its own with a barrier behind
// it, and prints the microseconds from the first byte sent to the barrier's answer, one a line.
#include "base/check.hh"
#include "control/codec_binary.hh"
#include "control/framing.hh"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <vector>

namespace weft::bench {

using Clock = std::chrono::steady_clock;

class Connection {
public:
    explicit Connection(const std::string& path) : fd_{::socket(AF_UNIX, SOCK_STREAM, 0)} {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        check(path.size() < sizeof address.sun_path);
        path.copy(address.sun_path, path.size());
        check(::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
        send("WEFT");
    }
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

void run(const std::string& path, std::uint64_t count) {
    control::Request request;
    request.mutable_barrier()->set_id("barrier");
    const std::string barrier = encode_binary(request);
    std::vector<std::string> deltas;
    for (std::uint64_t i = 0; i < count; ++i)
        deltas.push_back(delta(i) + barrier);
    Connection to{path};
    std::vector<double> took;
    for (const std::string& bytes : deltas) {
        const auto began = Clock::now();
        to.send(bytes);
        const control::Reply ack = to.reply();
        const control::Reply passed = to.reply();
        took.push_back(std::chrono::duration<double, std::micro>(Clock::now() - began).count());
        check(ack.has_ack() && ack.ack().added() + ack.ack().removed() == 1);
        check(passed.has_barrier() && !passed.barrier().timeout());
        check(passed.barrier().generation() >= ack.ack().generation());
    }
    for (const double us : took)
        std::printf("%.1f\n", us);
}

} // namespace weft::bench

int main(int count, char** arguments) {
    if (count != 3) {
        std::fprintf(stderr, "usage: delta_client SOCKET COUNT\n");
        return 2;
    }
    weft::bench::run(arguments[1], std::strtoull(arguments[2], nullptr, 10));
}
