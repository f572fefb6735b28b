// Times CUB's kernels for the jobs of gradwire's rows "select" and "topk", in copies, as
// `python -m gradwire bench kernels --device cuda` does it: copy and call in turn, the L2 cache
// overwritten before both, time by events. Prints JSON.
#include <cub/cub.cuh>
#if __has_include(<cub/device/device_topk.cuh>)
#include <cuda/__execution/determinism.h>
#include <cuda/__execution/output_ordering.h>
#include <cuda/__execution/require.h>

#include <cub/device/device_topk.cuh>
#define GRADWIRE_HAS_TOPK 1
#endif
#include <thrust/iterator/counting_iterator.h>
#include <thrust/iterator/transform_iterator.h>
#include <thrust/iterator/zip_iterator.h>
#include <thrust/tuple.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

namespace {

void check(cudaError_t error, const char* what) {
    if (error != cudaSuccess) {
        std::fprintf(stderr, "cuda_peers: %s: %s\n", what, cudaGetErrorString(error));
        std::exit(1);
    }
}

template <typename T>
struct Memory {  // of the device
    T* data = nullptr;

    explicit Memory(std::uint64_t count) {
        check(cudaMalloc(&data, std::max<std::uint64_t>(1, count) * sizeof(T)), "memory");
    }
    ~Memory() { cudaFree(data); }
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    std::vector<T> fetch(std::uint64_t count) const {
        std::vector<T> host(count);
        check(cudaMemcpy(host.data(), data, count * sizeof(T), cudaMemcpyDeviceToHost), "fetch");
        return host;
    }
};

struct Settings {
    std::uint64_t n = 25'000'000;
    double density = 0.01;
    int repetitions = 30;
};

struct Magnitude {
    __host__ __device__ float operator()(float x) const { return fabsf(x); }
};

struct Reaches {
    float threshold;
    __host__ __device__ bool operator()(const thrust::tuple<std::uint32_t, float>& entry) const {
        return fabsf(thrust::get<1>(entry)) >= threshold;
    }
};

__global__ void write_magnitudes(const float* x, std::uint64_t n, float* out) {
    const std::uint64_t i = std::uint64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    if (i < n) {
        out[i] = fabsf(x[i]);
    }
}

// Laplace-distributed, as the benchmark's gradients are.
std::vector<float> gradient(std::uint64_t n) {
    std::vector<float> x(n);
    std::uint64_t state = 0x9E3779B97F4A7C15U;
    for (float& each : x) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        const auto uniform = static_cast<float>((state >> 40) + 1) * 0x1p-24F;
        const float size = -1e-3F * std::log(uniform);
        each = (state & 1U) != 0 ? size : -size;
    }
    return x;
}

struct Samples {
    std::vector<double> seconds, copy_seconds;
};

class Bench {
  public:
    explicit Bench(const Settings& settings)
        : settings_(settings),
          x_(gradient(settings.n)),
          k_(std::max<std::uint64_t>(
              1, static_cast<std::uint64_t>(settings.density * static_cast<double>(settings.n)))),
          there_(settings.n),
          copied_(settings.n),
          flushed_(flushed_bytes()) {
        const std::uint64_t bytes = settings.n * sizeof(float);
        check(cudaMemcpy(there_.data, x_.data(), bytes, cudaMemcpyHostToDevice), "input");
        std::vector<float> magnitudes(x_.size());
        std::transform(x_.begin(), x_.end(), magnitudes.begin(), Magnitude{});
        const auto place = magnitudes.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
        std::nth_element(magnitudes.begin(), place, magnitudes.end(), std::greater<>{});
        kth_ = *place;
        top_.assign(magnitudes.begin(), place + 1);
        std::sort(top_.begin(), top_.end());
        for (auto& each : events_) {
            check(cudaEventCreate(&each), "event");
        }
    }

    void select();
    void topk();
    void sort();
    void report() const;

  private:
    static std::uint64_t flushed_bytes() {
        int bytes = 0;
        check(cudaDeviceGetAttribute(&bytes, cudaDevAttrL2CacheSize, 0), "L2 cache");
        return 2 * static_cast<std::uint64_t>(bytes);
    }

