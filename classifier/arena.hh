// Memory in cache lines for structures that workers read: few page-table entries, no header per
// piece.
#pragma once

#include "base/ids.hh"

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace weft {

/// `lines` cache lines of zeros, on large pages where the system has them. Never null: without
/// memory the process ends.
void* take_lines(std::size_t lines);
void give_lines(void* memory, std::size_t lines) noexcept;

struct LinesDeleter {
    std::size_t lines = 0;
    void operator()(void* memory) const noexcept { give_lines(memory, lines); }
};

/// Pieces of a few units each, cut from chunks; a piece that comes back is given out again. One
/// thread. Chunks are freed with the arena. A piece's bytes are what its last user left.
class Arena {
public:
    static constexpr std::size_t piece_units_max = 16;

    /// Pieces lie at multiples of `unit` bytes, which divides a cache line.
    explicit Arena(std::size_t unit = cache_line) noexcept : unit_{unit} {}

    /// Beyond piece_units_max units a piece has memory of its own.
    void* take(std::size_t bytes);
    void give(void* piece, std::size_t bytes) noexcept;
    std::uint64_t memory_bytes() const noexcept { return bytes_; }

private:
    using Chunk = std::unique_ptr<void, LinesDeleter>;
    struct FreePiece {
        FreePiece* next;
    };

    std::size_t units(std::size_t bytes) const noexcept { return (bytes + unit_ - 1) / unit_; }

    const std::size_t unit_;
    std::vector<Chunk> chunks_;
    std::byte* at_ = nullptr;
    std::size_t left_units_ = 0;
    std::array<FreePiece*, piece_units_max + 1> free_{};
    std::uint64_t bytes_ = 0;
};

} // namespace weft
