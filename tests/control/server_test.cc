#include "control/client.hh"
#include "control/codec_binary.hh"
#include "control/codec_json.hh"
#include "control/server.hh"
#include "control/session.hh"

#include <gtest/gtest.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <thread>
#include <unistd.h>

namespace weft {
namespace {

using namespace std::chrono_literals;

control::Reply done(const std::string& id) {
    control::Reply reply;
    reply.mutable_done()->set_id(id);
    return reply;
}

/// Answers stats at once; barriers when a release comes, the last one first; get with `limit`
/// bytes; clock by that many events of 1,000 bytes for every watcher.
class FakeService : public Service {
public:
    void connected(Session& session) override {
        const std::lock_guard held{lock_};
        ++connected_;
        pid_ = session.peer().pid;
        changed_.notify_all();
    }
    void disconnected(Session& session) override {
        std::erase_if(owed_, [&](const Owed& one) { return one.session == &session; });
        std::erase(watchers_, &session);
        const std::lock_guard held{lock_};
        ++disconnected_;
        changed_.notify_all();
    }
    void handle(Session& session, control::Request& request) override {
        const std::string id = id_of(request);
        control::Reply reply = done(id);
        switch (request.request_case()) {
        case control::Request::kHello:
            session.set_client(request.hello().client());
            reply.mutable_hello()->set_id(id);
            break;
        case control::Request::kTransaction:
            reply.mutable_ack()->set_id(id);
            reply.mutable_ack()->set_added(
                static_cast<std::uint32_t>(request.transaction().ops_size())
            );
            break;
        case control::Request::kBarrier: {
            owed_.push_back({&session, session.defer(), id});
            const std::lock_guard held{lock_};
            ++barriers_;
            changed_.notify_all();
            return;
        }
        case control::Request::kRelease:
            release();
            break;
        case control::Request::kGet:
            reply.mutable_rows()->set_id(id);
            reply.mutable_rows()->set_cursor(std::string(request.get().limit(), 'x'));
            break;
        case control::Request::kWatch:
            watchers_.push_back(&session);
            break;
        case control::Request::kClock:
            tell_events(request.clock().advance_ms());
            break;
        default:
            break;
        }
        session.send(reply);
    }
    void refuse(Session& session, const control::Nak& nak) override {
        control::Reply reply;
        *reply.mutable_nak() = nak;
        session.send(reply);
    }

