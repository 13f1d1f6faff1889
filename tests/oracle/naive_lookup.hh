// The specification of a lookup: every rule of the table is tried, the best one wins.
#pragma once

#include "base/key.hh"
#include "tests/oracle/spec.hh"
#include "tests/support/naive_names.hh"

#include <optional>

namespace weft::oracle {

/// The name in a packet's payload, if it has one.
using PacketName = std::optional<test::NaiveName>;

/// True if the key has, for every field of the term, the asked bits.
bool matches(const FlowKey& key, const Term& term, const PacketName& name = {});

/// True if some term of the match does.
bool matches(const FlowKey& key, const Match& match, const PacketName& name = {});

/// What a lookup in `table` answers; nullptr is a miss. Conjunctions (ovs-actions(7), conj_id in
/// ovs-fields(7)) are resolved.
///
/// A name that a term asks for counts as 256 bits where it has a "*" elsewhere than in a "*." at
/// the beginning, 512 where it has one there alone (or is "*"), 768 where it has none, and as one
/// bit more for each of its bytes that is no "*"; in masks its place is all ones.
///
/// Of the rules that match, the one of higher priority wins; then the row that asks for more bits,
/// where a row of several terms asks for what its least demanding term asks; then, between the
/// terms that matched, the greater mask and the greater value, both compared as the key's words
/// from the first as unsigned numbers; then the greater match, compared term by term.
///
/// A rule that contributes to a conjunction never wins. Where such rules match with a higher
/// priority than that winner, then for each of their priorities from the highest, and for each
/// conjunction id from the lowest, of which every clause has a rule of that priority that matches,
/// the table is asked once more with the field conj_id set: a winner that asks for conj_id is the
/// answer.
const SpecRule* lookup(const SpecTable& table, const FlowKey& key, const PacketName& name = {});

} // namespace weft::oracle
