// One command's conversation with weftd: requests out, replies in, everything that goes wrong told
// in one sentence.
#pragma once

#include "control/client.hh"
#include "control/weft.pb.h"
#include "control/weftctl/arguments.hh"

#include <optional>
#include <string>
#include <string_view>

namespace weft::ctl {

/// Connects when it is made, and says hello where a client's name was given. After a failure
/// nothing more is sent, calls give nothing, and exit() says what to end with.
class Caller {
public:
    explicit Caller(const Arguments& arguments, Encoding encoding = Encoding::binary);

    /// Sends `request` and waits. The reply is of the kind `wanted`; a NAK is printed and gives
    /// nothing, and so does a lost connection.
    std::optional<control::Reply> ask(control::Request request, control::Reply::ReplyCase wanted);
    /// The next event; waits for it without end.
    std::optional<control::Event> next_event();
    /// The connection itself; only while exit() is `done`.
    Client& client() { return *client_; }
    Exit exit() const noexcept { return exit_; }
    bool failed() const noexcept { return exit_ != Exit::done; }
    /// Prints the sentence and remembers what it means for exit().
    void fail_with(const Error& error);
    void refuse(const control::Nak& nak);
    /// Keeps what is wrong until complain_now(): a full screen would hide it.
    void complain_later() noexcept { later_ = true; }
    void complain_now();

private:
    bool json_;
    bool later_ = false;
    std::string kept_;
    std::optional<Client> client_;
    Exit exit_ = Exit::done;
};

/// Prints `weftctl: sentence` on stderr.
void complain(std::string_view sentence);
/// Prints on stdout; ends the process where nobody reads any more.
void print(std::string_view text);
/// Prints the message as one line of JSON.
void print_json(const google::protobuf::Message& message);
/// An id that no other run of weftctl uses.
std::string unique_id();
/// `code: message`, with the op and the field that it is about.
std::string nak_text(const control::Nak& nak);

} // namespace weft::ctl