    template <class Condition>
    bool wait_until(Condition&& condition) {
        std::unique_lock held{lock_};
        return changed_.wait_for(held, 30s, [&] { return condition(*this); });
    }
    int connected_ = 0;
    int disconnected_ = 0;
    int barriers_ = 0;
    std::int64_t pid_ = 0;

private:
    struct Owed {
        Session* session;
        Ticket ticket;
        std::string id;
    };
    void release() {
        while (!owed_.empty()) {
            const Owed last = owed_.back();
            owed_.pop_back();
            last.session->send(last.ticket, done(last.id));
        }
    }
    void tell_events(std::uint64_t count) {
        for (std::uint64_t i = 0; i < count; ++i) {
            control::Reply reply;
            reply.mutable_event()->set_seq(++seq_);
            reply.mutable_event()->mutable_limit()->set_message(std::string(1'000, 'e'));
            for (Session* session : watchers_)
                session->event(reply);
        }
    }

    std::vector<Owed> owed_;
    std::vector<Session*> watchers_;
    std::uint64_t seq_ = 0;
    std::mutex lock_;
    std::condition_variable changed_;
};

/// A connection that may say anything.
class Raw {
public:
    explicit Raw(const std::string& path) : fd_{::socket(AF_UNIX, SOCK_STREAM, 0)} {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        path.copy(address.sun_path, sizeof address.sun_path - 1);
        EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0) << path;
        const timeval patience{.tv_sec = 30, .tv_usec = 0};
        ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    }
    Raw(const Raw&) = delete;
    ~Raw() { ::close(fd_); }

    bool send(std::string_view bytes) {
        while (!bytes.empty()) {
            const auto sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
            if (sent <= 0)
                return false;
            bytes.remove_prefix(static_cast<std::size_t>(sent));
        }
        return true;
    }
    void end_sending() { ::shutdown(fd_, SHUT_WR); }
    /// A line with its newline; what is left at the end of the connection.
    std::string line() {
        while (buffer_.find('\n') == std::string::npos)
            if (!more())
                return std::exchange(buffer_, {});
        const std::size_t end = buffer_.find('\n') + 1;
        std::string found = buffer_.substr(0, end);
        buffer_.erase(0, end);
        return found;
    }
    std::string everything() {
        while (more()) {}
        return std::exchange(buffer_, {});
    }

private:
    bool more() {
        char bytes[65'536];
        const auto got = ::recv(fd_, bytes, sizeof bytes, 0);
        if (got > 0)
            buffer_.append(bytes, static_cast<std::size_t>(got));
        return got > 0;
    }
    int fd_;
    std::string buffer_;
};

class ControlSocket : public testing::Test {
protected:
    ControlSocket() {
        char name[] = "/tmp/weft-server-test-XXXXXX";
        directory_ = ::mkdtemp(name);
        config_.path = directory_ + "/s";
    }
    ~ControlSocket() override {
        stop();
        std::filesystem::remove_all(directory_);
    }
    void start() {
        auto opened = Server::open(loop_, service_, config_);
        ASSERT_TRUE(opened) << opened.error().what;
        server_ = std::move(*opened);
        runner_ = std::thread{[this] { loop_.run(); }};
    }
    void stop() {
        if (!server_)
            return;
        boost::asio::post(loop_, [this] {
            server_.reset();
            busy_.reset();
        });
        runner_.join();
    }
    Client client(Encoding encoding = Encoding::binary) {
        auto connected = Client::connect(config_.path, encoding);
        EXPECT_TRUE(connected);
        return std::move(*connected);
    }
    static control::Reply ask(Client& client, const control::Request& request) {
        auto reply = client.request(request);
        EXPECT_TRUE(reply) << reply.error().what;
        return reply ? *reply : control::Reply{};
    }
    static control::Request stats(const std::string& id) {
        control::Request request;
        request.mutable_stats()->set_id(id);
        return request;
    }
    bool serves() {
        Client other = client();
        return ask(other, stats("alive")).done().id() == "alive";
    }
    bool all_gone(int count) {
        return service_.wait_until([count](const FakeService& s) {
            return s.disconnected_ >= count;
        });
    }

    std::string directory_;
    ServerConfig config_;
    boost::asio::io_context loop_;
    boost::asio::executor_work_guard<boost::asio::io_context::executor_type> busy_{
        loop_.get_executor()};
    FakeService service_;
    std::unique_ptr<Server> server_;
    std::thread runner_;
};

TEST_F(ControlSocket, answers_both_encodings) {
    start();
    Client binary = client();
    EXPECT_EQ(ask(binary, stats("a")).done().id(), "a");
    Raw json{config_.path};
    json.send("{\"stats\": {\"id\": \"b\"}}\n");
    EXPECT_EQ(json.line(), "{\"done\": {\"id\": \"b\"}}\n");
}

TEST_F(ControlSocket, knows_the_process_on_the_other_side) {
    start();
    Client binary = client();
    ask(binary, stats("a"));
    EXPECT_TRUE(service_.wait_until([](const FakeService& s) { return s.pid_ == ::getpid(); }));
}

TEST_F(ControlSocket, replies_leave_in_the_order_of_the_requests) {
    start();
    Raw json{config_.path};
    json.send("{\"barrier\": {\"id\": \"1\"}}\n{\"stats\": {\"id\": \"2\"}}\n{\"barrier\": "
              "{\"id\": \"3\"}}\n"
              "{\"nonsense\": {\"id\": \"4\"}}\n{\"release\": {\"id\": \"5\"}}\n");
    for (const char* id : {"1", "2", "3", "4", "5"})
        EXPECT_NE(json.line().find("\"id\": \"" + std::string{id} + "\""), std::string::npos) << id;
}

TEST_F(ControlSocket, takes_thousands_of_pipelined_requests) {
    start();
    Client json = client(Encoding::json);
    int sent = 0;
    int received = 0;
    const auto exchanged = json.exchange(
        [&]() -> std::optional<std::string> {
            return sent < 20'000
                       ? std::optional{"{\"stats\": {\"id\": \"" + std::to_string(sent++) + "\"}}"}
                       : std::nullopt;
        },
        [&](std::string_view line) {
            EXPECT_EQ(line, "{\"done\": {\"id\": \"" + std::to_string(received++) + "\"}}");
        }
    );
    EXPECT_TRUE(exchanged);
    EXPECT_EQ(received, 20'000);
}

TEST_F(ControlSocket, a_nak_leaves_the_connection_open_and_an_error_closes_it) {
    start();
    Raw json{config_.path};
    json.send("{\"transaction\": {\"id\": \"t\", \"ops\": [{\"weight\": 1, \"flow\": {\"x\": "
              "1}}]}}\n{\"stats\": {\"id\": \"2\"}}\n{no\n"
              "{\"stats\": {\"id\": \"3\"}}\n");
    EXPECT_NE(
        json.line().find("\"code\": \"unknown_field\", \"path\": \"flow.x\""), std::string::npos
    );
    EXPECT_EQ(json.line(), "{\"done\": {\"id\": \"2\"}}\n");
    const std::string rest = json.everything();
    EXPECT_TRUE(rest.starts_with("{\"error\": {\"message\": \"")) << rest;
    EXPECT_EQ(std::count(rest.begin(), rest.end(), '\n'), 1);
}

TEST_F(ControlSocket, refuses_other_protocols_with_a_line) {
    start();
    Raw http{config_.path};
    http.send("GET / HTTP/1.1\r\n\r\n");
    EXPECT_EQ(
        http.everything(),
        "{\"error\": {\"message\": \"a connection must begin with \\\"{\\\" (JSON lines) or "
        "\\\"WEFT\\\" (binary)\"}}\n"
    );
    EXPECT_TRUE(serves());
}

TEST_F(ControlSocket, the_read_only_socket_refuses_what_changes_the_switch) {
    start();
    Raw json{config_.path + ".ro"};
    json.send("{\"stats\": {\"id\": \"1\"}}\n{\"transaction\": {\"id\": \"2\"}}\n{\"clock\": "
              "{\"id\": \"3\"}}\n");
    EXPECT_EQ(json.line(), "{\"done\": {\"id\": \"1\"}}\n");
    EXPECT_NE(
        json.line().find("{\"nak\": {\"id\": \"2\", \"code\": \"read_only\""), std::string::npos
    );
    EXPECT_NE(
        json.line().find("{\"nak\": {\"id\": \"3\", \"code\": \"read_only\""), std::string::npos
    );
}

TEST_F(ControlSocket, a_slow_watcher_loses_events_hears_which_and_goes_on) {
    config_.event_bytes_max = 100'000;
    start();
    Client slow = client();
    control::Request watch;
    watch.mutable_watch();
    ask(slow, watch);
    Client other = client();
    control::Request tell;
    tell.mutable_clock()->set_advance_ms(5'000);
    ask(other, tell);
    std::uint64_t next = 1;
    bool gap = false;
    while (next <= 5'000) {
        const auto event = slow.next_event();
        ASSERT_TRUE(event) << event.error().what;
        if (event->has_gap()) {
            EXPECT_EQ(event->gap().first(), next);
            next = event->gap().last() + 1;
            gap = true;
        } else {
            EXPECT_EQ(event->seq(), next++);
        }
    }
    EXPECT_TRUE(gap);
    tell.mutable_clock()->set_advance_ms(1);
    ask(other, tell);
    const auto after = slow.next_event();
    ASSERT_TRUE(after);
    EXPECT_EQ(after->seq(), 5'001U);
}

TEST_F(ControlSocket, a_client_that_reads_no_replies_is_disconnected_and_harms_nobody) {
    config_.reply_bytes_max = 1 << 20;
    start();
    Raw deaf{config_.path};
    for (int i = 0; i < 40; ++i)
        deaf.send("{\"get\": {\"limit\": 100000}}\n");
    EXPECT_TRUE(all_gone(1));
    EXPECT_TRUE(serves());
}

TEST_F(ControlSocket, a_client_that_dies_inside_a_frame_harms_nobody) {
    start();
    {
        Raw json{config_.path};
        json.send("{\"stats\": {\"id\": \"1\"}}\n{\"transaction\": {\"id\": \"t\", \"ops\": [{\"wei"
        );
        json.line();
        Raw binary{config_.path};
        binary.send(
            std::string{"WEFT"} + encode_binary(stats("a")) +
            "\x7f"
            "abc"
        );
    }
    EXPECT_TRUE(all_gone(2));
    EXPECT_TRUE(serves());
}

TEST_F(ControlSocket, large_frames_are_decoded_elsewhere_and_keep_their_place) {
    config_.helper_frame_bytes = 1'000;
    start();
    std::string large = "{\"transaction\": {\"id\": \"2\", \"ops\": [";
    for (int i = 0; i < 10'000; ++i)
        large += std::string{i > 0 ? "," : ""} +
                 "{\"weight\": 1, \"table\": {\"table\": " + std::to_string(i) + "}}";
    Raw json{config_.path};
    for (int round = 0; round < 3; ++round)
        json.send("{\"stats\": {\"id\": \"1\"}}\n" + large + "]}}\n{\"stats\": {\"id\": \"3\"}}\n");
    for (int round = 0; round < 3; ++round) {
        EXPECT_EQ(json.line(), "{\"done\": {\"id\": \"1\"}}\n");
        EXPECT_NE(
            json.line().find("\"id\": \"2\", \"generation\": \"0\", \"added\": 10000"),
            std::string::npos
        );
        EXPECT_EQ(json.line(), "{\"done\": {\"id\": \"3\"}}\n");
    }
}

TEST_F(ControlSocket, a_frame_over_the_limit_gets_an_error_that_the_client_can_read) {
    start();
    Raw json{config_.path};
    EXPECT_TRUE(json.send("{" + std::string(20 << 20, ' ') + "}\n"));
    EXPECT_NE(json.line().find("longer than 16777216 bytes"), std::string::npos);
    EXPECT_TRUE(serves());
}

TEST_F(ControlSocket, a_closed_sending_side_still_gets_its_replies) {
    start();
    Raw json{config_.path};
    json.send(
        "{\"stats\": {\"id\": \"1\"}}\n{\"barrier\": {\"id\": \"2\"}}\n{\"stats\": {\"id\": \"3\"}}"
    ); // no newline
    json.end_sending();
    EXPECT_EQ(json.line(), "{\"done\": {\"id\": \"1\"}}\n");
    Client other = client();
    control::Request release;
    release.mutable_release();
    ask(other, release);
    EXPECT_EQ(json.everything(), "{\"done\": {\"id\": \"2\"}}\n{\"done\": {\"id\": \"3\"}}\n");
}

TEST_F(ControlSocket, a_watcher_that_closed_its_sending_side_hears_events_until_it_is_gone) {
    start();
    Client other = client();
    control::Request tell;
    tell.mutable_clock()->set_advance_ms(1);
    {
        Raw watcher{config_.path};
        watcher.send("{\"watch\": {\"id\": \"w\"}}\n");
        watcher.end_sending();
        EXPECT_EQ(watcher.line(), "{\"done\": {\"id\": \"w\"}}\n");
        ask(other, tell);
        EXPECT_TRUE(watcher.line().starts_with("{\"event\": {\"seq\": \"1\""));
        ask(other, tell);
        EXPECT_TRUE(watcher.line().starts_with("{\"event\": {\"seq\": \"2\""));
    }
    EXPECT_TRUE(all_gone(1));
}

TEST_F(ControlSocket, more_owed_replies_than_allowed_only_make_the_client_wait) {
    config_.owed_max = 10;
    start();
    Raw json{config_.path};
    std::string barriers;
    for (int i = 0; i < 25; ++i)
        barriers += "{\"barrier\": {\"id\": \"" + std::to_string(i) + "\"}}\n";
    json.send("{\"stats\": {\"id\": \"s\"}}\n" + barriers);
    EXPECT_EQ(json.line(), "{\"done\": {\"id\": \"s\"}}\n");
    Client other = client();
    control::Request release;
    release.mutable_release();
    for (const int handled : {10, 20, 25}) {
        EXPECT_TRUE(service_.wait_until([&](const FakeService& s) { return s.barriers_ == handled; }
        ));
        EXPECT_TRUE(serves());
        EXPECT_TRUE(service_.wait_until([&](const FakeService& s) { return s.barriers_ == handled; }
        ));
        ask(other, release);
    }
    for (int i = 0; i < 25; ++i)
        EXPECT_EQ(json.line(), "{\"done\": {\"id\": \"" + std::to_string(i) + "\"}}\n");
}

TEST_F(ControlSocket, connections_over_the_limit_are_turned_away_with_a_line) {
    config_.sessions_max = 2;
    start();
    Raw one{config_.path};
    Raw two{config_.path};
    one.send("{\"stats\": {}}\n");
    two.send("{\"stats\": {}}\n");
    one.line();
    two.line();
    Raw three{config_.path};
    EXPECT_EQ(
        three.everything(),
        "{\"error\": {\"message\": \"too many connections: at most 2 may be open\"}}\n"
    );
}

TEST_F(ControlSocket, a_second_server_is_told_that_the_socket_is_busy) {
    start();
    FakeService service;
    boost::asio::io_context loop;
    const auto second = Server::open(loop, service, config_);
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, "busy");
    EXPECT_EQ(
        second.error().what, "socket " + config_.path + " is busy: another process listens there"
    );
    EXPECT_TRUE(serves());
}

TEST_F(ControlSocket, a_stale_file_is_replaced_and_ours_is_removed_at_the_end) {
    const int dead = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    config_.path.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(dead, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ::close(dead);
    start();
    EXPECT_TRUE(serves());
    struct stat file {};
    ASSERT_EQ(::stat(config_.path.c_str(), &file), 0);
    EXPECT_EQ(file.st_mode & 07777U, 0660U);
    stop();
    EXPECT_TRUE(std::filesystem::is_empty(directory_));
}

TEST_F(ControlSocket, a_file_that_is_no_socket_and_a_path_that_is_too_long_are_refused) {
    std::ofstream{config_.path} << "precious";
    const auto file = Server::open(loop_, service_, config_);
    ASSERT_FALSE(file);
    EXPECT_EQ(
        file.error().what, "socket " + config_.path + ": a file that is no socket is there already"
    );
    EXPECT_TRUE(std::filesystem::exists(config_.path));
    config_.path = directory_ + "/" + std::string(200, 'x');
    const auto path = Server::open(loop_, service_, config_);
    ASSERT_FALSE(path);
    EXPECT_NE(path.error().what.find("it must have 1 to 107"), std::string::npos)
        << path.error().what;
    config_.path = directory_ + "/none/s";
    const auto none = Server::open(loop_, service_, config_);
    ASSERT_FALSE(none);
    EXPECT_NE(none.error().what.find("No such file"), std::string::npos) << none.error().what;
}

TEST_F(ControlSocket, nobody_there_is_a_clear_error) {
    const auto none = Client::connect(config_.path);
    ASSERT_FALSE(none);
    EXPECT_EQ(none.error().code, "no_connection");
    EXPECT_EQ(
        none.error().what,
        "cannot connect to " + config_.path + ": No such file or directory (is weftd running?)"
    );
}

TEST(LocalSession, collects_replies_in_order) {
    FakeService service;
    LocalSession session{1};
    session.line(service, "{\"barrier\": {\"id\": \"1\"}}");
    session.line(service, "{\"nonsense\": {\"id\": \"2\"}}");
    EXPECT_TRUE(session.take().empty());
    session.line(service, "{\"release\": {\"id\": \"3\"}}");
    session.line(service, "{nonsense");
    const auto replies = session.take();
    ASSERT_EQ(replies.size(), 4U);
    EXPECT_EQ(replies[0].done().id(), "1");
    EXPECT_EQ(replies[1].nak().id(), "2");
    EXPECT_EQ(replies[2].done().id(), "3");
    EXPECT_TRUE(replies[3].has_error());
}

} // namespace
} // namespace weft
