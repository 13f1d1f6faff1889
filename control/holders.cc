#include "control/holders.hh"

#include <algorithm>

namespace weft {

bool Holders::hold(std::span<const OwnerId> owners, OwnerId owner) const {
    return std::any_of(owners.begin(), owners.end(), [&](OwnerId other) {
        return holdings_.same_person(other, owner);
    });
}

bool Holders::nobodys(std::span<const OwnerId> owners) const {
    return std::all_of(owners.begin(), owners.end(), [&](OwnerId owner) {
        return holdings_.gone(owner);
    });
}

std::vector<OwnerId> Holders::live(std::span<const OwnerId> owners) const {
    std::vector<OwnerId> left;
    for (const OwnerId owner : owners)
        if (!holdings_.gone(owner))
            left.push_back(owner);
    return left;
}

std::vector<OwnerId> Holders::without(std::vector<OwnerId> owners, std::string_view person) const {
    std::erase_if(owners, [&](OwnerId owner) { return holdings_.name(owner) == person; });
    return owners;
}

std::string Holders::names(std::span<const OwnerId> owners) const {
    std::string all;
    for (const OwnerId owner : owners)
        all += (all.empty() ? "\"" : ", \"") + std::string{holdings_.name(owner)} + "\"";
    return all;
}

} // namespace weft
