// Lists of the owners that hold a row: which of them live, and whose lives they are.
#pragma once

#include "control/rows/holdings.hh"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weft {

/// An owner is one life of a client; a person is all lives of one name. A view of `holdings`; pure.
class Holders {
public:
    explicit Holders(const Holdings& holdings) : holdings_{holdings} {}

    /// Whether one of the owners is a life of the same person as `owner`.
    bool hold(std::span<const OwnerId> owners, OwnerId owner) const;
    /// Whether all of the owners are gone.
    bool nobodys(std::span<const OwnerId> owners) const;
    /// Those that are not gone.
    std::vector<OwnerId> live(std::span<const OwnerId> owners) const;
    /// All but the lives of one person.
    std::vector<OwnerId> without(std::vector<OwnerId> owners, std::string_view person) const;
    /// For messages: "a", "b".
    std::string names(std::span<const OwnerId> owners) const;

private:
    const Holdings& holdings_;
};

} // namespace weft
