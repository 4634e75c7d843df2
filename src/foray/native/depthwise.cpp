// Backward pass of a depthwise convolution (one filter a channel) over channels-last maps, float32 or bfloat16.
//
// Both gradients are products along channels, which lie side by side, so the inner loops run over LANES channels at a time.
// Memory is walked in the order it lies in: with a walk along a row of pixels for each group of channels it took up to three times as
// long. Sums of an image are float32, sums of images double, and threads take contiguous images: the same number of
// threads gives the same bits.

#include <algorithm>
#include <cstdint>
#include <vector>

#include <omp.h>

#include "number_formats.h"

namespace {

constexpr int64_t BLOCK = 8;  // columns

struct Shape {
    int64_t images, channels, height, width, out_height, out_width;
    int kernel, stride, top, left;  // padding above and to the left; what is needed below and to the right is implied
};

struct Tap {
    int64_t out;  // row or column of the output
    int at;       // row or column of the filter
};

// For each row (or column) of the input the rows of the output that read it.
using Taps = std::vector<std::vector<Tap>>;

Taps taps_of(int64_t size, int64_t out_size, int kernel, int stride, int before) {
    Taps taps(size);
    for (int64_t out = 0; out < out_size; ++out)
        for (int at = 0; at < kernel; ++at) {
            const int64_t in = out * stride + at - before;
            if (in >= 0 && in < size) taps[in].push_back({out, at});
        }
    return taps;
}

// One pixel of the input's gradient: the products of `taps` pixels with their filters; TAPS: as many, where not 0.
template <class T, int TAPS>
void gather(const T* const* from, const float* const* filters, int taps, int64_t channels, bool streams, T* to) {
    if (TAPS) taps = TAPS;
    for (int64_t c = 0; c < channels; c += LANES) {
        Lanes sum{};
        for (int tap = 0; tap < taps; ++tap) sum += load_lanes(from[tap] + c) * load_lanes(filters[tap] + c);
        if (streams)
            stream_lanes(to + c, sum);
        else
            store_lanes(to + c, sum);
    }
}

// The input's gradient of image n: pixels in the order they lie in memory, for each the taps that lead to it.
template <class T, int K>
void input_gradient(const Shape& s, const T* dy, const float* weight, const Taps& rows, const Taps& columns, int64_t n,
                    T* dx) {
    const T* from[K * K];
    const float* filters[K * K];
    const bool streams = is_streamed(dx, s.images * s.height * s.width * s.channels);
    for (int64_t h = 0; h < s.height; ++h)
        for (int64_t w = 0; w < s.width; ++w) {
            int taps = 0;
            for (const Tap& row : rows[h])
                for (const Tap& column : columns[w]) {
                    from[taps] = dy + ((n * s.out_height + row.out) * s.out_width + column.out) * s.channels;
                    filters[taps++] = weight + (row.at * K + column.at) * s.channels;
                }
            T* to = dx + ((n * s.height + h) * s.width + w) * s.channels;
            if (taps == K * K)
                gather<T, K * K>(from, filters, taps, s.channels, streams, to);
            else
                gather<T, 0>(from, filters, taps, s.channels, streams, to);
        }
}

// Adds to `sums` (K, channels) the products of one output row's columns [first, last) with the input row `input`, whose
// taps all lie inside it, for G groups of channels from c on: with one group additions would wait for one another.
template <class T, int K, int G>
void add_products(const Shape& s, const T* input, const T* gradient, int64_t first, int64_t last, int64_t c, float* sums) {
    Lanes sum[K][G] = {};
    for (int64_t w = first; w < last; ++w) {
        const T* at = input + (w * s.stride - s.left) * s.channels + c;
        const T* from = gradient + w * s.channels + c;
        for (int g = 0; g < G; ++g) {
            const Lanes factor = load_lanes(from + g * LANES);
            for (int k = 0; k < K; ++k) sum[k][g] += load_lanes(at + k * s.channels + g * LANES) * factor;
        }
    }
    for (int k = 0; k < K; ++k)
        for (int g = 0; g < G; ++g) {
            float* to = sums + k * s.channels + c + g * LANES;
            store_lanes(to, load_lanes(to) + sum[k][g]);
        }
}

template <class T, int K>
void add_products(const Shape& s, const T* input, const T* gradient, int64_t first, int64_t last, float* sums) {
    int64_t c = 0;
    for (; c + 2 * LANES <= s.channels; c += 2 * LANES) add_products<T, K, 2>(s, input, gradient, first, last, c, sums);
    if (c < s.channels) add_products<T, K, 1>(s, input, gradient, first, last, c, sums);
}

// The same for one column at the edge, some of whose taps lie outside.
template <class T, int K>
void add_edge_products(const Shape& s, const T* input, const T* gradient, int64_t w, float* sums) {
    for (int k = 0; k < K; ++k) {
        const int64_t column = w * s.stride + k - s.left;
        if (column < 0 || column >= s.width) continue;
        const T* at = input + column * s.channels;
        const T* g = gradient + w * s.channels;
        for (int64_t c = 0; c < s.channels; ++c) sums[k * s.channels + c] += load(at + c) * load(g + c);
    }
}

// The weight's gradient (K, K, channels) of image n, block by block of columns, so that a block stays in the cache for
// all rows of the filter.
template <class T, int K>
void weight_gradient(const Shape& s, const T* x, const T* dy, int64_t n, float* sums) {
    std::fill(sums, sums + K * K * s.channels, 0.0f);
    // Columns of the output whose whole filter row lies inside the input.
    int64_t inner = 0, edge = s.out_width;
    while (inner < s.out_width && inner * s.stride < s.left) ++inner;
    while (edge > inner && (edge - 1) * s.stride + K - 1 - s.left >= s.width) --edge;
    for (int64_t out = 0; out < s.out_height; ++out) {
        const T* gradient = dy + (n * s.out_height + out) * s.out_width * s.channels;
        const auto of_rows = [&](const auto& add) {
            for (int row = 0; row < K; ++row) {
                const int64_t in = out * s.stride + row - s.top;
                if (in >= 0 && in < s.height)
                    add(x + (n * s.height + in) * s.width * s.channels, sums + row * K * s.channels);
            }
        };
        for (int64_t w = inner; w < edge; w += BLOCK)
            of_rows([&](const T* input, float* to) {
                add_products<T, K>(s, input, gradient, w, std::min(w + BLOCK, edge), to);
            });
        of_rows([&](const T* input, float* to) {
            for (int64_t w = 0; w < inner; ++w) add_edge_products<T, K>(s, input, gradient, w, to);
            for (int64_t w = edge; w < s.out_width; ++w) add_edge_products<T, K>(s, input, gradient, w, to);
        });
    }
}

template <class T, int K>
void backward(const Shape& s, int threads, const T* x, const T* dy, const float* weight, T* dx, float* dweight) {
    const int64_t size = static_cast<int64_t>(K) * K * s.channels;
    const Taps rows = taps_of(s.height, s.out_height, K, s.stride, s.top);
    const Taps columns = taps_of(s.width, s.out_width, K, s.stride, s.left);
    std::vector<double> totals(threads * size, 0.0);
#pragma omp parallel num_threads(threads)
    {
        const int64_t thread = omp_get_thread_num(), used = omp_get_num_threads();
        const int64_t last = s.images * (thread + 1) / used;
        std::vector<float> of_image(size);
        for (int64_t n = s.images * thread / used; n < last; ++n) {
            if (dx) input_gradient<T, K>(s, dy, weight, rows, columns, n, dx);
            weight_gradient<T, K>(s, x, dy, n, of_image.data());
            for (int64_t i = 0; i < size; ++i) totals[thread * size + i] += of_image[i];
        }
        end_streams();
    }
    for (int64_t i = 0; i < size; ++i) {
        double sum = 0.0;
        for (int thread = 0; thread < threads; ++thread) sum += totals[thread * size + i];
        dweight[i] = static_cast<float>(sum);
    }
}

template <class T>
void backward_of(const Shape& s, int threads, const T* x, const T* dy, const float* weight, T* dx, float* dweight) {
    if (s.kernel == 3) return backward<T, 3>(s, threads, x, dy, weight, dx, dweight);
    return backward<T, 5>(s, threads, x, dy, weight, dx, dweight);
}

}  // namespace

extern "C" {

// weight and dweight: (kernel, kernel, channels); kernel 3 or 5, channels a multiple of 8. dx may be null.
void depthwise_backward(int bfloat16, int64_t images, int64_t channels, int64_t height, int64_t width, int64_t out_height,
                        int64_t out_width, int kernel, int stride, int top, int left, int threads, const void* x,
                        const void* dy, const float* weight, void* dx, float* dweight) {
    const Shape s{images, channels, height, width, out_height, out_width, kernel, stride, top, left};
    if (bfloat16)
        backward_of<BFloat16>(s, threads, static_cast<const BFloat16*>(x), static_cast<const BFloat16*>(dy), weight,
                              static_cast<BFloat16*>(dx), dweight);
    else
        backward_of<float>(s, threads, static_cast<const float*>(x), static_cast<const float*>(dy), weight,
                           static_cast<float*>(dx), dweight);
}

}  // extern "C"
