// Memory for nodes of few sizes, named by 32-bit handles: slots in chunks, chunks in huge pages.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace weft {

/// Layout: one reserved stretch of addresses, cut into pages of 2 MiB of 32 chunks of 64 KiB each.
/// A chunk holds slots of one size, a multiple of 32 bytes. A handle is the slot's offset in units
/// of 32 bytes, so slots of 32 and 64 bytes lie in one cache line. Reading: base() + handle * unit.
///
/// Invariants: (1) the slot of handle 0 is never given out and stays zero; (2) new chunks come from
/// the lowest page that has one; (3) at most one page without a chunk in use keeps its memory, the
/// others have given it back to the system.
///
/// One thread allocates and frees; who reads a slot is the caller's affair.
class SlotArena {
public:
    using Handle = std::uint32_t;
    static constexpr std::size_t unit = 32;
    static constexpr std::size_t units_max = 32; // of one slot: 1 KiB

    /// Reserves addresses, not memory. `bytes_max` is rounded up to pages, at most 128 GiB.
    explicit SlotArena(std::size_t bytes_max);
    ~SlotArena();
    SlotArena(const SlotArena&) = delete;
    SlotArena& operator=(const SlotArena&) = delete;

    /// Of `units` * 32 bytes, its content undefined. Stops the process where none is left: ask
    /// slots_left() before.
    Handle allocate(std::size_t units);
    void free(Handle handle);
    std::byte* at(Handle handle) const noexcept { return base_ + handle * unit; }
    std::byte* base() const noexcept { return base_; }

    /// So many slots of any size are there at least.
    std::size_t slots_left() const noexcept { return chunks_left_; }
    /// In slots given out.
    std::uint64_t used_bytes() const noexcept { return used_bytes_; }
    /// Taken from the system, the arena's own lists included. With huge pages the last page may
    /// hold up to 2 MiB more than it says.
    std::uint64_t memory_bytes() const noexcept;

private:
    static constexpr std::size_t chunk_bytes = 64 * 1'024;
    static constexpr std::size_t page_bytes = 2 * 1'024 * 1'024;
    static constexpr std::uint32_t chunk_units = chunk_bytes / unit;
    static constexpr std::uint32_t chunks_per_page = page_bytes / chunk_bytes;
    static constexpr std::uint32_t none = 0xffff'ffff;
    static constexpr std::uint16_t no_slot = 0xffff;

    struct Chunk {
        std::uint32_t next = none; // chunks of this size with a free slot
        std::uint32_t previous = none;
        std::uint16_t units = 0;            // 0: the chunk is free
        std::uint16_t used = 0;             // slots given out
        std::uint16_t begun = 0;            // slots that were ever given out
        std::uint16_t first_free = no_slot; // their chain: each names the next in its first bytes
    };
    struct Page {
        std::uint32_t free = ~std::uint32_t{0}; // bit c: chunk c is free
        std::uint32_t touched = 0;              // bit c: chunk c has memory
    };

    std::uint32_t take_chunk(std::size_t units);
    void release_chunk(std::uint32_t at);
    void link(std::uint32_t at);
    void unlink(std::uint32_t at);
    static std::uint16_t slots_of(const Chunk& chunk) noexcept {
        return static_cast<std::uint16_t>(chunk_units / chunk.units);
    }

    std::byte* base_ = nullptr;
    std::size_t reserved_bytes_ = 0;
    std::size_t chunks_left_ = 0;
    std::uint64_t used_bytes_ = 0;
    std::uint32_t lowest_page_ = 0; // no page below has a free chunk
    std::uint32_t spare_page_ = none;
    std::array<std::uint32_t, units_max + 1> partial_; // by units: chunks with a free slot
    std::vector<Chunk> chunks_;
    std::vector<Page> pages_;
};

} // namespace weft
