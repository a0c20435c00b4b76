/*
 * The target that must fail: on input that starts with "canary!". Shows that a failure is seen.
 * Byte by byte, so that the fuzzer's coverage leads it there.
 */
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char word[] = "canary!";
    for (size_t i = 0; i < sizeof word - 1; i++) {
        if (i >= size || data[i] != (uint8_t)word[i])
            return 0;
    }
    abort();
}
