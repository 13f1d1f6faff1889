#include "control/rows/references.hh"

#include "base/check.hh"

#include <algorithm>

namespace weft {

std::string patch_name(std::string_view port, std::string_view peer) {
    return std::string{port} + '\n' + std::string{peer};
}

std::string Named::text() const {
    std::string out;
    if (!bridge.empty() && kind != Kind::bridge && kind != Kind::patch)
        out = "bridge \"" + std::string{bridge} + "\" ";
    const std::string quoted = "\"" + std::string{name} + "\"";
    switch (kind) {
    case Kind::bridge:
        return "bridge " + quoted;
    case Kind::port:
        return out + "port " + quoted;
    case Kind::table:
        return out + "table " + std::to_string(number);
    case Kind::group:
        return out + "group " + std::to_string(number);
    case Kind::meter:
        return out + "meter " + std::to_string(number);
    case Kind::action:
        return "action " + quoted;
    case Kind::patch: {
        const std::size_t arrow = name.find('\n');
        return "patch port \"" + std::string{name.substr(0, arrow)} + "\" with peer \"" +
               std::string{name.substr(std::min(arrow + 1, name.size()))} + "\"";
    }
    }
    return out;
}

std::string_view Named::missing_code() const noexcept {
    switch (kind) {
    case Kind::bridge:
        return "unknown_bridge";
    case Kind::port:
    case Kind::patch:
        return "unknown_port";
    case Kind::table:
        return "unknown_table";
    case Kind::group:
        return "unknown_group";
    case Kind::meter:
        return "unknown_meter";
    case Kind::action:
        return "unsupported_action";
    }
    return "unknown_row";
}

void References::key_of(const Named& named, std::string& key) {
    key.clear();
    key += static_cast<char>(named.kind);
    key += named.bridge;
    key += '\0';
    key += named.name;
    key += '\0';
    for (unsigned shift = 0; shift < 32; shift += 8)
        key += static_cast<char>(named.number >> shift);
}

Entity& References::entity(const Named& named) {
    Entity*& last = last_[static_cast<std::size_t>(named.kind)];
    if (last != nullptr && last->number == named.number && last->name == named.name &&
        last->bridge == named.bridge)
        return *last;
    key_of(named, key_);
    auto& place = entities_[key_];
    if (!place)
        place = std::make_unique<Entity>(Entity{
            .kind = named.kind,
            .bridge = std::string{named.bridge},
            .name = std::string{named.name},
            .number = named.number,
        });
    return *(last = place.get());
}

const Entity* References::find(const Named& named) const {
    key_of(named, key_);
    const auto found = entities_.find(key_);
    return found == entities_.end() ? nullptr : found->second.get();
}

bool References::exists(const Named& named) const {
    return providers(named) != 0;
}

std::uint64_t References::providers(const Named& named) const {
    if (named.kind == Named::Kind::bridge && named.name.empty())
        return 1;
    const Entity* entity = find(named);
    return entity == nullptr ? 0 : entity->providers;
}

/// After its providers or its references changed from or to none.
void References::changed(Entity& entity) {
    auto& listed = entity.kind == Named::Kind::action ? unsupported_ : missing_;
    if (entity.first != nullptr && entity.providers == 0)
        listed.insert(&entity);
    else
        listed.erase(&entity);
    if (entity.first != nullptr || entity.providers != 0)
        return;
    last_[static_cast<std::size_t>(entity.kind)] = nullptr;
    key_of(entity.named(), key_);
    entities_.erase(key_);
}

void References::provide(const Named& named) {
    Entity& of = entity(named);
    if (++of.providers == 1)
        changed(of);
}

void References::withdraw(const Named& named) {
    Entity& of = entity(named);
    check(of.providers > 0);
    if (--of.providers == 0)
        changed(of);
}

void References::add(Row& row, const std::vector<Mention>& mentions) {
    check(row.references == nullptr);
    if (mentions.empty())
        return;
    auto made = std::make_unique<Reference[]>(mentions.size());
    std::uint16_t count = 0;
    for (const Mention& mention : mentions) {
        if (count == 0xffff)
            break; // a row has at most so many things by the bounds on its text
        Entity& of = entity(mention.named);
        const auto end = made.get() + count;
        const auto twice =
            std::find_if(made.get(), end, [&](const Reference& r) { return r.entity == &of; });
        if (twice != end) {
            twice->by_number |= mention.by_number;
            continue;
        }
        Reference& reference = made[count++];
        reference = {
            .entity = &of,
            .row = &row,
            .prev = nullptr,
            .next = of.first,
            .by_number = mention.by_number,
        };
        if (of.first != nullptr)
            of.first->prev = &reference;
        of.first = &reference;
        if (reference.next == nullptr)
            changed(of);
    }
    row.references = std::move(made);
    row.reference_count = count;
}

void References::remove(Row& row) {
    for (std::size_t i = 0; i < row.reference_count; ++i) {
        Reference& reference = row.references[i];
        Entity& of = *reference.entity;
        if (reference.prev != nullptr)
            reference.prev->next = reference.next;
        else
            of.first = reference.next;
        if (reference.next != nullptr)
            reference.next->prev = reference.prev;
        if (of.first == nullptr)
            changed(of);
    }
    row.references.reset();
    row.reference_count = 0;
}

} // namespace weft
