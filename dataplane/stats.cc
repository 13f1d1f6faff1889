#include "dataplane/stats.hh"

#include <bit>

namespace weft {

void Ledger::post_rest(Account& burst) noexcept {
    made_.add(burst.made);
    taken_.add(burst.taken);
    handed_.add(burst.handed);
    for (std::uint64_t left = burst.drop_reasons; left != 0; left &= left - 1) {
        const auto reason = static_cast<std::size_t>(std::countr_zero(left));
        dropped_[reason].add(burst.dropped[reason]);
        burst.dropped[reason] = 0;
    }
    burst.made = 0;
    burst.taken = 0;
    burst.handed = 0;
    burst.drop_reasons = 0;
}

Account Ledger::read() const noexcept {
    for (;;) {
        const std::uint64_t before = sequence_.read();
        Account account;
        account.received = received_.read();
        account.made = made_.read();
        account.sent = sent_.read();
        account.taken = taken_.read();
        account.handed = handed_.read();
        for (std::size_t reason = 0; reason < drop_count; ++reason)
            account.dropped[reason] = dropped_[reason].read();
        if ((before & 1) == 0 && sequence_.read() == before)
            return account;
    }
}

} // namespace weft
