// Backward pass of a depthwise convolution (one filter a channel) over channels-last maps, float32 or bfloat16.
//
// Both gradients are products along channels, which lie side by side, so the inner loops run over V channels at a time:
// the input's gradient gathers, for each pixel, the output pixels it contributed to; the weight's gradient keeps the sums
// of one row of the filter in registers while it walks along a row of pixels. Sums of an image are float32, sums of
// images double, and threads take contiguous images: the same number of threads gives the same bits.

#include <algorithm>
#include <cstdint>
#include <vector>

#include <omp.h>

#include "number_formats.h"

namespace {

struct Shape {
    int64_t images, channels, height, width, out_height, out_width;
    int kernel, stride, top, left;  // padding above and to the left; what is needed below and to the right is implied
};

struct Tap {
    int64_t out;  // row or column of the output
    int at;       // row or column of the filter
};

// For each row (or column) of the input the rows of the output that read it.
std::vector<std::vector<Tap>> taps_of(int64_t size, int64_t out_size, int kernel, int stride, int before) {
    std::vector<std::vector<Tap>> taps(size);
    for (int64_t out = 0; out < out_size; ++out)
        for (int at = 0; at < kernel; ++at) {
            const int64_t in = out * stride + at - before;
            if (in >= 0 && in < size) taps[in].push_back({out, at});
        }
    return taps;
}

template <class T, int V>
void input_gradient(const Shape& s, const T* dy, const float* weight, int64_t first, int64_t last, T* dx) {
    const auto rows = taps_of(s.height, s.out_height, s.kernel, s.stride, s.top);
    const auto columns = taps_of(s.width, s.out_width, s.kernel, s.stride, s.left);
    for (int64_t n = first; n < last; ++n)
        for (int64_t h = 0; h < s.height; ++h)
            for (int64_t c = 0; c < s.channels; c += V)
                for (int64_t w = 0; w < s.width; ++w) {
                    float sum[V] = {};
                    for (const Tap& row : rows[h])
                        for (const Tap& column : columns[w]) {
                            const T* from = dy + ((n * s.out_height + row.out) * s.out_width + column.out) * s.channels + c;
                            const float* filter = weight + (row.at * s.kernel + column.at) * s.channels + c;
                            for (int v = 0; v < V; ++v) sum[v] += load(from + v) * filter[v];
                        }
                    T* to = dx + ((n * s.height + h) * s.width + w) * s.channels + c;
                    for (int v = 0; v < V; ++v) store(to + v, sum[v]);
                }
}

// Adds the weight's gradient of images [first, last) to `total` (kernel, kernel, channels).
template <class T, int V, int K>
void weight_gradient(const Shape& s, const T* x, const T* dy, int64_t first, int64_t last, double* total) {
    std::vector<float> of_image(K * K * s.channels);
    // Columns of the output whose whole filter row lies inside the input.
    int64_t inner = 0, edge = s.out_width;
    while (inner < s.out_width && inner * s.stride < s.left) ++inner;
    while (edge > inner && (edge - 1) * s.stride + K - 1 - s.left >= s.width) --edge;
    for (int64_t n = first; n < last; ++n) {
        std::fill(of_image.begin(), of_image.end(), 0.0f);
        for (int64_t out = 0; out < s.out_height; ++out)
            for (int row = 0; row < K; ++row) {
                const int64_t in = out * s.stride + row - s.top;
                if (in < 0 || in >= s.height) continue;
                const T* input = x + (n * s.height + in) * s.width * s.channels;
                const T* gradient = dy + (n * s.out_height + out) * s.out_width * s.channels;
                for (int64_t c = 0; c < s.channels; c += V) {
                    float sum[K][V] = {};
                    for (int64_t w = inner; w < edge; ++w) {
                        const T* at = input + (w * s.stride - s.left) * s.channels + c;
                        const T* g = gradient + w * s.channels + c;
                        for (int k = 0; k < K; ++k)
                            for (int v = 0; v < V; ++v) sum[k][v] += load(at + k * s.channels + v) * load(g + v);
                    }
                    for (int64_t w = 0; w < s.out_width; ++w) {
                        if (w == inner && edge > inner) w = edge;  // the columns between are summed
                        if (w == s.out_width) break;
                        for (int k = 0; k < K; ++k) {
                            const int64_t column = w * s.stride + k - s.left;
                            if (column < 0 || column >= s.width) continue;
                            for (int v = 0; v < V; ++v)
                                sum[k][v] += load(input + column * s.channels + c + v) * load(gradient + w * s.channels + c + v);
                        }
                    }
                    for (int k = 0; k < K; ++k)
                        for (int v = 0; v < V; ++v) of_image[(row * K + k) * s.channels + c + v] += sum[k][v];
                }
            }
        for (size_t i = 0; i < of_image.size(); ++i) total[i] += of_image[i];
    }
}

template <class T, int V, int K>
void backward(const Shape& s, int threads, const T* x, const T* dy, const float* weight, T* dx, float* dweight) {
    const int64_t size = static_cast<int64_t>(K) * K * s.channels;
    std::vector<double> totals(threads * size, 0.0);
#pragma omp parallel num_threads(threads)
    {
        const int64_t thread = omp_get_thread_num(), used = omp_get_num_threads();
        const int64_t first = s.images * thread / used, last = s.images * (thread + 1) / used;
        if (dx) input_gradient<T, V>(s, dy, weight, first, last, dx);
        weight_gradient<T, V, K>(s, x, dy, first, last, totals.data() + thread * size);
    }
    for (int64_t i = 0; i < size; ++i) {
        double sum = 0.0;
        for (int thread = 0; thread < threads; ++thread) sum += totals[thread * size + i];
        dweight[i] = static_cast<float>(sum);
    }
}

template <class T>
void backward_of(const Shape& s, int threads, const T* x, const T* dy, const float* weight, T* dx, float* dweight) {
    const bool wide = s.channels % 16 == 0;
    if (s.kernel == 3) return wide ? backward<T, 16, 3>(s, threads, x, dy, weight, dx, dweight)
                                   : backward<T, 8, 3>(s, threads, x, dy, weight, dx, dweight);
    return wide ? backward<T, 16, 5>(s, threads, x, dy, weight, dx, dweight)
                : backward<T, 8, 5>(s, threads, x, dy, weight, dx, dweight);
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
