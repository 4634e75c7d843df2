// float32 and bfloat16 in memory; arithmetic is float32.

#pragma once

#include <cstdint>
#include <cstring>

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

}  // namespace
