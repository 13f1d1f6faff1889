// Outputs of walks: ports, patch ports, flood, and output(normal), the bridge as a learning switch.
#include "pipeline/rule_counters.hh"
#include "pipeline/walk.hh"

namespace weft {

template <bool traced>
Effect* Walk<traced>::add_effect(std::size_t lane, Effect::Kind kind) noexcept {
    Effects& effects = burst_.effects;
    if (effects.used == Effects::effects_max)
        return nullptr;
    const std::uint16_t at = effects.used++;
    Effect& effect = effects.effect[at];
    effect = Effect{};
    effect.kind = kind;
    effect.table = machines_.lane[lane].table_number;
    if (effects.first[lane] == Effect::none)
        effects.first[lane] = at;
    else
        effects.effect[effects.last[lane]].next = at;
    effects.last[lane] = at;
    if (kind == Effect::Kind::drop)
        return &effect;
    effect.edit = snapshot(lane);
    if (effect.edit == Effect::none &&
        (machines_.lane[lane].dirty != 0 || machines_.lane[lane].vlan.popped != 0 ||
         machines_.lane[lane].vlan.pushed != 0)) {
        effect.kind = Effect::Kind::drop; // no room for the edits: the copy is lost, by name
        effect.reason = Drop::effects_exceeded;
    }
    return &effect;
}

/// The lane's edits as of now; outputs without an edit between them share one.
template <bool traced>
std::uint16_t Walk<traced>::snapshot(std::size_t lane) noexcept {
    Lane& at = machines_.lane[lane];
    if (at.edit != Effect::none || (at.dirty == 0 && at.vlan.popped == 0 && at.vlan.pushed == 0))
        return at.edit;
    Effects& effects = burst_.effects;
    if (effects.edits_used == Effects::edits_max)
        return Effect::none;
    Edit& edit = effects.edits[effects.edits_used];
    edit.dirty = at.dirty;
    edit.vlan_popped = at.vlan.popped;
    edit.vlan_pushed = at.vlan.pushed;
    edit.vlan_tpid[0] = at.vlan.tpid[0];
    edit.vlan_tpid[1] = at.vlan.tpid[1];
    const FlowKey& key = burst_.key[lane];
    for (std::size_t word = 0; word < 6; ++word)
        edit.word[word] = key.word[word];
    if ((at.dirty & 0xff'0000) != 0)
        for (std::size_t word = 16; word < 24; ++word)
            edit.word[word] = (at.dirty >> word & 1) != 0 ? key.word[word] : 0;
    return at.edit = effects.edits_used++;
}

template <bool traced>
auto Walk<traced>::refuse(std::size_t lane, PortId port, Drop reason) noexcept -> Next {
    tell(lane, {.what = StoryStep::What::drop, .reason = reason, .port = port});
    Effect* effect = add_effect(lane, Effect::Kind::drop);
    if (effect == nullptr)
        return abort(lane, Drop::effects_exceeded);
    effect->reason = reason;
    effect->port = port;
    return Next::on;
}

template <bool traced>
Drop Walk<traced>::refusal(const PortView* port, PortNumber inport, bool to_ingress)
    const noexcept {
    if (port == nullptr)
        return Drop::no_such_port;
    if (!to_ingress && port->number == inport)
        return Drop::output_to_ingress_port;
    if (port->down || now_.link_up[index(port->id)].load(std::memory_order_relaxed) == 0)
        return Drop::port_down;
    return Drop::none;
}

template <bool traced>
auto Walk<traced>::output(
    std::size_t lane, PortId port, std::uint32_t max_bytes, bool to_ingress
) noexcept -> Next {
    const PortView* view = now_.ports.find(index(port));
    if (const Drop reason = refusal(view, burst_.key[lane].inport(), to_ingress);
        reason != Drop::none)
        return refuse(lane, port, reason);
    if (view->is_patch)
        return enter_patch(lane, *view);
    Effect* effect = add_effect(lane, Effect::Kind::output);
    if (effect == nullptr)
        return abort(lane, Drop::effects_exceeded);
    effect->port = port;
    effect->max_bytes = max_bytes;
    tell(lane, {.what = StoryStep::What::output, .port = port});
    return Next::on;
}

/// A port that takes packets of this ingress as they are.
template <bool traced>
bool Walk<traced>::takes(std::size_t port, PortNumber inport) const noexcept {
    const PortView* const view = now_.ports.find(port);
    return view != nullptr && !view->is_patch && refusal(view, inport, false) == Drop::none;
}

template <bool traced>
LaneMask Walk<traced>::end_at_once(const Table& table, LaneMask here, const Found& found) noexcept {
    if (here == 0)
        return 0;
    const LaneMask ended = send_all(here, found) ? here : here & ~lanes_left(here, found);
    if (table.counters)
        burst_.counted |= ended;
    return ended;
}

/// Where all lanes go to one port, no more is asked of each.
template <bool traced>
bool Walk<traced>::send_all(LaneMask here, const Found& found) noexcept {
    const auto lane = static_cast<std::size_t>(std::countr_zero(here));
    const Verdict first = found[lane];
    Payload differs = 0;
    for_lanes(here, [&](std::size_t at) { differs |= found[at].word() ^ first.word(); });
    if ((differs & Verdict::end_bits) != 0 || first.way() != Way::send ||
        !takes(first.target(), burst_.key[lane].inport()))
        return false;
    burst_.port.fill(static_cast<PortId>(first.target()));
    burst_.plain |= here;
    return true;
}

// Packets of a burst often go the same way: the last port's state is kept. Which packets drop
// nobody can predict, so that is no branch.
template <bool traced>
LaneMask Walk<traced>::lanes_left(LaneMask here, const Found& found) noexcept {
    Burst& burst = burst_;
    const Hop* const hops = now_.hops;
    std::size_t open = ~std::size_t{0}; // a port that takes packets of this ingress, or none
    LaneMask left = 0;
    LaneMask dropped = 0;
    LaneMask hopping = 0;
    for_lanes(here, [&](std::size_t lane) {
        const Verdict verdict = found[lane];
        const Way way = verdict.way();
        std::size_t port = verdict.target();
        if (way == Way::hop) {
            const Hop& hop = hops[port];
            const FlowKey& key = burst.key[lane];
            if (hop.decrements_ttl && key.is(Shape::ip) && (key.word[4] >> 48 & 0xff) <= 1)
                [[unlikely]] {
                left |= lane_bit(lane);
                return;
            }
            burst.hop[lane] = &hop;
            hopping |= lane_bit(lane);
            port = index(hop.port);
        } else if (way == Way::walk) [[unlikely]] {
            __builtin_prefetch(verdict.program());
            left |= lane_bit(lane);
            return;
        }
        const std::size_t drops = static_cast<std::size_t>(way) & 1;
        if (((port ^ open) & (drops - 1)) != 0) [[unlikely]] {
            if (!takes(port, burst.key[lane].inport())) {
                left |= lane_bit(lane);
                return;
            }
            open = port;
        }
        burst.port[lane] = static_cast<PortId>(port);
        burst.why[lane] = Drop::policy;
        dropped |= static_cast<LaneMask>(drops) << lane;
    });
    burst.plain |= here & ~(left | dropped);
    burst.hops |= hopping & ~left;
    return left;
}

template <bool traced>
auto Walk<traced>::output_number(
    std::size_t lane, PortNumber number, std::uint32_t max_bytes, bool to_ingress
) noexcept -> Next {
    const PortId port = now_.bridges.find(index(machines_.lane[lane].bridge))->ports.find(number);
    return output(lane, port, max_bytes, to_ingress);
}

/// The other bridge's table 0 runs like a clone: with the headers as they are, without registers,
/// metadata, tunnel and connection.
template <bool traced>
auto Walk<traced>::enter_patch(std::size_t lane, const PortView& port) noexcept -> Next {
    Lane& at = machines_.lane[lane];
    const PortView* peer = now_.ports.find(index(port.peer));
    if (peer == nullptr || !peer->is_patch)
        return refuse(lane, port.id, Drop::no_such_port);
    if (peer->down)
        return refuse(lane, port.id, Drop::port_down);
    if (++at.clones > walk_clones_max)
        return abort(lane, Drop::clones_exceeded);
    Frame* frame = push_frame(lane);
    if (frame == nullptr || !save(lane))
        return abort(lane, Drop::depth_exceeded);
    frame->kind = Frame::Kind::clone;
    tell(lane, {.what = StoryStep::What::patch, .port = peer->id});

    FlowKey& key = burst_.key[lane];
    constexpr WordMask nd_word = WordMask{1} << 34; // of the packet, too, though nobody writes it
    const WordMask cleared =
        (depth_.words | Depth::always) & ~(WordMask{1} | header_words | nd_word);
    for (WordMask left = cleared; left != 0; left &= left - 1)
        key.word[static_cast<std::size_t>(std::countr_zero(left))] = 0;
    key.word[5] &= ~(std::uint64_t{0xffff} << 32); // ct_state
    if ((depth_.words >> 22 & 1) != 0)
        key.word[22] &= ~std::uint64_t{0xffff}; // ct_zone
    key.set_inport(peer->number);
    at.stack = 0;
    at.bridge = peer->bridge;
    machines_.at[lane] =
        static_cast<std::uint32_t>(now_.bridges.find(index(peer->bridge))->first_table);
    return Next::table;
}

/// Goes on with the ports of frame.over from frame.next; a patch port interrupts and comes back
/// here when its walk ends.
template <bool traced>
auto Walk<traced>::flood(std::size_t lane, Frame frame) noexcept -> Next {
    Lane& at = machines_.lane[lane];
    const auto& ports = static_cast<const BridgeView*>(frame.over)->ports;
    for (PortId port; (port = ports.next(frame.next)) != PortId::none;) {
        const PortView* view = now_.ports.find(index(port));
        if (view == nullptr || view->number == burst_.key[lane].inport())
            continue;
        if (view->down || now_.link_up[index(view->id)].load(std::memory_order_relaxed) == 0)
            continue;
        const std::uint16_t depth_before = at.depth;
        const Next next = frame.vlan_aware
                              ? output_in_vlan(lane, *view, frame.vlan, frame.max_bytes)
                              : output(lane, view->id, frame.max_bytes, false);
        if (next == Next::over)
            return next;
        if (at.depth != depth_before) { // inside the patch port: its clone frame becomes ours
            Frame& inner = machines_.stacks[lane].frame[depth_before];
            const Op* resume = inner.resume;
            const Program* program = inner.program;
            const std::uint16_t table_number = inner.table_number;
            inner = frame;
            inner.kind = Frame::Kind::flood;
            inner.resume = resume;
            inner.program = program;
            inner.table_number = table_number;
            return next;
        }
    }
    return Next::on;
}

/// The bridge as a learning switch (IEEE 802.1Q; modes as in ovs-vswitchd.conf.db(5), vlan_mode).
template <bool traced>
auto Walk<traced>::normal(std::size_t lane, std::uint32_t max_bytes) noexcept -> Next {
    const BridgeView& bridge = *now_.bridges.find(index(machines_.lane[lane].bridge));
    const FlowKey& key = burst_.key[lane];
    const PortView* ingress = now_.ports.find(index(bridge.ports.find(key.inport())));
    const bool tagged = key.is(Shape::vlan);
    auto vlan = static_cast<std::uint16_t>(tagged ? key.word[1] & 0xfff : 0);
    if (ingress != nullptr && ingress->vlan_mode != VlanMode::none) {
        const VlanMode mode = ingress->vlan_mode;
        if (mode == VlanMode::access && vlan != 0)
            return refuse(lane, ingress->id, Drop::vlan_filtered);
        if (mode != VlanMode::trunk && vlan == 0)
            vlan = ingress->vlan_tag;
        const bool native = mode != VlanMode::trunk && vlan == ingress->vlan_tag;
        if (!native && (ingress->vlan_allowed[vlan / 64u] >> (vlan % 64u) & 1) == 0)
            return refuse(lane, ingress->id, Drop::vlan_filtered);
    }
    if (ingress != nullptr)
        learn(lane, bridge, *ingress, vlan);

    FlowKey wanted; // only word 1 is read
    wanted.word[1] = mac_key(vlan, key.word[1] >> 16);
    const Entry* known =
        (key.word[1] >> 56 & 1) != 0 ? nullptr : bridge.macs->find(wanted, now_.generation);
    if (known != nullptr) {
        const PortId port = reinterpret_cast<const LearnedAddress*>(known->payload)->port;
        const PortView* view = now_.ports.find(index(port));
        if (view == nullptr)
            return refuse(lane, port, Drop::no_such_port);
        return output_in_vlan(lane, *view, vlan, max_bytes);
    }
    return flood(
        lane,
        {.kind = Frame::Kind::flood,
         .vlan_aware = true,
         .vlan = vlan,
         .max_bytes = max_bytes,
         .over = &bridge}
    );
}

template <bool traced>
void Walk<traced>::learn(
    std::size_t lane, const BridgeView& bridge, const PortView& ingress, std::uint16_t vlan
) noexcept {
    if constexpr (traced)
        return;
    const std::uint64_t mac = burst_.key[lane].word[2] >> 16;
    if (!bridge.learning || (mac >> 40 & 1) != 0 || mac == 0)
        return;
    FlowKey wanted;
    wanted.word[1] = mac_key(vlan, mac);
    if (const Entry* known = bridge.macs->find(wanted, now_.generation); known != nullptr) {
        const auto& address = *reinterpret_cast<const LearnedAddress*>(known->payload);
        if (address.port == ingress.id) {
            if (address.used_ms.load(std::memory_order_relaxed) != worker_.now_ms)
                address.used_ms.store(worker_.now_ms, std::memory_order_relaxed);
            return;
        }
    }
    if (burst_.learned_count < burst_max)
        burst_.learned[burst_.learned_count++] = {bridge.id, vlan, ingress.id, mac};
}

/// Sends on a port with the tag that its VLAN mode asks for, and leaves the lane's tags as they
/// were.
template <bool traced>
auto Walk<traced>::output_in_vlan(
    std::size_t lane, const PortView& port, std::uint16_t vlan, std::uint32_t max_bytes
) noexcept -> Next {
    if (port.vlan_mode == VlanMode::none)
        return output(lane, port.id, max_bytes, false);
    const bool native = port.vlan_mode != VlanMode::trunk && vlan == port.vlan_tag;
    if (!native && (port.vlan_mode == VlanMode::access ||
                    (port.vlan_allowed[vlan / 64u] >> (vlan % 64u) & 1) == 0))
        return Next::on; // not a member of this VLAN: nothing goes there
    const bool untagged = vlan == 0 || (native && port.vlan_mode != VlanMode::native_tagged);

    Lane& at = machines_.lane[lane];
    FlowKey& key = burst_.key[lane];
    const std::array<std::uint64_t, 3> words{key.word[0], key.word[1], key.word[2]};
    const Lane before = at;
    if (untagged && key.is(Shape::vlan))
        pop_vlan(lane);
    if (!untagged && !key.is(Shape::vlan) && push_vlan(lane, 0x8100)) {
        key.word[1] |= vlan;
        wrote(lane, 1);
    }
    const Next next = output(lane, port.id, max_bytes, false);
    if (at.depth == before.depth) {
        key.word[0] = words[0];
        key.word[1] = words[1];
        key.word[2] = words[2];
        at.dirty = before.dirty;
        at.vlan = before.vlan;
        at.edit = before.edit;
    } else { // inside a patch port: what is restored at its end is the state before our tags
        SavedState& saved = machines_.stacks[lane].saved[at.saved - 1u];
        saved.key.word[0] = words[0];
        saved.key.word[1] = words[1];
        saved.key.word[2] = words[2];
        saved.dirty = before.dirty;
        saved.vlan = before.vlan;
        saved.edit = before.edit;
    }
    return next;
}

template <bool traced>
void Walk<traced>::punt_unprocessed(std::size_t lane, const PuntSpec& spec) noexcept {
    begin(lane, TableId::none);
    if (Effect* effect = add_effect(lane, Effect::Kind::punt); effect != nullptr) {
        effect->port = burst_.ingress;
        effect->punt = &spec;
    }
}

template class Walk<false>;
template class Walk<true>;

} // namespace weft
