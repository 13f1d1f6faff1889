// One row that stands: its canonical bytes, who holds it, and what it became in the table engine.
#pragma once

#include "base/ids.hh"
#include "control/rows/relation.hh"

#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <string_view>

namespace weft {

class Rule;
struct Row;
struct Reference;

/// A set of (scope, owners) that rows are held under: control/rows/holdings.hh.
enum class HoldingId : std::uint32_t { none = 0xffff'ffff };

using RowPtr = boost::intrusive_ptr<Row>;

/// Bytes, key and relation never change; what else stands here is the store's and the lowering's.
/// The bytes lie behind the header, in one piece of memory, because there are millions of rows.
/// Control thread only.
struct Row {
    static constexpr std::uint32_t no_slot = 0xffff'ffff;

    const Relation relation;
    bool timed : 1 = false;  // control/expiry.hh watches it
    bool mortal : 1 = false; // it has a time to live
    std::uint16_t reference_count = 0;
    const std::uint32_t key_size;
    const std::uint32_t size;
    std::uint32_t slot = no_slot; // in its relation; no_slot: the row does not stand (any more)
    std::uint32_t prev = no_slot; // in its holding's list
    std::uint32_t next = no_slot;
    HoldingId holding = HoldingId::none;
    const std::uint64_t hash;  // of the key
    Generation generation = 0; // that installed it
    std::uint64_t version = 0;
    Rule* rule = nullptr;                    // of a flow
    std::unique_ptr<Reference[]> references; // what the row names: control/rows/references.hh

    std::string_view bytes() const noexcept {
        return {reinterpret_cast<const char*>(this + 1), size};
    }
    std::string_view key() const noexcept { return bytes().substr(0, key_size); }
    bool stands() const noexcept { return slot != no_slot; }

    static RowPtr
    make(Relation relation, std::string_view bytes, std::size_t key_size, std::uint64_t hash) {
        void* memory = ::operator new(sizeof(Row) + bytes.size());
        auto* row = new (memory) Row{relation, bytes.size(), key_size, hash};
        std::memcpy(static_cast<char*>(memory) + sizeof(Row), bytes.data(), bytes.size());
        return RowPtr{row};
    }

private:
    Row(Relation of, std::size_t bytes, std::size_t key, std::uint64_t key_hash);
    ~Row();

    friend void intrusive_ptr_add_ref(Row* row) noexcept { ++row->users_; }
    friend void intrusive_ptr_release(Row* row) noexcept {
        if (--row->users_ == 0) {
            row->~Row();
            ::operator delete(row);
        }
    }
    std::uint32_t users_ = 0;
};

/// Of a row's key: indices and partitions go by it.
inline std::uint64_t key_hash(std::string_view key) noexcept {
    return row_hash(key);
}

} // namespace weft
