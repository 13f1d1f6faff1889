// Things to look at when their time comes, in the order of their times.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

namespace weft {

/// One time per key; setting another one moves it. Every call costs the logarithm of how many there
/// are.
template <class Key>
class Deadlines {
public:
    void set(const Key& key, std::uint64_t at_ms) {
        erase(key);
        times_.emplace(key, at_ms);
        order_.emplace(at_ms, key);
    }
    void erase(const Key& key) {
        const auto found = times_.find(key);
        if (found == times_.end())
            return;
        order_.erase({found->second, key});
        times_.erase(found);
    }
    /// Takes out up to `max` keys whose time has come, earliest first.
    std::vector<Key> take(std::uint64_t now_ms, std::size_t max) {
        std::vector<Key> due;
        while (!order_.empty() && order_.begin()->first <= now_ms && due.size() < max) {
            due.push_back(order_.begin()->second);
            times_.erase(due.back());
            order_.erase(order_.begin());
        }
        return due;
    }
    /// never_ms where nothing waits.
    std::uint64_t next_ms() const noexcept {
        return order_.empty() ? never_ms : order_.begin()->first;
    }
    std::size_t size() const noexcept { return times_.size(); }

    static constexpr std::uint64_t never_ms = ~std::uint64_t{0};

private:
    std::map<Key, std::uint64_t> times_;
    std::set<std::pair<std::uint64_t, Key>> order_;
};

} // namespace weft
