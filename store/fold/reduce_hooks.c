#include "fold/reduce_hooks.h"

#include "codec/document.h"
#include "model/names.h"
#include "model/time.h"

#include <ecshist/limits.h>

/* -- members that this version does not know --------------------------------------------------- */

/* Puts a member, over one of the same name where there is one. `map` has room for it. */
static void put_member(struct ehi_value *map, const struct ehi_member *member)
{
    for (uint32_t i = 0; i < map->count; i++) {
        if (ehi_slice_equal(map->u.members[i].name, member->name)) {
            map->u.members[i].value = member->value;
            return;
        }
    }
    map->u.members[map->count++] = *member;
}

static int merge_values(const struct ehi_value *old, const struct ehi_value *added,
                        struct ehi_arena *arena, struct ehi_value *out, struct ecshist_error *error)
{
    struct ehi_value map = {.kind = EHI_VALUE_MAP, .count = old->count};
    map.u.members =
        ehi_arena_array(arena, (size_t)old->count + added->count, sizeof(*map.u.members));
    if (map.u.members == NULL)
        return ehi_fail_memory(error);
    if (old->count > 0)
        memcpy(map.u.members, old->u.members, old->count * sizeof(*map.u.members));
    for (uint32_t i = 0; i < added->count; i++)
        put_member(&map, &added->u.members[i]);
    *out = map;
    return ECSHIST_OK;
}

static int encode_in_arena(const struct ehi_value *value, struct ehi_arena *arena,
                           struct ehi_slice *out, struct ecshist_error *error)
{
    struct ehi_buffer buffer = {NULL, 0, 0};
    int rc = ehi_document_encode(value, &buffer, error);
    if (rc == ECSHIST_OK) {
        struct ehi_slice copy = ehi_arena_copy(arena, ehi_buffer_slice(&buffer));
        if (copy.data == NULL)
            rc = ehi_fail_memory(error);
        else
            *out = copy;
    }
    ehi_buffer_free(&buffer);
    return rc;
}

/* They are set one by one, as the known ones are; together they stay within one event's bound. */
static int merge_extra(struct ehi_slice *extra, struct ehi_slice named, struct ehi_arena *arena,
                       struct ecshist_error *error)
{
    if (named.length == 0)
        return ECSHIST_OK;
    if (extra->length == 0) {
        *extra = named;
        return ECSHIST_OK;
    }
    struct ehi_value old, added, merged;
    struct ehi_slice packed = EHI_SLICE_EMPTY;
    int rc = ehi_document_decode(*extra, arena, &old, error);
    if (rc == ECSHIST_OK)
        rc = ehi_document_decode(named, arena, &added, error);
    if (rc == ECSHIST_OK)
        rc = merge_values(&old, &added, arena, &merged, error);
    if (rc == ECSHIST_OK)
        rc = encode_in_arena(&merged, arena, &packed, error);
    if (rc != ECSHIST_OK)
        return rc;
    if (packed.length > ECSHIST_MAX_EVENT_BYTES)
        return ehi_fail(error, ECSHIST_CONFLICT,
                        "the unknown members of one lifecycle hook would be more than %u bytes",
                        ECSHIST_MAX_EVENT_BYTES);
    *extra = packed;
    return ECSHIST_OK;
}

/* -- hooks ------------------------------------------------------------------------------------- */

static const struct ehi_hook *find_hook(const struct ehi_deployment *state, struct ehi_slice id)
{
    for (uint32_t i = 0; i < state->hook_count; i++) {
        if (ehi_slice_equal(state->hooks[i].id, id))
            return &state->hooks[i];
    }
    return NULL;
}

static int set_members(struct ehi_hook *hook, const struct ehi_hook *named, struct ehi_arena *arena,
                       struct ecshist_error *error)
{
    if (named->target_arn.data != NULL)
        hook->target_arn = named->target_arn;
    if (named->target_type != 0)
        hook->target_type = named->target_type;
    if (named->status != 0)
        hook->status = named->status;
    if (named->timeout_action != 0)
        hook->timeout_action = named->timeout_action;
    if (named->expires_at_us != EHI_TIME_NONE)
        hook->expires_at_us = named->expires_at_us;
    return merge_extra(&hook->extra, named->extra, arena, error);
}

int ehi_hooks_put(struct ehi_deployment *state, const struct ehi_hook *named,
                  struct ehi_arena *arena, struct ecshist_error *error)
{
    const struct ehi_hook *found = find_hook(state, named->id);
    uint32_t count = state->hook_count;
    if (found == NULL && count >= ECSHIST_MAX_HOOKS)
        return ehi_fail(error, ECSHIST_CONFLICT,
                        "the deployment has %u lifecycle hooks already, and may have no more",
                        (unsigned)count);
    struct ehi_hook *hooks = ehi_arena_array(arena, (size_t)count + 1, sizeof(*hooks));
    if (hooks == NULL)
        return ehi_fail_memory(error);
    if (count > 0)
        memcpy(hooks, state->hooks, count * sizeof(*hooks));
    struct ehi_hook *hook = &hooks[found == NULL ? count : (uint32_t)(found - state->hooks)];
    if (found == NULL)
        *hook = (struct ehi_hook){.id = named->id, .expires_at_us = EHI_TIME_NONE};
    int rc = set_members(hook, named, arena, error);
    if (rc != ECSHIST_OK)
        return rc;
    state->hooks = hooks;
    state->hook_count = found == NULL ? count + 1 : count;
    return ECSHIST_OK;
}

int ehi_hooks_check_action(const struct ehi_deployment *state, struct ehi_slice id,
                           struct ecshist_error *error)
{
    const struct ehi_hook *hook = find_hook(state, id);
    if (hook == NULL)
        return ehi_fail(error, ECSHIST_CONFLICT, "the deployment has no lifecycle hook %.*s",
                        EHI_FMT(id));
    if (hook->status == EHI_AWAITING_ACTION)
        return ECSHIST_OK;
    const char *status = ehi_enum_name(EHI_ENUM_HOOK_STATUS, hook->status);
    return ehi_fail(error, ECSHIST_CONFLICT,
                    "the lifecycle hook %.*s is not AWAITING_ACTION: its status is %s", EHI_FMT(id),
                    status == NULL ? "not set" : status);
}
