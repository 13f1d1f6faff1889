#include "classifier/arena.hh"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>

namespace weft {

namespace {

constexpr std::size_t large_page = std::size_t{2} << 20;
constexpr std::size_t chunks_share = 16; // a chunk is that part of what is there, or a large page
constexpr std::size_t chunk_lines_min = 8, chunk_lines_max = large_page / cache_line;

std::size_t lines_of(std::size_t bytes) {
    return (bytes + cache_line - 1) / cache_line;
}

} // namespace

void* take_lines(std::size_t lines) {
    const std::size_t bytes = lines * cache_line;
    if (bytes < large_page) {
        void* memory = std::aligned_alloc(cache_line, bytes);
        if (memory == nullptr)
            std::abort();
        return std::memset(memory, 0, bytes);
    }
    // Aligned to the large page, so that every part of it can be one.
    const std::size_t all = bytes + large_page;
    void* const mapped =
        mmap(nullptr, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped == MAP_FAILED)
        std::abort();
    const auto begin = reinterpret_cast<std::uintptr_t>(mapped);
    const std::uintptr_t aligned = (begin + large_page - 1) / large_page * large_page;
    const std::size_t kept = (bytes + 4095) / 4096 * 4096;
    if (aligned != begin)
        munmap(mapped, aligned - begin);
    if (const std::uintptr_t end = aligned + kept; end != begin + all)
        munmap(reinterpret_cast<void*>(end), begin + all - end);
    void* const memory = reinterpret_cast<void*>(aligned);
    madvise(memory, kept, MADV_HUGEPAGE); // a hint: without it pages are small
    return memory;
}

void give_lines(void* memory, std::size_t lines) noexcept {
    const std::size_t bytes = lines * cache_line;
    if (bytes < large_page)
        std::free(memory);
    else
        munmap(memory, (bytes + 4095) / 4096 * 4096);
}

void* Arena::take(std::size_t bytes) {
    const std::size_t wanted = units(bytes);
    if (wanted > piece_units_max) {
        const std::size_t lines = lines_of(bytes);
        bytes_ += lines * cache_line;
        return take_lines(lines);
    }
    if (FreePiece* piece = free_[wanted]; piece != nullptr) {
        free_[wanted] = piece->next;
        __builtin_prefetch(piece->next, 1); // asked for next
        return piece;
    }
    if (left_units_ < wanted) {
        // What is left of the old chunk serves smaller pieces.
        if (left_units_ != 0)
            give(at_, left_units_ * unit_);
        // In proportion, so that little is left over; whole large pages as soon as that is little.
        const std::size_t share = lines_of(bytes_) / chunks_share;
        const std::size_t lines =
            std::max({std::min(share, chunk_lines_max), chunk_lines_min, lines_of(bytes)});
        chunks_.push_back(Chunk{take_lines(lines), {lines}});
        bytes_ += lines * cache_line;
        at_ = static_cast<std::byte*>(chunks_.back().get());
        left_units_ = lines * cache_line / unit_;
    }
    void* const piece = at_;
    at_ += wanted * unit_;
    left_units_ -= wanted;
    return piece;
}

void Arena::give(void* piece, std::size_t bytes) noexcept {
    const std::size_t size = units(bytes);
    if (size > piece_units_max) {
        const std::size_t lines = lines_of(bytes);
        bytes_ -= lines * cache_line;
        give_lines(piece, lines);
        return;
    }
    auto* free = new (piece) FreePiece{free_[size]};
    free_[size] = free;
}

} // namespace weft
