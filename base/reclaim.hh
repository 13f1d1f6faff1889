// Memory that readers may still look at: handed over by the writer, freed after the grace period.
#pragma once

#include <functional>

namespace weft {

/// Given from above to every structure that workers read. One thread (the writer) calls it.
class Reclaimer {
public:
    virtual ~Reclaimer() = default;
    /// Runs `free` once no worker can hold anything that was reachable before the writer's next
    /// publication or poll: the grace period begins there, not here, so a writer may retire and
    /// then unlink, in one go. Never runs it inside the call; `free` runs on the writer's thread
    /// and may retire more.
    virtual void retire(std::function<void()> free) = 0;
};

} // namespace weft
