// Matches and actions as messages: the structure behind the text language, field by number. A
// message and a text that say the same come to the same structure, and so to the same row.
#pragma once

#include "control/schema.hh"
#include "control/weft.pb.h"
#include "pipeline/action.hh"
#include "pipeline/match.hh"

#include <string_view>

namespace weft {

// Reading: the canonical structure, under the rules of the text language, or the first thing that
// is wrong: its path begins with `path` and leads to the term, field or action. Any message is safe
// to pass. Pure; any thread.

/// A range becomes what the text language makes of it.
Judged<Match> match_from(const control::MatchTerms& message, std::string_view path);
Judged<Actions> actions_from(const control::ActionList& message, std::string_view path);

/// Canonical structures as messages, appended to `out`: reading gives the same structure again.
void to_message(const Match& match, control::MatchTerms& out);
void to_message(const Actions& actions, control::ActionList& out);

} // namespace weft
