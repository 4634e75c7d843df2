// Batch norm over the batch and the activation after it, forward and backward, two passes over memory each.
//
// Feature maps are channels-last: `rows` = N * H * W rows of `channels` numbers, float32 or bfloat16; all arithmetic and
// all statistics are float32 or wider. PyTorch's own operators make five passes forward and six backward, and keep
// the normalised map for the backward pass; here it is computed again from the convolution's output.
//
// Threads take contiguous, equal shares of the rows and their sums are added in order: the same number of threads gives
// the same bits.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include <omp.h>

#include "number_formats.h"

namespace {

enum Activation { IDENTITY = 0, RELU = 1, RELU6 = 2, SILU = 3, HARD_SWISH = 4 };

constexpr int64_t BLOCK = 64;  // rows summed in float32 before they are added to the double sums

// e^x to about 2 units in the last place: 2^n e^r with |r| <= ln 2 / 2, e^r by its Taylor polynomial. NaN stays NaN.
inline float exponential(float x) {
    const float clamped = x < -87.0f ? -87.0f : (x > 88.0f ? 88.0f : x);
    const float n = std::rint(clamped * 1.44269504f);
    const float r = (clamped - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.0f / 5040.0f;
    p = p * r + 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    const int32_t exponent = (static_cast<int32_t>(n) + 127) << 23;
    float scale;
    std::memcpy(&scale, &exponent, sizeof scale);
    return p * scale;
}

inline float sigmoid(float z) { return 1.0f / (1.0f + exponential(-z)); }

template <Activation A>
inline float activate(float z) {
    if constexpr (A == RELU) return z < 0.0f ? 0.0f : z;
    if constexpr (A == RELU6) return z < 0.0f ? 0.0f : (z > 6.0f ? 6.0f : z);
    if constexpr (A == SILU) return z * sigmoid(z);
    if constexpr (A == HARD_SWISH) {
        const float gate = z + 3.0f;
        return z * (gate < 0.0f ? 0.0f : (gate > 6.0f ? 6.0f : gate)) * (1.0f / 6.0f);
    }
    return z;
}

template <Activation A>
inline float slope(float z) {  // the activation's derivative; at a kink PyTorch's choice
    if constexpr (A == RELU) return z > 0.0f ? 1.0f : 0.0f;
    if constexpr (A == RELU6) return z > 0.0f && z < 6.0f ? 1.0f : 0.0f;
    if constexpr (A == SILU) {
        const float s = sigmoid(z);
        return s * (1.0f + z * (1.0f - s));
    }
    if constexpr (A == HARD_SWISH) return z <= -3.0f ? 0.0f : (z < 3.0f ? z * (1.0f / 3.0f) + 0.5f : 1.0f);
    return 1.0f;
}

// Two sums a channel over all rows: `add(row, first, second)` adds a row to float32 sums of one block.
template <class Add>
void sum_rows(int64_t rows, int64_t channels, int threads, double* totals, const Add& add) {
    std::vector<double> partial(static_cast<size_t>(threads) * 2 * channels, 0.0);
#pragma omp parallel num_threads(threads)
    {
        const int64_t thread = omp_get_thread_num(), used = omp_get_num_threads();
        double* sums = partial.data() + thread * 2 * channels;
        std::vector<float> block(2 * channels);
        const int64_t end = rows * (thread + 1) / used;
        for (int64_t start = rows * thread / used; start < end; start += BLOCK) {
            std::memset(block.data(), 0, block.size() * sizeof(float));
            const int64_t stop = start + BLOCK < end ? start + BLOCK : end;
            for (int64_t row = start; row < stop; ++row) add(row, block.data(), block.data() + channels);
            for (int64_t c = 0; c < 2 * channels; ++c) sums[c] += block[c];
        }
    }
    for (int64_t c = 0; c < 2 * channels; ++c) totals[c] = 0.0;
    for (int thread = 0; thread < threads; ++thread)
        for (int64_t c = 0; c < 2 * channels; ++c) totals[c] += partial[thread * 2 * channels + c];
}

// Every row of `y` as `compute(row, out)` writes it to `out`; large maps go past the caches.
template <class T, class Compute>
void write_rows(int64_t rows, int64_t channels, int threads, T* y, const Compute& compute) {
    const bool streams = channels % LANES == 0 && is_streamed(y, rows * channels);
#pragma omp parallel num_threads(threads)
    {
        std::vector<float> buffer(streams ? channels : 0);
#pragma omp for schedule(static)
        for (int64_t row = 0; row < rows; ++row) {
            if (!streams) {
                compute(row, y + row * channels);
                continue;
            }
            compute(row, buffer.data());
            for (int64_t c = 0; c < channels; c += LANES)
                stream_lanes(y + row * channels + c, load_lanes(buffer.data() + c));
        }
        end_streams();
    }
}

template <class T>
void moments(const T* x, int64_t rows, int64_t channels, int threads, float* mean, float* variance) {
    std::vector<float> origin(channels);  // the first row: sums of differences from it lose no digits
    for (int64_t c = 0; c < channels; ++c) origin[c] = load(x + c);
    const float* from = origin.data();
    std::vector<double> totals(2 * channels);
    sum_rows(rows, channels, threads, totals.data(), [=](int64_t row, float* __restrict first, float* __restrict second) {
        const T* __restrict in = x + row * channels;
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) {
            const float difference = load(in + c) - from[c];
            first[c] += difference;
            second[c] += difference * difference;
        }
    });
    for (int64_t c = 0; c < channels; ++c) {
        const double shift = totals[c] / rows;
        const double spread = totals[channels + c] / rows - shift * shift;
        mean[c] = static_cast<float>(origin[c] + shift);
        variance[c] = static_cast<float>(spread > 0.0 ? spread : 0.0);
    }
}

template <class T, Activation A>
void apply(const T* x, int64_t rows, int64_t channels, int threads, const float* weight, const float* bias, float epsilon,
           const float* mean, const float* variance, T* y) {
    std::vector<float> constants(2 * channels);
    float *scale = constants.data(), *shift = scale + channels;
    for (int64_t c = 0; c < channels; ++c) {
        scale[c] = weight[c] / std::sqrt(variance[c] + epsilon);
        shift[c] = bias[c] - mean[c] * scale[c];
    }
    write_rows(rows, channels, threads, y, [=](int64_t row, auto* __restrict out) {
        const T* __restrict in = x + row * channels;
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) store(out + c, activate<A>(load(in + c) * scale[c] + shift[c]));
    });
}

