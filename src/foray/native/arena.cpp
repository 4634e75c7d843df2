// Memory of large tensors: an allocator of PyTorch's that keeps what is freed and gives it out again.
//
// glibc either returns large blocks to the operating system at once, and every training step faults its gigabytes in
// anew; or it keeps them among small ones, which stay where a large block was freed and cut its room in pieces: a step
// of MobileNetV2 then holds twice the memory that it uses. Here large blocks have a range of addresses of their own, in
// huge pages where the system gives them. What is resident is the most that was in use at once, and little more.
//
// Closed, it gives out nothing more, and the system has again what is free. Tensors that are still there stay where they
// are; the last one takes the range with it.

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <utility>

namespace {

constexpr std::size_t SMALLEST = 1 << 20;  // bytes; what is smaller is the default allocator's
constexpr std::size_t UNIT = 64;           // a cache line, to which PyTorch's own blocks are aligned
constexpr std::size_t HUGE_PAGE = 2 << 20;

// A range of addresses, cut into blocks that are free or in use; the smallest free block that suffices is cut first.
class Range {
   public:
    // Reserves addresses; true also where it is open. False where the system refuses.
    bool open(std::size_t bytes) {
        const std::lock_guard<std::mutex> guard(mutex_);
        if (!mapped_) {
            void* found =
                mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
            if (found == MAP_FAILED) return false;
            madvise(found, bytes, MADV_HUGEPAGE);  // a wish
            mapped_ = static_cast<char*>(found);
            mapped_bytes_ = bytes;
            char *const begin = rounded_up(mapped_, HUGE_PAGE), *const end = mapped_ + bytes;
            insert(begin, end - begin);
            begin_ = begin;
            end_ = end;
        }
        is_open_ = true;
        return true;
    }

    void close() {
        const std::lock_guard<std::mutex> guard(mutex_);
        is_open_ = false;
        for (const auto& [block, length] : by_address_) drop(block, length);
        unmap_if_unused();
    }

    bool contains(const void* block) const { return block >= begin_ && block < end_; }

    // nullptr where no free block is as large.
    void* take(std::size_t bytes) {
        // Up to a line more than it takes, so that maps of one size do not all begin at the same place of a page.
        const std::size_t length = (bytes + 2 * UNIT - 1) / UNIT * UNIT;
        const std::lock_guard<std::mutex> guard(mutex_);
        const auto found = by_length_.lower_bound({length, nullptr});
        if (found == by_length_.end()) return nullptr;
        const auto [free, block] = *found;
        erase(block, free);
        if (free > length) insert(block + length, free - length);
        used_[block] = length;
        return block;
    }

    void give_back(void* pointer) {
        const std::lock_guard<std::mutex> guard(mutex_);
        const auto found = used_.find(static_cast<char*>(pointer));
        char* block = found->first;
        std::size_t length = found->second;
        used_.erase(found);
        const auto next = by_address_.lower_bound(block);
        if (next != by_address_.begin()) {
            const auto [before, its_length] = *std::prev(next);
            if (before + its_length == block) {
                erase(before, its_length);
                block = before;
                length += its_length;
            }
        }
        if (const auto after = by_address_.find(block + length); after != by_address_.end()) {
            const std::size_t its_length = after->second;
            erase(block + length, its_length);
            length += its_length;
        }
        insert(block, length);
        if (!is_open_) {
            drop(block, length);
            unmap_if_unused();
        }
    }

    std::mutex& mutex() { return mutex_; }

   private:
    static char* rounded_up(char* address, std::size_t unit) {
        return reinterpret_cast<char*>((reinterpret_cast<std::uintptr_t>(address) + unit - 1) / unit * unit);
    }
    // Gives the whole pages of a free block back to the system.
    static void drop(char* block, std::size_t length) {
        static const std::size_t page = sysconf(_SC_PAGESIZE);
        char* first = rounded_up(block, page);
        const auto last = reinterpret_cast<std::uintptr_t>(block + length) / page * page;
        if (reinterpret_cast<std::uintptr_t>(first) < last)
            madvise(first, last - reinterpret_cast<std::uintptr_t>(first), MADV_DONTNEED);
    }
    void unmap_if_unused() {
        if (!mapped_ || !used_.empty()) return;
        by_address_.clear();
        by_length_.clear();
        begin_ = end_ = nullptr;
        munmap(mapped_, mapped_bytes_);
        mapped_ = nullptr;
    }
    void insert(char* block, std::size_t length) {
        by_address_[block] = length;
        by_length_.insert({length, block});
    }
    void erase(char* block, std::size_t length) {
        by_address_.erase(block);
        by_length_.erase({length, block});
    }

    std::mutex mutex_;
    bool is_open_ = false;
    char* mapped_ = nullptr;
    std::size_t mapped_bytes_ = 0;
    std::atomic<char*> begin_{nullptr}, end_{nullptr};  // read without the lock
    std::map<char*, std::size_t> by_address_;            // free blocks
    std::set<std::pair<std::size_t, char*>> by_length_;  // the same; of equal ones the first in memory
    std::unordered_map<char*, std::size_t> used_;
};

struct Arena final : c10::Allocator {
    Range range;
    c10::Allocator* small = nullptr;

    c10::DataPtr allocate(std::size_t bytes) override {
        void* block = bytes >= SMALLEST ? range.take(bytes) : nullptr;
        if (block)
            c10::profiledCPUMemoryReporter().New(block, bytes);
        else
            block = small->raw_allocate(bytes);
        return {block, block, &release, c10::Device(c10::DeviceType::CPU)};
    }
    c10::DeleterFnPtr raw_deleter() const override { return &release; }
    void copy_data(void* to, const void* from, std::size_t bytes) const override { default_copy_data(to, from, bytes); }

    static void release(void* block);
};

Arena* arena = nullptr;  // never destroyed: tensors may outlive everything else

void Arena::release(void* block) {
    if (arena->range.contains(block)) {
        c10::profiledCPUMemoryReporter().Delete(block);
        arena->range.give_back(block);
    } else if (block) {
        arena->small->raw_deallocate(block);
    }
}

}  // namespace

extern "C" {

// From now on large tensors of this process lie here. False where the system refuses the addresses, and where PyTorch
// has an allocator other than its own.
bool arena_open(std::size_t bytes) {
    c10::Allocator* const there = c10::GetCPUAllocator();
    if (arena && there == arena) return true;
    if (there != c10::GetDefaultCPUAllocator()) return false;
    if (!arena) {
        arena = new Arena;
        arena->small = there;
        // A fork while another thread allocates would leave the child a lock that nobody opens.
        pthread_atfork([] { arena->range.mutex().lock(); }, [] { arena->range.mutex().unlock(); },
                       [] { arena->range.mutex().unlock(); });
    }
    if (!arena->range.open(bytes)) return false;
    c10::SetCPUAllocator(arena);
    return true;
}

// From now on tensors lie where they did before.
void arena_close() {
    if (!arena || c10::GetCPUAllocator() != arena) return;
    c10::SetCPUAllocator(arena->small);
    arena->range.close();
}

}  // extern "C"