    void flush() { check(cudaMemsetAsync(flushed_.data, 0, flushed_bytes()), "flush"); }

    // `call(room, bytes)` tells the bytes of its workspace when room is null, as CUB does.
    template <typename Call>
    Samples measure(Call&& call) {
        std::size_t bytes = 0;
        check(call(nullptr, bytes), "workspace");
        const Memory<char> room(bytes);
        check(call(room.data, bytes), "first call");
        check(cudaDeviceSynchronize(), "first call");
        Samples samples;
        for (int i = 0; i < settings_.repetitions; ++i) {
            flush();
            check(cudaEventRecord(events_[0]), "event");
            check(cudaMemcpyAsync(copied_.data, there_.data, settings_.n * sizeof(float),
                                  cudaMemcpyDeviceToDevice),
                  "copy");
            check(cudaEventRecord(events_[1]), "event");
            flush();
            check(cudaEventRecord(events_[2]), "event");
            check(call(room.data, bytes), "call");
            check(cudaEventRecord(events_[3]), "event");
            check(cudaEventSynchronize(events_[3]), "wait");
            samples.copy_seconds.push_back(between(0, 1));
            samples.seconds.push_back(between(2, 3));
        }
        return samples;
    }

    double between(int first, int last) const {
        float milliseconds = 0;
        check(cudaEventElapsedTime(&milliseconds, events_[first], events_[last]), "time");
        return static_cast<double>(milliseconds) * 1e-3;
    }

    std::uint64_t wrong_magnitudes(std::vector<float> found) const {
        std::sort(found.begin(), found.end());
        std::uint64_t wrong = 0;
        for (std::size_t i = 0; i < top_.size(); ++i) {
            wrong += found[i] != top_[i];
        }
        return wrong;
    }

    void add(const char* row, const char* peer, const Samples& samples, std::uint64_t wrong);

    Settings settings_;
    std::vector<float> x_, top_;
    std::uint64_t k_;
    float kth_ = 0;
    Memory<float> there_, copied_;
    Memory<char> flushed_;
    cudaEvent_t events_[4]{};
    std::string lines_;
};

void Bench::select() {
    std::vector<std::uint32_t> expected;
    for (std::uint64_t i = 0; i < settings_.n; ++i) {
        if (std::fabs(x_[i]) >= kth_) {
            expected.push_back(static_cast<std::uint32_t>(i));
        }
    }
    const Memory<std::uint32_t> indices(expected.size());
    const Memory<float> values(expected.size());
    const Memory<std::uint64_t> count(1);
    const auto entries =
        thrust::make_zip_iterator(thrust::counting_iterator<std::uint32_t>(0), there_.data);
    const auto out = thrust::make_zip_iterator(indices.data, values.data);
    const Samples samples = measure([&](void* room, std::size_t& bytes) {
        return cub::DeviceSelect::If(room, bytes, entries, out, count.data,
                                     static_cast<std::int64_t>(settings_.n), Reaches{kth_});
    });
    std::uint64_t wrong = count.fetch(1)[0] != expected.size();
    const auto found = indices.fetch(expected.size());
    const auto numbers = values.fetch(expected.size());
    for (std::size_t i = 0; i < expected.size(); ++i) {
        wrong += found[i] != expected[i] || numbers[i] != x_[expected[i]];
    }
    add("select", "cub::DeviceSelect::If", samples, wrong);
}

void Bench::topk() {
#if defined(GRADWIRE_HAS_TOPK)
    const Memory<float> keys(k_);
    const Memory<std::uint32_t> indices(k_);
    const auto magnitudes = thrust::make_transform_iterator(there_.data, Magnitude{});
    const Samples samples = measure([&](void* room, std::size_t& bytes) {
        const auto wishes = cuda::execution::require(cuda::execution::determinism::not_guaranteed,
                                                     cuda::execution::output_ordering::unsorted);
        return cub::DeviceTopK::MaxPairs(room, bytes, magnitudes, keys.data,
                                         thrust::counting_iterator<std::uint32_t>(0), indices.data,
                                         static_cast<std::int64_t>(settings_.n),
                                         static_cast<std::int64_t>(k_), wishes);
    });
    add("topk", "cub::DeviceTopK::MaxPairs(|x|)", samples, wrong_magnitudes(keys.fetch(k_)));
#endif
}

