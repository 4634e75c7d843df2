// float32 and bfloat16 in memory; arithmetic is float32.

#pragma once

#include <cstdint>
#include <cstring>

#ifdef __AVX__
#include <immintrin.h>
#endif

namespace {

struct BFloat16 {
    uint16_t bits;
};

inline float load(const float* p) { return *p; }
inline float load(const BFloat16* p) {
    const uint32_t wide = static_cast<uint32_t>(p->bits) << 16;
    float value;
    std::memcpy(&value, &wide, sizeof value);
    return value;
}
inline void store(float* p, float value) { *p = value; }
inline void store(BFloat16* p, float value) {  // round to nearest, ties to even
    uint32_t wide;
    std::memcpy(&wide, &value, sizeof wide);
    p->bits = value == value ? static_cast<uint16_t>((wide + 0x7fffu + ((wide >> 16) & 1u)) >> 16) : 0x7fc0u;
}

// Eight numbers side by side, as GCC and Clang write vectors for any processor.
constexpr int LANES = 8;
using Lanes = float __attribute__((vector_size(4 * LANES)));
using Wide = uint32_t __attribute__((vector_size(4 * LANES)));
using Narrow = uint16_t __attribute__((vector_size(2 * LANES)));

inline Lanes load_lanes(const float* p) {
    Lanes values;
    std::memcpy(&values, p, sizeof values);
    return values;
}
inline Lanes load_lanes(const BFloat16* p) {
    Narrow bits;
    std::memcpy(&bits, p, sizeof bits);
    const Wide wide = __builtin_convertvector(bits, Wide) << 16;
    Lanes values;
    std::memcpy(&values, &wide, sizeof values);
    return values;
}
template <class T>
inline void store_lanes(T* p, const Lanes& values) {
    for (int i = 0; i < LANES; ++i) store(p + i, values[i]);
}

// Past the caches, for maps that no cache holds: a store into a cache first reads the line that it will overwrite.
// Addresses are multiples of a vector's size; `end_streams` before another thread reads.
constexpr int64_t STREAM_BYTES = 16 << 20;  // maps from here on

#ifdef __AVX__
inline bool is_streamed(const float*, int64_t numbers) { return numbers * 4 >= STREAM_BYTES; }
inline void stream_lanes(float* p, const Lanes& values) { _mm256_stream_ps(p, reinterpret_cast<const __m256&>(values)); }
inline void end_streams() { _mm_sfence(); }
#else
inline bool is_streamed(const float*, int64_t) { return false; }
inline void stream_lanes(float* p, const Lanes& values) { store_lanes(p, values); }
inline void end_streams() {}
#endif
inline bool is_streamed(const BFloat16*, int64_t) { return false; }
inline void stream_lanes(BFloat16* p, const Lanes& values) { store_lanes(p, values); }

}  // namespace
