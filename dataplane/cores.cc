#include "dataplane/cores.hh"

#include <algorithm>
#include <sched.h>

namespace weft {

namespace {

bool contains(std::span<const unsigned> cores, unsigned core) {
    return std::find(cores.begin(), cores.end(), core) != cores.end();
}

std::string listed(std::span<const unsigned> cores) {
    std::string text;
    for (std::size_t i = 0; i < cores.size();) {
        std::size_t last = i;
        while (last + 1 < cores.size() && cores[last + 1] == cores[last] + 1)
            ++last;
        text += (text.empty() ? "" : ",") + std::to_string(cores[i]);
        if (last != i)
            text += "-" + std::to_string(cores[last]);
        i = last + 1;
    }
    return text;
}

void note_sharing(CoreLayout& layout, bool control_shares) {
    auto sorted = layout.workers;
    std::sort(sorted.begin(), sorted.end());
    for (std::size_t i = 0; i < sorted.size();) {
        const auto core = sorted[i];
        const auto end = std::find_if(
            sorted.begin() + static_cast<std::ptrdiff_t>(i),
            sorted.end(),
            [core](unsigned other) { return other != core; }
        );
        const auto count = static_cast<std::size_t>(end - sorted.begin()) - i;
        if (count > 1)
            layout.notes.push_back(
                std::to_string(count) + " workers share core " + std::to_string(core)
            );
        i += count;
    }
    if (control_shares)
        layout.notes.push_back(
            "the control thread shares core " + listed(layout.control) + " with workers"
        );
}

} // namespace

std::vector<unsigned> allowed_cores() {
    cpu_set_t set;
    std::vector<unsigned> cores;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return {0};
    for (unsigned core = 0; core < CPU_SETSIZE; ++core)
        if (CPU_ISSET(core, &set))
            cores.push_back(core);
    return cores;
}

Result<CoreLayout> lay_out_cores(
    std::span<const unsigned> asked, std::size_t workers, std::span<const unsigned> allowed
) {
    CoreLayout layout;
    if (asked.size() > workers_max || (asked.empty() && (workers == 0 || workers > workers_max)))
        return fail(
            "bad_cores",
            "workers " + std::to_string(asked.empty() ? workers : asked.size()) +
                ": must be 1 to " + std::to_string(workers_max)
        );
    for (const unsigned core : asked) {
        if (!contains(allowed, core))
            return fail(
                "bad_cores",
                "core " + std::to_string(core) + ": this process may run on " + listed(allowed) +
                    " only"
            );
        if (contains(layout.workers, core))
            return fail("bad_cores", "core " + std::to_string(core) + ": named twice");
        layout.workers.push_back(core);
    }
    if (asked.empty()) {
        const auto usable = allowed.size() > 1 ? allowed.subspan(1) : allowed;
        for (std::size_t i = 0; i < workers; ++i)
            layout.workers.push_back(usable[i % usable.size()]);
    }
    for (const unsigned core : allowed)
        if (!contains(layout.workers, core))
            layout.control.push_back(core);
    const bool control_shares = layout.control.empty();
    if (control_shares)
        layout.control.push_back(allowed.front());
    note_sharing(layout, control_shares);
    return layout;
}

} // namespace weft