template <class T, Activation A>
void backward(const T* x, const T* dy, int64_t rows, int64_t channels, int threads, const float* weight, const float* bias,
              float epsilon, const float* mean, const float* variance, T* dx, float* dweight, float* dbias) {
    std::vector<float> constants(5 * channels);
    float *scale = constants.data(), *shift = scale + channels, *inverse = shift + channels, *slant = inverse + channels,
          *offset = slant + channels;
    for (int64_t c = 0; c < channels; ++c) {
        inverse[c] = 1.0f / std::sqrt(variance[c] + epsilon);
        scale[c] = weight[c] / std::sqrt(variance[c] + epsilon);
        shift[c] = bias[c] - mean[c] * scale[c];
    }
    std::vector<double> totals(2 * channels);
    sum_rows(rows, channels, threads, totals.data(), [=](int64_t row, float* __restrict first, float* __restrict second) {
        const T* __restrict in = x + row * channels;
        const T* __restrict gradient = dy + row * channels;
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) {
            const float value = load(in + c);
            const float g = load(gradient + c) * slope<A>(value * scale[c] + shift[c]);
            first[c] += g;
            second[c] += g * (value - mean[c]);
        }
    });
    for (int64_t c = 0; c < channels; ++c) {
        dbias[c] = static_cast<float>(totals[c]);
        dweight[c] = static_cast<float>(totals[channels + c] * inverse[c]);
        slant[c] = static_cast<float>(-static_cast<double>(scale[c]) * inverse[c] * inverse[c] * totals[channels + c] / rows);
        offset[c] = static_cast<float>(-static_cast<double>(scale[c]) * totals[c] / rows);
    }
    write_rows(rows, channels, threads, dx, [=](int64_t row, auto* __restrict out) {
        const T* __restrict in = x + row * channels;
        const T* __restrict gradient = dy + row * channels;
#pragma omp simd
        for (int64_t c = 0; c < channels; ++c) {
            const float value = load(in + c);
            const float g = load(gradient + c) * slope<A>(value * scale[c] + shift[c]);
            store(out + c, g * scale[c] + ((value - mean[c]) * slant[c] + offset[c]));
        }
    });
}

template <class T, class... Rest>
void apply_of(int activation, Rest... rest) {
    switch (activation) {
        case RELU: return apply<T, RELU>(rest...);
        case RELU6: return apply<T, RELU6>(rest...);
        case SILU: return apply<T, SILU>(rest...);
        case HARD_SWISH: return apply<T, HARD_SWISH>(rest...);
        default: return apply<T, IDENTITY>(rest...);
    }
}

template <class T, class... Rest>
void backward_of(int activation, Rest... rest) {
    switch (activation) {
        case RELU: return backward<T, RELU>(rest...);
        case RELU6: return backward<T, RELU6>(rest...);
        case SILU: return backward<T, SILU>(rest...);
        case HARD_SWISH: return backward<T, HARD_SWISH>(rest...);
        default: return backward<T, IDENTITY>(rest...);
    }
}

}  // namespace

extern "C" {

// Mean and biased variance of every channel.
void norm_activation_moments(int bfloat16, const void* x, int64_t rows, int64_t channels, int threads, float* mean,
                             float* variance) {
    if (bfloat16)
        moments(static_cast<const BFloat16*>(x), rows, channels, threads, mean, variance);
    else
        moments(static_cast<const float*>(x), rows, channels, threads, mean, variance);
}

// The activation of x, normalised by these moments.
void norm_activation_apply(int bfloat16, int activation, const void* x, int64_t rows, int64_t channels, int threads,
                           const float* weight, const float* bias, float epsilon, const float* mean, const float* variance,
                           void* y) {
    if (bfloat16)
        apply_of<BFloat16>(activation, static_cast<const BFloat16*>(x), rows, channels, threads, weight, bias, epsilon, mean,
                           variance, static_cast<BFloat16*>(y));
    else
        apply_of<float>(activation, static_cast<const float*>(x), rows, channels, threads, weight, bias, epsilon, mean,
                        variance, static_cast<float*>(y));
}

void norm_activation_backward(int bfloat16, int activation, const void* x, const void* dy, int64_t rows, int64_t channels,
                              int threads, const float* weight, const float* bias, float epsilon, const float* mean,
                              const float* variance, void* dx, float* dweight, float* dbias) {
    if (bfloat16)
        backward_of<BFloat16>(activation, static_cast<const BFloat16*>(x), static_cast<const BFloat16*>(dy), rows, channels,
                              threads, weight, bias, epsilon, mean, variance, static_cast<BFloat16*>(dx), dweight, dbias);
    else
        backward_of<float>(activation, static_cast<const float*>(x), static_cast<const float*>(dy), rows, channels, threads,
                           weight, bias, epsilon, mean, variance, static_cast<float*>(dx), dweight, dbias);
}

}  // extern "C"
