// What rows name and what rows make: who waits for what, and who must be made anew when a port's
// number changes.
#pragma once

#include "control/rows/row.hh"

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace weft {

/// A thing that rows refer to by name.
struct Named {
    enum class Kind : std::uint8_t {
        bridge,
        port,  // by name in its bridge
        table, // exists as soon as a flow or a table row names its number; 0 is always there
        group,
        meter,
        patch,  // patch_name(a, b): the patch port a whose peer is b, in any bridge
        action, // a statement that this build does not carry out; never exists
    };
    Kind kind{};
    std::string_view bridge; // empty: main
    std::string_view name;   // bridge, port, patch, action
    std::uint32_t number = 0;

    /// "port "p3"", "bridge "br2" group 5": what is missing, for people.
    std::string text() const;
    /// The code of a NAK for it: "unknown_port", "unsupported_action".
    std::string_view missing_code() const noexcept;
};

/// No name of a port holds the newline between the two.
std::string patch_name(std::string_view port, std::string_view peer);

struct Entity {
    Named::Kind kind{};
    std::string bridge;
    std::string name;
    std::uint32_t number = 0;
    std::uint64_t providers = 0; // rows that make it
    Reference* first = nullptr;  // rows that name it

    Named named() const noexcept { return {kind, bridge, name, number}; }
};

/// One row's mention of one entity, linked in the entity's list.
struct Reference {
    Entity* entity = nullptr;
    Row* row = nullptr;
    Reference* prev = nullptr;
    Reference* next = nullptr;
    bool by_number = false; // a port whose number the row's rules hold: in a match or as a value
};

/// A mention as a lowering reports it.
struct Mention {
    Named named;
    bool by_number = false;
    std::string_view field; // of the row
};

/// Costs a hash probe and a list link per mention; nothing depends on how many rows name a thing.
/// Control thread only.
class References {
public:
    /// Takes the row's mentions; the same thing twice counts once.
    void add(Row& row, const std::vector<Mention>& mentions);
    void remove(Row& row);
    void provide(const Named& named);
    void withdraw(const Named& named);

    bool exists(const Named& named) const;
    /// How many rows make it.
    std::uint64_t providers(const Named& named) const;

    /// Calls visit(const Entity&) for each thing that rows name and no row makes, but actions.
    template <class Visit>
    void for_each_missing(Visit&& visit) const {
        for (const Entity* entity : missing_)
            visit(*entity);
    }
    /// Calls visit(const Entity&) for each unsupported action that rows hold.
    template <class Visit>
    void for_each_unsupported(Visit&& visit) const {
        for (const Entity* entity : unsupported_)
            visit(*entity);
    }
    /// The same bytes for the same thing, into `key`.
    static void key_of(const Named& named, std::string& key);
    /// nullptr where nobody names or makes it.
    const Entity* find(const Named& named) const;

private:
    Entity& entity(const Named& named);
    void changed(Entity& entity);

    std::unordered_map<std::string, std::unique_ptr<Entity>> entities_;
    std::unordered_set<const Entity*> missing_;
    std::unordered_set<const Entity*> unsupported_;
    // The entity of each kind that was asked for last: rows that come together name the same few.
    std::array<Entity*, static_cast<std::size_t>(Named::Kind::action) + 1> last_{};
    mutable std::string key_; // kept between calls for its memory
};

} // namespace weft
