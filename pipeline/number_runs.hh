// Which numbers are taken.
#pragma once

#include <cstdint>
#include <iterator>
#include <map>

namespace weft {

/// A set of 32-bit numbers that knows its lowest gap: runs of numbers without one. Each step costs
/// as the runs' number does in a search.
class NumberRuns {
public:
    void insert(std::uint32_t number) {
        auto after = last_of_.upper_bound(number);
        std::uint32_t first = number, last = number;
        if (after != last_of_.begin()) {
            const auto before = std::prev(after);
            if (before->second >= number)
                return;
            if (before->second == number - 1) {
                first = before->first;
                last_of_.erase(before);
            }
        }
        if (after != last_of_.end() && after->first - 1 == number) {
            last = after->second;
            last_of_.erase(after);
        }
        last_of_.emplace(first, last);
    }
    void erase(std::uint32_t number) {
        const auto after = last_of_.upper_bound(number);
        if (after == last_of_.begin())
            return;
        const auto run = std::prev(after);
        const std::uint32_t first = run->first, last = run->second;
        if (last < number)
            return;
        last_of_.erase(run);
        if (first < number)
            last_of_.emplace(first, number - 1);
        if (number < last)
            last_of_.emplace(number + 1, last);
    }
    /// From 1 up.
    std::uint32_t lowest_free() const noexcept {
        const auto behind = last_of_.upper_bound(1);
        return behind == last_of_.begin() || std::prev(behind)->second < 1
                   ? 1
                   : std::prev(behind)->second + 1;
    }

private:
    std::map<std::uint32_t, std::uint32_t> last_of_; // by the run's first
};

} // namespace weft
