#include "control/rows/holdings.hh"

#include "base/check.hh"

#include <algorithm>

namespace weft {

OwnerId Holdings::owner(Life life) {
    if (const auto found = owner_ids_.find(life); found != owner_ids_.end())
        return found->second;
    OwnerId id{static_cast<std::uint32_t>(owners_.size())};
    if (free_owners_.empty()) {
        owners_.emplace_back();
    } else {
        id = free_owners_.back();
        free_owners_.pop_back();
    }
    owners_[index(id)] = {.life = life};
    owner_ids_.emplace(std::move(life), id);
    return id;
}

bool Holdings::knows(std::string_view name) const {
    return owner_ids_.find(name) != owner_ids_.end();
}

void Holdings::pin(OwnerId owner) {
    ++owners_[index(owner)].pins;
}

void Holdings::unpin(OwnerId owner) {
    check(owners_[index(owner)].pins > 0);
    --owners_[index(owner)].pins;
    forget_unused(owner);
}

void Holdings::forget_unused(OwnerId owner) {
    Owner& of = owners_[index(owner)];
    if (of.pins != 0 || of.holdings != 0)
        return;
    owner_ids_.erase(of.life);
    of = {};
    free_owners_.push_back(owner);
}

HoldingId Holdings::intern(std::string_view scope, std::span<const OwnerId> owners) {
    check(!owners.empty());
    if (last_ != HoldingId::none && at(last_).scope == scope &&
        std::equal(owners.begin(), owners.end(), at(last_).owners.begin(), at(last_).owners.end()))
        return last_;
    Key key{std::string{scope}, {owners.begin(), owners.end()}};
    if (const auto found = ids_.find(key); found != ids_.end())
        return last_ = found->second;
    HoldingId id{static_cast<std::uint32_t>(holdings_.size())};
    if (free_holdings_.empty()) {
        holdings_.emplace_back();
    } else {
        id = free_holdings_.back();
        free_holdings_.pop_back();
    }
    holdings_[index(id)] = std::make_unique<Holding>();
    holdings_[index(id)]->scope = key.first;
    holdings_[index(id)]->owners = key.second;
    for (const OwnerId owner : key.second)
        ++owners_[index(owner)].holdings;
    ids_.emplace(std::move(key), id);
    return last_ = id;
}

void Holdings::count(HoldingId id, std::int64_t change) {
    Holding& holding = *holdings_[index(id)];
    holding.count += static_cast<std::uint64_t>(change);
    if (holding.count != 0)
        return;
    if (last_ == id)
        last_ = HoldingId::none;
    const Key key{holding.scope, holding.owners};
    holdings_[index(id)].reset();
    free_holdings_.push_back(id);
    ids_.erase(key);
    for (const OwnerId owner : key.second) {
        --owners_[index(owner)].holdings;
        forget_unused(owner);
    }
}

} // namespace weft
