/*
 * Any bytes as a state of the index: the first says whose. What is decoded comes back from what is
 * encoded of it.
 */
#include "codec/state.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static void try_deployment(struct ehi_slice bytes)
{
    struct ehi_arena arena = {0};
    struct ehi_buffer once = {0}, twice = {0};
    struct ehi_deployment first, second;
    if (ehi_deployment_decode(bytes, &arena, &first, NULL) == ECSHIST_OK) {
        check(ehi_deployment_encode(&first, &once) == ECSHIST_OK);
        check(ehi_deployment_decode(ehi_buffer_slice(&once), &arena, &second, NULL) == ECSHIST_OK);
        check(ehi_deployment_same_view(&first, &second));
        check(ehi_deployment_encode(&second, &twice) == ECSHIST_OK);
        check(ehi_slice_equal(ehi_buffer_slice(&once), ehi_buffer_slice(&twice)));
    }
    ehi_buffer_free(&once);
    ehi_buffer_free(&twice);
    ehi_arena_free(&arena);
}

static void try_revision(struct ehi_slice bytes)
{
    struct ehi_buffer once = {0}, twice = {0};
    struct ehi_revision first, second;
    if (ehi_revision_decode(bytes, &first, NULL) == ECSHIST_OK) {
        check(ehi_revision_encode(&first, &once) == ECSHIST_OK);
        check(ehi_revision_decode(ehi_buffer_slice(&once), &second, NULL) == ECSHIST_OK);
        check(ehi_revision_encode(&second, &twice) == ECSHIST_OK);
        check(ehi_slice_equal(ehi_buffer_slice(&once), ehi_buffer_slice(&twice)));
    }
    ehi_buffer_free(&once);
    ehi_buffer_free(&twice);
}

static void try_service(struct ehi_slice bytes)
{
    struct ehi_buffer once = {0}, twice = {0};
    struct ehi_service first, second;
    if (ehi_service_decode(bytes, &first, NULL) == ECSHIST_OK) {
        check(ehi_service_encode(&first, &once) == ECSHIST_OK);
        check(ehi_service_decode(ehi_buffer_slice(&once), &second, NULL) == ECSHIST_OK);
        check(ehi_service_encode(&second, &twice) == ECSHIST_OK);
        check(ehi_slice_equal(ehi_buffer_slice(&once), ehi_buffer_slice(&twice)));
    }
    ehi_buffer_free(&once);
    ehi_buffer_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    struct ehi_slice bytes = ehi_slice(data + 1, size - 1);
    if (data[0] % 4 == 1)
        try_revision(bytes);
    else if (data[0] % 4 == 2)
        try_service(bytes);
    else
        try_deployment(bytes);
    return 0;
}
