/*
 * Any bytes as a state of the index, or as what a list's row shows: the first says whose. What is decoded comes back from
 * what is encoded of it.
 */
#include "codec/brief.h"
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
    struct ehi_arena arena = {0};
    struct ehi_buffer once = {0}, twice = {0};
    struct ehi_revision first, second;
    if (ehi_revision_decode(bytes, &arena, &first, NULL) == ECSHIST_OK) {
        check(ehi_revision_encode(&first, &once) == ECSHIST_OK);
        check(ehi_revision_decode(ehi_buffer_slice(&once), &arena, &second, NULL) == ECSHIST_OK);
        check(ehi_revision_encode(&second, &twice) == ECSHIST_OK);
        check(ehi_slice_equal(ehi_buffer_slice(&once), ehi_buffer_slice(&twice)));
    }
    ehi_buffer_free(&once);
    ehi_buffer_free(&twice);
    ehi_arena_free(&arena);
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

static void try_brief(struct ehi_slice bytes)
{
    static const struct ehi_slice service =
        EHI_SLICE_LITERAL("arn:aws:ecs:eu-north-1:111222333444:service/shop/web");
    struct ehi_brief_owner owner = ehi_brief_owner(service);
    struct ehi_arena arena = {0};
    struct ehi_buffer once = {0};
    struct ehi_deployment first = {.created_at_us = 1700000000000000}, second = first;
    bool in_state;
    if (ehi_brief_decode(bytes, &owner, &arena, &first, &in_state, NULL) == ECSHIST_OK &&
        !in_state) {
        check(ehi_brief_encode(&first, &owner, &once) == ECSHIST_OK);
        check(ehi_brief_decode(ehi_buffer_slice(&once), &owner, &arena, &second, &in_state, NULL) ==
              ECSHIST_OK);
        check(!in_state && first.started_at_us == second.started_at_us &&
              first.finished_at_us == second.finished_at_us);
        check(ehi_slice_equal(first.arn, second.arn) &&
              ehi_slice_equal(first.target.arn, second.target.arn) &&
              ehi_slice_equal(first.status_reason, second.status_reason));
    }
    ehi_buffer_free(&once);
    ehi_arena_free(&arena);
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
    else if (data[0] % 4 == 3)
        try_brief(bytes);
    else
        try_deployment(bytes);
    return 0;
}
