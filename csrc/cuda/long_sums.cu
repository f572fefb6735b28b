// Reads every element twice, and a few of them a third time.
//
// Element i belongs to sum i % 16, and is to be added to it in index order, with every rounding
// that this brings. Tiles of 4096 elements are 256 additions to each sum. First they are added up
// anyhow, which tells what the sums will be at the begin of each tile, nearly: which binade they
// will be in. Then each tile finds what its additions do to sums in that binade
// (gradwire/rounding_steps.h), and all of these are joined. The few tiles in which a sum gets into
// its next binade, and those that the estimate was wrong about, are added one element after the
// other.
#include "gradwire/rounding_steps.h"
#include "long_sum_tables.h"
#include "long_sums.h"

namespace gradwire {
inline namespace cuda {
namespace {

using namespace long_sums;

// ---- what tiles add, nearly ----

// Sums of 16 lanes' residue classes: element 4 * (lane % 4) + j of each 16 is added to sum[j].
template <typename Term, typename Input>
__global__ void __launch_bounds__(kThreads)
    estimate_kernel(Input input, std::uint64_t n, Tables tables) {
    struct Room {
        double sum[kWarps][kSums];
    };
    GRADWIRE_SHARED(Room, room);
    const std::uint64_t begin = std::uint64_t{blockIdx.x} * kTile + warp() * kChunk;
    const ChunkFloats x = load_chunk(input, WarpChunk{begin, n});
    GRADWIRE_UNROLL
    for (unsigned j = 0; j < kQuad; ++j) {
        double sum = 0.0;
        GRADWIRE_UNROLL
        for (unsigned q = 0; q < kQuads; ++q) {
            sum = sum + Term::term(x.quad[q].at[j]);
        }
        for (int distance = kWarp / 2; distance >= 4; distance /= 2) {
            sum = sum + __shfl_xor_sync(kFullWarp, sum, distance);
        }
        if (lane() < kSums / kQuad) {
            room.sum[warp()][kQuad * lane() + j] = sum;
        }
    }
    __syncthreads();
    if (threadIdx.x < kSums) {
        double sum = 0.0;
        for (unsigned w = 0; w < kWarps; ++w) {
            sum = sum + room.sum[w][threadIdx.x];
        }
        tables.before[tables.place(threadIdx.x, blockIdx.x)] = sum;
    }
}

GRADWIRE_DEVICE double sum_of_lanes_before(double own) {
    double sum = own;
    for (unsigned distance = 1; distance < kWarp; distance *= 2) {
        const double other = __shfl_up_sync(kFullWarp, sum, distance);
        sum = lane() < distance ? sum : sum + other;
    }
    const double before = __shfl_up_sync(kFullWarp, sum, 1);
    return lane() == 0 ? 0.0 : before;
}

// A block for each sum: from what the tiles add to what those before each of them add.
__global__ void __launch_bounds__(kWide) estimate_before_kernel(Tables tables) {
    struct Room {
        double of_warp[kWarp], before[kWarp];
    };
    GRADWIRE_SHARED(Room, room);
    double* const of_tile = tables.before + tables.place(blockIdx.x, 0);
    const Share share(tables.tiles);
    double own = 0.0;
    for (std::uint64_t tile = share.begin; tile < share.end; ++tile) {
        own = own + of_tile[tile];
    }
    const double in_warp = sum_of_lanes_before(own);
    if (lane() == kWarp - 1) {
        room.of_warp[warp()] = in_warp + own;
    }
    __syncthreads();
    if (warp() == 0) {
        room.before[lane()] = sum_of_lanes_before(room.of_warp[lane()]);
    }
    __syncthreads();
    double before = room.before[warp()] + in_warp;
    for (std::uint64_t tile = share.begin; tile < share.end; ++tile) {
        const double added = of_tile[tile];
        of_tile[tile] = before;
        before = before + added;
    }
}

// ---- what tiles do to sums ----

// Rows of 16 elements; 16 rows are a run's, and lie so that two runs use different banks.
struct TileRoom {
    static constexpr unsigned kRows = 16;
    static constexpr unsigned kRun = kRows * kSums + kSums;

    alignas(16) float x[kTile / (kRows * kSums) * kRun];
    Run runs[kWarps][kSums];

    GRADWIRE_DEVICE static unsigned place(unsigned element) {
        return element + element / (kRows * kSums) * kSums;
    }
};

// Thread t finds the run of 16 additions to sum t % 16 from row 16 * (t / 16) on.
template <typename Term, typename Input>
__global__ void __launch_bounds__(kThreads)
    find_runs_kernel(Input input, std::uint64_t n, Tables tables) {
    GRADWIRE_SHARED(TileRoom, room);
    const std::uint64_t tile = blockIdx.x;
    const WarpChunk chunk{tile * kTile + warp() * kChunk, n};
    const ChunkFloats x = load_chunk(input, chunk);
    GRADWIRE_UNROLL
    for (unsigned q = 0; q < kQuads; ++q) {
        const Quad<float>& quad = x.quad[q];
        const unsigned at = TileRoom::place(warp() * unsigned{kChunk} + WarpChunk::offset(q));
        *reinterpret_cast<float4*>(room.x + at) =
            make_float4(quad.at[0], quad.at[1], quad.at[2], quad.at[3]);
    }
    const unsigned sum = threadIdx.x % kSums, run = threadIdx.x / kSums;
    RunFinder finder(tables.before[tables.place(sum, tile)]);
    __syncthreads();
    GRADWIRE_UNROLL
    for (unsigned row = 0; row < TileRoom::kRows; ++row) {
        finder.add(Term::term(room.x[run * TileRoom::kRun + row * kSums + sum]));
    }
    const Run own = finder.result();
    const Run next{__shfl_down_sync(kFullWarp, own.even, kSums),
                   __shfl_down_sync(kFullWarp, own.odd, kSums),
                   __shfl_down_sync(kFullWarp, own.exponent, kSums)};
    if (lane() < kSums) {
        room.runs[warp()][sum] = join_runs(own, next);
    }
    __syncthreads();
    if (threadIdx.x < kSums) {
        Run all = room.runs[0][sum];
        for (unsigned w = 1; w < kWarps; ++w) {
            all = join_runs(all, room.runs[w][sum]);
        }
        const std::uint64_t at = tables.place(sum, tile);
        tables.even[at] = all.even;
        tables.odd[at] = all.odd;
        tables.exponents[at] = all.exponent;
    }
}

// ---- the sums ----

// Runs of the lanes of a warp, joined; in lane 0.
GRADWIRE_DEVICE Run join_lanes(Run run) {
    for (unsigned distance = 1; distance < kWarp; distance *= 2) {
        const Run next{__shfl_down_sync(kFullWarp, run.even, distance),
                       __shfl_down_sync(kFullWarp, run.odd, distance),
                       __shfl_down_sync(kFullWarp, run.exponent, distance)};
        if (lane() % (2 * distance) == 0) {
            run = join_runs(run, next);
        }
    }
    return run;
}

struct JoinRoom {
    Run of_thread[kWide];
    Run of_warp[kWarp];
    float x[kTerms];
};

// Adds the elements of a tile that belong to a sum one after the other; in every lane of a warp.
template <typename Term, typename Input>
GRADWIRE_DEVICE double add_one_by_one(const Input& input, std::uint64_t n, std::uint64_t tile,
                                      double sum, float (&room)[kTerms]) {
    GRADWIRE_UNROLL
    for (unsigned i = 0; i < kTerms; i += kWarp) {
        const std::uint64_t element = tile * kTile + (i + lane()) * kSums + blockIdx.x;
        room[i + lane()] = element < n ? input.element(element) : 0.0F;
    }
    __syncwarp();
    for (unsigned i = 0; i < kTerms; ++i) {
        sum = sum + Term::term(room[i]);
    }
    __syncwarp();
    return sum;
}

// Adds the tiles that a thread had joined, which could not be added together.
template <typename Term, typename Input>
GRADWIRE_DEVICE double add_tiles(const Input& input, std::uint64_t n, const Tables& tables,
                                 std::uint64_t begin, std::uint64_t end, double sum,
                                 float (&room)[kTerms]) {
    for (std::uint64_t tile = begin; tile < end && sum <= kMoreThanFinite; ++tile) {
        if (!add_run(tables.run(blockIdx.x, tile), &sum)) {
            sum = add_one_by_one<Term>(input, n, tile, sum, room);
        }
    }
    return sum;
}

// A block for each sum.
template <typename Term, typename Input>
__global__ void __launch_bounds__(kWide, 1)
    join_kernel(Input input, std::uint64_t n, Tables tables) {
    GRADWIRE_SHARED(JoinRoom, room);
    const Share share(tables.tiles);
    Run own = Run::nothing();
    for (std::uint64_t tile = share.begin; tile < share.end; ++tile) {
        own = join_runs(own, tables.run(blockIdx.x, tile));
    }
    room.of_thread[threadIdx.x] = own;
    const Run all = join_lanes(own);
    if (lane() == 0) {
        room.of_warp[warp()] = all;
    }
    __syncthreads();
    if (warp() != 0) {
        return;
    }
    const std::uint64_t each = (tables.tiles + kWide - 1) / kWide;
    double sum = 0.0;  // the same in all lanes
    for (unsigned w = 0; w < kWarp; ++w) {
        if (add_run(room.of_warp[w], &sum)) {
            continue;
        }
        for (unsigned thread = w * kWarp; thread < (w + 1) * kWarp; ++thread) {
            const std::uint64_t begin = thread * each, end = begin + each;
            if (!add_run(room.of_thread[thread], &sum)) {
                sum = add_tiles<Term>(input, n, tables, begin,
                                      end < tables.tiles ? end : tables.tiles, sum, room.x);
            }
        }
    }
    if (lane() == 0) {
        tables.sums[blockIdx.x] = sum;
    }
}

template <typename Term>
__global__ void __launch_bounds__(kWarp)
    finish_kernel(std::uint64_t n, Tables tables, float* scale) {
    const double sum = add_sums(tables.sums[lane() % kSums]);
    if (lane() == 0) {
        *scale = Term::scale(sum, n);
    }
}

}  // namespace

std::uint64_t long_sum_workspace(std::uint64_t n) noexcept {
    return Tables::bytes(n);
}

template <typename Term, typename Input>
void enqueue_long_sum(const Input& input, std::uint64_t n, float* scale, void* workspace) noexcept {
    const Tables tables(n, workspace);
    const auto tiles = static_cast<unsigned>(tables.tiles);
    launch(tiles, kThreads, estimate_kernel<Term, Input>, input, n, tables);
    launch(kSums, kWide, estimate_before_kernel, tables);
    launch(tiles, kThreads, find_runs_kernel<Term, Input>, input, n, tables);
    launch(kSums, kWide, join_kernel<Term, Input>, input, n, tables);
    launch(1, kWarp, finish_kernel<Term>, n, tables, scale);
}

#define GRADWIRE_INSTANTIATE(Input)                                                               \
    template void enqueue_long_sum<Squares>(const Input&, std::uint64_t, float*, void*) noexcept; \
    template void enqueue_long_sum<Magnitudes>(const Input&, std::uint64_t, float*, void*) noexcept;
GRADWIRE_INSTANTIATE(PlainInput<float>)
GRADWIRE_INSTANTIATE(PlainInput<bfloat16>)
GRADWIRE_INSTANTIATE(PlainInput<float16>)
GRADWIRE_INSTANTIATE(PlainInput<double>)
GRADWIRE_INSTANTIATE(CompensatedInput<float>)
GRADWIRE_INSTANTIATE(CompensatedInput<bfloat16>)
GRADWIRE_INSTANTIATE(CompensatedInput<float16>)
GRADWIRE_INSTANTIATE(CompensatedInput<double>)
#undef GRADWIRE_INSTANTIATE

}  // namespace cuda
}  // namespace gradwire
