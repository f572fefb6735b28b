// Reading symbols (gradwire/gap_symbols.h) one after another is serial: where one begins is known
// when the one before it has been read. But readers that begin at a wrong bit soon meet the others,
// as a rule within some ten symbols. So the threads of a block begin at equal distances, each reads
// to where the next one began, and those that the one before does not lead to begin again, until
// nothing changes: then thread 0, which began at the right bit, has led to all others. Bits that
// were made to prevent that take as many rounds as there are threads, and no longer.
#pragma once

#include <cstdint>

#include "gradwire/gap_symbols.h"
#include "index_codecs.h"
#include "reduce.h"
#include "simt.h"
#include "wire_words.h"

namespace gradwire {
inline namespace cuda {

constexpr unsigned kWalkers = 128;  // threads of a block
// So many symbols of typical size for each thread. Gaps that are all alike have just that size, and
// bits of which no reader that begins wrong meets the others: so they begin right. A window of all
// threads has a little more than 1024 symbols.
constexpr unsigned kStride = 9;

constexpr std::uint64_t kLongZeros = 1024;  // more of them are looked at by all threads together
constexpr unsigned long long kNowhere = ~0ULL;

// The bits of a message from any one on, which moves forward as a rule.
class BitCursor {
  public:
    GRADWIRE_DEVICE explicit BitCursor(const WireWords& words) : words_(words) {}

    GRADWIRE_DEVICE const WireWords& words() const { return words_; }

    // 64 bits, zeros behind the end.
    GRADWIRE_DEVICE std::uint64_t peek(std::uint64_t position) {
        move(position / 32);
        const unsigned shift = position % 32;
        const std::uint64_t lower = at_[0] | static_cast<std::uint64_t>(at_[1]) << 32;
        const std::uint64_t upper = at_[1] | static_cast<std::uint64_t>(at_[2]) << 32;
        return static_cast<std::uint32_t>(lower >> shift) | upper >> shift << 32;
    }

  private:
    GRADWIRE_DEVICE void move(std::uint64_t word) {
        if (word == word_ + 1) {
            at_[0] = at_[1];
            at_[1] = at_[2];
            at_[2] = words_.word(word + 2);
        } else if (word != word_) {
            at_[0] = words_.word(word);
            at_[1] = words_.word(word + 1);
            at_[2] = words_.word(word + 2);
        }
        word_ = word;
    }

    WireWords words_;
    std::uint64_t word_ = kNowhere - 1;
    std::uint32_t at_[3] = {};
};

// Some symbols that one thread reads.
struct Run {
    std::uint64_t end;   // where the next symbol begins
    std::uint64_t span;  // the sum of gaps + 1
    std::uint32_t count;
    bool stuck;  // that symbol is none, or too long
};

// The symbols that begin in [begin, end), at most so many. Calls take(number, gaps + 1 to its end).
template <typename Code, typename Take>
GRADWIRE_DEVICE Run run(const Code& code, BitCursor& bits, std::uint64_t begin, std::uint64_t end,
                        std::uint32_t most, Take take) {
    Run own{begin, 0, 0, false};
    while (own.end < end && own.count < most) {
        std::uint64_t zeros = 0;
        std::uint64_t word = bits.peek(own.end);
        while (word == 0 && zeros < kLongZeros) {
            zeros += 64;
            word = bits.peek(own.end + zeros);
        }
        zeros += trailing_zeros(word);
        if (word == 0 || zeros > code.most_zeros()) {
            own.stuck = true;
            break;
        }
        const Parsed field = code.field(zeros, bits.peek(own.end + zeros + 1));
        own.end += zeros + 1 + field.bits;
        own.span += field.gap + 1;
        take(own.count, own.span);
        ++own.count;
    }
    return own;
}

struct TakeNothing {
    GRADWIRE_DEVICE void operator()(std::uint32_t, std::uint64_t) const {}
};

struct WalkRoom {                       // shared by the block
    unsigned long long ends[kWalkers];  // of threads' runs, or kNowhere if stuck
    unsigned long long found;
    std::uint64_t end;
    std::uint64_t span;
    std::uint32_t changed[2];
    std::uint32_t stuck;  // the first thread that is
};

struct Settled {
    std::uint64_t begin, end;  // of the bits in which this thread's symbols begin
    Run run;
};

// One window: runs that lead to each other, up to the first that is stuck.
template <typename Code>
GRADWIRE_DEVICE Settled settle(WalkRoom& room, const Code& code, BitCursor& bits,
                               std::uint64_t position) {
    const std::uint64_t stride = kStride * code.typical_bits();
    Settled own;
    own.begin = position + threadIdx.x * stride;
    own.end = own.begin + stride;
    constexpr std::uint32_t kAny = 0xFFFFFFFFU;
    own.run = run(code, bits, own.begin, own.end, kAny, TakeNothing{});
    if (threadIdx.x == 0) {
        room.changed[0] = 0;
    }
    for (unsigned round = 0;; ++round) {
        room.ends[threadIdx.x] = own.run.stuck ? kNowhere : own.run.end;
        __syncthreads();
        const auto led_to = threadIdx.x == 0 ? own.begin : room.ends[threadIdx.x - 1];
        const bool change = led_to != own.begin && led_to != kNowhere;
        if (change) {
            room.changed[round % 2] = 1;
        }
        if (threadIdx.x == 0) {
            room.changed[(round + 1) % 2] = 0;
        }
        __syncthreads();
        if (room.changed[round % 2] == 0) {
            return own;
        }
        if (change) {
            own.begin = led_to;
            own.run = run(code, bits, own.begin, own.end, kAny, TakeNothing{});
        }
    }
}

// The place of the first one at or behind `from`; kNowhere if there is none.
GRADWIRE_DEVICE std::uint64_t find_one(WalkRoom& room, const WireWords& words, std::uint64_t from) {
    for (std::uint64_t first = from / 32; 4 * first < words.bytes(); first += kWalkers) {
        const std::uint64_t w = first + threadIdx.x;
        std::uint32_t word = words.word(w);
        if (w == from / 32) {
            word &= 0xFFFFFFFFU << from % 32;
        }
        __syncthreads();
        if (threadIdx.x == 0) {
            room.found = kNowhere;
        }
        __syncthreads();
        if (word != 0) {
            atomicMin(&room.found, static_cast<unsigned long long>(32 * w + trailing_zeros(word)));
        }
        __syncthreads();
        if (room.found != kNowhere) {
            return room.found;
        }
    }
    return kNowhere;
}

struct Walked {
    std::uint64_t end;   // where the symbol behind the last one begins
    std::uint64_t span;  // the sum of gaps + 1
    std::uint32_t count;
    Status status;
};

// What is wrong with zeros at the end of a message: too many for a symbol, or just nothing behind
// them. As the reader on the CPU has it, which looks at whole words.
GRADWIRE_DEVICE Status wrong_end(std::uint64_t position, std::uint64_t bytes, std::uint64_t most) {
    const std::uint64_t looks = (most + position % 8) / 64 + 1;
    return position / 8 + 8 * looks < bytes ? Status::index_out_of_range : Status::wrong_length;
}

// One symbol of any size, by all threads.
template <typename Code>
GRADWIRE_DEVICE Walked walk_one(WalkRoom& room, const Code& code, BitCursor& bits,
                                std::uint64_t position) {
    const std::uint64_t one = find_one(room, bits.words(), position);
    if (one == kNowhere) {
        return {position, 0, 0, wrong_end(position, bits.words().bytes(), code.most_zeros())};
    }
    const std::uint64_t zeros = one - position;
    if (zeros > code.most_zeros()) {
        return {position, 0, 0, Status::index_out_of_range};
    }
    const Parsed field = code.field(zeros, bits.peek(one + 1));
    return {one + 1 + field.bits, field.gap + 1, 1, Status::ok};
}

// `count` symbols from a position on, by a block of kWalkers threads; ends early if there are not
// so many. Calls take(number, gaps + 1 to its end) for each, by any thread, if it is to.
template <bool takes, typename Code, typename Take>
GRADWIRE_DEVICE Walked walk(WalkRoom& room, const Code& code, BitCursor& bits,
                            std::uint64_t position, std::uint32_t count, Take take) {
    Walked done{position, 0, 0, Status::ok};
    while (done.count < count) {
        Settled own = settle(room, code, bits, done.end);
        if (threadIdx.x == 0) {
            room.stuck = kWalkers;
        }
        __syncthreads();
        if (own.run.stuck) {
            atomicMin(&room.stuck, threadIdx.x);
        }
        __syncthreads();
        const std::uint32_t stuck = room.stuck;
        if (threadIdx.x > stuck) {
            own.run.count = 0;
            own.run.span = 0;
        }
        const std::uint32_t wanted = count - done.count;
        const SumSoFar<std::uint32_t> counts = block_sum_so_far(own.run.count);
        const bool enough = counts.all >= wanted;
        const std::uint32_t left = counts.before < wanted ? wanted - counts.before : 0;
        const bool reaches = left != 0 && left <= own.run.count;
        if (threadIdx.x == (stuck < kWalkers ? stuck : kWalkers - 1) && !enough) {
            room.end = own.run.end;
        }
        if constexpr (takes) {
            const SumSoFar<std::uint64_t> spans = block_sum_so_far(own.run.span);
            const std::uint64_t before = done.span + spans.before;
            const std::uint32_t first = done.count + counts.before;
            own.run =
                run(code, bits, own.begin, own.end, left < own.run.count ? left : own.run.count,
                    [&](std::uint32_t number, std::uint64_t span) {
                        take(first + number, before + span);
                    });
            if (reaches) {
                room.span = before + own.run.span;
            }
            done.span += spans.all;
        } else if (reaches) {
            own.run = run(code, bits, own.begin, own.end, left, TakeNothing{});
        }
        if (reaches) {
            room.end = own.run.end;
        }
        __syncthreads();
        done.end = room.end;
        done.count += enough ? wanted : counts.all;
        if (enough) {
            done.span = takes ? room.span : 0;
        } else if (stuck < kWalkers) {
            const Walked one = walk_one(room, code, bits, done.end);
            if (one.status != Status::ok) {
                done.status = one.status;
                return done;
            }
            done.span += one.span;
            if (takes && threadIdx.x == 0) {
                take(done.count, done.span);
            }
            done.end = one.end;
            ++done.count;
        }
        __syncthreads();
    }
    return done;
}

}  // namespace cuda
}  // namespace gradwire