void Bench::sort() {
    const Memory<float> magnitudes(settings_.n), sorted(settings_.n);
    const Memory<std::uint32_t> indices(settings_.n), ordered(settings_.n);
    std::vector<std::uint32_t> counted(settings_.n);
    for (std::uint64_t i = 0; i < settings_.n; ++i) {
        counted[i] = static_cast<std::uint32_t>(i);
    }
    check(cudaMemcpy(indices.data, counted.data(), settings_.n * sizeof(std::uint32_t),
                     cudaMemcpyHostToDevice),
          "input");
    const Samples samples = measure([&](void* room, std::size_t& bytes) {
        if (room != nullptr) {
            constexpr unsigned kThreads = 256;
            const auto blocks = static_cast<unsigned>((settings_.n + kThreads - 1) / kThreads);
            write_magnitudes<<<blocks, kThreads>>>(there_.data, settings_.n, magnitudes.data);
        }
        return cub::DeviceRadixSort::SortPairsDescending(room, bytes, magnitudes.data, sorted.data,
                                                         indices.data, ordered.data,
                                                         static_cast<std::int64_t>(settings_.n));
    });
    add("topk", "cub::DeviceRadixSort(|x|)", samples, wrong_magnitudes(sorted.fetch(k_)));
}

std::string numbers(const std::vector<double>& values) {
    std::string text;
    for (const double each : values) {
        char room[32];
        std::snprintf(room, sizeof room, "%s%.9g", text.empty() ? "" : ", ", each);
        text += room;
    }
    return text;
}

double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return (values[(values.size() - 1) / 2] + values[values.size() / 2]) / 2;
}

void Bench::add(const char* row, const char* peer, const Samples& samples, std::uint64_t wrong) {
    const double copies = median(samples.seconds) / median(samples.copy_seconds);
    char head[512];
    std::snprintf(head, sizeof head,
                  "    {\"row\": \"%s\", \"peer\": \"%s\", \"copies\": %.6g, \"wrong\": %llu,\n",
                  row, peer, copies, static_cast<unsigned long long>(wrong));
    lines_ += lines_.empty() ? "" : ",\n";
    lines_ += std::string(head) + "     \"seconds\": [" + numbers(samples.seconds) +
              "],\n     \"copy_seconds\": [" + numbers(samples.copy_seconds) + "]}";
}

void Bench::report() const {
    cudaDeviceProp device;
    check(cudaGetDeviceProperties(&device, 0), "device");
    std::printf("{\n  \"benchmark\": \"cuda_peers\", \"device\": \"%s\", \"cub\": %d,\n",
                device.name, CUB_VERSION);
    std::printf("  \"numel\": %llu, \"density\": %g, \"k\": %llu, \"repetitions\": %d,\n",
                static_cast<unsigned long long>(settings_.n), settings_.density,
                static_cast<unsigned long long>(k_), settings_.repetitions);
    std::printf("  \"rows\": [\n%s\n  ]\n}\n", lines_.c_str());
}

Settings read(int count, char** words) {
    Settings settings;
    for (int i = 1; i < count; i += 2) {
        const std::string name = words[i];
        const char* const value = i + 1 < count ? words[i + 1] : "";
        if (name == "--n") {
            settings.n = std::strtoull(value, nullptr, 10);
        } else if (name == "--density") {
            settings.density = std::strtod(value, nullptr);
        } else if (name == "--repetitions") {
            settings.repetitions = std::atoi(value);
        } else {
            settings.n = 0;
        }
    }
    if (settings.n == 0 || settings.n >> 32 != 0 || settings.repetitions < 1 ||
        !(settings.density > 0 && settings.density <= 1)) {
        std::fprintf(stderr, "usage: cuda_peers [--n N] [--density D] [--repetitions R]\n");
        std::exit(2);
    }
    return settings;
}

}  // namespace

int main(int count, char** words) {
    Bench bench(read(count, words));
    bench.select();
    bench.topk();
    bench.sort();
    bench.report();
}
