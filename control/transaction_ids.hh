// Which ids a client has used, so that a repeat gets the first answer and does nothing twice.
#pragma once

#include "control/weft.pb.h"

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

namespace weft {

/// The last accepted ids of one client. Control thread only.
class AcceptedIds {
public:
    static constexpr std::size_t ids_max = 1'024;

    struct Accepted {
        std::uint64_t content = 0; // hash of what was asked
        control::Reply reply;      // as it was answered
    };
    /// nullptr where the id was not accepted, or is forgotten.
    const Accepted* find(const std::string& id) const {
        const auto found = ids_.find(id);
        return found == ids_.end() ? nullptr : &found->second;
    }
    void accept(const std::string& id, std::uint64_t content, control::Reply reply) {
        ids_[id] = {content, std::move(reply)};
        order_.push_back(id);
        if (order_.size() <= ids_max)
            return;
        ids_.erase(order_.front());
        order_.pop_front();
    }

private:
    std::unordered_map<std::string, Accepted> ids_;
    std::deque<std::string> order_;
};

/// Those of named clients, kept while they are away; of more names than `names_max` the longest
/// away is forgotten.
class ClientIds {
public:
    static constexpr std::size_t names_max = 1'024;

    std::shared_ptr<AcceptedIds> of(const std::string& client) {
        Client& at = clients_[client];
        if (!at.ids)
            at.ids = std::make_shared<AcceptedIds>();
        at.used = ++uses_;
        const auto ids = at.ids;
        if (clients_.size() > names_max)
            forget_one();
        return ids;
    }

private:
    struct Client {
        std::shared_ptr<AcceptedIds> ids;
        std::uint64_t used = 0;
    };
    void forget_one() {
        auto oldest = clients_.end();
        for (auto at = clients_.begin(); at != clients_.end(); ++at)
            if (at->second.ids.use_count() == 1 && // nobody of that name is connected
                (oldest == clients_.end() || at->second.used < oldest->second.used))
                oldest = at;
        if (oldest != clients_.end())
            clients_.erase(oldest);
    }
    std::map<std::string, Client> clients_;
    std::uint64_t uses_ = 0;
};

} // namespace weft
